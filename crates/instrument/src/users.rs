//! Unique users of features: keyed hashes in sketches, never the users themselves.
//!
//! How they are hashed, and who merges the sketches, is told to users of [`Feature`](crate::Feature).
//!
//! An hour is six sketches of 10 minutes, a day 24 of an hour, the present ones among them. Figures below 5 users are not
//! exported. Cost: 30 ns a user. Limits: 64 features, 32 sketches of 4 KiB each.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;
use siphasher::sip::SipHasher24;

use crate::clock::Started;
use crate::names;
use crate::observe::{self, Observed, Seen};
use crate::sketch::Sketch;

const FEATURES_MAX: usize = 64;
const USERS_SHOWN_MIN: f64 = 5.0;
const TEN_MINUTES: Duration = Duration::from_secs(600);
const HOUR: Duration = Duration::from_secs(3600);
const KEY_FILE: &str = "SIDELIGHT_USER_KEY_FILE";

/// What was seen of one feature's users since the last drain.
#[derive(Debug)]
pub(crate) struct FeatureSketch {
    pub(crate) feature: String,
    /// In the layout of `docs/signals.md`.
    pub(crate) sketch: Vec<u8>,
}

static ALL: Mutex<Vec<Arc<Users>>> = Mutex::new(Vec::new());

/// Takes the sketches of all features that were used since the last call.
pub(crate) fn drain() -> Vec<FeatureSketch> {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner).clone();
    all.iter().filter_map(|users| users.drain()).collect()
}

/// The users of a feature; `None` where there are too many features.
pub(crate) fn of(feature: &str) -> Option<Arc<Users>> {
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.iter().find(|users| users.feature == feature) {
        return Some(Arc::clone(known));
    }
    if all.len() >= FEATURES_MAX {
        return None;
    }
    let windows = Windows {
        start: Started::now(),
        undrained: Sketch::default(),
        fine: VecDeque::new(),
        coarse: VecDeque::new(),
    };
    let users = Arc::new(Users {
        feature: feature.to_owned(),
        present: Mutex::default(),
        windows: Mutex::new(windows),
    });
    let observed: Weak<Users> = Arc::downgrade(&users);
    observe::register(observed);
    all.push(Arc::clone(&users));
    Some(users)
}

/// Who used one feature.
pub(crate) struct Users {
    feature: String,
    /// Since it was last looked at.
    present: Mutex<Sketch>,
    windows: Mutex<Windows>,
}

struct Windows {
    start: Started,
    undrained: Sketch,
    /// By the number of 10 minutes since the start, ascending.
    fine: VecDeque<(u128, Sketch)>,
    /// By the number of the hour.
    coarse: VecDeque<(u128, Sketch)>,
}

impl Windows {
    /// How long ago they began; the first user may have been there before the clock was.
    fn age(&mut self) -> Duration {
        if self.start == Started::NEVER {
            self.start = Started::now();
        }
        self.start.elapsed().unwrap_or_default()
    }
}

impl Users {
    #[inline]
    pub(crate) fn note(&self, user: &str) {
        let mut hasher = key().hasher;
        hasher.write(user.as_bytes());
        let hash = hasher.finish();
        self.present.lock().unwrap_or_else(PoisonError::into_inner).insert(hash);
    }

    /// Puts the present into the windows.
    fn settle(&self, windows: &mut Windows) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.is_empty() {
            return;
        }
        let age = windows.age();
        windows.undrained.merge(&present);
        add(&mut windows.fine, age.as_nanos() / TEN_MINUTES.as_nanos(), &present);
        add(&mut windows.coarse, age.as_nanos() / HOUR.as_nanos(), &present);
        present.clear();
    }

    fn drain(&self) -> Option<FeatureSketch> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        self.settle(&mut windows);
        if windows.undrained.is_empty() {
            return None;
        }
        let sketch = windows.undrained.encode(key().id);
        windows.undrained.clear();
        Some(FeatureSketch { feature: self.feature.clone(), sketch })
    }
}

fn add(sketches: &mut VecDeque<(u128, Sketch)>, number: u128, present: &Sketch) {
    match sketches.back_mut() {
        Some((last, sketch)) if *last == number => sketch.merge(present),
        _ => sketches.push_back((number, present.clone())),
    }
}

/// Of those sketches that are within the newest `count`; the others are let go.
fn estimate(sketches: &mut VecDeque<(u128, Sketch)>, number: u128, count: u128) -> f64 {
    sketches.retain(|(at, _)| at + count > number);
    let mut all = Sketch::default();
    sketches.iter().for_each(|(_, sketch)| all.merge(sketch));
    all.estimate().round()
}

