//! What a cache holds, what a lookup finds, and why entries go: the values of attributes.

/// What is kept in a cache: attribute `cache.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheKind {
    /// What the application reads.
    #[default]
    Application,
    /// Models of machine learning, or their answers.
    Model,
    /// Configuration.
    Config,
    /// Sessions.
    Session,
}

impl CacheKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Model => "model",
            Self::Config => "config",
            Self::Session => "session",
        }
    }
}

/// What a lookup found: attribute `cache.result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheResult {
    /// It was there.
    Hit,
    /// It was not.
    Miss,
    /// It was there, and too old.
    Stale,
    /// The cache could not be asked. Outside the hit rate.
    Error,
}

impl CacheResult {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Error => "error",
        }
    }
}

/// Why a cache let an entry go: attribute `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvictReason {
    /// It was too old.
    Ttl,
    /// There was no room.
    Capacity,
    /// It was removed or replaced.
    Explicit,
}

impl EvictReason {
    pub(super) const ALL: [Self; 3] = [Self::Ttl, Self::Capacity, Self::Explicit];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ttl => "ttl",
            Self::Capacity => "capacity",
            Self::Explicit => "explicit",
        }
    }
}

/// How full a cache is. A pair is entries and their limit.
///
/// ```
/// use sidelight::CacheLevel;
///
/// assert_eq!(CacheLevel::from((3, 10)), CacheLevel { entries: 3, limit: Some(10), bytes: None });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheLevel {
    /// How many entries there are.
    pub entries: u64,
    /// How many there can be.
    pub limit: Option<u64>,
    /// How many bytes they take.
    pub bytes: Option<u64>,
}

impl From<(usize, usize)> for CacheLevel {
    fn from((entries, limit): (usize, usize)) -> Self {
        Self { entries: entries as u64, limit: Some(limit as u64), bytes: None }
    }
}

/// What a lookup returned, in the ways that caches do.
///
/// ```
/// use sidelight::{CacheResult, Found};
///
/// struct Aged(Option<u64>);
///
/// impl Found for Aged {
///     fn result(&self) -> CacheResult {
///         match self.0 {
///             Some(seconds) if seconds > 60 => CacheResult::Stale,
///             Some(_) => CacheResult::Hit,
///             None => CacheResult::Miss,
///         }
///     }
/// }
/// assert_eq!(Aged(Some(90)).result(), CacheResult::Stale);
/// ```
pub trait Found {
    /// A hit, a miss, or an error.
    fn result(&self) -> CacheResult;
}

impl<T> Found for Option<T> {
    fn result(&self) -> CacheResult {
        if self.is_some() { CacheResult::Hit } else { CacheResult::Miss }
    }
}

impl<T, E> Found for Result<Option<T>, E> {
    fn result(&self) -> CacheResult {
        self.as_ref().map_or(CacheResult::Error, Found::result)
    }
}
