//! Written values, looked up by place and key and turned into the fields of the modules' own types.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::check::{Given, Val, Values, join};
use crate::journal::WhenFull;
use crate::yaml::Span;

/// Options below one place.
#[derive(Clone)]
pub(super) struct At<'a> {
    values: &'a Values,
    place: String,
}

impl Values {
    pub(super) fn at(&self, place: &str) -> At<'_> {
        At { values: self, place: place.to_owned() }
    }

    /// The entries of the list of mappings at `place`, each with where it was written.
    pub(super) fn entries(&self, place: &str) -> impl Iterator<Item = (At<'_>, Span)> {
        let spans = self.lists.get(place).map_or(&[][..], Vec::as_slice);
        let entry =
            move |(index, span): (usize, &Span)| (self.at(&format!("{place}[{index}]")), *span);
        spans.iter().enumerate().map(entry).collect::<Vec<_>>().into_iter()
    }
}

impl At<'_> {
    /// What was written for `key`.
    pub(super) fn given(&self, key: &str) -> Option<&Given> {
        self.values.given.get(&join(&self.place, key))
    }

    /// Whether something was written for `key` that cannot be used, which a finding says already.
    pub(super) fn is_refused(&self, key: &str) -> bool {
        self.values.refused.contains(&join(&self.place, key))
    }

    /// Puts what was written for `key` into `field`.
    pub(super) fn set<T: FromVal>(&self, key: &str, field: &mut T) {
        if let Some(value) = self.given(key).and_then(|given| T::from_val(&given.value)) {
            *field = value;
        }
    }

    /// The word of an option that is `reject` or `drop_oldest`.
    pub(super) fn when_full(&self, key: &str) -> Option<WhenFull> {
        self.word(key).map(|word| match word {
            "drop_oldest" => WhenFull::DropOldest,
            _ => WhenFull::Reject,
        })
    }

    /// A word of an enumeration.
    pub(super) fn word(&self, key: &str) -> Option<&str> {
        match &self.given(key)?.value {
            Val::Text(word) => Some(word),
            _ => None,
        }
    }
}

/// What a [`Val`] can become.
pub(super) trait FromVal: Sized {
    fn from_val(value: &Val) -> Option<Self>;
}

macro_rules! from_val {
    ($($type:ty: $pattern:pat => $value:expr,)*) => {
        $(impl FromVal for $type {
            fn from_val(value: &Val) -> Option<Self> {
                match value {
                    $pattern => $value,
                    _ => None,
                }
            }
        })*
    };
}

from_val! {
    bool: Val::Bool(it) => Some(*it),
    u64: Val::Int(it) => Some(*it),
    usize: Val::Int(it) => usize::try_from(*it).ok(),
    u32: Val::Int(it) => u32::try_from(*it).ok(),
    u16: Val::Int(it) => u16::try_from(*it).ok(),
    f64: Val::Float(it) => Some(*it),
    Duration: Val::Time(it) => Some(*it),
    String: Val::Text(it) => Some(it.clone()),
    PathBuf: Val::Text(it) => Some(it.into()),
    SocketAddr: Val::Listen(it) => Some(*it),
}

impl<T: FromVal> FromVal for Option<T> {
    fn from_val(value: &Val) -> Option<Self> {
        T::from_val(value).map(Some)
    }
}

impl<T: FromVal> FromVal for Vec<T> {
    fn from_val(value: &Val) -> Option<Self> {
        match value {
            Val::List(items) => items.iter().map(T::from_val).collect(),
            _ => None,
        }
    }
}
