//! Unique users of features: hashes in sketches by time, never the users themselves.
//!
//! A window of an hour is six sketches of 10 minutes, one of a day 24 of an hour, the present ones among them: so it
//! reaches back 50 to 60 minutes, 23 to 24 hours. Sketches of instances are merged where their keys are equal; of several
//! keys the greatest estimate is shown, since sums would count people twice.
//! Limits: [`FEATURES_MAX`] features and keys, 30 sketches of at most 4 KiB each; what is beyond is left out and counted.

use std::collections::BTreeMap;

use super::siphash;
use super::sketch::Sketch;
use crate::aggregate::codec::{self, Read};
use crate::aggregate::metrics::target::Target;

const FEATURES_MAX: usize = 64;
const TEN_MINUTES_MS: i64 = 600_000;
const HOUR_MS: i64 = 3_600_000;
const NAME_BYTES_MAX: usize = 256;

/// A feature of a service, and the key that its users were hashed with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Of {
    job: String,
    service: String,
    feature: String,
    key_id: u32,
}

#[derive(Clone, Debug, Default)]
struct Windows {
    /// By the number of 10 minutes since the epoch.
    fine: BTreeMap<i64, Sketch>,
    /// By the number of the hour.
    coarse: BTreeMap<i64, Sketch>,
}

/// An estimate to show.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) job: String,
    pub(super) service: String,
    pub(super) feature: String,
    pub(super) hour: f64,
    pub(super) day: f64,
}

/// Sketches by feature.
#[derive(Debug)]
pub(super) struct Users {
    key: Option<siphash::Key>,
    key_id: u32,
    features: BTreeMap<Of, Windows>,
    /// How often a user was left out for want of room, for the one who reports it.
    pub(super) refused: u64,
}

impl Users {
    pub(super) fn new(key: Option<siphash::Key>) -> Self {
        // What tells keys apart must not tell the key.
        let key_id = key.map_or(0, |key| siphash::hash(&key, b"sidelight user key") as u32);
        Self { key, key_id, features: BTreeMap::new(), refused: 0 }
    }

    /// Notes that a user of a service used a feature. Without a key whoever has the sketch could guess who it was.
    pub(super) fn note(&mut self, target: &Target, feature: &str, user: &str, now_ms: i64) {
        let Some(key) = &self.key else { return };
        let hash = siphash::hash(key, user.as_bytes());
        let key_id = self.key_id;
        if let Some(windows) = self.windows(target, feature, key_id) {
            windows.fine.entry(now_ms.div_euclid(TEN_MINUTES_MS)).or_default().insert(hash);
            windows.coarse.entry(now_ms.div_euclid(HOUR_MS)).or_default().insert(hash);
        }
    }

    /// Merges what an instance has seen since it last sent a sketch.
    pub(super) fn merge(&mut self, target: &Target, feature: &str, bytes: &[u8], now_ms: i64) {
        let Some((key_id, sketch)) = Sketch::decode(bytes) else { return };
        if let Some(windows) = self.windows(target, feature, key_id) {
            windows.fine.entry(now_ms.div_euclid(TEN_MINUTES_MS)).or_default().merge(&sketch);
            windows.coarse.entry(now_ms.div_euclid(HOUR_MS)).or_default().merge(&sketch);
        }
    }

    fn windows(&mut self, target: &Target, feature: &str, key_id: u32) -> Option<&mut Windows> {
        let feature = feature.get(..feature.floor_char_boundary(NAME_BYTES_MAX))?.to_owned();
        let (job, service) = (target.job().to_owned(), target.service_name().to_owned());
        let of = Of { job, service, feature, key_id };
        if self.features.len() >= FEATURES_MAX && !self.features.contains_key(&of) {
            self.refused += 1;
            return None;
        }
        Some(self.features.entry(of).or_default())
    }

    /// Estimates at a time, in the order of features; what is past its day is let go.
    pub(super) fn estimates(&mut self, now_ms: i64) -> Vec<Estimate> {
        let (fine, coarse) = (now_ms.div_euclid(TEN_MINUTES_MS), now_ms.div_euclid(HOUR_MS));
        self.features.retain(|_, windows| {
            windows.fine.retain(|at, _| *at > fine - 6);
            windows.coarse.retain(|at, _| *at > coarse - 24);
            !windows.coarse.is_empty()
        });
        let mut shown: Vec<Estimate> = Vec::new();
        for (of, windows) in &self.features {
            let Of { job, service, feature, .. } = of.clone();
            let (hour, day) = (united(&windows.fine), united(&windows.coarse));
            let next = Estimate { job, service, feature, hour, day };
            match shown.last_mut() {
                Some(last)
                    if (&last.job, &last.service, &last.feature)
                        == (&next.job, &next.service, &next.feature) =>
                {
                    (last.hour, last.day) = (last.hour.max(next.hour), last.day.max(next.day));
                }
                _ => shown.push(next),
            }
        }
        shown
    }

