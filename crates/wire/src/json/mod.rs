//! OTLP/JSON to protobuf and back, driven by the tables of [`crate::schema`].
//!
//! [`to_protobuf`] reads a JSON request once, front to back, and writes protobuf as it goes: no tree, no objects,
//! no recursion. [`from_protobuf`] writes the JSON of a request that [`validate`](crate::validate()) accepted.
//!
//! # What is read
//! - **Keys** are `lowerCamelCase`, or as the `.proto` files spell them (`trace_id`): the specification has senders write the
//!   former only, but no other field can have such a name, and the collector reads them. Unknown keys are skipped at any
//!   depth, their values only checked to be JSON.
//! - **Ids** (`traceId`, `spanId`, `parentSpanId`, `profileId`) are hex in either case, of any even length: an odd
//!   id is the validator's to count. Other **bytes** are base64, standard or URL-safe, padded or not.
//! - **Integers** of any width are numbers or strings, also `1e3` and `2.0`: what matters is that the value is
//!   whole and in range. **Doubles** are numbers or strings, among them `"NaN"`, `"Infinity"`, `"-Infinity"`; a
//!   number beyond the range of a double is refused rather than made infinite.
//! - **Enums** are integers, never names.
//! - **`null`** is an absent field; as an element of an array of messages it is an empty message (so that `values:
//!   [null]` keeps its length), as an element of an array of scalars it is refused. `{}` is an empty message, also as
//!   an `AnyValue`.
//! - **A key given twice**: the last one counts, whatever its type: what the earlier one wrote is removed, an array
//!   or a message is replaced and not merged. Two different members of a `oneof` are refused.
//! - **Text** that is not UTF-8, and lone surrogates (`"\ud800"`), follow [`InvalidText`].
//! - A byte order mark, comments, trailing commas, bytes after the request: refused.
//!
//! # What is written
//! Protobuf: fields in the order of the JSON, repeated scalars packed, lengths in their shortest form, zeros and empty
//! strings left out unless their presence means something. JSON: fields by ascending number, 64-bit integers as
//! strings, ids in lower-case hex, bytes in padded base64, enums as integers, the shortest decimals that read back
//! as the same doubles. Fields that are in the protobuf are written even if they hold a default. Unknown protobuf
//! fields have no name and are left out: the only loss.
//!
//! # Limits
//! 100 nested messages ([`NESTING_MAX`](crate::validate::NESTING_MAX)), as the validator has it, and as many levels within
//! an unknown value; the output by [`JsonOptions::output_bytes_max`] (JSON can grow fourfold: an array of `0,` becomes
//! doubles). Keys given twice may cause 16 times the input's length of re-reading, then the request is refused.
//!
//! # Cost
//! `benches/json.rs` compares with `serde_json` and prost. No allocation per span but the growth of the output.
//! A message's length is written before its content, so a place is held for it, as wide as the last message of that type
//! needed; where the guess was wrong, the content moves by the difference when the message ends. Spans and attributes
//! resemble each other, so it is nearly always right, and the lengths stay canonical.
//!
//! Source: opentelemetry-proto 1.10 docs/specification.md, "JSON Protobuf Encoding"; RFC 8259; the ProtoJSON guide.

mod error;
mod escape;
mod from_protobuf;
mod number;
mod output;
mod scan;
#[cfg(test)]
mod tests;
mod text;
mod to_protobuf;
mod values;

pub use error::{JsonError, Reason};
pub use from_protobuf::{NotWritten, Unreadable, from_protobuf, from_protobuf_within};
pub use to_protobuf::to_protobuf;

/// How OTLP/JSON is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonOptions {
    /// Most bytes of protobuf that one request may become; beyond it, [`Reason::TooLarge`].
    pub output_bytes_max: usize,
    /// What becomes of text that is not Unicode.
    pub invalid_text: InvalidText,
}

impl Default for JsonOptions {
    /// 64 MiB of output, and text repaired.
    fn default() -> Self {
        Self { output_bytes_max: 64 << 20, invalid_text: InvalidText::Repair }
    }
}

/// What becomes of strings that are not Unicode: `receivers.otlp.invalid_utf8` in the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InvalidText {
    /// Each byte that no character owns becomes `?`, each lone surrogate U+FFFD, and the strings are counted. In keys
    /// and skipped values nothing is repaired: such a key is unknown.
    #[default]
    Repair,
    /// The request is refused, wherever in it the string is.
    Refuse,
}

/// What [`to_protobuf`] met on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transcoded {
    /// Strings that were repaired ([`InvalidText::Repair`]).
    pub invalid_utf8: u32,
    /// Whether the request has keys, and none of them is one of its message's: most likely it is another signal's.
    pub foreign: bool,
}
