//! Reads a JSON request and writes protobuf as it goes.
//!
//! Flow: [`Reader::run`] steps through members and elements; each open message is a [`Frame`] on an explicit stack,
//! scalars are read and written where they stand. A frame remembers which fields it has seen, one bit each: that
//! finds keys given twice and second members of a `oneof`. The path of an error is read off the stack.

use super::error::{Fault, JsonError, Reason};
use super::number::{self, Unfit, Whole};
use super::output::{Held, Output};
use super::scan::{self, Quoted};
use super::text;
use super::{InvalidText, JsonOptions, Transcoded};
use crate::schema::{Field, Kind, Message, MessageId};
use crate::validate::NESTING_MAX;
use crate::{Signal, tables, utf8};

/// Appends to `out` the protobuf of the OTLP/JSON request `input`.
///
/// `out` may hold other bytes before; on an error it is as it was. What was appended passes
/// [`validate`](crate::validate()) unless the request has too many items or no usable ids.
///
/// # Errors
/// The first thing found wrong, with its place and what to write instead. The same bytes are refused however often they are
/// sent: answer with a permanent refusal (400, or 413 for [`Reason::TooLarge`]).
pub fn to_protobuf(
    signal: Signal,
    input: &[u8],
    out: &mut Vec<u8>,
    options: &JsonOptions,
) -> Result<Transcoded, JsonError> {
    transcode(tables::request(signal), input, out, options)
}

/// Appends to `out` the protobuf of the OTLP/JSON response `input`, such as
/// `{"partialSuccess":{"rejectedSpans":"3"}}`.
///
/// # Errors
/// As [`to_protobuf`].
pub fn response_to_protobuf(
    signal: Signal,
    input: &[u8],
    out: &mut Vec<u8>,
    options: &JsonOptions,
) -> Result<Transcoded, JsonError> {
    transcode(tables::response(signal), input, out, options)
}

fn transcode(
    root: MessageId,
    input: &[u8],
    out: &mut Vec<u8>,
    options: &JsonOptions,
) -> Result<Transcoded, JsonError> {
    let mut reader = Reader {
        input,
        pos: 0,
        options,
        out: Output::new(out, options.output_bytes_max, input.len()),
        stack: Vec::with_capacity(16),
        met: Transcoded::default(),
        scratch: Vec::new(),
    };
    match reader.run(root) {
        Ok(()) => Ok(reader.met),
        Err(fault) => {
            reader.out.abandon();
            Err(reader.explain(fault))
        }
    }
}

struct Reader<'a, 'o> {
    input: &'a [u8],
    pos: usize,
    options: &'a JsonOptions,
    out: Output<'o>,
    stack: Vec<Frame>,
    met: Transcoded,
    /// Unescaped keys, numbers, ids and bytes: rarely anything.
    scratch: Vec<u8>,
}

/// An open message.
#[derive(Debug)]
struct Frame {
    id: MessageId,
    message: &'static Message,
    held: Held,
    /// The fields that have been given, by index.
    seen: u64,
    /// The field being read, by index; past the end before the first and in unknown fields.
    current: usize,
    /// The element being read, if the current field is an array.
    element: Option<u32>,
}

/// What comes next in the input.
#[derive(Clone, Copy, Debug)]
enum Step {
    FirstMember,
    AfterMember,
    Element,
    AfterElement,
    Done,
}

