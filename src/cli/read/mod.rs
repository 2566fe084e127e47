//! Commands that ask the running agent: each is a client of a route of its admin API.

pub(crate) mod alerts;
pub(crate) mod client;
pub(crate) mod entries;
pub(crate) mod health;
pub(crate) mod promql;
pub(crate) mod query;
pub(crate) mod series;
pub(crate) mod spans;
mod sparkline;
pub(crate) mod view;
pub(crate) mod watch;
