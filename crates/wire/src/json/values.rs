//! The values of fields that are not messages: strings, ids, bytes, numbers, bools, enums.
//!
//! The usual forms (no escapes, ASCII or valid UTF-8, plain decimal integers) go straight from the input to the output;
//! everything else leaves the quick way early and costs a copy through `scratch`, or a look at the output again.

use super::error::{Fault, Reason};
use super::number::{self, Unfit, Whole};
use super::output::Output;
use super::scan::{self, Quoted};
use super::{InvalidText, JsonOptions, Transcoded, text};
use crate::schema::{Field, Kind};
use crate::utf8;

/// The JSON being read, and the protobuf being written from it.
pub(super) struct Values<'a, 'o> {
    pub(super) input: &'a [u8],
    pub(super) pos: usize,
    pub(super) options: &'a JsonOptions,
    pub(super) out: Output<'o>,
    pub(super) met: Transcoded,
    /// Unescaped keys, numbers, ids and bytes: rarely anything.
    pub(super) scratch: Vec<u8>,
}

impl<'a, 'o> Values<'a, 'o> {
    pub(super) fn new(input: &'a [u8], out: Output<'o>, options: &'a JsonOptions) -> Self {
        Self { input, pos: 0, options, out, met: Transcoded::default(), scratch: Vec::new() }
    }

    /// The next byte that is not whitespace; `pos` is moved to it.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> Result<u8, Fault> {
        self.pos = scan::whitespace(self.input, self.pos);
        self.input
            .get(self.pos)
            .copied()
            .ok_or(Fault { offset: self.input.len(), reason: Reason::UnexpectedEnd })
    }

    #[cold]
    pub(super) fn fault(&self, reason: Reason) -> Fault {
        Fault { offset: self.pos, reason }
    }

    /// Reads a value that is not a message and writes it as a field of its own.
    #[inline]
    pub(super) fn scalar(&mut self, byte: u8, field: &Field) -> Result<(), Fault> {
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
    pub(super) fn bits(&mut self, byte: u8, field: &Field) -> Result<u64, Fault> {
        let start = self.pos;
        match field.kind {
            Kind::Bool => match byte {
                b't' => self.literal(b"true").map(|()| 1),
                b'f' => self.literal(b"false").map(|()| 0),
                _ => Err(self.unexpected(byte, Reason::ExpectedBool)),
            },
            Kind::Double => self.double(byte).map(f64::to_bits),
            Kind::Float => self.double(byte).map(|value| u64::from((value as f32).to_bits())),
            Kind::Enum if byte == b'"' => Err(self.fault(Reason::EnumName)),
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

    /// Steps over the value of an unknown key.
    #[cold]
    pub(super) fn skip(&mut self) -> Result<(), Fault> {
        let options = self.options;
        let mut scratch = std::mem::take(&mut self.scratch);
        let after =
            scan::skip_value(self.input, self.pos, |quoted| judge(quoted, options, &mut scratch));
        self.scratch = scratch;
        self.pos = after?;
        Ok(())
    }

    pub(super) fn judge(&mut self, quoted: &Quoted<'a>) -> Result<(), Fault> {
        judge(quoted, self.options, &mut self.scratch)
    }

    pub(super) fn unescape_to_scratch(&mut self, quoted: &Quoted<'a>) -> Result<(), Fault> {
        judge(quoted, self.options, &mut self.scratch)
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
