//! Writes the JSON of a protobuf request, whatever order its fields came in.
//!
//! Protobuf may repeat a singular field (the last one counts), split a submessage (the parts merge), scatter a
//! repeated field between others and pack scalars or not. So each message is read twice: first to note, per field, where
//! its values begin and how many count, then to write field by field, ascending. In the usual case the second reading
//! only moves forward. Cost: linear, no recursion; memory is a few words per field of each open message, and
//! 16 bytes per part of each split one.

use std::fmt;

use super::{escape, text};
use crate::field::{Fields, RawField, RawValue};
use crate::schema::{Field, Kind, Message, WireType};
use crate::validate::NESTING_MAX;
use crate::{Signal, tables, varint};

/// The input of [`from_protobuf`] is no valid request of its signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Where reading ended, in bytes from the start.
    pub offset: usize,
}

impl std::error::Error for Unreadable {}

/// Why [`from_protobuf_within`] wrote nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotWritten {
    /// The input is no valid request.
    Unreadable(Unreadable),
    /// The JSON would be longer than was asked for.
    TooLong,
}

impl std::error::Error for NotWritten {}

impl fmt::Display for NotWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => why.fmt(f),
            Self::TooLong => f.write_str("its JSON is too long"),
        }
    }
}

impl From<Unreadable> for NotWritten {
    fn from(why: Unreadable) -> Self {
        Self::Unreadable(why)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "protobuf not readable at byte {}", self.offset)
    }
}

/// Appends to `out` the OTLP/JSON of the protobuf request `input`, on one line.
///
/// Everything that [`validate`](crate::validate()) accepts can be written. Unknown fields are left out; bytes in text that are
/// not UTF-8 become U+FFFD. The JSON is at most about 6 times as long as text that is all control characters, and
/// usually about twice as long as the protobuf.
///
/// # Errors
/// The input is malformed or nested too deeply; `out` is as it was. Validated input never is.
pub fn from_protobuf(signal: Signal, input: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
    from_protobuf_within(signal, input, usize::MAX, out).map_err(|error| match error {
        NotWritten::Unreadable(why) => why,
        NotWritten::TooLong => Unreadable { offset: 0 },
    })
}

/// The same, unless it appends more than `len_max` bytes: then writing ends there. Control characters make JSON six times as long
/// as they are, small messages of fields with long names up to ten times.
///
/// # Errors
/// [`NotWritten`]; `out` is as it was.
pub fn from_protobuf_within(
    signal: Signal,
    input: &[u8],
    len_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), NotWritten> {
    let start = out.len();
    let end = start.saturating_add(len_max);
    out.reserve(input.len().min(len_max));
    let (stack, parts, given) = (Vec::with_capacity(16), Vec::new(), Vec::new());
    let mut writer = Writer { input, out, end, stack, parts, given };
    let result = writer.run(tables::request(signal));
    if result.is_err() {
        out.truncate(start);
    }
    result
}

struct Writer<'a, 'o> {
    input: &'a [u8],
    out: &'o mut Vec<u8>,
    /// The length up to which `out` may grow.
    end: usize,
    stack: Vec<Frame>,
    /// The parts of all open messages, innermost last.
    parts: Vec<Part>,
    /// What the fields of all open messages hold, innermost last.
    given: Vec<Given>,
}

/// A stretch of the input that holds fields of one message.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: usize,
    end: usize,
}

/// The values of one field.
#[derive(Clone, Copy, Debug, Default)]
struct Given {
    /// How many values count.
    count: usize,
    /// Where the first of them is.
    first: Place,
}

/// The start of a field: which part of the message, and the position in the input.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    part: usize,
    pos: usize,
}

/// An open message.
#[derive(Debug)]
struct Frame {
    message: &'static Message,
    /// Where its parts and fields start in the writer's lists.
    parts: usize,
    given: usize,
    /// The field being written, by index.
    current: usize,
    /// Its values still to be written, and where to look for the next one.
    left: usize,
    next: Place,
    /// Whether nothing has been written since the last opening bracket.
    fresh: bool,
    in_array: bool,
}

