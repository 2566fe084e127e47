//! The `debug` exporter: a log line per batch, and its OTLP/JSON lines on standard error when asked for.
//!
//! It is for looking and never holds data back: what standard error does not take is passed over, and counted.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::{lines, written};
use crate::export::client::SendError;
use crate::export::config::DebugConfig;
use crate::signal::Signal;
use crate::telemetry::stderr;

/// One `debug` destination.
#[derive(Debug)]
pub(in crate::export) struct Debug {
    exporter: String,
    detailed: bool,
    turn: Arc<Mutex<()>>,
}

impl Debug {
    pub(in crate::export) fn new(exporter: String, config: &DebugConfig) -> Self {
        Self { exporter, detailed: config.detailed, turn: Arc::default() }
    }

    pub(super) const fn weight_percent(&self) -> usize {
        if self.detailed { lines::WEIGHT_PERCENT } else { 100 }
    }

    /// Shows one batch of `items`.
    pub(super) async fn show(&self, signal: Signal, payloads: Vec<Bytes>, items: u64) {
        let (exporter, requests) = (&self.exporter, payloads.len());
        let bytes: usize = payloads.iter().map(Bytes::len).sum();
        tracing::info!(exporter, signal = signal.name(), items, requests, bytes, "received");
        if self.detailed {
            let shown = written(&self.turn, move |()| {
                let lines = lines::encode(signal, &payloads)?;
                stderr::begin().map_err(SendError::Write)?.offer(lines);
                Ok(())
            });
            if let Err(error) = shown.await {
                tracing::debug!(exporter, signal = signal.name(), %error, "not shown");
            }
        }
    }
}
