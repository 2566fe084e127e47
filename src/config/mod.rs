//! YAML, variables and flags to one resolved configuration, with every finding at once.
//!
//! ```text
//! texts ─▶ yaml (tree with places) ─▶ load (overlay by precedence) ─▶ check (against table: keys,
//! types, ranges, ${env:…}) ─▶ resolve (defaults of each module, checks across values) ─▶ Config
//! ```
//!
//! [`Config`] only composes the configuration of each module. The [`table`] holds every option once;
//! docs/config.md is written from it. Nothing here keeps a value that is not resolved.

mod addresses;
mod alerting;
mod at;
mod check;
pub mod docs;
mod effective;
mod explain;
mod exporters;
mod files;
mod json_schema;
mod load;
mod option;
mod receivers;
mod refused;
mod resolve;
mod schema;
mod secrets;
mod slos;
mod surroundings;
mod table;
#[cfg(test)]
mod tests;
mod token;
mod value;
mod written;

use std::time::Duration;

pub use crate::yaml::{
    Finding, Findings, Severity, Source, SourceId, SourceKind, Sources, Span, Style, render,
};
pub use effective::{Effective, yaml as effective_yaml};
pub use explain::{Explained, Found, Unknown, explain};
pub use json_schema::json_schema;
pub use load::{
    Inputs, LoadError, Loaded, Origin, ReadError, Recipe, VARIABLE_PREFIX, load, read_file,
};
pub use surroundings::Surroundings;
pub use token::{TokenError, admin_token};
pub use value::duration as parse_duration;

use crate::aggregate;
use crate::api;
use crate::export;
use crate::host;
use crate::journal;
use crate::memory::Budget;
use crate::notify;
use crate::receive;
use crate::rules;
use crate::store;
use crate::telemetry;

/// Everything that the agent is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Listeners.
    pub receive: receive::Config,
    /// The journal.
    pub journal: journal::Config,
    /// Destinations.
    pub export: export::Config,
    /// The admin endpoint.
    pub api: api::Config,
    /// Span metrics.
    pub aggregate: aggregate::Config,
    /// How metrics become series of the store.
    pub metrics: aggregate::metrics::Config,
    /// What is kept one by one.
    pub entries: aggregate::entries::Config,
    /// What is read of the host.
    pub host: host::Config,
    /// The metric store; `None` when metrics are not kept.
    pub store: Option<store::Config>,
    /// Who is told of alerts.
    pub notify: notify::Config,
    /// Rules over that store.
    pub rules: rules::Config,
    /// The agent's own logs, traces and metrics.
    pub telemetry: telemetry::Config,
    /// `limits.memory`, split.
    pub memory: Budget,
    /// From SIGTERM to the end of the process.
    pub shutdown_timeout: Duration,
}

impl Config {
    /// The documented defaults in these surroundings.
    #[must_use]
    pub fn with_surroundings(surroundings: &Surroundings) -> Self {
        let total = usize::try_from(surroundings.memory_default()).unwrap_or(usize::MAX);
        let memory = Budget::split(total);
        let journal = surroundings.journal_directory();
        let store = store::Config::new(journal.with_file_name("store"));
        Self {
            receive: receive::Config::with_budget(&memory),
            journal: journal::Config {
                directory: journal,
                tail_size: memory.tail,
                memory_size: memory.memory_journal,
                ..journal::Config::default()
            },
            export: export::Config::default(),
            api: api::Config::default(),
            aggregate: aggregate::Config {
                series_max: memory.span_series(),
                ..aggregate::Config::default()
            },
            metrics: aggregate::metrics::Config::default(),
            notify: notify::Config {
                database: Some(store.directory.join("notifications.db")),
                ..notify::Config::default()
            },
            entries: aggregate::entries::Config::default(),
            host: host::Config::default(),
            rules: rules::Config { directory: store.directory.clone(), ..rules::Config::default() },
            store: Some(store),
            telemetry: telemetry::Config::default(),
            memory,
            shutdown_timeout: Duration::from_secs(12),
        }
    }

    /// Why metrics are not kept, where that was asked for.
    #[must_use]
    pub fn why_no_store(&self) -> Option<&'static str> {
        let in_memory = self.journal.durability == journal::Durability::Memory;
        match self.store {
            Some(_) => None,
            None if in_memory => Some(
                "with journal.durability: memory there is a store only if store.enabled is true",
            ),
            None => Some("store.enabled is false"),
        }
    }
}

#[doc(hidden)]
pub mod fuzz {
    //! The entry of the fuzz target.

    /// Loads arbitrary bytes as a file; nothing may panic.
    pub fn any_bytes(bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let files = vec![("fuzz.yaml".to_owned(), text)];
        let inputs = super::Inputs { files, ..super::Inputs::default() };
        if let Err(findings) = super::load(&inputs) {
            let _ = findings.render(&super::Style::COLOUR);
        }
    }
}
