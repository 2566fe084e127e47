//! The lexical level of JSON: whitespace, where strings end, and skipping values nobody asked for.
//!
//! Strings are searched 8 bytes at a time for a quote, a backslash or a control character, while collecting
//! whether any byte is beyond ASCII. Cost: under 1 ns for 8 bytes. Skipping holds one bit per open bracket.

use super::error::{Fault, Reason};
use super::number;
use crate::validate::NESTING_MAX;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// A string between its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quoted<'a> {
    /// Position of the first byte after the opening quote.
    pub(super) start: usize,
    /// The bytes between the quotes, escapes as written.
    pub(super) raw: &'a [u8],
    /// Whether `raw` has a backslash.
    pub(super) escaped: bool,
    /// Whether `raw` has only bytes below 0x80.
    pub(super) ascii: bool,
}

/// The position of the first byte from `pos` on that is not whitespace.
#[inline(always)]
pub(super) fn whitespace(input: &[u8], pos: usize) -> usize {
    match input.get(pos) {
        Some(b' ' | b'\n' | b'\t' | b'\r') => more_whitespace(input, pos + 1),
        _ => pos,
    }
}

#[inline(never)]
fn more_whitespace(input: &[u8], pos: usize) -> usize {
    let rest = input.get(pos..).unwrap_or_default();
    let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\r'));
    pos + blank.count()
}

/// The string whose opening quote is at `pos`, and the position after its closing quote. Escapes are stepped over, not
/// judged.
#[inline]
pub(super) fn string(input: &[u8], pos: usize) -> Result<(Quoted<'_>, usize), Fault> {
    let start = pos + 1;
    let mut at = start;
    let mut seen = 0_u64;
    let mut escaped = false;
    loop {
        if let Some(word) = input.get(at..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_le_bytes(*word);
            let special = special_bytes(word);
            if special == 0 {
                seen |= word;
                at += 8;
                continue;
            }
            // The bits below the lowest one set are those of the bytes before it.
            seen |= word & (special & special.wrapping_neg()).wrapping_sub(1);
            at += (special.trailing_zeros() / 8) as usize;
        }
        match input.get(at) {
            Some(b'"') => {
                let raw = input.get(start..at).unwrap_or_default();
                let ascii = seen & HIGH == 0;
                return Ok((Quoted { start, raw, escaped, ascii }, at + 1));
            }
            Some(b'\\') => {
                escaped = true;
                // What follows is judged when unescaping; a cut one ends the loop below.
                seen |= input.get(at + 1).copied().map_or(0, u64::from);
                at += 2;
            }
            Some(&byte) if byte < 0x20 => return Err(Fault::new(at, Reason::ControlCharacter)),
            Some(&byte) => {
                seen |= u64::from(byte);
                at += 1;
            }
            None => return Err(Fault::new(input.len(), Reason::UnexpectedEnd)),
        }
    }
}

/// The high bit of each byte of `word` that is a quote, a backslash or below 0x20; above the lowest such
/// byte other bits may be set too.
#[inline(always)]
fn special_bytes(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (zero(quote) | zero(backslash) | control) & HIGH
}

/// The position of the first byte of `text` that a JSON string has to escape, or its length.
#[inline]
pub(super) fn plain_prefix(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        if let Some(word) = text.get(at..).and_then(<[u8]>::first_chunk) {
            let special = special_bytes(u64::from_le_bytes(*word));
            if special == 0 {
                at += 8;
                continue;
            }
            return at + (special.trailing_zeros() / 8) as usize;
        }
        match text.get(at) {
            Some(b'"' | b'\\' | 0..=0x1f) | None => return at,
            Some(_) => at += 1,
        }
    }
}

