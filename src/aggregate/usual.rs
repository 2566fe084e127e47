//! The fields of a span that are counted by, the fast way: one walk over a span written in the usual form.
//!
//! Usual is what SDKs write: one-byte keys but for the flags, attributes with the key before the value and shorter than 128
//! bytes. An attribute in another form is read by the view, and so is a whole span that is: the view reads every
//! legal form, and a property test holds both to the same answer. Most attributes are only stepped over ([`super::asked`]).

use sidelight_wire::view::traces::Span;
use sidelight_wire::view::{Attribute, Value};

use super::asked::{Asked, Chain, DATABASE, FAMILY, Known, NUMBERS, TEXTS, VALUE};
use super::{asked, grpc};

/// What is needed of a span, borrowed from the request. Of attributes that say the same under an old and a present name, the
/// present one counts; of two with the same name, the first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    /// The bytes of the span.
    pub(super) size: usize,
    pub(super) trace_id: &'a [u8],
    pub(super) span_id: &'a [u8],
    pub(super) parent_span_id: &'a [u8],
    pub(super) trace_state: &'a [u8],
    pub(super) name: &'a [u8],
    pub(super) kind: i32,
    pub(super) status: i32,
    pub(super) start_unix_nano: u64,
    pub(super) end_unix_nano: u64,
    /// By [`Asked`], none of them empty; without a rank what another span left here.
    pub(super) texts: [&'a [u8]; TEXTS],
    /// By [`Asked`] after the texts; the same.
    pub(super) numbers: [i64; NUMBERS],
    /// By [`Asked`], the ranks of the keys that these came under; 0 where there was none.
    pub(super) ranks: [u8; TEXTS + NUMBERS],
    pub(super) says: u8,
}

const TRACE_ID: u8 = 1 << 3 | 2;
const SPAN_ID: u8 = 2 << 3 | 2;
const TRACE_STATE: u8 = 3 << 3 | 2;
const PARENT_SPAN_ID: u8 = 4 << 3 | 2;
const NAME: u8 = 5 << 3 | 2;
const KIND: u8 = 6 << 3;
const START: u8 = 7 << 3 | 1;
const END: u8 = 8 << 3 | 1;
const ATTRIBUTE: u8 = 9 << 3 | 2;
const DROPPED_ATTRIBUTES: u8 = 10 << 3;
const EVENT: u8 = 11 << 3 | 2;
const DROPPED_EVENTS: u8 = 12 << 3;
const LINK: u8 = 13 << 3 | 2;
const DROPPED_LINKS: u8 = 14 << 3;
const STATUS: u8 = 15 << 3 | 2;
/// The first byte of the key of field 16, flags; the second is 1.
const FLAGS: u8 = 0x85;

/// How an attribute in the usual form begins, but for its length and that of its key, …
const USUAL_HEAD: u32 = u32::from_le_bytes([ATTRIBUTE, 0, KEY, 0]);
/// … and what of its first four bytes is the same in all: neither length has a second byte.
const USUAL_LENGTHS: u32 = u32::from_le_bytes([0xff, 0x80, 0xff, 0x80]);

/// The key of an attribute.
const KEY: u8 = 1 << 3 | 2;
/// A value that is a text.
const TEXT: u8 = 1 << 3 | 2;
/// A value that is a number.
const NUMBER: u8 = 3 << 3;

