//! Why JSON is refused, where, and what to write instead.
//!
//! While reading, a fault is an offset and a reason in 16 bytes; line, column, path and excerpt are worked out only
//! when a request is refused.

use std::fmt;

use crate::schema::{Field, Kind};

/// Most characters of the input that an error shows.
const EXCERPT_CHARS: usize = 32;

/// Why a JSON request is refused, and where.
///
/// The same bytes are refused however often they are sent: answer with a permanent refusal (400, or 413 for
/// [`Reason::TooLarge`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub reason: Reason,
    /// Where, in bytes from the start, from 0.
    pub offset: usize,
    /// The line of `offset`, from 1.
    pub line: usize,
    /// The column of `offset` in its line, in bytes, from 1.
    pub column: usize,
    /// The field being read, such as `resourceSpans[0].scopeSpans[1].spans[3].startTimeUnixNano`; empty at
    /// the request itself.
    pub path: String,
    /// What stands at `offset`, escaped and shortened; empty at the end of the input.
    pub found: String,
    /// What to write instead.
    pub mend: &'static str,
}

impl std::error::Error for JsonError {}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at line {}, column {} (byte {})",
            self.reason, self.line, self.column, self.offset
        )?;
        if !self.path.is_empty() {
            write!(f, ", in {}", self.path)?;
        }
        if self.found.is_empty() {
            f.write_str(", at the end of the input")?;
        } else {
            write!(f, ", found `{}`", self.found)?;
        }
        write!(f, "; {}", self.mend)
    }
}

/// What can be wrong with a JSON request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The input starts with U+FEFF.
    #[error("byte order mark")]
    ByteOrderMark,
    /// The input has nothing but whitespace.
    #[error("empty body")]
    Empty,
    /// The input ends within a value.
    #[error("unexpected end")]
    UnexpectedEnd,
    /// Something follows the request.
    #[error("bytes after the request")]
    TrailingBytes,
    /// A message that is not an object.
    #[error("expected an object")]
    ExpectedObject,
    /// A repeated field that is not an array.
    #[error("expected an array")]
    ExpectedArray,
    /// Text, an id or bytes that are not a string.
    #[error("expected a string")]
    ExpectedString,
    /// A bool that is neither `true` nor `false`.
    #[error("expected true or false")]
    ExpectedBool,
    /// An integer that is neither a number nor a string.
    #[error("expected an integer")]
    ExpectedInteger,
    /// A double that is neither a number nor a string of one.
    #[error("expected a number")]
    ExpectedNumber,
    /// An object's key that is not a string.
    #[error("expected a key in double quotes")]
    ExpectedKey,
    /// No `:` after a key.
    #[error("expected a colon after the key")]
    ExpectedColon,
    /// Neither `,` nor `}` after a member of an object.
    #[error("expected a comma or }}")]
    ExpectedCommaOrBrace,
    /// Neither `,` nor `]` after an element of an array.
    #[error("expected a comma or ]")]
    ExpectedCommaOrBracket,
    /// No JSON value where one has to be.
    #[error("expected a value")]
    ExpectedValue,
    /// `null` among the scalars of an array.
    #[error("null in an array of scalars")]
    NullElement,
    /// A number that JSON does not have, such as `01` or `1.`.
    #[error("malformed number")]
    MalformedNumber,
    /// An integer field with a fraction.
    #[error("not a whole number")]
    NotWhole,
    /// An integer beyond its field's type, or a number beyond a double.
    #[error("number out of range")]
    OutOfRange,
    /// An enum given by name.
    #[error("enum given as a string")]
    EnumName,
    /// An unescaped character below U+0020 in a string.
    #[error("control character in a string")]
    ControlCharacter,
    /// A backslash followed by something that JSON does not have.
    #[error("malformed escape")]
    MalformedEscape,
    /// Half of a surrogate pair ([`InvalidText::Refuse`](super::InvalidText::Refuse)).
    #[error("lone surrogate")]
    LoneSurrogate,
    /// A string that is not UTF-8 ([`InvalidText::Refuse`](super::InvalidText::Refuse)).
    #[error("string is not UTF-8")]
    InvalidUtf8,
    /// An id that is not hex.
    #[error("id is not hexadecimal")]
    MalformedHex,
    /// Bytes that are not base64.
    #[error("malformed base64")]
    MalformedBase64,
    /// Two members of a `oneof`, such as `stringValue` and `intValue`.
    #[error("second member of a oneof")]
    TwoOfOneof,
    /// Too many messages, or levels of an unknown value, within each other.
    #[error("more than {} nested messages", crate::validate::NESTING_MAX)]
    TooDeep,
    /// The protobuf would exceed [`JsonOptions::output_bytes_max`](super::JsonOptions::output_bytes_max).
    #[error("request too large as protobuf")]
    TooLarge,
    /// Keys given twice, so often that removing what they had written costs too much.
    #[error("too many keys given twice")]
    TooManyDuplicates,
}