    /// Forgets everyone.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.key);
    }

    /// Everything, for the checkpoint.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        codec::put(out, self.features.len() as u64);
        for (of, windows) in &self.features {
            for text in [&of.job, &of.service, &of.feature] {
                codec::put_bytes(out, text.as_bytes());
            }
            codec::put(out, of.key_id.into());
            for sketches in [&windows.fine, &windows.coarse] {
                codec::put(out, sketches.len() as u64);
                for (at, sketch) in sketches {
                    let mut bytes = Vec::new();
                    sketch.encode(of.key_id, &mut bytes);
                    codec::put(out, at.unsigned_abs());
                    codec::put_bytes(out, &bytes);
                }
            }
        }
    }

    /// What [`Users::encode`] wrote.
    pub(super) fn restore(&mut self, read: &mut Read<'_>) -> Option<()> {
        for _ in 0..read.number()? {
            let (job, service, feature) = (read.text()?, read.text()?, read.text()?);
            let key_id = u32::try_from(read.number()?).ok()?;
            let mut windows = Windows::default();
            for sketches in [&mut windows.fine, &mut windows.coarse] {
                for _ in 0..read.number()? {
                    let at = read.number()?.cast_signed();
                    sketches.insert(at, Sketch::decode(read.bytes()?)?.1);
                }
            }
            self.features.insert(Of { job, service, feature, key_id }, windows);
        }
        Some(())
    }
}

fn united(sketches: &BTreeMap<i64, Sketch>) -> f64 {
    let mut all = Sketch::default();
    sketches.values().for_each(|sketch| all.merge(sketch));
    all.estimate().round()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = HOUR_MS;

    #[test]
    fn users_are_counted_once_in_each_window_and_leave_it() {
        let mut users = Users::new(Some([1; 16]));
        let target = Target::default();
        for user in ["a", "b", "a"] {
            users.note(&target, "search", user, 100 * HOUR);
        }
        users.note(&target, "search", "c", 102 * HOUR);
        let shown = |users: &mut Users, at: i64| {
            users.estimates(at).iter().map(|e| (e.hour, e.day)).collect::<Vec<_>>()
        };
        assert_eq!(shown(&mut users, 102 * HOUR), [(1.0, 3.0)]);
        assert_eq!(shown(&mut users, 124 * HOUR), [(0.0, 1.0)]);
        assert_eq!(shown(&mut users, 126 * HOUR), []);
    }

    #[test]
    fn without_a_key_nobody_is_counted() {
        let mut users = Users::new(None);
        users.note(&Target::default(), "search", "a", 100 * HOUR);
        assert_eq!(users.estimates(100 * HOUR), []);
    }

    #[test]
    fn only_sketches_of_one_key_are_merged() {
        let mut users = Users::new(Some([1; 16]));
        let target = Target::default();
        let sketch = |names: &[&str], key_id| {
            let (mut sketch, mut bytes) = (Sketch::default(), Vec::new());
            names.iter().for_each(|name| sketch.insert(siphash::hash(&[2; 16], name.as_bytes())));
            sketch.encode(key_id, &mut bytes);
            bytes
        };
        users.merge(&target, "f", &sketch(&["a", "b"], 9), 0);
        users.merge(&target, "f", &sketch(&["b", "c"], 9), 0);
        users.merge(&target, "f", &sketch(&["a"], 8), 0);
        users.merge(&target, "f", b"not a sketch", 0);
        assert_eq!(users.estimates(0).iter().map(|e| e.day).collect::<Vec<_>>(), [3.0]);
    }

    #[test]
    fn features_beyond_the_limit_are_counted() {
        let mut users = Users::new(Some([1; 16]));
        for feature in 0..FEATURES_MAX + 3 {
            users.note(&Target::default(), &format!("f{feature:03}"), "u", 0);
        }
        assert_eq!((users.estimates(0).len(), users.refused), (FEATURES_MAX, 3));
    }

    #[test]
    fn a_checkpoint_holds_all_sketches() {
        let mut users = Users::new(Some([1; 16]));
        for feature in ["a", "b"] {
            users.note(&Target::default(), feature, "u", 5 * HOUR);
        }
        let mut bytes = Vec::new();
        users.encode(&mut bytes);
        let mut again = Users::new(Some([1; 16]));
        again.restore(&mut Read(&bytes)).unwrap();
        assert_eq!(again.estimates(5 * HOUR), users.estimates(5 * HOUR));
    }
}
