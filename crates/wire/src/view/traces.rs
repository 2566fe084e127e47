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
use crate::field::{Fields, RawValue};

envelope!(Request, ResourceSpans, ScopeSpans, scope_spans, Span, spans);

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
        for field in Fields::new(bytes, 0) {
            match (field.number, field.value) {
                (1, RawValue::Len(id)) => span.trace_id = id,
                (2, RawValue::Len(id)) => span.span_id = id,
                (3, RawValue::Len(text)) => span.trace_state = Text(text),
                (4, RawValue::Len(id)) => span.parent_span_id = id,
                (5, RawValue::Len(text)) => span.name = Text(text),
                (6, RawValue::Varint(kind)) => span.kind = kind as i32,
                (7, RawValue::Fixed64(time)) => span.start_time_unix_nano = time,
                (8, RawValue::Fixed64(time)) => span.end_time_unix_nano = time,
                (9, RawValue::Len(_)) => span.attributes.extend(&field),
                (10, RawValue::Varint(count)) => span.dropped_attributes_count = count as u32,
                (11, RawValue::Len(_)) => span.events.extend(&field),
                (12, RawValue::Varint(count)) => span.dropped_events_count = count as u32,
                (13, RawValue::Len(_)) => span.links.extend(&field),
                (14, RawValue::Varint(count)) => span.dropped_links_count = count as u32,
                (15, RawValue::Len(status)) => span.status.merge(status),
                (16, RawValue::Fixed32(flags)) => span.flags = flags,
                _ => {}
            }
        }
        span
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
