//! Why a request is refused, and where.

/// How many messages may be nested below the request.
pub const NESTING_MAX: usize = 100;

/// What is wrong and where; the path is looked up afterwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) kind: FaultKind,
}

/// Why a request is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}{}{path}", if path.is_empty() { "" } else { " in " })]
pub struct Invalid {
    /// What is wrong.
    pub kind: FaultKind,
    /// The first byte of the field, in bytes from the start of the request; for text that is not UTF-8, of the text.
    pub offset: usize,
    /// The field around `offset`, such as `resource_spans[0].scope_spans[0].spans[7].name`; empty for the request
    /// as a whole.
    pub path: String,
}

/// What can be wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// A value ends after the message around it.
    #[error("field runs past the end of its message")]
    Truncated,
    /// A varint has more than 10 bytes or more than 64 bits.
    #[error("varint longer than 64 bits")]
    VarintOverflow,
    /// A key does not fit 32 bits.
    #[error("field number above 536870911")]
    KeyOverflow,
    /// Field numbers start at 1.
    #[error("field number 0")]
    FieldZero,
    /// Groups were never part of OTLP.
    #[error("group")]
    Group,
    /// Wire types 6 and 7 do not exist.
    #[error("undefined wire type")]
    UndefinedWireType,
    /// A known field came with another wire type than its own: usually another signal's body.
    #[error("wrong wire type (the body of another signal?)")]
    WrongWireType,
    /// Packed fixed-width values do not fill their field.
    #[error("packed length is not a multiple of the value's width")]
    PackedLength,
    /// More than [`NESTING_MAX`] messages within each other.
    #[error("more than {NESTING_MAX} nested messages")]
    TooDeep,
    /// A string field is not UTF-8 ([`Limits::refuse_invalid_utf8`](super::Limits::refuse_invalid_utf8)).
    #[error("string is not UTF-8")]
    InvalidUtf8,
    /// [`Limits::items_max`](super::Limits::items_max) exceeded.
    #[error("too many items in one request")]
    TooManyItems,
    /// Not one span has a usable id ([`Limits::refuse_without_ids`](super::Limits::refuse_without_ids)).
    #[error("no span has a usable id (the body of another signal?)")]
    NoUsableIds,
}
