//! Borrowed views: reading fields of a request where they lie, without decoding it.
//!
//! Protobuf promises less than writers usually do, and the views rely on the promise only: fields in any
//! order (the collector writes them descending, and values before keys), the last of several scalars wins, a
//! submessage in several parts is their merge, the last member of a `oneof` wins, unknown fields are passed over.
//!
//! Invariants: never panic, on any bytes; a view of bytes that did not pass [`crate::validate()`] ends early. No
//! allocation. Cost: one pass over an item's fields when its view is made, and one over its attributes when those are
//! iterated; a value is resolved when asked for. Source: protobuf encoding guide, "last one wins" and "merging".

mod attribute;
pub mod logs;
mod message;
pub mod metrics;
mod scope;
mod text;
pub mod traces;

pub use attribute::{AnyValue, Array, Attribute, Attributes, KeyValueList, Value};
pub(crate) use message::{Elements, Message, MessageFields, Run};
pub use scope::{Resource, Scope};
pub use text::Text;

use crate::field::RawValue;

impl<'a> RawValue<'a> {
    #[inline(always)]
    pub(crate) const fn text(self) -> Option<Text<'a>> {
        match self {
            Self::Len(bytes) => Some(Text(bytes)),
            _ => None,
        }
    }

    #[inline(always)]
    pub(crate) const fn varint(self) -> Option<u64> {
        match self {
            Self::Varint(value) => Some(value),
            _ => None,
        }
    }

    #[inline(always)]
    pub(crate) const fn fixed64(self) -> Option<u64> {
        match self {
            Self::Fixed64(value) => Some(value),
            _ => None,
        }
    }
}

/// Sets `slot` if the value came in the right wire type.
#[inline(always)]
pub(crate) fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}