impl<'a> Writer<'a, '_> {
    fn run(&mut self, root: &'static Message) -> Result<(), NotWritten> {
        self.parts.push(Part { start: 0, end: self.input.len() });
        self.open(root, 0)?;
        while let Some(frame) = self.stack.last_mut() {
            if self.out.len() > self.end {
                return Err(NotWritten::TooLong);
            }
            let Some(field) = frame.message.fields.get(frame.current) else {
                self.close();
                continue;
            };
            if frame.left == 0 {
                self.next_field();
                continue;
            }
            self.value(field)?;
        }
        if self.out.len() > self.end { Err(NotWritten::TooLong) } else { Ok(()) }
    }

    /// Whether there is room for a value before it is written; what is short is looked at behind it.
    fn fits(&self, field: &Field, value: RawValue<'_>) -> bool {
        let RawValue::Len(bytes) = value else { return true };
        let room = self.end.saturating_sub(self.out.len());
        // Six for each of control characters, and the quotes.
        if bytes.len() < room / 6 {
            return true;
        }
        let len = match field.kind {
            Kind::String => escape::len_max(bytes),
            _ if field.mark.id_len().is_some() => bytes.len().saturating_mul(2),
            _ => bytes.len().div_ceil(3).saturating_mul(4),
        };
        len <= room
    }

    /// Opens the message whose parts are those from `parts` on.
    fn open(&mut self, message: &'static Message, parts: usize) -> Result<(), Unreadable> {
        if self.stack.len() > NESTING_MAX {
            let offset = self.parts.last().map_or(0, |part| part.start);
            return Err(Unreadable { offset });
        }
        let given = self.given.len();
        self.given.resize(given + message.fields.len(), Given::default());
        for (index, part) in self.parts.iter().skip(parts).enumerate() {
            let seen = self.given.get_mut(given..).unwrap_or_default();
            survey(self.input, *part, index, message, seen)?;
        }
        let mut frame = Frame {
            message,
            parts,
            given,
            current: 0,
            left: 0,
            next: Place::default(),
            fresh: true,
            in_array: false,
        };
        if let Some(first) = self.given.get(given) {
            frame.left = first.count;
            frame.next = first.first;
        }
        self.out.push(b'{');
        self.stack.push(frame);
        Ok(())
    }

    fn close(&mut self) {
        if let Some(frame) = self.stack.pop() {
            self.parts.truncate(frame.parts);
            self.given.truncate(frame.given);
        }
        self.out.push(b'}');
    }

    /// Goes on to the next field, after the values of the current one.
    fn next_field(&mut self) {
        let Some(frame) = self.stack.last_mut() else { return };
        if frame.in_array {
            self.out.push(b']');
            frame.in_array = false;
            frame.fresh = false;
        }
        let given = self.given.get(frame.given..).unwrap_or_default();
        let rest = given.iter().enumerate().skip(frame.current + 1);
        let next = rest.clone().find(|(_, given)| given.count > 0);
        frame.current = next.map_or(frame.message.fields.len(), |(index, _)| index);
        frame.left = next.map_or(0, |(_, given)| given.count);
        frame.next = next.map_or(Place::default(), |(_, given)| given.first);
    }

    /// Writes the next value of `field`, or opens it if it is a message.
    fn value(&mut self, field: &'static Field) -> Result<(), NotWritten> {
        let raw = self.next_value(field)?;
        self.name(field);
        match (field.kind, raw.value) {
            (Kind::Message(child), RawValue::Len(bytes)) => {
                let parts = self.parts.len();
                self.parts.push(Part { start: raw.end - bytes.len(), end: raw.end });
                if !field.repeated {
                    self.gather(field)?;
                }
                if field.repeated {
                    self.separate();
                }
                Ok(self.open(child, parts)?)
            }
            (kind, RawValue::Len(bytes)) if field.repeated && kind.is_packable() => {
                self.unpack(field, bytes, raw.end - bytes.len())
            }
            (_, value) => {
                if field.repeated {
                    self.separate();
                }
                if !self.fits(field, value) {
                    return Err(NotWritten::TooLong);
                }
                Ok(write_scalar(field, value, self.out).ok_or(Unreadable { offset: raw.start })?)
            }
        }
    }

    /// The next value of `field`, which is known to be there.
    fn next_value(&mut self, field: &Field) -> Result<RawField<'a>, Unreadable> {
        let input = self.input;
        let Some(frame) = self.stack.last_mut() else { return Err(Unreadable { offset: 0 }) };
        let parts = self.parts.get(frame.parts..).unwrap_or_default();
        loop {
            let Place { part, pos } = frame.next;
            let Some(part) = parts.get(part) else { return Err(Unreadable { offset: pos }) };
            let bytes = input.get(..part.end).unwrap_or_default();
            match Fields::new(bytes, pos).next() {
                Some(raw) => {
                    frame.next.pos = raw.end;
                    if raw.number == field.number {
                        frame.left -= 1;
                        return Ok(raw);
                    }
                }
                None => {
                    frame.next.part += 1;
                    let Some(part) = parts.get(frame.next.part) else {
                        return Err(Unreadable { offset: pos });
                    };
                    frame.next.pos = part.start;
                }
            }
        }
    }

    /// Adds the remaining values of a singular message to its parts.
    fn gather(&mut self, field: &Field) -> Result<(), Unreadable> {
        while self.stack.last().is_some_and(|frame| frame.left > 0) {
            let raw = self.next_value(field)?;
            let len = raw.value.bytes().map_or(0, <[u8]>::len);
            // Of empty ones, two bytes of input would be held as 16.
            if len > 0 {
                self.parts.push(Part { start: raw.end - len, end: raw.end });
            }
        }
        Ok(())
    }

    /// Writes the name of `field` before its first value.
    fn name(&mut self, field: &Field) {
        let Some(frame) = self.stack.last_mut() else { return };
        if frame.in_array {
            return;
        }
        if !frame.fresh {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(field.json_name.as_bytes());
        self.out.extend_from_slice(if field.repeated { b"\":[" } else { b"\":" });
        frame.in_array = field.repeated;
        frame.fresh = field.repeated;
    }

    /// Writes the comma between elements.
    fn separate(&mut self) {
        let Some(frame) = self.stack.last_mut() else { return };
        if !frame.fresh {
            self.out.push(b',');
        }
        frame.fresh = false;
    }

    /// Writes packed values; `offset` is where they start.
    fn unpack(&mut self, field: &Field, bytes: &[u8], offset: usize) -> Result<(), NotWritten> {
        let mut pos = 0;
        while pos < bytes.len() && self.out.len() <= self.end {
            let unreadable = Unreadable { offset: offset + pos };
            let rest = bytes.get(pos..).unwrap_or_default();
            let (value, len) = match field.kind.wire_type() {
                WireType::Fixed64 => {
                    let word = rest.first_chunk().ok_or(unreadable)?;
                    (RawValue::Fixed64(u64::from_le_bytes(*word)), 8)
                }
                WireType::Fixed32 => {
                    let word = rest.first_chunk().ok_or(unreadable)?;
                    (RawValue::Fixed32(u32::from_le_bytes(*word)), 4)
                }
                _ => {
                    let (value, len) = varint::read(rest, 0).ok_or(unreadable)?;
                    (RawValue::Varint(value), len)
                }
            };
            self.separate();
            write_scalar(field, value, self.out).ok_or(unreadable)?;
            pos += len;
        }
        Ok(())
    }
}

