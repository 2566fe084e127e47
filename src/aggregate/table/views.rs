//! Spans seen by operation and as HTTP server metrics: sums over series, for those who ask without span names.
//!
//! ```text
//! span ─▶ row ─▶ its view: what came since the last roll ── roll, every 5 s ──▶ operation (by outcome)
//!                                                                         └──▶ HTTP (route, method, status)
//! ```
//! So a span costs one more histogram, however many sums it belongs to. Only SERVER and CONSUMER spans have views. Excluded
//! routes have no threshold. A row's operation is that of its first span. Limits: no more than there
//! are rows; what no row refers to is removed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::super::config::Config;
use super::super::key::Labels;
use super::super::measured::{Measured, Took};
use super::super::operation;
use super::super::operation::{Method, Protocol};
use super::super::resource::Resource;
use super::super::usual::Fields;

/// What the spans of a row add to the sums that they belong to.
#[derive(Clone, Debug)]
pub(in crate::aggregate) struct View {
    pub(super) operation: u64,
    pub(super) http: Option<u64>,
    /// Whether all of them failed, by the row's labels.
    pub(super) failed: bool,
    pub(super) threshold_nanos: u64,
    /// Since the last roll, by whether they failed.
    pub(super) fresh: [Measured; 2],
    /// Longer than the threshold since the last roll.
    pub(super) exceeded: u64,
    /// No longer than a quarter of it.
    pub(super) satisfied: u64,
}

impl View {
    #[inline]
    pub(super) fn count(&mut self, span: &Fields<'_>, took: Option<Took>, n: u64) {
        let failed = self.failed || operation::grpc_failed(span);
        let [succeeded, of_failed] = &mut self.fresh;
        let fresh = if failed { of_failed } else { succeeded };
        fresh.add(n, took);
        // Without a threshold every call would be satisfied.
        if let Some(Took { nanos, .. }) = took
            && self.threshold_nanos < u64::MAX
        {
            self.exceeded += if nanos > self.threshold_nanos { n } else { 0 };
            self.satisfied += if nanos <= self.threshold_nanos / 4 { n } else { 0 };
        }
    }
}

/// An operation of a resource.
#[derive(Clone, Debug)]
pub(in crate::aggregate) struct Operation {
    pub(in crate::aggregate) resource: Arc<Resource>,
    pub(in crate::aggregate) name: Box<str>,
    pub(in crate::aggregate) protocol: Protocol,
    pub(in crate::aggregate) threshold_nanos: u64,
    /// Those that succeeded, those that failed.
    pub(in crate::aggregate) outcomes: [Measured; 2],
    /// Longer than the threshold.
    pub(in crate::aggregate) exceeded: u64,
    /// No longer than a quarter of it.
    pub(in crate::aggregate) satisfied: u64,
    /// The shortest and the longest since the last sample, in units of [`UNIT`](super::super::measured::UNIT).
    pub(in crate::aggregate) window: Option<(f64, f64)>,
    /// What came since another source said the same last; `None` when none did.
    pub(in crate::aggregate) since: Option<Box<Since>>,
}

/// What an operation counted while spans are its source.
#[derive(Clone, Debug, Default)]
pub(in crate::aggregate) struct Since {
    pub(in crate::aggregate) outcomes: [Measured; 2],
    pub(in crate::aggregate) exceeded: u64,
    pub(in crate::aggregate) satisfied: u64,
}

/// The requests of a route by method and status.
#[derive(Clone, Debug)]
pub(in crate::aggregate) struct Http {
    pub(in crate::aggregate) key: HttpKey,
    pub(in crate::aggregate) measured: Measured,
    /// What came since another source said the same last; `None` when none did.
    pub(in crate::aggregate) since: Option<Box<Measured>>,
}

/// The labels of [`Http`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::aggregate) struct HttpKey {
    pub(in crate::aggregate) resource: Arc<Resource>,
    pub(in crate::aggregate) route: Box<str>,
    pub(in crate::aggregate) method: Box<str>,
    /// Empty when there was none.
    pub(in crate::aggregate) status: Box<str>,
}