impl<'a> Fields<'a> {
    /// `http.route`.
    #[inline]
    pub(super) fn route(&self) -> Option<&'a [u8]> {
        self.text(Asked::Route)
    }

    /// `http.request.method`, `http.method`.
    #[inline]
    pub(super) fn method(&self) -> Option<&'a [u8]> {
        self.text(Asked::Method)
    }

    /// `http.response.status_code`, `http.status_code`.
    #[inline]
    pub(super) fn http_status(&self) -> Option<i64> {
        self.number(Asked::HttpStatus)
    }

    /// `rpc.method`.
    pub(super) fn rpc_method(&self) -> Option<&'a [u8]> {
        self.text(Asked::RpcMethod)
    }

    /// `rpc.service`, where the method does not say it.
    pub(super) fn rpc_service(&self) -> Option<&'a [u8]> {
        self.text(Asked::RpcService)
    }

    /// `rpc.response.status_code`, `rpc.grpc.status_code`.
    #[inline]
    pub(super) fn grpc_status(&self) -> Option<i64> {
        self.number(Asked::GrpcStatus)
    }

    /// `messaging.operation.name`, `messaging.operation`.
    pub(super) fn messaging_operation(&self) -> Option<&'a [u8]> {
        self.text(Asked::MessagingOperation)
    }

    /// `messaging.destination.name`, `messaging.destination`.
    pub(super) fn messaging_destination(&self) -> Option<&'a [u8]> {
        self.text(Asked::MessagingDestination)
    }

    /// Whom a client calls: `service.peer.name`, `peer.service`, the database's namespace or system,
    /// `server.address`, or the old names of these.
    #[inline]
    pub(super) fn peer(&self) -> Option<&'a [u8]> {
        self.text(Asked::Peer)
    }

    /// Whether an attribute says that the peer is a database.
    #[inline]
    pub(super) const fn database(&self) -> bool {
        self.says & DATABASE != 0
    }

    /// Whether it says something of a family that few spans say: of a cache, an attempt, a language model, or by events.
    #[inline]
    pub(super) const fn of_family(&self) -> bool {
        self.says & FAMILY != 0
    }

    #[inline(always)]
    fn text(&self, asked: Asked) -> Option<&'a [u8]> {
        let rank = self.ranks.get(asked as usize).filter(|rank| **rank > 0);
        rank.and_then(|_| self.texts.get(asked as usize).copied())
    }

    #[inline(always)]
    fn number(&self, asked: Asked) -> Option<i64> {
        let rank = self.ranks.get(asked as usize).filter(|rank| **rank > 0);
        rank.and_then(|_| self.numbers.get((asked as usize).wrapping_sub(TEXTS)).copied())
    }

    /// The fields of a span in any legal form.
    pub(super) fn of(span: &'a [u8]) -> Self {
        let mut fields = Self::default();
        fields.read(span);
        fields
    }

    /// Takes up the fields of a span in any legal form, in place of those of another.
    #[inline]
    pub(super) fn read(&mut self, span: &'a [u8]) {
        if self.read_usual(span).is_none() {
            *self = Self::of_view(&Span::new(span));
        }
    }

    /// The same by way of the view.
    #[cold]
    pub(super) fn of_view(span: &Span<'a>) -> Self {
        let mut fields = Self {
            size: span.as_bytes().len(),
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_span_id: span.parent_span_id,
            trace_state: span.trace_state.as_bytes(),
            name: span.name.as_bytes(),
            kind: span.kind,
            status: span.status.code,
            start_unix_nano: span.start_time_unix_nano,
            end_unix_nano: span.end_time_unix_nano,
            says: if span.events().next().is_some() { FAMILY } else { 0 },
            ..Self::default()
        };
        for attribute in span.attributes() {
            fields.take(attribute.key.as_bytes(), || attribute.value.get());
        }
        fields
    }

    /// `None` for a span in an unusual form, and some of the fields are filled in.
    #[inline(always)]
    fn read_usual(&mut self, span: &'a [u8]) -> Option<()> {
        let (start, mut rest) = Start::of(span);
        self.begin(span.len(), start);
        loop {
            rest = self.read_attributes(rest);
            let Some((&key, after)) = rest.split_first() else { return Some(()) };
            rest = match key {
                ATTRIBUTE => {
                    let (attribute, after) = delimited(after)?;
                    self.note(attribute);
                    after
                }
                START | END => {
                    let (time, after) = after.split_first_chunk()?;
                    let (start, end) = (&mut self.start_unix_nano, &mut self.end_unix_nano);
                    *(if key == START { start } else { end }) = u64::from_le_bytes(*time);
                    after
                }
                KIND => {
                    let (&kind @ 0..0x80, after) = after.split_first()? else { return None };
                    self.kind = i32::from(kind);
                    after
                }
                FLAGS => {
                    let (&[1, ..], after) = after.split_first_chunk::<5>()? else { return None };
                    after
                }
                DROPPED_ATTRIBUTES | DROPPED_EVENTS | DROPPED_LINKS => varint(after)?.1,
                STATUS => {
                    let (status, after) = delimited(after)?;
                    self.status = status_code(status)?.unwrap_or(self.status);
                    after
                }
                TRACE_ID | SPAN_ID | TRACE_STATE | PARENT_SPAN_ID | NAME => {
                    let (bytes, after) = delimited(after)?;
                    let slot = match key {
                        TRACE_ID => &mut self.trace_id,
                        SPAN_ID => &mut self.span_id,
                        TRACE_STATE => &mut self.trace_state,
                        NAME => &mut self.name,
                        _ => &mut self.parent_span_id,
                    };
                    *slot = bytes;
                    after
                }
                EVENT => {
                    self.says |= FAMILY;
                    delimited(after)?.1
                }
                LINK => delimited(after)?.1,
                _ => return None,
            };
        }
    }

    /// Makes it those of another span, of which nothing but its start was read.
    #[inline(always)]
    fn begin(&mut self, size: usize, start: Start<'a>) {
        self.size = size;
        (self.trace_id, self.span_id) = (start.trace_id, start.span_id);
        (self.parent_span_id, self.trace_state) = (start.parent_span_id, &[]);
        (self.name, self.kind, self.status) = (start.name, start.kind, 0);
        (self.start_unix_nano, self.end_unix_nano) = (start.start_unix_nano, start.end_unix_nano);
        (self.ranks, self.says) = ([0; _], 0);
    }

    /// Reads as many attributes in the usual form as follow each other; what follows them.
    #[inline(always)]
    fn read_attributes(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        // The key and length of the attribute, those of its own key, and the beginning of that.
        while let Some((head, beginning)) =
            rest.first_chunk::<12>().and_then(|start| start.split_first_chunk())
            && let head = u32::from_le_bytes(*head)
            && head & USUAL_LENGTHS == USUAL_HEAD
            && let (len, key_len) = ((head >> 8 & 0x7f) as usize, (head >> 24) as usize)
            && let Some([key, value_len]) = rest.get(4 + key_len..6 + key_len)
            // Nothing follows the value, so it says as well that the key ends within the attribute.
            && *key == VALUE
            && key_len + 4 + usize::from(*value_len) == len
            && let Some((attribute, after)) = rest.split_at_checked(2 + len)
        {
            if let Some(beginning) = beginning.first_chunk()
                && let Some(chain) = asked::chain(beginning, head >> 24)
                && let Some(key) = attribute.get(4..4 + key_len)
                && let Some(value) = attribute.get(6 + key_len..)
                && self.note_usual(chain, key, value).is_none()
            {
                return rest;
            }
            rest = after;
        }
        rest
    }

    /// Keeps the value of an attribute that is asked for; `None` where it is in an unusual form.
    #[inline(always)]
    fn note_usual(&mut self, chain: Chain, key: &[u8], value: &'a [u8]) -> Option<()> {
        let Some(known) = chain.find(key) else { return Some(()) };
        if (known.asked as usize) < TEXTS {
            self.offer_text(known, framed(value, TEXT)?);
        } else if known.asked == Asked::Nothing {
            self.says |= known.says;
        } else {
            let number = match *value {
                [NUMBER, number @ ..0x80] => i64::from(number),
                [NUMBER, low, high @ ..0x80] => i64::from(low & 0x7f) | i64::from(high) << 7,
                _ => return None,
            };
            self.offer_number(known, number);
        }
        Some(())
    }

    /// Keeps the value of an attribute that is asked for.
    fn note(&mut self, attribute: &'a [u8]) {
        let attribute = Attribute::new(attribute);
        self.take(attribute.key.as_bytes(), || attribute.value.get());
    }

    /// Keeps the value of an attribute that is asked for.
    pub(super) fn take(&mut self, key: &[u8], value: impl FnOnce() -> Value<'a>) {
        let Some(known) = asked::known(key) else { return };
        if known.asked == Asked::Nothing {
            self.says |= known.says;
            return;
        }
        match value() {
            Value::String(text) if (known.asked as usize) < TEXTS => {
                self.offer_text(known, text.as_bytes());
            }
            Value::Int(number) => self.offer_number(known, number),
            // Some write numbers as text, and conventions the status of gRPC by its name.
            Value::String(text) => {
                let of_grpc = known.asked == Asked::GrpcStatus;
                let named = |text: &str| of_grpc.then(|| grpc::code(text))?;
                let number =
                    text.as_str().and_then(|text| text.parse().ok().or_else(|| named(text)));
                number.into_iter().for_each(|number| self.offer_number(known, number));
            }
            _ => {}
        }
    }

    #[inline(always)]
    fn offer_text(&mut self, known: &Known, text: &'a [u8]) {
        let place = known.asked as usize;
        if let (Some(slot), Some(rank)) = (self.texts.get_mut(place), self.ranks.get_mut(place))
            && !text.is_empty()
        {
            self.says |= known.says;
            if known.rank > *rank {
                (*slot, *rank) = (text, known.rank);
            }
        }
    }

    #[inline(always)]
    fn offer_number(&mut self, known: &Known, number: i64) {
        let place = known.asked as usize;
        if let Some(slot) = self.numbers.get_mut(place.wrapping_sub(TEXTS))
            && let Some(rank) = self.ranks.get_mut(place)
            && known.rank > *rank
        {
            (*slot, *rank) = (number, known.rank);
        }
    }
}

