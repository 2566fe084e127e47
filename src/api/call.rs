//! What a request that reads the store asks and may use.

use http::HeaderMap;
use sidelight_promql::Options;
use sidelight_promql::engine::{QueryError, Stop};

use super::failure::Failure;
use super::params::Params;
use super::reply::Reply;
use super::sources::Sources;
use crate::store::Store;
use crate::time::UnixNano;

/// A request.
pub(super) struct Call<'a> {
    pub(super) sources: &'a Sources,
    /// That of the sources, which is there.
    pub(super) store: &'a Store,
    pub(super) params: &'a Params,
    /// The head of the request.
    pub(super) headers: &'a HeaderMap,
    /// The path of its route.
    pub(super) path: &'static str,
    /// The part of the path that a route leaves open; empty where it leaves none.
    pub(super) open: &'a str,
    pub(super) now: UnixNano,
    /// Says when it is no longer worth going on.
    pub(super) stop: &'a dyn Fn() -> Option<Stop>,
}

impl Call<'_> {
    pub(super) fn now_ms(&self) -> i64 {
        self.now.as_ms()
    }

    /// How expressions are evaluated, where the request does not say it.
    pub(super) fn options(&self) -> Options<'_> {
        let subquery_step = (self.sources.subquery_step_ms)();
        let samples_max = self.sources.samples_max;
        Options { stop: self.stop, subquery_step, samples_max, ..Options::default() }
    }

    /// What to answer when something failed: that it was ended, if it was.
    pub(super) fn failure(&self, error: impl Into<Failure>) -> Failure {
        match (self.stop)() {
            Some(Stop::Timeout) => QueryError::Timeout.into(),
            Some(Stop::Canceled) => QueryError::Canceled.into(),
            None => error.into(),
        }
    }
}

/// What answers a route.
pub(super) type Handler = fn(&Call<'_>) -> Result<Reply, Failure>;

/// Answers a call.
pub(super) fn answer(handler: Handler, call: &Call<'_>) -> Reply {
    handler(call).unwrap_or_else(Failure::into_reply)
}
