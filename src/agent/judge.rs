//! The rules: what they are given, at the start and when the configuration is read again.

use std::sync::Arc;

use super::shown::View;
use crate::alert::Outbox;
use crate::blocking;
use crate::config::Config;
use crate::rules;
use crate::rules::{Deps, Loaded, Rules};
use crate::store::{Inbox, Store};

/// Starts the rules, where there is a store to ask. A file that cannot be used is left out, and said: telemetry must
/// not wait for it.
pub(super) async fn start(
    config: &Config,
    inbox: Option<Inbox>,
    store: Option<Store>,
    outbox: Arc<dyn Outbox>,
    view: &View,
) -> Option<Rules> {
    let (Some(inbox), Some(store)) = (inbox, store) else { return None };
    let loaded = load(config).await;
    for error in &loaded.errors {
        tracing::error!("a rule file is left out:\n{error}");
    }
    view.rule_files.note(&loaded.errors);
    let deps = Deps {
        clock: Arc::clone(&view.clock),
        registry: view.registry.clone(),
        store,
        inbox,
        journal: view.journal.clone(),
        outbox,
        samples_max: view.memory.rule_samples(),
    };
    let rules = config.rules.clone();
    let runtime = tokio::runtime::Handle::current();
    let rules = blocking::run(move || {
        let _entered = runtime.enter();
        Rules::start(rules, loaded, deps)
    })
    .await;
    // Nobody else sets it.
    let _ = view.rules.set(rules.clone());
    Some(rules)
}

/// What a reload would run.
///
/// # Errors
/// Every file that cannot be used, and why: keep the rules that run.
pub(super) async fn read(config: &Config) -> Result<Loaded, String> {
    let loaded = load(config).await;
    if loaded.errors.is_empty() { Ok(loaded) } else { Err(loaded.errors.join("\n")) }
}

/// Reads the files where that holds up nobody.
async fn load(config: &Config) -> Loaded {
    let config = config.rules.clone();
    blocking::run(move || rules::load(&config)).await
}