impl Observed for Users {
    fn observe(&self, seen: &mut Seen) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        self.settle(&mut windows);
        let age = windows.age().as_nanos();
        let hour = estimate(&mut windows.fine, age / TEN_MINUTES.as_nanos(), 6);
        let day = estimate(&mut windows.coarse, age / HOUR.as_nanos(), 24);
        for (window, users) in [("1h", hour), ("1d", day)] {
            if users >= USERS_SHOWN_MIN {
                let feature = KeyValue::new("feature.name", self.feature.clone());
                seen.push(
                    &names::FEATURE_USERS,
                    &[feature, KeyValue::new("window", window)],
                    users,
                );
            }
        }
    }
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users").field("feature", &self.feature).finish_non_exhaustive()
    }
}

struct Key {
    /// Under the key; copied for each user.
    hasher: SipHasher24,
    id: u32,
}

fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::new(&key_of_file().unwrap_or_else(random)))
}

impl Key {
    fn new(key: &[u8; 16]) -> Self {
        let hasher = SipHasher24::new_with_key(key);
        let mut of_id = hasher;
        // What tells keys apart must not tell the key.
        of_id.write(b"sidelight user key");
        Self { hasher, id: of_id.finish() as u32 }
    }
}

fn key_of_file() -> Option<[u8; 16]> {
    let path = std::env::var_os(KEY_FILE)?;
    let key = std::fs::read(&path).ok().and_then(|bytes| read_key(&bytes));
    if key.is_none() {
        tracing::warn!(
            target: "sidelight",
            path = %path.to_string_lossy(),
            "the key of users is neither 16 bytes nor 32 hexadecimal digits: a random one is used"
        );
    }
    key
}

fn read_key(bytes: &[u8]) -> Option<[u8; 16]> {
    if let Ok(key) = bytes.try_into() {
        return Some(key);
    }
    let digits = std::str::from_utf8(bytes).ok()?.trim();
    let hex = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex.then(|| u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)).flatten()
}

/// The standard library's hashers are keyed by the operating system's randomness.
fn random() -> [u8; 16] {
    let state = std::hash::RandomState::new();
    let half = |of: u64| u128::from(state.hash_one(of));
    (half(1) << 64 | half(2)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::capture;
    use crate::{Feature, FeatureKind};

    #[test]
    fn users_are_hashed_as_in_the_paper() {
        let key: [u8; 16] = std::array::from_fn(|at| at as u8);
        let mut paper = SipHasher24::new_with_key(&key);
        paper.write(&(0..15).collect::<Vec<u8>>());
        assert_eq!(paper.finish(), 0xa129_ca61_49be_45e5, "appendix A of the paper");
    }

    #[test]
    fn a_key_is_sixteen_bytes_or_their_digits() {
        assert_eq!(read_key(&[7; 16]), Some([7; 16]));
        assert_eq!(read_key(b"07070707070707070707070707070707\n"), Some([7; 16]));
        for bytes in [&b""[..], b"0707", b"+7070707070707070707070707070707", &[7; 17]] {
            assert_eq!(read_key(bytes), None);
        }
        assert_ne!(random(), random());
    }

    #[test]
    fn fewer_than_five_users_are_not_told() {
        static FEW: Feature = Feature::new("few", FeatureKind::Flag);
        let captured = capture();
        let users = |count: u32| {
            (0..count).for_each(|user| drop(FEW.used().by(&user.to_string())));
            captured.of("sidelight.feature.user.estimate{feature.name=few")
        };
        assert_eq!(users(4), []);
        // The key is random: two of them may share a register.
        let told = users(60);
        let names: Vec<_> = told.iter().map(|(name, _)| name.as_str()).collect();
        let of =
            |window| format!("sidelight.feature.user.estimate{{feature.name=few,window={window}}}");
        assert_eq!(names, [of("1d"), of("1h")]);
        assert!(told.iter().all(|(_, users)| (50.0..=70.0).contains(users)), "{told:?}");
        let drained = drain().into_iter().find(|of| of.feature == "few").unwrap();
        let registers = (drained.sketch.len() - 9) / 3;
        assert!((50..=60).contains(&registers), "whoever looked in between: {registers}");
    }

    #[test]
    fn users_from_before_the_clock_grow_old_too() {
        let mut windows = Windows {
            start: Started::NEVER,
            undrained: Sketch::default(),
            fine: VecDeque::new(),
            coarse: VecDeque::new(),
        };
        crate::clock::calibrate();
        windows.age();
        assert_ne!(windows.start, Started::NEVER, "a window that never begins never ends");
    }

    #[test]
    fn windows_let_go_of_what_is_too_old() {
        let mut sketches = VecDeque::new();
        let mut one = Sketch::default();
        one.insert(u64::MAX);
        add(&mut sketches, 0, &one);
        add(&mut sketches, 3, &one);
        assert_eq!(estimate(&mut sketches, 5, 6), 1.0);
        assert_eq!(sketches.len(), 2);
        assert_eq!(estimate(&mut sketches, 6, 6), 1.0);
        assert_eq!(sketches.len(), 1);
        assert_eq!(estimate(&mut sketches, 9, 6), 0.0);
    }
}
