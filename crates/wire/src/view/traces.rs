//! Views of a traces request.
//!
//! ```
//! use sidelight_wire::view::traces::Request;
//!
//! fn print(bytes: &[u8]) {
//!     for resource in Request::new(bytes).resources() {
//!         let service = resource.resource().service_name().unwrap_or_default();
//!         for scope in resource.scope_spans() {
//!             for span in scope.spans() {
//!                 let nanos = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
//!                 println!("{service} {} {nanos}", span.name);
//!                 for attribute in span.attributes() {
//!                     println!("  {} = {:?}", attribute.key, attribute.value.get());
//!                 }
//!             }
//!         }
//!     }
//! }
//! ```

use super::scope::{envelope, last_text};
use super::{Attributes, Message, Resource, Run, Scope, Text, set};
use crate::field::{Fields, RawValue, Reader, key};
use crate::schema::WireType;

envelope!(Request, ResourceSpans, ScopeSpans, scope_spans, Span, spans);

impl<'a> ScopeSpans<'a> {
    /// The bytes of each span in order, for readers that need few of its fields.
    pub fn span_bytes(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        Message::Whole(self.0).elements(2)
    }
}

const TRACE_ID: u32 = key(1, WireType::Len);
const SPAN_ID: u32 = key(2, WireType::Len);
const TRACE_STATE: u32 = key(3, WireType::Len);
const PARENT_SPAN_ID: u32 = key(4, WireType::Len);
const NAME: u32 = key(5, WireType::Len);
const KIND: u32 = key(6, WireType::Varint);
const START_TIME: u32 = key(7, WireType::Fixed64);
const END_TIME: u32 = key(8, WireType::Fixed64);
const ATTRIBUTES: u32 = key(9, WireType::Len);
const DROPPED_ATTRIBUTES: u32 = key(10, WireType::Varint);
const EVENTS: u32 = key(11, WireType::Len);
const DROPPED_EVENTS: u32 = key(12, WireType::Varint);
const LINKS: u32 = key(13, WireType::Len);
const DROPPED_LINKS: u32 = key(14, WireType::Varint);
const STATUS: u32 = key(15, WireType::Len);
const FLAGS: u32 = key(16, WireType::Fixed32);

/// A span: its scalar fields, read in one pass when the view is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span<'a> {
    bytes: &'a [u8],
    /// 16 bytes if usable.
    pub trace_id: &'a [u8],
    /// 8 bytes if usable.
    pub span_id: &'a [u8],
    /// 8 bytes; empty for a root span.
    pub parent_span_id: &'a [u8],
    /// W3C `tracestate`.
    pub trace_state: Text<'a>,
    /// W3C trace flags in bits 0 to 7; bits 8 and 9 say whether the parent is remote.
    pub flags: u32,
    /// The span's name.
    pub name: Text<'a>,
    /// `SpanKind`: 1 internal, 2 server, 3 client, 4 producer, 5 consumer, 0 unspecified; others are possible.
    pub kind: i32,
    /// Start, in nanoseconds since the Unix epoch.
    pub start_time_unix_nano: u64,
    /// End, in nanoseconds since the Unix epoch.
    pub end_time_unix_nano: u64,
    /// Attributes the SDK dropped.
    pub dropped_attributes_count: u32,
    /// Events the SDK dropped.
    pub dropped_events_count: u32,
    /// Links the SDK dropped.
    pub dropped_links_count: u32,
    /// The outcome.
    pub status: Status<'a>,
    attributes: Run,
    events: Run,
    links: Run,
}

/// The outcome of a span.
#[derive(Clone, Copy, Debug, Default)]
pub struct Status<'a> {
    /// `StatusCode`: 0 unset, 1 ok, 2 error; others are possible.
    pub code: i32,
    /// What went wrong.
    pub message: Text<'a>,
}

impl<'a> Status<'a> {
    fn merge(&mut self, bytes: &'a [u8]) {
        for field in Fields::new(bytes, 0) {
            match field.number {
                2 => set(&mut self.message, field.value.text()),
                3 => set(&mut self.code, field.value.varint().map(|code| code as i32)),
                _ => {}
            }
        }
    }
}

