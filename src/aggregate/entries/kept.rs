//! [`Kept`]: a queue of entries per family, the oldest first.

use std::collections::VecDeque;

use serde::Serialize;

use super::{Config, Entry, Family, Filter, WARNING_UTILIZATION};
use crate::aggregate::domain::siphash;
use crate::time::UnixNano;

/// Spans and log records looked at in a second, so that entries cost little however much arrives.
pub(super) const LOOKED_AT_MAX: u32 = 1_000;

/// How full the entries are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// Entries in all.
    pub total: usize,
    /// The cap of a family.
    pub max_per_family: usize,
    /// How long an entry is kept.
    pub ttl_seconds: u64,
    /// When what was past its time last went, in seconds since the Unix epoch; 0 before.
    pub last_cleanup_unix_seconds: u64,
    /// Families above [`WARNING_UTILIZATION`], in a sentence; `None` when there are none.
    pub warning: Option<String>,
    /// By family.
    pub families: Vec<FamilyStats>,
}

/// How full a family is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FamilyStats {
    /// Its name.
    pub family: &'static str,
    /// Entries.
    pub total: usize,
    /// Of its cap in entries or in bytes, whichever is nearer; 0 to 1.
    pub utilization: f64,
    /// Estimated.
    pub bytes: usize,
    /// Gone for newer ones since the start.
    pub evicted: u64,
    /// Gone for their age since the start.
    pub expired: u64,
}

#[derive(Debug, Default)]
struct Queue {
    /// In the order of receipt.
    entries: VecDeque<Entry>,
    bytes: usize,
    evicted: u64,
    expired: u64,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Kept {
    config: Config,
    queues: [Queue; 10],
    now: UnixNano,
    cleaned: UnixNano,
    user_key: Option<siphash::Key>,
    /// The second of received time, and how much was looked at in it.
    second: (u64, u32),
    skipped: u64,
}

impl Queue {
    fn pop(&mut self) {
        if let Some(gone) = self.entries.pop_front() {
            self.bytes = self.bytes.saturating_sub(cost(&gone));
        }
    }

    fn utilization(&self, config: &Config) -> f64 {
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        let bytes = share(self.bytes, config.bytes_max);
        share(self.entries.len(), config.entries_max).max(bytes).min(1.0)
    }
}

impl Kept {
    pub(super) fn new(config: Config, user_key: Option<siphash::Key>) -> Self {
        Self {
            config,
            queues: Default::default(),
            now: UnixNano(0),
            cleaned: UnixNano(0),
            user_key,
            second: (0, 0),
            skipped: 0,
        }
    }

    /// Something that stands for a text that names a person.
    pub(super) fn hashed(&self, text: &str) -> String {
        match &self.user_key {
            Some(key) => format!("hash:{:016x}", siphash::hash(key, text.as_bytes())),
            None => "hidden".to_owned(),
        }
    }

    /// Whether one more may be looked at in this second of received time; counts those that may not.
    pub(super) fn may_look(&mut self) -> bool {
        let second = self.now.0 / 1_000_000_000;
        if self.second.0 != second {
            self.second = (second, 0);
        }
        let may = self.second.1 < LOOKED_AT_MAX;
        self.second.1 += u32::from(may);
        self.skipped += u64::from(!may);
        may
    }

    pub(super) const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Says when the entries that follow were received.
    pub(super) fn set_now(&mut self, received: UnixNano) {
        self.now = received.received_after(self.now);
        if self.cleaned.0 == 0 || self.cleaned > self.now {
            self.cleaned = self.now;
        }
        if self.now.since(self.cleaned) >= self.config.cleanup_interval {
            self.cleanup();
        }
    }

    pub(super) fn push(&mut self, entry: Entry) {
        let config = self.config;
        let queue = self.queue(entry.family);
        queue.bytes += cost(&entry);
        queue.entries.push_back(entry);
        while queue.entries.len() > config.entries_max || queue.bytes > config.bytes_max {
            queue.pop();
            queue.evicted += 1;
        }
    }

    pub(super) fn cleanup(&mut self) -> u64 {
        let (now, ttl) = (self.now, self.config.ttl);
        let mut gone = 0;
        for queue in &mut self.queues {
            while queue.entries.front().is_some_and(|entry| now.since(entry.received) >= ttl) {
                queue.pop();
                queue.expired += 1;
                gone += 1;
            }
        }
        self.cleaned = now;
        gone
    }

    pub(super) fn list(&self, filter: &Filter) -> Vec<Entry> {
        let fresh = |entry: &&Entry| self.now.since(entry.received) < self.config.ttl;
        let families = Family::ALL.into_iter().zip(&self.queues);
        let wanted = families.filter(|(family, _)| filter.family.is_none_or(|of| of == *family));
        // Each queue gives at most as many as are wanted in all.
        let each = wanted.flat_map(|(_, queue)| {
            let newest = queue.entries.iter().rev().filter(fresh);
            newest.filter(|entry| filter.lets_pass(entry)).take(filter.limit)
        });
        let mut found: Vec<&Entry> = each.collect();
        found.sort_by_key(|entry| std::cmp::Reverse((entry.time, entry.received)));
        found.into_iter().take(filter.limit).cloned().collect()
    }

    pub(super) fn stats(&self) -> Stats {
        let families =
            Family::ALL.into_iter().zip(&self.queues).map(|(family, queue)| FamilyStats {
                family: family.name(),
                total: queue.entries.len(),
                utilization: queue.utilization(&self.config),
                bytes: queue.bytes,
                evicted: queue.evicted,
                expired: queue.expired,
            });
        let families: Vec<_> = families.collect();
        let near = families.iter().filter(|of| of.utilization > WARNING_UTILIZATION);
        let near: Vec<_> = near.map(|of| of.family).collect();
        let warning = (!near.is_empty()).then(|| {
            let share = WARNING_UTILIZATION * 100.0;
            format!("above {share} % of what is kept, the oldest go first: {}", near.join(", "))
        });
        Stats {
            total: families.iter().map(|of| of.total).sum(),
            max_per_family: self.config.entries_max,
            ttl_seconds: self.config.ttl.as_secs(),
            last_cleanup_unix_seconds: self.cleaned.0 / 1_000_000_000,
            warning,
            families,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        super::codec::put_times(&mut out, self.now, self.cleaned);
        for entry in self.queues.iter().flat_map(|queue| &queue.entries) {
            super::codec::put(&mut out, entry);
        }
        out
    }

    pub(super) fn restore(&mut self, bytes: &[u8]) {
        let Some((now, cleaned, entries)) = super::codec::read(bytes) else { return };
        (self.now, self.cleaned) = (now, cleaned);
        entries.for_each(|entry| self.push(entry));
    }

    fn queue(&mut self, family: Family) -> &mut Queue {
        let [http, operation, llm, retry, cache, queue, connection, feature, error, alert] =
            &mut self.queues;
        match family {
            Family::Http => http,
            Family::Operation => operation,
            Family::Llm => llm,
            Family::Retry => retry,
            Family::Cache => cache,
            Family::Queue => queue,
            Family::Connection => connection,
            Family::Feature => feature,
            Family::Error => error,
            Family::Alert => alert,
        }
    }
}

/// Memory of an entry, estimated.
fn cost(entry: &Entry) -> usize {
    let pairs = entry.attributes.iter().map(|(key, value)| key.len() + value.len() + 64);
    let texts = entry.service.len() + entry.name.len() + entry.outcome.len();
    size_of::<Entry>() + texts + pairs.sum::<usize>()
}
