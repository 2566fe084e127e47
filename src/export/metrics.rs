//! The self-metrics of one lane.

use crate::signal::Signal;
use crate::telemetry::{Counter, Desc, Gauge, Registry, desc};

/// The series of one lane.
#[derive(Debug)]
pub(super) struct LaneMetrics {
    pub(super) sent: Counter,
    pub(super) failed: Counter,
    pub(super) requests: Counter,
    pub(super) retries: Counter,
    pub(super) sent_bytes: Counter,
    pub(super) rejected: Counter,
    pub(super) in_flight: Gauge,
    pub(super) backing_off: Gauge,
    pub(super) held: Gauge,
}

impl LaneMetrics {
    pub(super) fn new(registry: &Registry, exporter: &str, signal: Signal) -> Self {
        let (sent, failed) = by_signal(signal);
        let labels = [exporter, signal.name()];
        let counter = |desc: &Desc| registry.counter(desc, &labels);
        let gauge = |desc: &Desc| registry.gauge(desc, &labels);
        Self {
            sent: registry.counter(sent, &[exporter]),
            failed: registry.counter(failed, &[exporter]),
            requests: counter(&desc::EXPORTER_REQUESTS),
            retries: counter(&desc::EXPORTER_RETRIES),
            sent_bytes: counter(&desc::EXPORTER_SENT_BYTES),
            rejected: counter(&desc::EXPORTER_REJECTED_ITEMS),
            in_flight: gauge(&desc::EXPORTER_IN_FLIGHT),
            backing_off: gauge(&desc::EXPORTER_BACKING_OFF),
            held: gauge(&desc::EXPORTER_HELD),
        }
    }
}

const fn by_signal(signal: Signal) -> (&'static Desc, &'static Desc) {
    match signal {
        Signal::Traces => (&desc::EXPORTER_SENT_SPANS, &desc::EXPORTER_SEND_FAILED_SPANS),
        Signal::Metrics => {
            (&desc::EXPORTER_SENT_METRIC_POINTS, &desc::EXPORTER_SEND_FAILED_METRIC_POINTS)
        }
        Signal::Logs => (&desc::EXPORTER_SENT_LOG_RECORDS, &desc::EXPORTER_SEND_FAILED_LOG_RECORDS),
        Signal::Profiles => (&desc::EXPORTER_SENT_PROFILES, &desc::EXPORTER_SEND_FAILED_PROFILES),
    }
}

/// Ends the series of a lane that left the configuration.
pub(super) fn remove(registry: &Registry, exporter: &str, signal: Signal) {
    let (sent, failed) = by_signal(signal);
    for desc in [sent, failed] {
        registry.remove(desc, &[exporter]);
    }
    for desc in [
        &desc::EXPORTER_REQUESTS,
        &desc::EXPORTER_RETRIES,
        &desc::EXPORTER_SENT_BYTES,
        &desc::EXPORTER_REJECTED_ITEMS,
        &desc::EXPORTER_IN_FLIGHT,
        &desc::EXPORTER_BACKING_OFF,
        &desc::EXPORTER_HELD,
    ] {
        registry.remove(desc, &[exporter, signal.name()]);
    }
}
