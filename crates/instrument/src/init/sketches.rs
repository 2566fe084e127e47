//! Sends the sketches of users: every minute and when telemetry is flushed, as log records in requests of their own with the
//! header `sidelight-internal: sketch`, which an agent merges and never exports.
//!
//! What could not be sent is sent with the next; at most [`UNSENT_MAX`] sketches, the oldest are let go.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tokio::runtime::Handle;

use crate::names;
use crate::users;
use crate::users::FeatureSketch;

/// The header of such requests, and what it says.
pub(crate) const HEADER: (&str, &str) = ("sidelight-internal", "sketch");

const PERIOD: Duration = Duration::from_secs(60);
/// Four for each feature that can have users.
const UNSENT_MAX: usize = 256;

/// The exporter of sketches.
#[derive(Debug)]
pub(crate) struct Sketches<E> {
    exporter: E,
    /// Makes records; they do not go through it.
    logger: SdkLogger,
    scope: InstrumentationScope,
    unsent: Mutex<Vec<FeatureSketch>>,
    runtime: Handle,
}

impl<E: LogExporter + 'static> Sketches<E> {
    /// Sends them every minute on `runtime`, until the last reference is gone.
    pub(crate) fn start(mut exporter: E, resource: &Resource, runtime: &Handle) -> Arc<Self> {
        exporter.set_resource(resource);
        let sketches = Arc::new(Self {
            exporter,
            logger: SdkLoggerProvider::builder().build().logger(names::SCOPE),
            scope: InstrumentationScope::builder(names::SCOPE).build(),
            unsent: Mutex::default(),
            runtime: runtime.clone(),
        });
        let weak: Weak<Self> = Arc::downgrade(&sketches);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(PERIOD).await;
                let Some(sketches) = weak.upgrade() else { return };
                sketches.send().await;
            }
        });
        sketches
    }

    /// Sends what there is, and waits for it at most that long.
    pub(crate) fn flush(self: &Arc<Self>, bound: Duration) {
        let (done, ended) = sync_channel(1);
        let sketches = Arc::clone(self);
        self.runtime.spawn(async move {
            sketches.send().await;
            _ = done.send(());
        });
        _ = ended.recv_timeout(bound);
    }

    async fn send(&self) {
        let mut all = std::mem::take(&mut *self.unsent());
        all.extend(users::drain());
        if all.is_empty() {
            return;
        }
        let records: Vec<_> = all.iter().map(|sketch| self.record(sketch)).collect();
        let batch: Vec<_> = records.iter().map(|record| (record, &self.scope)).collect();
        if self.exporter.export(LogBatch::new(&batch)).await.is_err() {
            let mut unsent = self.unsent();
            all.append(&mut unsent);
            let surplus = all.len().saturating_sub(UNSENT_MAX);
            all.drain(..surplus);
            *unsent = all;
        }
    }

    fn unsent(&self) -> std::sync::MutexGuard<'_, Vec<FeatureSketch>> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[expect(clippy::disallowed_methods, reason = "a log record says when it was made")]
    fn record(&self, sketch: &FeatureSketch) -> SdkLogRecord {
        let mut record = self.logger.create_log_record();
        // Emitting would set this; the encoder of OTLP panics without it.
        record.set_observed_timestamp(SystemTime::now());
        record.set_event_name("sidelight.feature.sketch");
        record.add_attribute("feature.name", sketch.feature.clone());
        record.set_body(AnyValue::Bytes(Box::new(sketch.sketch.clone())));
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::alone;
    use crate::{Feature, FeatureKind};
    use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
    use std::collections::VecDeque;

    /// Refuses or takes, in this order.
    #[derive(Debug, Default)]
    struct Told {
        answers: Mutex<VecDeque<bool>>,
        taken: Mutex<Vec<String>>,
    }

    impl LogExporter for Told {
        async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
            if self.answers.lock().unwrap().pop_front() == Some(false) {
                return Err(OTelSdkError::InternalFailure("away".to_owned()));
            }
            for (record, _) in batch.iter() {
                let body = matches!(record.body(), Some(AnyValue::Bytes(bytes)) if bytes.first() == Some(&1));
                assert!(record.observed_timestamp().is_some(), "the encoder of OTLP needs it");
                let names = record.attributes_iter().map(|(key, value)| format!("{key}={value:?}"));
                let names: Vec<_> = names.collect();
                self.taken
                    .lock()
                    .unwrap()
                    .push(format!("{:?} {body} {names:?}", record.event_name()));
            }
            Ok(())
        }
    }

    #[test]
    fn sketches_that_were_not_taken_are_sent_again() {
        static SENT: Feature = Feature::new("sent", FeatureKind::Api);
        let _alone = alone();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        _ = users::drain();
        let exporter =
            Told { answers: Mutex::new(VecDeque::from([false, true])), ..Told::default() };
        let sketches =
            Sketches::start(exporter, &Resource::builder_empty().build(), runtime.handle());
        sketches.flush(Duration::from_secs(10));
        SENT.user("ada");
        sketches.flush(Duration::from_secs(10));
        assert_eq!(*sketches.exporter.taken.lock().unwrap(), Vec::<String>::new());
        sketches.flush(Duration::from_secs(10));
        sketches.flush(Duration::from_secs(10));
        let taken = sketches.exporter.taken.lock().unwrap();
        let [one] = &taken[..] else { panic!("{taken:?}") };
        assert!(one.starts_with("Some(\"sidelight.feature.sketch\") true"), "{one}");
        assert!(one.contains("feature.name") && one.contains("sent"), "{one}");
    }
}
