//! [`Filter`]: which entries are asked for.

use super::{Entry, Family};
use crate::time;
use crate::time::UnixNano;

/// Which entries are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Of this family alone.
    pub family: Option<Family>,
    /// Of this service alone.
    pub service: Option<String>,
    /// With this outcome alone.
    pub outcome: Option<String>,
    /// With this name alone.
    pub name: Option<String>,
    /// Not before.
    pub since: Option<UnixNano>,
    /// At most so many, the newest.
    pub limit: usize,
}

/// The most entries of one answer.
const LIMIT_MAX: usize = 10_000;

/// A parameter that says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No such family.
    #[error("there is no family `{0}`; there are {families}", families = Family::ALL.map(Family::name).join(", "))]
    Family(String),
    /// Neither a time nor a span of time.
    #[error(
        "`{0}` is neither seconds since the Unix epoch, nor an RFC 3339 time, nor a duration as in 15m"
    )]
    Since(String),
    /// Not a number in range.
    #[error("`{0}` is not a number from 1 to {LIMIT_MAX}")]
    Limit(String),
}

impl Default for Filter {
    fn default() -> Self {
        let (family, service, outcome, name, since) = (None, None, None, None, None);
        Self { family, service, outcome, name, since, limit: 100 }
    }
}

impl Filter {
    /// Of parameters by name, where `now` is the end of a span of time. Empty ones and those of other names say nothing.
    ///
    /// # Errors
    /// [`FilterError`]: what to tell whoever asked.
    pub fn of<'a>(
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: UnixNano,
    ) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for (name, value) in parameters.into_iter().filter(|(_, value)| !value.is_empty()) {
            let text = || value.to_owned();
            match name {
                "family" => {
                    let family = Family::named(value).ok_or_else(|| FilterError::Family(text()))?;
                    filter.family = Some(family);
                }
                "service" => filter.service = Some(text()),
                "outcome" => filter.outcome = Some(text()),
                "name" => filter.name = Some(text()),
                "since" => {
                    let since = time::parse_time_or_ago(value, now);
                    filter.since = Some(since.ok_or_else(|| FilterError::Since(text()))?);
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                    filter.limit = limit.ok_or_else(|| FilterError::Limit(text()))?;
                }
                _ => {}
            }
        }
        Ok(filter)
    }

    pub(super) fn lets_pass(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|w| w == text);
        is(&self.service, &entry.service)
            && is(&self.outcome, &entry.outcome)
            && is(&self.name, &entry.name)
            && self.since.is_none_or(|since| entry.time >= since)
    }
}