/// The position after the value at `pos`, which is checked to be JSON; `judge` sees each string in it.
pub(super) fn skip_value<'a>(
    input: &'a [u8],
    pos: usize,
    mut judge: impl FnMut(&Quoted<'a>) -> Result<(), Fault>,
) -> Result<usize, Fault> {
    // One bit per open bracket, the innermost lowest: set for an object.
    let mut open: u128 = 0;
    let mut depth = 0_usize;
    let mut pos = pos;
    loop {
        pos = whitespace(input, pos);
        let byte = *input.get(pos).ok_or(Fault::new(input.len(), Reason::UnexpectedEnd))?;
        if byte == b'{' || byte == b'[' {
            let object = byte == b'{';
            let inside = whitespace(input, pos + 1);
            if input.get(inside) == Some(&if object { b'}' } else { b']' }) {
                pos = inside + 1;
            } else {
                depth += 1;
                if depth > NESTING_MAX {
                    return Err(Fault::new(pos, Reason::TooDeep));
                }
                open = (open << 1) | u128::from(object);
                pos = if object { skip_key(input, inside, &mut judge)? } else { inside };
                continue;
            }
        } else {
            pos = skip_scalar(input, pos, byte, &mut judge)?;
        }
        // After a value: close what ends here, or go on with the next one.
        loop {
            if depth == 0 {
                return Ok(pos);
            }
            pos = whitespace(input, pos);
            let object = open & 1 == 1;
            match input.get(pos) {
                Some(b',') if object => {
                    pos = skip_key(input, whitespace(input, pos + 1), &mut judge)?;
                    break;
                }
                Some(b',') => {
                    pos += 1;
                    break;
                }
                Some(b'}') if object => {}
                Some(b']') if !object => {}
                None => return Err(Fault::new(input.len(), Reason::UnexpectedEnd)),
                Some(_) if object => return Err(Fault::new(pos, Reason::ExpectedCommaOrBrace)),
                Some(_) => return Err(Fault::new(pos, Reason::ExpectedCommaOrBracket)),
            }
            pos += 1;
            open >>= 1;
            depth -= 1;
        }
    }
}

/// The position after the key at `pos` and its colon.
fn skip_key<'a>(
    input: &'a [u8],
    pos: usize,
    judge: &mut impl FnMut(&Quoted<'a>) -> Result<(), Fault>,
) -> Result<usize, Fault> {
    let (key, after) = key(input, pos)?;
    judge(&key)?;
    Ok(after)
}

/// The key at `pos` and the position after its colon.
#[inline]
pub(super) fn key(input: &[u8], pos: usize) -> Result<(Quoted<'_>, usize), Fault> {
    match input.get(pos) {
        Some(b'"') => {}
        Some(_) => return Err(Fault::new(pos, Reason::ExpectedKey)),
        None => return Err(Fault::new(input.len(), Reason::UnexpectedEnd)),
    }
    let (key, after) = string(input, pos)?;
    let colon = whitespace(input, after);
    match input.get(colon) {
        Some(b':') => Ok((key, colon + 1)),
        Some(_) => Err(Fault::new(colon, Reason::ExpectedColon)),
        None => Err(Fault::new(input.len(), Reason::UnexpectedEnd)),
    }
}

fn skip_scalar<'a>(
    input: &'a [u8],
    pos: usize,
    first: u8,
    judge: &mut impl FnMut(&Quoted<'a>) -> Result<(), Fault>,
) -> Result<usize, Fault> {
    match first {
        b'"' => {
            let (quoted, after) = string(input, pos)?;
            judge(&quoted)?;
            Ok(after)
        }
        b't' => literal(input, pos, b"true"),
        b'f' => literal(input, pos, b"false"),
        b'n' => literal(input, pos, b"null"),
        b'-' | b'0'..=b'9' => {
            let token = number::token(input.get(pos..).unwrap_or_default());
            Ok(pos + token.ok_or(Fault::new(pos, Reason::MalformedNumber))?)
        }
        _ => Err(Fault::new(pos, Reason::ExpectedValue)),
    }
}

/// The position after `word`, which has to stand at `pos`.
#[inline]
pub(super) fn literal(input: &[u8], pos: usize, word: &[u8]) -> Result<usize, Fault> {
    let rest = input.get(pos..).unwrap_or_default();
    if rest.starts_with(word) {
        Ok(pos + word.len())
    } else if word.starts_with(rest) {
        Err(Fault::new(input.len(), Reason::UnexpectedEnd))
    } else {
        Err(Fault::new(pos, Reason::ExpectedValue))
    }
}