/// What most writers begin a span with.
#[derive(Clone, Copy, Debug, Default)]
struct Start<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent_span_id: &'a [u8],
    name: &'a [u8],
    kind: i32,
    start_unix_nano: u64,
    end_unix_nano: u64,
}

impl<'a> Start<'a> {
    /// The start of a span, and what follows it; nothing of a span that begins otherwise.
    #[inline(always)]
    fn of(span: &'a [u8]) -> (Self, &'a [u8]) {
        Self::usual(span).unwrap_or((Self::default(), span))
    }

    /// Ids of 16 and 8 bytes, perhaps a parent, a name shorter than 128 bytes, a kind and two times.
    #[inline(always)]
    fn usual(span: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let ([TRACE_ID, 16, ids @ ..], rest) = span.split_first_chunk::<28>()? else { return None };
        let (trace_id, [SPAN_ID, 8, span_id @ ..]) = ids.split_at(16) else { return None };
        let (parent_span_id, rest) = match rest.split_first_chunk::<10>()? {
            ([PARENT_SPAN_ID, 8, parent @ ..], rest) => (&parent[..], rest),
            _ => (&[][..], rest),
        };
        let (&[NAME, len @ ..0x80], rest) = rest.split_first_chunk()? else { return None };
        let (name, rest) = rest.split_at_checked(usize::from(len))?;
        let ([KIND, kind @ ..0x80, START, times @ ..], rest) = rest.split_first_chunk::<20>()?
        else {
            return None;
        };
        let (start, [END, end @ ..]) = times.split_at(8) else { return None };
        let time = |bytes: &[u8]| bytes.first_chunk().map(|time| u64::from_le_bytes(*time));
        let (start_unix_nano, end_unix_nano) = (time(start)?, time(end)?);
        let kind = i32::from(*kind);
        let start =
            Self { trace_id, span_id, parent_span_id, name, kind, start_unix_nano, end_unix_nano };
        Some((start, rest))
    }
}

