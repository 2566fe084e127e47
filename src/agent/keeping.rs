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
use crate::blocking;
use crate::config::Config;
use crate::notify::Notifier;
use crate::rules::Rules;

/// How often what may pass is tried again.
const INTERVAL: Duration = Duration::from_secs(10);

/// What runs with the store.
pub(super) struct Keeping {
    /// That of the start: where the store is, and whether there is one, does not change with a reload.
    config: Config,
    aggregating: Option<aggregate::Stop>,
    pub(super) rules: Option<Rules>,
    /// Its tasks, for as long as the agent runs.
    tasks: JoinSet<()>,
    /// What is tried again, in a while.
    again: JoinSet<Again>,
}

/// What is to be tried again.
pub(super) enum Again {
    /// To start, with what was found by now.
    Start(Box<Found>),
    /// The file of notifications alone: the rest has started without a store, or has none.
    Notifications,
}

impl Keeping {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            config: config.clone(),
            aggregating: None,
            rules: None,
            tasks: JoinSet::new(),
            again: JoinSet::new(),
        }
    }

    /// Starts what can be started with what was found, and the rules of `rules`; otherwise it waits for that.
    ///
    /// # Errors
    /// There is no thread for the aggregator.
    pub(super) async fn start(
        &mut self,
        found: Found,
        rules: &Config,
        (notifier, threads): (&mut Notifier, &mut Threads),
        view: &View,
    ) -> Result<(), Error> {
        if let Some(why) = waits(&found, notifier) {
            if view.waiting().is_none() {
                tracing::error!("{why}");
            }
            view.set_waiting(why);
            self.open_again(found, view);
            return Ok(());
        }
        let View { journal, registry, clock, .. } = view;
        let local = Local::new(found, &self.config, journal, registry, clock).await;
        let (kept, inbox) = (local.kept.clone(), local.inbox.clone());
        self.aggregating = Some(local.start(journal, registry, clock, threads)?);
        view.set_kept(kept.clone());
        // Where there should be a store and is none, no rule says that what fired is over.
        if kept.missing.is_none() {
            notifier.rules_begin();
        }
        self.rules =
            judge::start(rules, inbox.clone(), kept.store.clone(), notifier.outbox(), view).await;
        self.tasks.spawn(local::tend(kept.store));
        let (journal, clock) = (journal.clone(), Arc::clone(clock));
        self.tasks.spawn(local::watch_host(self.config.host, inbox.clone(), journal, clock));
        self.tasks.spawn(own::sample(inbox, view.clone()));
        self.reopen_again(notifier);
        Ok(())
    }

    /// Opens it again in a while, or hands over later what is open.
    fn open_again(&mut self, found: Found, view: &View) {
        let (config, registry, clock) =
            (self.config.clone(), view.registry.clone(), Arc::clone(&view.clock));
        self.again.spawn(async move {
            tokio::time::sleep(INTERVAL).await;
            let found = match found {
                Some(Ok(open)) => Some(Ok(open)),
                _ => local::open_store(&config, &registry, &clock).await,
            };
            Again::Start(Box::new(found))
        });
    }

    /// Tries the file of notifications again in a while, where it is waited for.
    fn reopen_again(&mut self, notifier: &Notifier) {
        if notifier.waits_for_disk() {
            self.again.spawn(async {
                tokio::time::sleep(INTERVAL).await;
                Again::Notifications
            });
        }
    }

    /// What it is time to try; none where nothing is waited for.
    pub(super) async fn due(&mut self) -> Option<Again> {
        blocking::joined(self.again.join_next().await?)
    }

    /// Starts what waited, or waits on. Says so when it is over.
    pub(super) async fn retry(
        &mut self,
        again: Again,
        rules: &Config,
        (notifier, threads): (&mut Notifier, &mut Threads),
        view: &View,
    ) -> Result<(), Error> {
        notifier.reopen().await;
        let Again::Start(found) = again else {
            self.reopen_again(notifier);
            return Ok(());
        };
        self.start(*found, rules, (notifier, threads), view).await?;
        if view.kept().is_some_and(|kept| kept.missing.is_none()) {
            tracing::info!("queries, rules and alerts run from here on");
        }
        Ok(())
    }

    /// Reads what is there and writes the last checkpoint.
    pub(super) async fn finish(&mut self) {
        self.again.abort_all();
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