/// Notes in `given` what the part numbered `index` holds of each field of `message`.
fn survey(
    input: &[u8],
    part: Part,
    index: usize,
    message: &Message,
    given: &mut [Given],
) -> Result<(), Unreadable> {
    let bytes = input.get(..part.end).unwrap_or_default();
    let mut fields = Fields::new(bytes, part.start);
    for raw in fields.by_ref() {
        let Some(known) = position(message, raw.number) else { continue };
        let Some(field) = message.fields.get(known) else { continue };
        let packed = field.repeated && field.kind.is_packable();
        let fits = match raw.value {
            RawValue::Varint(_) => field.kind.wire_type() == WireType::Varint,
            RawValue::Fixed64(_) => field.kind.wire_type() == WireType::Fixed64,
            RawValue::Fixed32(_) => field.kind.wire_type() == WireType::Fixed32,
            RawValue::Len(_) => field.kind.wire_type() == WireType::Len || packed,
        };
        if !fits {
            return Err(Unreadable { offset: raw.start });
        }
        if let Some(oneof) = field.oneof {
            // The last member given is the one that counts.
            for (other, given) in message.fields.iter().zip(given.iter_mut()) {
                if other.oneof == Some(oneof) && other.number != field.number {
                    given.count = 0;
                }
            }
        }
        let Some(given) = given.get_mut(known) else { continue };
        let collects = field.repeated || matches!(field.kind, Kind::Message(_));
        if given.count == 0 || !collects {
            *given = Given { count: 1, first: Place { part: index, pos: raw.start } };
        } else {
            given.count += 1;
        }
    }
    if fields.position() == part.end {
        Ok(())
    } else {
        Err(Unreadable { offset: fields.position() })
    }
}

