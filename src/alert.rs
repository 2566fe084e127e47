//! An alert, as rules make it and notifications carry it: plain values, no behaviour that can fail.
//!
//! Times are [`UnixNano`]. Labels and annotations are sorted by name. The fingerprint is a function of the labels
//! alone and never changes between releases: it names an alert in files, messages and other systems.
//!
//! Source: Prometheus 3.15 `rules/alerting.go` for the states; `model.LabelSet.Fingerprint` of Prometheus'
//! common library (FNV-1a, 64 bit) for the fingerprint, so that Alertmanager shows the same one.

pub mod status;

use crate::time::UnixNano;

/// Names and values, sorted by name.
pub type Pairs = Vec<(String, String)>;

/// What an alert is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Over: seen before, not there any more.
    Inactive,
    /// There, but not yet for as long as its rule asks.
    Pending,
    /// There for long enough.
    Firing,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Inactive, Self::Pending, Self::Firing];

    /// The word in labels, JSON and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }

    /// The state called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// One alert of one rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// What identifies it, with `alertname`; without external labels.
    pub labels: Pairs,
    /// What it says, expanded.
    pub annotations: Pairs,
    /// Whether it is pending, firing or over.
    pub state: State,
    /// The value of its expression when it was last there.
    pub value: f64,
    /// When it was first there.
    pub active_at: UnixNano,
    /// When it began to fire.
    pub fired_at: Option<UnixNano>,
    /// Since when it only fires on because of `keep_firing_for`.
    pub keep_firing_since: Option<UnixNano>,
    /// When it was over.
    pub resolved_at: Option<UnixNano>,
    /// When it was last handed to an [`Outbox`].
    pub last_sent_at: Option<UnixNano>,
    /// Until when a receiver that hears no more of a firing alert may hold it for firing: `endsAt` of
    /// Alertmanager's API, where it is not resolved.
    pub valid_until: Option<UnixNano>,
    /// Where its expression can be looked at.
    pub generator_url: String,
    /// [`fingerprint`] of its labels.
    pub fingerprint: u64,
}

/// Takes alerts that someone must hear of: never sent, due again, or resolved since.
pub trait Outbox: Send + Sync + std::fmt::Debug {
    /// Takes them. Never blocks; what does not fit is dropped and counted by the implementation.
    fn notify(&self, alerts: Vec<Alert>);
}

/// An [`Outbox`] that nobody empties.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nowhere;

impl Outbox for Nowhere {
    fn notify(&self, _: Vec<Alert>) {}
}

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;
const SEPARATOR: u8 = 0xff;

/// The fingerprint of sorted `labels`: FNV-1a over every name and value, each followed by the byte 255.
#[must_use]
pub fn fingerprint(labels: &[(String, String)]) -> u64 {
    let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    labels
        .iter()
        .flat_map(|(name, value)| [name, value])
        .fold(OFFSET, |hash, text| text.bytes().chain(std::iter::once(SEPARATOR)).fold(hash, add))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_that_of_alertmanager() {
        // From Prometheus' common/model: an empty set is the offset basis.
        assert_eq!(fingerprint(&[]), 14_695_981_039_346_656_037);
        let labels = [
            ("name".to_owned(), "garland, briggs".to_owned()),
            ("fear".into(), "love is not enough".into()),
        ];
        let mut sorted = labels.to_vec();
        sorted.sort();
        assert_eq!(fingerprint(&sorted), 5_799_056_148_416_392_346);
    }

    #[test]
    fn states_are_known_by_their_names() {
        for state in State::ALL {
            assert_eq!(State::from_name(state.name()), Some(state));
        }
        assert_eq!(State::from_name("Firing"), None);
    }
}
