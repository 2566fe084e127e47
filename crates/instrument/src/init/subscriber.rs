//! The subscriber of `tracing` that an application gets which has none of its own.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry_sdk::Resource;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

use super::error::StartError;
use super::filter::Filter;
use crate::logs::{LogFormat, stdout};

static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Why there cannot be one: the process has one, which cannot be taken away.
pub(crate) fn vacant() -> Result<(), StartError> {
    match (is_heard(), INSTALLED.load(Ordering::Relaxed)) {
        (false, _) => Ok(()),
        (true, true) => Err(StartError::Ended),
        (true, false) => Err(StartError::SubscriberInstalled),
    }
}

/// Whether what this thread says comes to anyone. That there was a subscriber once, of a test or for a block, does not count.
fn is_heard() -> bool {
    tracing::dispatcher::get_default(|dispatch| !dispatch.is::<NoSubscriber>())
}

/// Makes it the process's. What passes `filter` goes to `layer` and, in lines of `format`, to standard output.
pub(crate) fn install(
    filter: Filter,
    layer: impl Layer<Layered<Filter, Registry>> + Send + Sync,
    format: LogFormat,
    resource: &Resource,
) -> Result<(), StartError> {
    let subscriber =
        tracing_subscriber::registry().with(filter).with(layer).with(stdout(format, resource));
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| StartError::SubscriberInstalled)?;
    INSTALLED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Through `tracing` where there is a subscriber, else to standard error.
pub(crate) fn warn(warning: &str) {
    if is_heard() {
        tracing::warn!(target: "sidelight", "{warning}");
    } else {
        _ = writeln!(std::io::stderr(), "sidelight: {warning}");
    }
}
