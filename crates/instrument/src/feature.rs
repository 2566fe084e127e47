//! Features: how often they are used, by how many people, how well they work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram};

use crate::clock::Started;
use crate::entry::{Detail, Entry};
use crate::family::{Each, sorted};
use crate::limits;
use crate::meter::{self, Cell, Instruments};
use crate::names;
use crate::outcome::Outcome;
use crate::settings::settings;
use crate::users::{self, Users};

/// What a feature is: attribute `feature.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeatureKind {
    /// A flag that is on.
    Flag,
    /// An endpoint or command.
    Api,
    /// A model.
    Model,
    /// A part of the application.
    Component,
}

impl FeatureKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Api => "api",
            Self::Model => "model",
            Self::Component => "component",
        }
    }
}

/// How it is used: attribute `usage.pattern`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UsagePattern {
    /// Someone waits for it.
    #[default]
    Direct,
    /// As one of many.
    Batch,
    /// Nobody waits for it.
    Background,
}

impl UsagePattern {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Batch => "batch",
            Self::Background => "background",
        }
    }
}

/// Something that people use, or not.
///
/// ```
/// use sidelight::{Feature, FeatureKind, UsagePattern};
///
/// static EXPORT: Feature = Feature::new("report.export", FeatureKind::Api);
///
/// let user_id = "ada@example.org"; // hashed here, kept nowhere
/// let export = EXPORT.used().by(user_id).pattern(UsagePattern::Batch);
/// drop(export); // recorded: `ok`
/// EXPORT.used().by(user_id).fail();
/// ```
///
/// Metrics: `sidelight.feature.uses` by `feature.name`, `feature.type`, `usage.pattern` and `outcome`; `.use.duration` (s) by
/// `feature.name` and `outcome`; `.user.estimate` by `feature.name` and `window` (1h, 1d), from 5 users on.
///
/// # Users
///
/// What names a user is never kept, and never an attribute. It is hashed by SipHash-2-4 under a key, and the hash goes into a
/// HyperLogLog sketch, which can only tell how many there were, to 1.6 %. Sketches are sent to the agent every minute and at
/// shutdown; it merges those of all instances that have the same key, so that nobody is counted twice. The key is the file
/// that `SIDELIGHT_USER_KEY_FILE` names, 16 bytes or 32 hexadecimal digits, else a random one of the process. That is
/// pseudonymisation: who has the key can try out names.
///
/// Cost of a use by someone (`benches/handles.rs`): 96 ns. No allocation but for the first use and the first user. Limits: 64
/// features have users; each has 32 sketches of 4 KiB.
#[derive(Debug)]
pub struct Feature {
    name: &'static str,
    kind: FeatureKind,
    detail: Detail,
    on: AtomicBool,
    cell: Cell<Bound>,
    users: OnceLock<Option<Arc<Users>>>,
}

struct Bound {
    uses: Counter<u64>,
    /// By pattern, then outcome.
    bound_uses: Each<12, BoundCounter<u64>>,
    durations: Histogram<f64>,
    bound_durations: Each<4, BoundHistogram<f64>>,
}

impl Feature {
    /// Defines a feature.
    #[must_use]
    pub const fn new(name: &'static str, kind: FeatureKind) -> Self {
        let (detail, on) = (Detail::NONE, AtomicBool::new(true));
        Self { name, kind, detail, on, cell: Cell::new(), users: OnceLock::new() }
    }

    settings!("uses", "Feature", "Feature::new(\"export\", sidelight::FeatureKind::Api)");

