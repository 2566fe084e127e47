//! The observable instruments of a meter. Their callbacks only read: what the last walk of [`observe`](crate::observe) saw, and
//! what is counted beside it. They cannot be unregistered: those of a meter that is not the one in use tell nothing.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::{dropped, is_current};
use crate::names::{self, Kind, Metric};
use crate::{limits, observe};

/// Makes them.
pub(super) fn make(meter: &Meter, generation: u64) {
    for metric in names::ALL {
        let (name, unit, said) = (metric.name, metric.unit, metric.description);
        match metric.kind {
            Kind::ObservableCounter => {
                let builder = meter.u64_observable_counter(name).with_unit(unit);
                let builder = builder.with_description(said);
                builder.with_callback(move |to| count(metric, generation, to)).build();
            }
            Kind::ObservableSum => {
                let builder = meter.f64_observable_counter(name).with_unit(unit);
                let builder = builder.with_description(said);
                let tell = move |to: &dyn AsyncInstrument<f64>| {
                    tell(metric, generation, |value, of| to.observe(value, of));
                };
                builder.with_callback(tell).build();
            }
            Kind::ObservableUpDownCounter => {
                let builder = meter.i64_observable_up_down_counter(name).with_unit(unit);
                let builder = builder.with_description(said);
                let tell = move |to: &dyn AsyncInstrument<i64>| {
                    tell(metric, generation, |value, of| to.observe(value as i64, of));
                };
                builder.with_callback(tell).build();
            }
            Kind::ObservableGauge => {
                let builder = meter.f64_observable_gauge(name).with_unit(unit);
                let builder = builder.with_description(said);
                let tell = move |to: &dyn AsyncInstrument<f64>| {
                    tell(metric, generation, |value, of| to.observe(value, of));
                };
                builder.with_callback(tell).build();
            }
            _ => {}
        }
    }
}

/// What is counted as it happens, and not seen by a walk.
fn count(metric: &Metric, generation: u64, to: &dyn AsyncInstrument<u64>) {
    if !is_current(generation) {
        return;
    }
    if metric.name == names::SDK_DROPPED.name {
        observe::collected();
        to.observe(dropped(), &[KeyValue::new("reason", "no_meter")]);
        to.observe(observe::refused(), &[KeyValue::new("reason", "too_many_observed")]);
        to.observe(observe::hangs(), &[KeyValue::new("reason", "observer_hangs")]);
    } else if metric.name == names::SDK_OVERFLOWED.name {
        to.observe(limits::overflowed(), &[]);
    } else if metric.name == names::SDK_PANICS.name {
        to.observe(observe::panics(), &[]);
    }
}

fn tell(metric: &Metric, generation: u64, to: impl FnMut(f64, &[KeyValue])) {
    if is_current(generation) {
        observe::tell(metric, to);
    }
}
