//! What there is beside forwarding once the store can be opened: aggregator, rules, host, the agent's own series. At the
//! start; or later, where the disk is full then or another process still has the store.
//!
//! Until then nothing reads the journal for the store: what comes is kept there for it, up to the journal's cap.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::local::{self, Found, Local, Threads};
use super::shown::View;
use super::{Error, judge, own};
use crate::aggregate;
use crate::config::Config;
use crate::notify::Notifier;
use crate::rules::Rules;

/// How often what may pass is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// What runs with the store.
#[derive(Default)]
pub(super) struct Keeping {
    aggregating: Option<aggregate::Stop>,
    pub(super) rules: Option<Rules>,
    /// Its tasks, for as long as the agent runs.
    tasks: JoinSet<()>,
    /// What is being opened.
    opening: JoinSet<Found>,
}

impl Keeping {
    /// Starts what can be started with what was found; otherwise it waits for that.
    ///
    /// # Errors
    /// There is no thread for the aggregator.
    pub(super) async fn start(
        &mut self,
        found: Found,
        config: &Config,
        (notifier, threads): (&mut Notifier, &mut Threads),
        view: &View,
    ) -> Result<(), Error> {
        if let Some(why) = waits(&found, notifier) {
            tracing::error!("{why}");
            view.set_waiting(why);
            self.again(found, config, view);
            return Ok(());
        }
        let View { journal, registry, clock, .. } = view;
        let local = Local::new(found, config, journal, registry, clock).await;
        let (kept, inbox) = (local.kept(), local.inbox.clone());
        self.aggregating = Some(local.start(view, threads)?);
        view.set_kept(kept.clone());
        self.rules =
            judge::start(config, inbox.clone(), kept.store.clone(), notifier.outbox(), view).await;
        self.tasks.spawn(local::tend(kept.store));
        let (journal, clock) = (journal.clone(), Arc::clone(clock));
        self.tasks.spawn(local::watch_host(config.host, inbox.clone(), journal, clock));
        self.tasks.spawn(own::sample(inbox, view.clone()));
        Ok(())
    }

    /// Opens it again in a while, or hands over later what is open.
    fn again(&mut self, found: Found, config: &Config, view: &View) {
        let (config, registry, clock) =
            (config.clone(), view.registry.clone(), Arc::clone(&view.clock));
        self.opening.spawn(async move {
            tokio::time::sleep(AGAIN).await;
            match found {
                Some(Ok(open)) => Some(Ok(open)),
                _ => local::open_store(&config, &registry, &clock).await,
            }
        });
    }

    /// What was found when it was tried again; none where nothing is waited for.
    pub(super) async fn found(&mut self) -> Option<Found> {
        self.opening.join_next().await?.ok()
    }

    /// Starts what waited, or waits on. Says so when it is over.
    pub(super) async fn retry(
        &mut self,
        found: Found,
        config: &Config,
        (notifier, threads): (&mut Notifier, &mut Threads),
        view: &View,
    ) -> Result<(), Error> {
        notifier.reopen().await;
        if let Some(why) = waits(&found, notifier) {
            view.set_waiting(why);
            self.again(found, config, view);
            return Ok(());
        }
        self.start(found, config, (notifier, threads), view).await?;
        if view.kept().is_some_and(|kept| kept.missing.is_none()) {
            tracing::info!("queries, rules and alerts run from here on");
        }
        Ok(())
    }

    /// Reads what is there and writes the last checkpoint.
    pub(super) async fn finish(&mut self) {
        self.opening.abort_all();
        if let Some(aggregating) = self.aggregating.take() {
            aggregating.finish().await;
        }
    }
}

/// Why nothing can be kept yet.
fn waits(found: &Found, notifier: &Notifier) -> Option<String> {
    match found {
        Some(Err(missing)) => missing.passes.then(|| missing.why.clone()),
        Some(Ok(_)) if notifier.waits_for_disk() => Some(
            "the metric store waits for the file of notifications, which it is with".to_owned(),
        ),
        _ => None,
    }
}
