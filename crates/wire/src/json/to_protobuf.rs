//! Reads a JSON request and writes protobuf as it goes.
//!
//! Flow: [`Reader::run`] steps through members and elements; each open message is a [`Frame`] on an explicit stack,
//! scalars are read and written where they stand, by [`Values`]. A frame remembers which fields it has seen, one bit each: that
//! finds keys given twice and second members of a `oneof`. The path of an error is read off the stack.

use super::error::{Fault, JsonError, Reason};
use super::output::{Held, Output};
use super::scan::{self, Quoted};
use super::values::Values;
use super::{JsonOptions, Transcoded};
use crate::schema::{Field, Kind, Message};
use crate::validate::NESTING_MAX;
use crate::{Signal, tables};

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
    let out = Output::new(out, options.output_bytes_max, input.len());
    let values = Values::new(input, out, options);
    let mut reader = Reader { values, stack: Vec::with_capacity(16) };
    match reader.run(tables::request(signal)) {
        Ok(()) => Ok(reader.values.met),
        Err(fault) => {
            reader.values.out.abandon();
            Err(reader.explain(fault))
        }
    }
}

struct Reader<'a, 'o> {
    values: Values<'a, 'o>,
    stack: Vec<Frame>,
}

/// An open message.
#[derive(Debug)]
struct Frame {
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
    fn run(&mut self, root: &'static Message) -> Result<(), Fault> {
        if self.values.input.starts_with(b"\xef\xbb\xbf") {
            return Err(Fault::new(0, Reason::ByteOrderMark));
        }
        match self.values.peek() {
            Err(fault) => return Err(Fault { reason: Reason::Empty, ..fault }),
            Ok(b'{') => self.values.pos += 1,
            Ok(_) => return Err(self.values.fault(Reason::ExpectedObject)),
        }
        let held = self.values.out.open_root();
        self.push(root, held);
        let mut step = Step::FirstMember;
        loop {
            step = match (step, self.values.peek()) {
                (Step::Done, Err(_)) => return Ok(()),
                (Step::Done, Ok(_)) => return Err(self.values.fault(Reason::TrailingBytes)),
                (_, Err(fault)) => return Err(fault),
                (Step::FirstMember | Step::AfterMember, Ok(b'}')) => self.close()?,
                (Step::FirstMember, Ok(_)) => self.member()?,
                (Step::AfterMember, Ok(b',')) => {
                    self.values.pos += 1;
                    self.values.pos = scan::whitespace(self.values.input, self.values.pos);
                    self.member()?
                }
                (Step::AfterMember, Ok(_)) => {
                    return Err(self.values.fault(Reason::ExpectedCommaOrBrace));
                }
                (Step::Element, Ok(byte)) => self.element(byte)?,
                (Step::AfterElement, Ok(b',')) => {
                    self.values.pos += 1;
                    self.advance_element();
                    Step::Element
                }
                (Step::AfterElement, Ok(b']')) => {
                    self.values.pos += 1;
                    self.end_array()
                }
                (Step::AfterElement, Ok(_)) => {
                    return Err(self.values.fault(Reason::ExpectedCommaOrBracket));
                }
            };
        }
    }

    fn push(&mut self, message: &'static Message, held: Held) {
        let frame = Frame { message, held, seen: 0, current: usize::MAX, element: None };
        self.stack.push(frame);
    }

    /// Opens the message at `pos`, which is a `{`.
    #[inline]
    fn open(&mut self, field: &Field, message: &'static Message) -> Result<Step, Fault> {
        self.check_depth()?;
        self.values.pos += 1;
        let held = self.values.out.open(field.key(), message);
        self.push(message, held);
        Ok(Step::FirstMember)
    }

    fn check_depth(&self) -> Result<(), Fault> {
        // The request itself is on the stack too.
        if self.stack.len() > NESTING_MAX {
            Err(self.values.fault(Reason::TooDeep))
        } else {
            Ok(())
        }
    }

    /// Ends the innermost message at its `}`.
    #[inline]
    fn close(&mut self) -> Result<Step, Fault> {
        let at = self.values.pos;
        self.values.pos += 1;
        let Some(frame) = self.stack.pop() else { return Ok(Step::Done) };
        let Some(around) = self.stack.last() else {
            self.values.met.foreign &= frame.seen == 0;
            return Ok(Step::Done);
        };
        let step = if around.element.is_some() { Step::AfterElement } else { Step::AfterMember };
        self.values
            .out
            .close(frame.held, frame.message)
            .map_err(|reason| Fault::new(at, reason))?;
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
        let field = if let Some(field) = self.likely() {
            field
        } else {
            let (key, after) = scan::key(self.values.input, self.values.pos)?;
            let field = self.find(&key)?;
            self.values.pos = after;
            let Some(field) = field else {
                self.values.skip()?;
                return Ok(Step::AfterMember);
            };
            field
        };
        let byte = self.values.peek()?;
        if byte == b'n' {
            self.values.pos = scan::literal(self.values.input, self.values.pos, b"null")?;
            self.forget(field)?;
            return Ok(Step::AfterMember);
        }
        self.note(field)?;
        match field.kind {
            Kind::Message(_) if field.repeated => self.messages(byte),
            Kind::Message(child) if byte == b'{' => self.open(field, child),
            Kind::Message(_) => Err(self.values.fault(Reason::ExpectedObject)),
            _ if field.repeated => self.scalars(byte, field),
            _ => {
                self.values.scalar(byte, field)?;
                Ok(Step::AfterMember)
            }
        }
    }