    /// It is used: recorded when the guard goes, as `ok` or `panic` unless that was told otherwise.
    #[inline]
    pub fn used(&self) -> FeatureUse<'_> {
        let on = self.on.load(Ordering::Relaxed);
        let start = if on { Started::now() } else { Started::NEVER };
        let panicking = std::thread::panicking();
        FeatureUse {
            feature: self,
            start,
            on,
            panicking,
            pattern: UsagePattern::Direct,
            outcome: Outcome::Ok,
        }
    }

    /// Records a direct use that was timed elsewhere.
    ///
    /// ```
    /// use sidelight::{Feature, FeatureKind, Outcome};
    /// use std::time::Duration;
    ///
    /// static EXPORT: Feature = Feature::new("report.export", FeatureKind::Api);
    ///
    /// EXPORT.record(Outcome::Ok, Duration::from_millis(120));
    /// EXPORT.user("ada@example.org"); // never leaves the process: a keyed hash of it goes into a sketch
    /// ```
    pub fn record(&self, outcome: Outcome, duration: Duration) {
        if self.on.load(Ordering::Relaxed) {
            self.record_with(outcome, UsagePattern::Direct, duration);
        }
    }

    /// Notes that someone used it, where the use itself is recorded elsewhere.
    pub fn user(&self, user: &str) {
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        match self.users.get_or_init(|| users::of(self.name)) {
            Some(users) => users.note(user),
            None => limits::overflow("features with users"),
        }
    }

    #[inline]
    fn record_with(&self, outcome: Outcome, pattern: UsagePattern, duration: Duration) {
        if self.detail.wanted() {
            self.tell(outcome, duration);
        }
        self.cell.with(Self::bind, |bound| {
            let uses = || bound.uses.bind(&self.attributes(outcome, Some(pattern)));
            let one = pattern as usize * 4 + outcome as usize;
            bound.bound_uses.with(one, uses, |uses| uses.add(1));
            let durations = || bound.durations.bind(&self.attributes(outcome, None));
            let record = |of: &BoundHistogram<f64>| of.record(duration.as_secs_f64());
            bound.bound_durations.with(outcome as usize, durations, record);
        });
    }

    #[cold]
    fn tell(&self, outcome: Outcome, duration: Duration) {
        let (name, outcome) = (self.name, outcome.as_str());
        Entry { family: "feature", name, outcome, duration: Some(duration), reason: None }.tell();
    }

    fn attributes(&self, outcome: Outcome, pattern: Option<UsagePattern>) -> Vec<KeyValue> {
        let mut all = vec![("feature.name", self.name), ("outcome", outcome.as_str())];
        if let Some(pattern) = pattern {
            all.extend([("feature.type", self.kind.as_str()), ("usage.pattern", pattern.as_str())]);
        }
        sorted(&[], &all)
    }

    #[cold]
    fn bind(instruments: &Instruments) -> Bound {
        Bound {
            uses: instruments.counter(&names::FEATURE_USES),
            bound_uses: Each::new(),
            durations: instruments.histogram(&names::FEATURE_USE_DURATION),
            bound_durations: Each::new(),
        }
    }
}

/// A use of a feature that has not ended; see [`Feature::used`].
///
/// ```
/// use sidelight::{Feature, FeatureKind, Outcome};
///
/// static SEARCH: Feature = Feature::new("search", FeatureKind::Component);
///
/// let mut search = SEARCH.used().by("ada");
/// search.outcome(Outcome::Cancelled); // unless it gets to its end
/// // ...
/// search.outcome(Outcome::Ok);
/// drop(search);
/// ```
#[derive(Debug)]
#[must_use = "it records when it is dropped"]
pub struct FeatureUse<'a> {
    feature: &'a Feature,
    start: Started,
    on: bool,
    panicking: bool,
    pattern: UsagePattern,
    outcome: Outcome,
}

impl FeatureUse<'_> {
    /// By whom: any text that is always the same for the same person. Only a sketch of keyed hashes is kept.
    pub fn by(self, user: &str) -> Self {
        if self.on {
            self.feature.user(user);
        }
        self
    }

    /// How.
    pub fn pattern(mut self, pattern: UsagePattern) -> Self {
        self.pattern = pattern;
        self
    }

    /// How it ends from here on, unless told otherwise again.
    pub fn outcome(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// It did not work.
    pub fn fail(&mut self) {
        self.outcome = Outcome::Error;
    }
}

impl Drop for FeatureUse<'_> {
    fn drop(&mut self) {
        if !self.on {
            return;
        }
        let Some(elapsed) = self.start.elapsed() else { return meter::drop_record() };
        let panicked = !self.panicking && std::thread::panicking();
        let outcome = if panicked { Outcome::Panic } else { self.outcome };
        self.feature.record_with(outcome, self.pattern, elapsed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::capture;

    #[test]
    fn uses_are_counted_by_pattern_and_outcome() {
        static SEARCH: Feature = Feature::new("search", FeatureKind::Component);
        let captured = capture();
        drop(SEARCH.used().pattern(UsagePattern::Batch));
        SEARCH.used().fail();
        SEARCH.record(Outcome::Cancelled, Duration::from_secs(1));
        let uses: Vec<_> =
            captured.of("sidelight.feature.uses{feature.name=search").into_iter().collect();
        let of = |rest| {
            (
                format!(
                    "sidelight.feature.uses{{feature.name=search,feature.type=component,{rest}}}"
                ),
                1.0,
            )
        };
        assert_eq!(
            uses,
            [
                of("outcome=cancelled,usage.pattern=direct"),
                of("outcome=error,usage.pattern=direct"),
                of("outcome=ok,usage.pattern=batch"),
            ]
        );
        assert_eq!(captured.of("sidelight.feature.use.duration{feature.name=search").len(), 3);
    }
}