impl Reason {
    /// What to write instead, given the field whose value is wrong.
    fn mend(self, field: Option<&Field>) -> &'static str {
        match self {
            Self::ByteOrderMark => "send UTF-8 without a byte order mark",
            Self::Empty => "send {} for an empty request",
            Self::UnexpectedEnd => "the body was cut short, or a quote or bracket is not closed",
            Self::TrailingBytes => "send one JSON object per request",
            Self::ExpectedObject => "write an object, {...}",
            Self::ExpectedArray => "write an array, [...], even for one element",
            Self::ExpectedString if field.is_some_and(|field| field.mark.id_len().is_some()) => {
                "write the id as a string of hex digits"
            }
            Self::ExpectedString => "write a string in double quotes",
            Self::ExpectedBool => "write true or false without quotes",
            Self::ExpectedKey => {
                "write the key in double quotes, and no comma after the last member"
            }
            Self::ExpectedColon => "write \"key\": value",
            Self::ExpectedCommaOrBrace => "separate members by commas and close the object with }",
            Self::ExpectedCommaOrBracket => {
                "separate elements by commas and close the array with ]"
            }
            Self::ExpectedValue => "write a JSON value, and no comma after the last element",
            Self::NullElement => "leave the element out, or write a value",
            Self::ExpectedInteger
            | Self::ExpectedNumber
            | Self::MalformedNumber
            | Self::NotWhole
            | Self::OutOfRange => field.map_or("write a JSON number", |field| number(field.kind)),
            Self::EnumName => "write the enum as an integer: OTLP/JSON has no enum names",
            Self::ControlCharacter => "escape it: \\n, \\t or \\u00XX",
            Self::MalformedEscape => {
                "only \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX are escapes"
            }
            Self::LoneSurrogate => "write both halves of the pair, or the character itself",
            Self::InvalidUtf8 => "encode the request as UTF-8",
            Self::MalformedHex => "ids are hex digits in pairs, never base64",
            Self::MalformedBase64 => "write base64, standard or URL-safe",
            Self::TwoOfOneof => "give exactly one of them",
            Self::TooDeep => "nest less",
            Self::TooLarge => "send fewer items per request",
            Self::TooManyDuplicates => "give each key once",
        }
    }
}

/// What a number of `kind` looks like in OTLP/JSON.
fn number(kind: Kind) -> &'static str {
    match kind {
        Kind::Double | Kind::Float => {
            "write a number, or one of \"NaN\", \"Infinity\", \"-Infinity\""
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            "write a whole number from -9223372036854775808 to 9223372036854775807, as a string or a number"
        }
        Kind::Uint64 | Kind::Fixed64 => {
            "write a whole number from 0 to 18446744073709551615, as a string or a number"
        }
        Kind::Uint32 | Kind::Fixed32 => "write a whole number from 0 to 4294967295",
        _ => "write a whole number from -2147483648 to 2147483647",
    }
}

/// What goes wrong while reading, before anyone asks where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) reason: Reason,
}

impl Fault {
    #[cold]
    pub(super) fn new(offset: usize, reason: Reason) -> Self {
        Self { offset, reason }
    }

    /// The error for whoever sent `input`; `field` is the one whose value was being read.
    #[cold]
    pub(super) fn explain(self, input: &[u8], path: String, field: Option<&Field>) -> JsonError {
        let before = input.get(..self.offset).unwrap_or(input);
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        JsonError {
            reason: self.reason,
            offset: self.offset,
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: before.len() - line_start + 1,
            path,
            found: excerpt(input.get(self.offset..).unwrap_or_default()),
            mend: self.reason.mend(field),
        }
    }
}

/// The start of `rest` as one line of printable text.
fn excerpt(rest: &[u8]) -> String {
    let start = rest.get(..EXCERPT_CHARS * 4).unwrap_or(rest);
    let text = String::from_utf8_lossy(start);
    let mut shown: String = text.chars().take(EXCERPT_CHARS).flat_map(printable).collect();
    if text.chars().nth(EXCERPT_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

fn printable(character: char) -> impl Iterator<Item = char> {
    let plain = !character.is_control();
    let escaped = (!plain).then(|| character.escape_default());
    plain.then_some(character).into_iter().chain(escaped.into_iter().flatten())
}