impl<'a> Reader<'a, '_> {
    fn run(&mut self, root: MessageId) -> Result<(), Fault> {
        if self.input.starts_with(b"\xef\xbb\xbf") {
            return Err(Fault::new(0, Reason::ByteOrderMark));
        }
        match self.peek() {
            Err(fault) => return Err(Fault { reason: Reason::Empty, ..fault }),
            Ok(b'{') => self.pos += 1,
            Ok(_) => return Err(self.fault(Reason::ExpectedObject)),
        }
        let held = self.out.open_root();
        self.push(root, held);
        let mut step = Step::FirstMember;
        loop {
            step = match (step, self.peek()) {
                (Step::Done, Err(_)) => return Ok(()),
                (Step::Done, Ok(_)) => return Err(self.fault(Reason::TrailingBytes)),
                (_, Err(fault)) => return Err(fault),
                (Step::FirstMember | Step::AfterMember, Ok(b'}')) => self.close()?,
                (Step::FirstMember, Ok(_)) => self.member()?,
                (Step::AfterMember, Ok(b',')) => {
                    self.pos += 1;
                    self.pos = scan::whitespace(self.input, self.pos);
                    self.member()?
                }
                (Step::AfterMember, Ok(_)) => return Err(self.fault(Reason::ExpectedCommaOrBrace)),
                (Step::Element, Ok(byte)) => self.element(byte)?,
                (Step::AfterElement, Ok(b',')) => {
                    self.pos += 1;
                    self.advance_element();
                    Step::Element
                }
                (Step::AfterElement, Ok(b']')) => {
                    self.pos += 1;
                    self.end_array()
                }
                (Step::AfterElement, Ok(_)) => {
                    return Err(self.fault(Reason::ExpectedCommaOrBracket));
                }
            };
        }
    }

    /// The next byte that is not whitespace; `pos` is moved to it.
    #[inline(always)]
    fn peek(&mut self) -> Result<u8, Fault> {
        self.pos = scan::whitespace(self.input, self.pos);
        self.input
            .get(self.pos)
            .copied()
            .ok_or(Fault { offset: self.input.len(), reason: Reason::UnexpectedEnd })
    }

    #[cold]
    fn fault(&self, reason: Reason) -> Fault {
        Fault { offset: self.pos, reason }
    }

    fn push(&mut self, id: MessageId, held: Held) {
        let frame =
            Frame { id, message: id.get(), held, seen: 0, current: usize::MAX, element: None };
        self.stack.push(frame);
    }

    /// Opens the message at `pos`, which is a `{`.
    #[inline]
    fn open(&mut self, field: &Field, id: MessageId) -> Result<Step, Fault> {
        self.check_depth()?;
        self.pos += 1;
        let held = self.out.open(field.key(), id);
        self.push(id, held);
        Ok(Step::FirstMember)
    }

    fn check_depth(&self) -> Result<(), Fault> {
        // The request itself is on the stack too.
        if self.stack.len() > NESTING_MAX { Err(self.fault(Reason::TooDeep)) } else { Ok(()) }
    }

    /// Ends the innermost message at its `}`.
    #[inline]
    fn close(&mut self) -> Result<Step, Fault> {
        let at = self.pos;
        self.pos += 1;
        let Some(frame) = self.stack.pop() else { return Ok(Step::Done) };
        let Some(around) = self.stack.last() else { return Ok(Step::Done) };
        let step = if around.element.is_some() { Step::AfterElement } else { Step::AfterMember };
        self.out.close(frame.held, frame.id).map_err(|reason| Fault::new(at, reason))?;
        Ok(step)
    }

    fn advance_element(&mut self) {
        if let Some(frame) = self.stack.last_mut() {
            frame.element = frame.element.map(|index| index.saturating_add(1));
        }
    }

    fn end_array(&mut self) -> Step {
        if let Some(frame) = self.stack.last_mut() {
            frame.element = None;
        }
        Step::AfterMember
    }

    /// Reads a key and its value, or the value's beginning if that is a message.
    #[inline]
    fn member(&mut self) -> Result<Step, Fault> {
        let (key, after) = scan::key(self.input, self.pos)?;
        let Some(field) = self.find(&key)? else {
            self.pos = after;
            self.skip()?;
            return Ok(Step::AfterMember);
        };
        self.pos = after;
        let byte = self.peek()?;
        if byte == b'n' {
            self.pos = scan::literal(self.input, self.pos, b"null")?;
            self.forget(field)?;
            return Ok(Step::AfterMember);
        }
        self.note(field)?;
        match field.kind {
            Kind::Message(_) if field.repeated => self.messages(byte),
            Kind::Message(id) if byte == b'{' => self.open(field, id),
            Kind::Message(_) => Err(self.fault(Reason::ExpectedObject)),
            _ if field.repeated => self.scalars(byte, field),
            _ => {
                self.scalar(byte, field)?;
                Ok(Step::AfterMember)
            }
        }
    }

    /// The field that `key` names, which becomes the current one.
    #[inline]
    fn find(&mut self, key: &Quoted<'a>) -> Result<Option<&'static Field>, Fault> {
        let Some(frame) = self.stack.last_mut() else { return Ok(None) };
        if !key.escaped {
            // Writers have an order: the field after the last one is the likeliest.
            let likely = frame.current.wrapping_add(1);
            let found = match frame.message.fields.get(likely) {
                Some(field) if field.json_name.as_bytes() == key.raw => Some(likely),
                _ => position(frame.message, key.raw, false),
            };
            if let Some(index) = found {
                frame.current = index;
                return Ok(frame.message.fields.get(index));
            }
        }
        self.find_unusual(key)
    }

    /// Keys with escapes, in `snake_case`, and unknown ones.
    #[cold]
    fn find_unusual(&mut self, key: &Quoted<'a>) -> Result<Option<&'static Field>, Fault> {
        let unescaped;
        let name = if key.escaped {
            self.scratch.clear();
            self.unescape_to_scratch(key)?;
            unescaped = std::mem::take(&mut self.scratch);
            unescaped.as_slice()
        } else {
            self.judge(key)?;
            key.raw
        };
        let lenient = self.options.snake_case_keys;
        let Some(frame) = self.stack.last_mut() else { return Ok(None) };
        let found = position(frame.message, name, lenient);
        frame.current = found.unwrap_or(usize::MAX);
        if found.is_none() {
            self.met.unknown_keys = self.met.unknown_keys.saturating_add(1);
        }
        Ok(found.and_then(|index| frame.message.fields.get(index)))
    }

    /// Records that `field` is given: what an earlier key wrote for it is removed, and no other member of its
    /// `oneof` may be there.
    #[inline]
    fn note(&mut self, field: &Field) -> Result<(), Fault> {
        let Some(frame) = self.stack.last_mut() else { return Ok(()) };
        let bit = 1 << (frame.current & 63);
        if frame.seen != 0 {
            if frame.seen & bit != 0 {
                return self.forget(field).and_then(|()| self.note(field));
            }
            if let Some(oneof) = field.oneof {
                let mut members = frame.message.fields.iter().enumerate();
                let second = |(index, member): (usize, &Field)| {
                    frame.seen >> index & 1 == 1 && member.oneof == Some(oneof)
                };
                if members.any(second) {
                    return Err(Fault { offset: self.pos, reason: Reason::TwoOfOneof });
                }
            }
        }
        frame.seen |= bit;
        Ok(())
    }

    /// Records that `field` is absent, whatever an earlier key said.
    fn forget(&mut self, field: &Field) -> Result<(), Fault> {
        let Some(frame) = self.stack.last_mut() else { return Ok(()) };
        let bit = 1 << (frame.current & 63);
        if frame.seen & bit != 0 {
            frame.seen &= !bit;
            let removed = self.out.remove(frame.held.body, field.number);
            removed.map_err(|reason| Fault { offset: self.pos, reason })?;
        }
        Ok(())
    }

    /// Starts an array of messages.
    fn messages(&mut self, byte: u8) -> Result<Step, Fault> {
        if byte != b'[' {
            return Err(self.fault(Reason::ExpectedArray));
        }
        self.pos += 1;
        if self.peek()? == b']' {
            self.pos += 1;
            return Ok(Step::AfterMember);
        }
        if let Some(frame) = self.stack.last_mut() {
            frame.element = Some(0);
        }
        Ok(Step::Element)
    }

    /// Reads one element of an array of messages.
    #[inline]
    fn element(&mut self, byte: u8) -> Result<Step, Fault> {
        let current = self.stack.last().and_then(|frame| frame.message.fields.get(frame.current));
        let Some((field, Kind::Message(id))) = current.map(|field| (field, field.kind)) else {
            return Err(self.fault(Reason::ExpectedValue));
        };
        match byte {
            b'{' => self.open(field, id),
            b'n' => {
                self.check_depth()?;
                self.pos = scan::literal(self.input, self.pos, b"null")?;
                self.out.empty_message(field.key()).map_err(|reason| self.fault(reason))?;
                Ok(Step::AfterElement)
            }
            b']' => Err(self.fault(Reason::ExpectedValue)),
            _ => Err(self.fault(Reason::ExpectedObject)),
        }
    }

    /// Reads a whole array of scalars.
    fn scalars(&mut self, byte: u8, field: &Field) -> Result<Step, Fault> {
        if byte != b'[' {
            return Err(self.fault(Reason::ExpectedArray));
        }
        self.pos += 1;
        if self.peek()? == b']' {
            self.pos += 1;
            return Ok(Step::AfterMember);
        }
        let packed = field.kind.is_packable().then(|| self.out.open_packed(field));
        if let Some(frame) = self.stack.last_mut() {
            frame.element = Some(0);
        }
        loop {
            let byte = self.peek()?;
            if byte == b'n' {
                return Err(self.fault(Reason::NullElement));
            }
            if packed.is_some() {
                let bits = self.bits(byte, field)?;
                self.out.packed(field, bits).map_err(|reason| self.fault(reason))?;
            } else {
                self.scalar(byte, field)?;
            }
            match self.peek()? {
                b',' => {
                    self.pos += 1;
                    self.advance_element();
                }
                b']' => break,
                _ => return Err(self.fault(Reason::ExpectedCommaOrBracket)),
            }
        }
        if let Some(held) = packed {
            self.out.close_packed(held).map_err(|reason| self.fault(reason))?;
        }
        self.pos += 1;
        Ok(self.end_array())
    }

    /// Reads a value that is not a message and writes it as a field of its own.
    #[inline]
    fn scalar(&mut self, byte: u8, field: &Field) -> Result<(), Fault> {
        let keep_default = field.oneof.is_some() || field.optional || field.repeated;
        match field.kind {
            Kind::String => self.string(byte, field, keep_default),
            Kind::Bytes => self.bytes(byte, field, keep_default),
            _ => {
                let start = self.pos;
                let bits = self.bits(byte, field)?;
                if bits == 0 && !keep_default {
                    return Ok(());
                }
                self.out.scalar(field, bits).map_err(|reason| Fault { offset: start, reason })
            }
        }
    }

    /// The string at `pos`, which `byte` begins.
    #[inline]
    fn quoted(&mut self, byte: u8) -> Result<Quoted<'a>, Fault> {
        if byte != b'"' {
            return Err(self.unexpected(byte, Reason::ExpectedString));
        }
        let (quoted, after) = scan::string(self.input, self.pos)?;
        self.pos = after;
        Ok(quoted)
    }

    /// What is wrong with a value that begins with `byte` instead of what was `expected`.
    #[cold]
    fn unexpected(&self, byte: u8, expected: Reason) -> Fault {
        let value = matches!(byte, b'"' | b'{' | b'[' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9');
        self.fault(if value { expected } else { Reason::ExpectedValue })
    }

    #[inline]
    fn string(&mut self, byte: u8, field: &Field, keep_empty: bool) -> Result<(), Fault> {
        let quoted = self.quoted(byte)?;
        if !quoted.escaped && (quoted.ascii || utf8::is_valid(quoted.raw)) {
            if quoted.raw.is_empty() && !keep_empty {
                return Ok(());
            }
            let written = self.out.text(field.key(), quoted.raw);
            return written.map_err(|reason| Fault::new(quoted.start, reason));
        }
        self.unusual_string(&quoted, field, keep_empty)
    }

    /// Strings with escapes, and those that are not UTF-8.
    fn unusual_string(
        &mut self,
        quoted: &Quoted<'a>,
        field: &Field,
        keep_empty: bool,
    ) -> Result<(), Fault> {
        let options = self.options;
        // A lone surrogate grows from nothing less than 6 bytes to 3, so nothing gets longer.
        let written = self.out.text_with(
            field.key(),
            quoted.raw.len(),
            keep_empty,
            |out, body| -> Result<bool, At> {
                let lone =
                    text::unescape(quoted.raw, out).map_err(|(at, reason)| At(at, reason))?;
                if lone.count > 0 && options.invalid_text == InvalidText::Refuse {
                    return Err(At(lone.first.unwrap_or_default(), Reason::LoneSurrogate));
                }
                let written = out.get_mut(body..).unwrap_or_default();
                if quoted.ascii || utf8::is_valid(written) {
                    return Ok(lone.count > 0);
                }
                if options.invalid_text == InvalidText::Refuse {
                    return Err(At(invalid_from(quoted.raw), Reason::InvalidUtf8));
                }
                utf8::repair(written);
                Ok(true)
            },
        );
        let At(at, reason) = match written {
            Ok(repaired) => {
                self.met.invalid_utf8 = self.met.invalid_utf8.saturating_add(u32::from(repaired));
                return Ok(());
            }
            Err(at) => at,
        };
        Err(Fault::new(quoted.start + at, reason))
    }

    fn bytes(&mut self, byte: u8, field: &Field, keep_empty: bool) -> Result<(), Fault> {
        let quoted = self.quoted(byte)?;
        let unescaped;
        let digits = if quoted.escaped {
            self.scratch.clear();
            self.unescape_to_scratch(&quoted)?;
            unescaped = std::mem::take(&mut self.scratch);
            unescaped.as_slice()
        } else {
            quoted.raw
        };
        let read = if field.mark.id_len().is_some() { text::hex } else { text::base64 };
        let written = self.out.text_with(
            field.key(),
            // Never longer than three quarters of the digits.
            digits.len() - digits.len() / 4,
            keep_empty,
            |out, _| read(digits, out).map_err(|(at, reason)| At(at, reason)),
        );
        written.map_err(|At(at, reason)| {
            let at = if quoted.escaped { 0 } else { at };
            Fault::new(quoted.start + at, reason)
        })
    }

    /// The wire form of the number, bool or enum at `pos`: a varint, or the bytes of a fixed-width value.
    #[inline]
    fn bits(&mut self, byte: u8, field: &Field) -> Result<u64, Fault> {
        let start = self.pos;
        match field.kind {
            Kind::Bool => match byte {
                b't' => self.literal(b"true").map(|()| 1),
                b'f' => self.literal(b"false").map(|()| 0),
                _ => Err(self.unexpected(byte, Reason::ExpectedBool)),
            },
            Kind::Double => self.double(byte).map(f64::to_bits),
            Kind::Float => self.double(byte).map(|value| u64::from((value as f32).to_bits())),
            Kind::Enum(_) if byte == b'"' => self.enum_name(field),
            kind => {
                let whole = self.whole(byte)?;
                integer(kind, whole).ok_or(Fault { offset: start, reason: Reason::OutOfRange })
            }
        }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Fault> {
        self.pos = scan::literal(self.input, self.pos, word)?;
        Ok(())
    }

    /// The whole number at `pos`, quoted or not.
    #[inline]
    fn whole(&mut self, byte: u8) -> Result<Whole, Fault> {
        let start = self.pos;
        match byte {
            b'-' | b'0'..=b'9' => {
                let (whole, len) = number::whole(self.rest()).map_err(|unfit| at(start, unfit))?;
                self.pos += len;
                Ok(whole)
            }
            b'"' => {
                // The common case needs no look for the closing quote.
                let digits = self.input.get(start + 1..).unwrap_or_default();
                if let Ok((whole, len)) = number::whole(digits)
                    && digits.get(len) == Some(&b'"')
                {
                    self.pos += len + 2;
                    return Ok(whole);
                }
                self.quoted_number(number::whole)
            }
            _ => Err(self.unexpected(byte, Reason::ExpectedInteger)),
        }
    }

    /// The double at `pos`, quoted or not.
    #[inline]
    fn double(&mut self, byte: u8) -> Result<f64, Fault> {
        match byte {
            b'-' | b'0'..=b'9' => {
                let double = number::double(self.rest());
                let (value, len) = double.map_err(|unfit| at(self.pos, unfit))?;
                self.pos += len;
                Ok(value)
            }
            b'"' => self.quoted_number(|text| match text {
                b"NaN" => Ok((f64::NAN, text.len())),
                b"Infinity" => Ok((f64::INFINITY, text.len())),
                b"-Infinity" => Ok((f64::NEG_INFINITY, text.len())),
                _ => number::double(text),
            }),
            _ => Err(self.unexpected(byte, Reason::ExpectedNumber)),
        }
    }

    /// The number that the whole of the string at `pos` is, as `read` reads it.
    fn quoted_number<T>(
        &mut self,
        read: impl Fn(&[u8]) -> Result<(T, usize), Unfit>,
    ) -> Result<T, Fault> {
        let start = self.pos;
        let quoted = self.quoted(b'"')?;
        self.scratch.clear();
        let text = if quoted.escaped {
            self.unescape_to_scratch(&quoted)?;
            self.scratch.as_slice()
        } else {
            quoted.raw
        };
        match read(text) {
            Ok((value, len)) if len == text.len() => Ok(value),
            Ok(_) => Err(at(start, Unfit::Malformed)),
            Err(unfit) => Err(at(start, unfit)),
        }
    }

    #[inline(always)]
    fn rest(&self) -> &'a [u8] {
        self.input.get(self.pos..).unwrap_or_default()
    }

    /// The number of the enum name at `pos`, where names are allowed.
    #[cold]
    fn enum_name(&mut self, field: &Field) -> Result<u64, Fault> {
        let start = self.pos;
        let fault = |reason| Fault { offset: start, reason };
        let Kind::Enum(id) = field.kind else { return Err(fault(Reason::EnumName)) };
        if !self.options.enum_names {
            return Err(fault(Reason::EnumName));
        }
        let quoted = self.quoted(b'"')?;
        let number = std::str::from_utf8(quoted.raw).ok().and_then(|name| id.get().number(name));
        number.map(|number| number as i64 as u64).ok_or(fault(Reason::UnknownEnumName))
    }

    /// Steps over the value of an unknown key.
    #[cold]
    fn skip(&mut self) -> Result<(), Fault> {
        let options = self.options;
        let mut scratch = std::mem::take(&mut self.scratch);
        let after =
            scan::skip_value(self.input, self.pos, |quoted| judge(quoted, options, &mut scratch));
        self.scratch = scratch;
        self.pos = after?;
        Ok(())
    }

    fn judge(&mut self, quoted: &Quoted<'a>) -> Result<(), Fault> {
        judge(quoted, self.options, &mut self.scratch)
    }

    fn unescape_to_scratch(&mut self, quoted: &Quoted<'a>) -> Result<(), Fault> {
        judge(quoted, self.options, &mut self.scratch)
    }

    #[cold]
    fn explain(&self, fault: Fault) -> JsonError {
        let mut path = String::new();
        for frame in &self.stack {
            let Some(field) = frame.message.fields.get(frame.current) else { break };
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(field.json_name);
            if let Some(index) = frame.element {
                path.push_str(&format!("[{index}]"));
            }
        }
        let innermost = self.stack.last();
        let field = innermost.and_then(|frame| frame.message.fields.get(frame.current));
        fault.explain(self.input, path, field)
    }
}

/// A fault within a string.
struct At(usize, Reason);

impl From<Reason> for At {
    fn from(reason: Reason) -> Self {
        Self(0, reason)
    }
}

/// Checks a string that becomes no text field; its unescaped form is left in `scratch` if it has escapes.
fn judge(quoted: &Quoted<'_>, options: &JsonOptions, scratch: &mut Vec<u8>) -> Result<(), Fault> {
    let refuse = options.invalid_text == InvalidText::Refuse;
    if quoted.escaped {
        scratch.clear();
        let lone = text::unescape(quoted.raw, scratch)
            .map_err(|(at, reason)| Fault::new(quoted.start + at, reason))?;
        if let (true, Some(first)) = (refuse, lone.first) {
            return Err(Fault::new(quoted.start + first, Reason::LoneSurrogate));
        }
    }
    if refuse && !quoted.ascii && !utf8::is_valid(quoted.raw) {
        return Err(Fault::new(quoted.start + invalid_from(quoted.raw), Reason::InvalidUtf8));
    }
    Ok(())
}

/// Where `text` stops being UTF-8.
fn invalid_from(text: &[u8]) -> usize {
    std::str::from_utf8(text).err().map_or(0, |error| error.valid_up_to())
}

/// The index of the field called `name`.
#[inline]
fn position(message: &Message, name: &[u8], snake_case: bool) -> Option<usize> {
    message.fields.iter().position(|field| {
        field.json_name.as_bytes() == name || (snake_case && field.name.as_bytes() == name)
    })
}

fn at(offset: usize, unfit: Unfit) -> Fault {
    let reason = match unfit {
        Unfit::Malformed => Reason::MalformedNumber,
        Unfit::NotWhole => Reason::NotWhole,
        Unfit::OutOfRange => Reason::OutOfRange,
    };
    Fault { offset, reason }
}

/// The wire form of `whole` as a `kind`, if it is in range.
#[inline]
fn integer(kind: Kind, whole: Whole) -> Option<u64> {
    match kind {
        Kind::Uint64 | Kind::Fixed64 => {
            (!whole.negative || whole.magnitude == 0).then_some(whole.magnitude)
        }
        Kind::Uint32 | Kind::Fixed32 => {
            let value = u32::try_from(whole.magnitude).ok()?;
            (!whole.negative || value == 0).then_some(u64::from(value))
        }
        _ => {
            let value = if whole.negative {
                0_i64.checked_sub_unsigned(whole.magnitude)?
            } else {
                i64::try_from(whole.magnitude).ok()?
            };
            let narrow = !matches!(kind, Kind::Int64 | Kind::Sint64 | Kind::Sfixed64);
            if narrow {
                i32::try_from(value).ok()?;
            }
            Some(match kind {
                Kind::Sint32 | Kind::Sint64 => ((value << 1) ^ (value >> 63)) as u64,
                _ => value as u64,
            })
        }
    }
}
