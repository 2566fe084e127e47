//! Sketches of the users of features, handed to an agent in the same process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "otlp")]

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message;
use sidelight::init::{Deliver, Delivering, Signal};
use sidelight::{Feature, FeatureKind};

#[derive(Clone, Default)]
struct Agent {
    logs: Arc<Mutex<Vec<Vec<u8>>>>,
    sketches: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Deliver for Agent {
    fn deliver(&self, signal: Signal, request: Vec<u8>) -> Delivering {
        if signal == Signal::Logs {
            self.logs.lock().unwrap().push(request);
        }
        Box::pin(async { Ok(()) })
    }

    fn deliver_sketches(&self, request: Vec<u8>) -> Delivering {
        self.sketches.lock().unwrap().push(request);
        Box::pin(async { Ok(()) })
    }
}

#[test]
fn users_of_features_are_handed_over_as_sketches_and_never_among_the_logs() {
    static EXPORT: Feature = Feature::new("report.export", FeatureKind::Api);
    let agent = Agent::default();
    let started = sidelight::init("sketches").without_subscriber().deliver(agent.clone());
    let telemetry = started.start().unwrap();
    for user in ["ada", "grace", "ada"] {
        drop(EXPORT.used().by(user));
    }
    telemetry.flush_blocking().unwrap();
    telemetry.shutdown().unwrap();
    let sketches = agent.sketches.lock().unwrap();
    let [request] = &sketches[..] else { panic!("{} requests", sketches.len()) };
    let request = ExportLogsServiceRequest::decode(&request[..]).unwrap();
    let resource = format!("{:?}", request.resource_logs.first().unwrap().resource);
    assert!(resource.contains("sketches"), "{resource}");
    let scopes = request.resource_logs.iter().flat_map(|of| &of.scope_logs);
    let records: Vec<_> = scopes.flat_map(|scope| &scope.log_records).collect();
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!(record.event_name, "sidelight.feature.sketch");
    assert!(format!("{:?}", record.attributes).contains("report.export"));
    assert!(!format!("{record:?}").contains("ada"));
    assert!(agent.logs.lock().unwrap().is_empty());
}