impl<'a> Span<'a> {
    /// A view of the bytes of one span.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut span = Self { bytes, ..Self::default() };
        // A broken span keeps what was read before the break.
        let _ = span.read(bytes);
        span
    }

    /// Ids, name, kind and times as most writers put them: at constant offsets but for the name's length.
    #[inline(always)]
    fn read_usual_start(&mut self, reader: &mut Reader<'a>) -> Option<()> {
        if let Some(id) = reader.take_if::<18>(|field| matches!(field, [0x0a, 16, ..])) {
            self.trace_id = id.get(2..)?;
        }
        if let Some(id) = reader.take_if::<10>(|field| matches!(field, [0x12, 8, ..])) {
            self.span_id = id.get(2..)?;
        }
        if let Some(id) = reader.take_if::<10>(|field| matches!(field, [0x22, 8, ..])) {
            self.parent_span_id = id.get(2..)?;
        }
        if reader.key_again(NAME) {
            self.name = Text(reader.delimited()?);
        }
        if let Some([_, kind]) = reader.take_if(|field| matches!(field, [0x30, 0..0x80])) {
            self.kind = i32::from(*kind);
        }
        if let Some(time) = reader.take_if::<9>(|field| field.starts_with(&[0x39])) {
            self.start_time_unix_nano = u64::from_le_bytes(*time.last_chunk()?);
        }
        if let Some(time) = reader.take_if::<9>(|field| field.starts_with(&[0x41])) {
            self.end_time_unix_nano = u64::from_le_bytes(*time.last_chunk()?);
        }
        Some(())
    }

    #[inline]
    fn read(&mut self, bytes: &'a [u8]) -> Option<()> {
        let mut reader = Reader::new(bytes);
        self.read_usual_start(&mut reader)?;
        loop {
            let start = reader.pos;
            let key = reader.key()?;
            match key {
                TRACE_ID => self.trace_id = reader.delimited()?,
                SPAN_ID => self.span_id = reader.delimited()?,
                TRACE_STATE => self.trace_state = Text(reader.delimited()?),
                PARENT_SPAN_ID => self.parent_span_id = reader.delimited()?,
                NAME => self.name = Text(reader.delimited()?),
                KIND => self.kind = reader.varint()? as i32,
                START_TIME => self.start_time_unix_nano = reader.fixed64()?,
                END_TIME => self.end_time_unix_nano = reader.fixed64()?,
                ATTRIBUTES => {
                    reader.delimited()?;
                    while reader.key_again(ATTRIBUTES) {
                        reader.delimited()?;
                    }
                    self.attributes.extend_to(start, reader.pos);
                }
                DROPPED_ATTRIBUTES => self.dropped_attributes_count = reader.varint()? as u32,
                EVENTS => {
                    reader.delimited()?;
                    self.events.extend_to(start, reader.pos);
                }
                DROPPED_EVENTS => self.dropped_events_count = reader.varint()? as u32,
                LINKS => {
                    reader.delimited()?;
                    self.links.extend_to(start, reader.pos);
                }
                DROPPED_LINKS => self.dropped_links_count = reader.varint()? as u32,
                STATUS => self.status.merge(reader.delimited()?),
                FLAGS => self.flags = reader.fixed32()?,
                unknown => reader.skip(unknown)?,
            }
        }
    }

    /// The attributes in order.
    #[inline]
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.attributes.within(self.bytes), 9)
    }

    /// The events in order.
    pub fn events(&self) -> impl Iterator<Item = Event<'a>> + Clone + use<'a> {
        self.events.within(self.bytes).elements(11).map(Event::new)
    }

    /// The links in order.
    pub fn links(&self) -> impl Iterator<Item = Link<'a>> + Clone + use<'a> {
        self.links.within(self.bytes).elements(13).map(Link::new)
    }

    /// The whole span as it lies in the request.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Something that happened during a span.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event<'a> {
    bytes: &'a [u8],
    /// When, in nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// The event's name, such as `exception`.
    pub name: Text<'a>,
    /// Attributes the SDK dropped.
    pub dropped_attributes_count: u32,
}

impl<'a> Event<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut event = Self { bytes, ..Self::default() };
        for field in Fields::new(bytes, 0) {
            match (field.number, field.value) {
                (1, RawValue::Fixed64(time)) => event.time_unix_nano = time,
                (2, RawValue::Len(text)) => event.name = Text(text),
                (4, RawValue::Varint(count)) => event.dropped_attributes_count = count as u32,
                _ => {}
            }
        }
        event
    }

    /// The attributes in order.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(Message::Whole(self.bytes), 3)
    }
}

/// A reference to another span.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link<'a> {
    bytes: &'a [u8],
    /// 16 bytes if usable.
    pub trace_id: &'a [u8],
    /// 8 bytes if usable.
    pub span_id: &'a [u8],
    /// W3C `tracestate`.
    pub trace_state: Text<'a>,
    /// Attributes the SDK dropped.
    pub dropped_attributes_count: u32,
    /// As [`Span::flags`].
    pub flags: u32,
}

impl<'a> Link<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut link = Self { bytes, ..Self::default() };
        for field in Fields::new(bytes, 0) {
            match (field.number, field.value) {
                (1, RawValue::Len(id)) => link.trace_id = id,
                (2, RawValue::Len(id)) => link.span_id = id,
                (3, RawValue::Len(text)) => link.trace_state = Text(text),
                (5, RawValue::Varint(count)) => link.dropped_attributes_count = count as u32,
                (6, RawValue::Fixed32(flags)) => link.flags = flags,
                _ => {}
            }
        }
        link
    }

    /// The attributes in order.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(Message::Whole(self.bytes), 4)
    }
}
