//! Commands that need no running agent: they read what a person names, or the agent's own directories. Those that show what an
//! agent keeps ask it first ([`beside`]).

mod beside;
pub(crate) mod check;
mod check_rules;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod db;
pub(crate) mod doctor;
mod findings;
pub(crate) mod journal;
pub(crate) mod man;
pub(crate) mod test_rules;
pub(crate) mod version;