    /// The field after the last one, which becomes the current one if the key at `pos` is its name: writers
    /// have an order, so it usually is. `pos` is moved past the colon.
    #[inline]
    fn likely(&mut self) -> Option<&'static Field> {
        let frame = self.stack.last_mut()?;
        let index = frame.current.wrapping_add(1);
        let field = frame.message.fields.get(index)?;
        let rest = self.values.input.get(self.values.pos..)?.strip_prefix(b"\"")?;
        if !rest.strip_prefix(field.json_name.as_bytes())?.starts_with(b"\":") {
            return None;
        }
        frame.current = index;
        self.values.pos += field.json_name.len() + 3;
        Some(field)
    }

    /// The field that `key` names, which becomes the current one.
    #[inline]
    fn find(&mut self, key: &Quoted<'a>) -> Result<Option<&'static Field>, Fault> {
        let Some(frame) = self.stack.last_mut() else { return Ok(None) };
        if !key.escaped
            && let Some(index) =
                frame.message.fields.iter().position(|f| f.json_name.as_bytes() == key.raw)
        {
            frame.current = index;
            return Ok(frame.message.fields.get(index));
        }
        self.find_unusual(key)
    }

    /// Keys with escapes, in `snake_case`, and unknown ones.
    #[cold]
    fn find_unusual(&mut self, key: &Quoted<'a>) -> Result<Option<&'static Field>, Fault> {
        let unescaped;
        let name = if key.escaped {
            self.values.scratch.clear();
            self.values.unescape_to_scratch(key)?;
            unescaped = std::mem::take(&mut self.values.scratch);
            unescaped.as_slice()
        } else {
            self.values.judge(key)?;
            key.raw
        };
        let Some(frame) = self.stack.last_mut() else { return Ok(None) };
        let called =
            |field: &Field| [field.json_name, field.name].map(str::as_bytes).contains(&name);
        let found = frame.message.fields.iter().position(called);
        frame.current = found.unwrap_or(usize::MAX);
        self.values.met.foreign |= found.is_none();
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
                    return Err(Fault { offset: self.values.pos, reason: Reason::TwoOfOneof });
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
            let removed = self.values.out.remove(frame.held.body, field.number);
            removed.map_err(|reason| Fault { offset: self.values.pos, reason })?;
        }
        Ok(())
    }

    /// Starts an array of messages.
    fn messages(&mut self, byte: u8) -> Result<Step, Fault> {
        if byte != b'[' {
            return Err(self.values.fault(Reason::ExpectedArray));
        }
        self.values.pos += 1;
        if self.values.peek()? == b']' {
            self.values.pos += 1;
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
        let Some((field, Kind::Message(child))) = current.map(|field| (field, field.kind)) else {
            return Err(self.values.fault(Reason::ExpectedValue));
        };
        match byte {
            b'{' => self.open(field, child),
            b'n' => {
                self.check_depth()?;
                self.values.pos = scan::literal(self.values.input, self.values.pos, b"null")?;
                self.values
                    .out
                    .empty_message(field.key())
                    .map_err(|reason| self.values.fault(reason))?;
                Ok(Step::AfterElement)
            }
            b']' => Err(self.values.fault(Reason::ExpectedValue)),
            _ => Err(self.values.fault(Reason::ExpectedObject)),
        }
    }

    /// Reads a whole array of scalars.
    fn scalars(&mut self, byte: u8, field: &Field) -> Result<Step, Fault> {
        if byte != b'[' {
            return Err(self.values.fault(Reason::ExpectedArray));
        }
        self.values.pos += 1;
        if self.values.peek()? == b']' {
            self.values.pos += 1;
            return Ok(Step::AfterMember);
        }
        let packed = field.kind.is_packable().then(|| self.values.out.open_packed(field));
        if let Some(frame) = self.stack.last_mut() {
            frame.element = Some(0);
        }
        loop {
            let byte = self.values.peek()?;
            if byte == b'n' {
                return Err(self.values.fault(Reason::NullElement));
            }
            if packed.is_some() {
                let bits = self.values.bits(byte, field)?;
                self.values.out.packed(field, bits).map_err(|reason| self.values.fault(reason))?;
            } else {
                self.values.scalar(byte, field)?;
            }
            match self.values.peek()? {
                b',' => {
                    self.values.pos += 1;
                    self.advance_element();
                }
                b']' => break,
                _ => return Err(self.values.fault(Reason::ExpectedCommaOrBracket)),
            }
        }
        if let Some(held) = packed {
            self.values.out.close_packed(held).map_err(|reason| self.values.fault(reason))?;
        }
        self.values.pos += 1;
        Ok(self.end_array())
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
        fault.explain(self.values.input, path, field)
    }
}