/// All sums over rows.
#[derive(Debug, Default)]
pub(in crate::aggregate) struct Views {
    pub(super) operations: BTreeMap<u64, Operation>,
    pub(super) http: BTreeMap<u64, Http>,
    by_operation: HashMap<(Arc<Resource>, Box<str>, Protocol), u64>,
    by_http: HashMap<HttpKey, u64>,
    pub(super) next: u64,
}

impl Views {
    /// Where the spans of a new row belong; `None` when nowhere.
    pub(super) fn of(
        &mut self,
        labels: &Labels,
        span: &Fields<'_>,
        config: &Config,
    ) -> Option<View> {
        let key = labels.key();
        if !matches!(key.kind, operation::SERVER | operation::CONSUMER) {
            return None;
        }
        let mut name = operation::name(span, key.method).into_owned();
        name.truncate(name.floor_char_boundary(config.label_value_bytes_max));
        let resource = labels.resource();
        let http = (key.kind == operation::SERVER && key.method != Method::NONE).then(|| HttpKey {
            resource: Arc::clone(resource),
            route: labels.http_route().into(),
            method: key.method.name().into(),
            status: labels.http_response_status_code().into(),
        });
        let protocol = Protocol::of(span, http.is_some());
        let view = View {
            operation: self.operation(resource, (name.into(), protocol), config),
            http: http.map(|key| self.http(key)),
            failed: operation::failed(key.kind, key.status, key.http_status),
            threshold_nanos: 0,
            fresh: Default::default(),
            exceeded: 0,
            satisfied: 0,
        };
        Some(self.with_threshold(view))
    }

    /// The view with the threshold of its operation.
    pub(super) fn with_threshold(&self, view: View) -> View {
        let operation = self.operations.get(&view.operation);
        let threshold_nanos = operation.map_or(u64::MAX, |operation| operation.threshold_nanos);
        View { threshold_nanos, ..view }
    }

    fn operation(
        &mut self,
        resource: &Arc<Resource>,
        (name, protocol): (Box<str>, Protocol),
        config: &Config,
    ) -> u64 {
        let key = (Arc::clone(resource), name.clone(), protocol);
        if let Some(&id) = self.by_operation.get(&key) {
            return id;
        }
        let (resource, outcomes) = (Arc::clone(resource), Default::default());
        let mut operation = Operation {
            resource,
            name,
            protocol,
            threshold_nanos: 0,
            outcomes,
            exceeded: 0,
            satisfied: 0,
            window: None,
            since: None,
        };
        operation.set_threshold(config);
        self.next += 1;
        self.put_operation(self.next, operation);
        self.next
    }

    pub(super) fn put_operation(&mut self, id: u64, operation: Operation) {
        let key = (Arc::clone(&operation.resource), operation.name.clone(), operation.protocol);
        self.by_operation.insert(key, id);
        self.operations.insert(id, operation);
    }

    fn http(&mut self, key: HttpKey) -> u64 {
        if let Some(&id) = self.by_http.get(&key) {
            return id;
        }
        self.next += 1;
        self.put_http(self.next, Http { key, measured: Measured::default(), since: None });
        self.next
    }

    pub(super) fn put_http(&mut self, id: u64, http: Http) {
        self.by_http.insert(http.key.clone(), id);
        self.http.insert(id, http);
    }

    /// Adds what came since the last roll.
    pub(super) fn roll(&mut self, view: &mut View) {
        if view.fresh.iter().all(|fresh| fresh.calls == 0) {
            return;
        }
        if let Some(operation) = self.operations.get_mut(&view.operation) {
            operation.add(view);
        }
        if let Some(http) = view.http.and_then(|id| self.http.get_mut(&id)) {
            let since = http.since.as_deref_mut();
            for sum in [Some(&mut http.measured), since].into_iter().flatten() {
                view.fresh.iter().for_each(|fresh| sum.merge(fresh));
            }
        }
        view.fresh.iter_mut().for_each(Measured::clear);
        (view.exceeded, view.satisfied) = (0, 0);
    }