/// The index of the field numbered `number`.
fn position(message: &Message, number: u32) -> Option<usize> {
    let likely = (number as usize).wrapping_sub(1);
    match message.fields.get(likely) {
        Some(field) if field.number == number => Some(likely),
        _ => message.fields.iter().position(|field| field.number == number),
    }
}

/// Appends one value that is not a message, or `None` if its wire type is not the field's.
fn write_scalar(field: &Field, value: RawValue<'_>, out: &mut Vec<u8>) -> Option<()> {
    match (field.kind, value) {
        (Kind::String, RawValue::Len(bytes)) => escape::string(bytes, out),
        (Kind::Bytes, RawValue::Len(bytes)) => {
            out.push(b'"');
            if field.mark.id_len().is_some() {
                text::write_hex(bytes, out);
            } else {
                text::write_base64(bytes, out);
            }
            out.push(b'"');
        }
        (Kind::Double, RawValue::Fixed64(bits)) => escape::double(f64::from_bits(bits), out),
        (Kind::Float, RawValue::Fixed32(bits)) => {
            escape::double(f64::from(f32::from_bits(bits)), out);
        }
        (Kind::Bool, RawValue::Varint(bits)) => {
            out.extend_from_slice(if bits == 0 { b"false" } else { b"true" });
        }
        (kind, RawValue::Varint(bits) | RawValue::Fixed64(bits)) => integer(kind, bits, out)?,
        (kind, RawValue::Fixed32(bits)) => integer(kind, u64::from(bits), out)?,
        _ => return None,
    }
    Some(())
}

fn integer(kind: Kind, bits: u64, out: &mut Vec<u8>) -> Option<()> {
    if kind.is_integer_64() {
        out.push(b'"');
    }
    match kind {
        Kind::Int32 | Kind::Enum | Kind::Sfixed32 => escape::signed(i64::from(bits as i32), out),
        Kind::Uint32 | Kind::Fixed32 => escape::unsigned(u64::from(bits as u32), out),
        Kind::Sint32 => escape::signed(unzigzag(u64::from(bits as u32)), out),
        Kind::Int64 | Kind::Sfixed64 => escape::signed(bits as i64, out),
        Kind::Uint64 | Kind::Fixed64 => escape::unsigned(bits, out),
        Kind::Sint64 => escape::signed(unzigzag(bits), out),
        _ => return None,
    }
    if kind.is_integer_64() {
        out.push(b'"');
    }
    Some(())
}

fn unzigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}
