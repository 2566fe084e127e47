//! The subscriber of `tracing` that an application gets which has none of its own.

use std::io::Write;

use tracing_subscriber::layer::SubscriberExt;

use super::error::StartError;
use super::filter::Filter;
use super::telemetry::Telemetry;
use crate::logs::{LogFormat, stdout};

/// Makes it the process's.
pub(crate) fn install(
    telemetry: &Telemetry,
    format: LogFormat,
    filter: Filter,
) -> Result<(), StartError> {
    let subscriber = tracing_subscriber::registry()
        .with(filter)
        .with(telemetry.layer())
        .with(stdout(format, telemetry.resource()));
    tracing::subscriber::set_global_default(subscriber).map_err(|_| StartError::SubscriberInstalled)
}

/// Through `tracing` where there is a subscriber, else to standard error.
pub(crate) fn warn(warning: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!(target: "sidelight", "{warning}");
    } else {
        _ = writeln!(std::io::stderr(), "sidelight: {warning}");
    }
}