    /// Forgets what none of these refers to.
    pub(super) fn retain<'a>(&mut self, views: impl Iterator<Item = &'a View>) {
        let used: HashSet<u64> =
            views.flat_map(|view| [Some(view.operation), view.http]).flatten().collect();
        self.operations.retain(|id, _| used.contains(id));
        self.http.retain(|id, _| used.contains(id));
        self.by_operation.retain(|_, id| used.contains(id));
        self.by_http.retain(|_, id| used.contains(id));
    }
}

impl Http {
    /// What there is to say of it as one source among others.
    pub(in crate::aggregate) fn said(&self) -> &Measured {
        self.since.as_deref().unwrap_or(&self.measured)
    }

    /// Another source says it: nothing is left to say of what came until now.
    pub(in crate::aggregate) fn withhold(&mut self) {
        self.since.get_or_insert_default().clear();
    }
}

impl Operation {
    /// What there is to say of it as one source among others: its outcomes, and how many took longer than its threshold, and
    /// no longer than a quarter of it.
    pub(in crate::aggregate) fn said(&self) -> (&[Measured; 2], [u64; 2]) {
        match &self.since {
            Some(since) => (&since.outcomes, [since.exceeded, since.satisfied]),
            None => (&self.outcomes, [self.exceeded, self.satisfied]),
        }
    }

    /// Another source says it: nothing is left to say of what came until now.
    pub(in crate::aggregate) fn withhold(&mut self) {
        let since = self.since.get_or_insert_default();
        since.outcomes.iter_mut().for_each(Measured::clear);
        (since.exceeded, since.satisfied) = (0, 0);
    }

    /// The labels of one of its series, without the metric's name.
    pub(in crate::aggregate) fn labels(
        &self,
        (name, value): (&str, &str),
    ) -> Vec<(String, String)> {
        let mut labels = self.resource.labels().to_vec();
        labels.push(("operation_name".to_owned(), self.name.to_string()));
        labels.push(("protocol".to_owned(), self.protocol.name().to_owned()));
        if !value.is_empty() {
            labels.push((name.to_owned(), value.to_owned()));
        }
        labels
    }

    /// The threshold as a label has it; `None` without one.
    pub(in crate::aggregate) fn threshold_seconds(&self) -> Option<String> {
        let threshold = Duration::from_nanos(self.threshold_nanos).as_secs_f64();
        (self.threshold_nanos < u64::MAX).then(|| threshold.to_string())
    }

    /// Takes the threshold that is configured for it, none if it is excluded: what was counted by one is over then.
    pub(super) fn set_threshold(&mut self, config: &Config) {
        if config.excludes(&self.name) {
            self.threshold_nanos = u64::MAX;
            (self.exceeded, self.satisfied) = (0, 0);
            if let Some(since) = &mut self.since {
                (since.exceeded, since.satisfied) = (0, 0);
            }
            return;
        }
        let service = String::from_utf8_lossy(self.resource.service());
        let threshold = config.thresholds.of(&service, &self.name).as_nanos();
        self.threshold_nanos = u64::try_from(threshold).unwrap_or(u64::MAX);
    }

    /// Adds what is in a view.
    pub(super) fn add(&mut self, view: &View) {
        // A view that was read back may hold what it counted by one.
        let (exceeded, satisfied) = match self.threshold_nanos {
            u64::MAX => (0, 0),
            _ => (view.exceeded, view.satisfied),
        };
        self.exceeded += exceeded;
        self.satisfied += satisfied;
        if let Some(since) = &mut self.since {
            since.exceeded += exceeded;
            since.satisfied += satisfied;
            let outcomes = since.outcomes.iter_mut().zip(&view.fresh);
            outcomes.for_each(|(outcome, fresh)| outcome.merge(fresh));
        }
        for (outcome, fresh) in self.outcomes.iter_mut().zip(&view.fresh) {
            outcome.merge(fresh);
            if let Some((min, max)) = fresh.latency.min().zip(fresh.latency.max()) {
                let (shortest, longest) = self.window.unwrap_or((min, max));
                self.window = Some((shortest.min(min), longest.max(max)));
            }
        }
    }
}