/// The code of a status in the usual form: an optional message, then an optional one-byte code.
#[expect(clippy::option_option, reason = "an unusual status is not one without a code")]
fn status_code(status: &[u8]) -> Option<Option<i32>> {
    let after_message = match status.split_first() {
        Some((0x12, message)) => delimited(message)?.1,
        _ => status,
    };
    match *after_message {
        [] => Some(None),
        [0x18, code @ 0..0x80] => Some(Some(i32::from(code))),
        _ => None,
    }
}

/// The content of a message that is one field with this key, shorter than 128 bytes, and nothing else.
#[inline(always)]
fn framed(message: &[u8], key: u8) -> Option<&[u8]> {
    let (head, content) = message.split_first_chunk()?;
    let expected = usize::from(key) | content.len() << 8;
    (usize::from(u16::from_le_bytes(*head)) == expected && content.len() < 0x80).then_some(content)
}

/// The content that a length introduces, and what follows it.
#[inline(always)]
fn delimited(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if let (&[length @ 0..0x80], after) = bytes.split_first_chunk()? {
        return after.split_at_checked(length.into());
    }
    let (length, after) = varint(bytes)?;
    after.split_at_checked(usize::try_from(length).ok()?)
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (value, next) = sidelight_wire::varint::read(bytes, 0)?;
    Some((value, bytes.get(next..)?))
}

#[cfg(test)]
mod tests;
