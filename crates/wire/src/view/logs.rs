//! Views of a logs request.

use super::scope::{envelope, last_text};
use super::{AnyValue, Attributes, Message, Resource, Run, Scope, Text};
use crate::field::{Fields, RawValue};

envelope!(Request, ResourceLogs, ScopeLogs, scope_logs, LogRecord, log_records);

/// A log record: its scalar fields, read in one pass when the view is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogRecord<'a> {
    bytes: &'a [u8],
    /// When it happened, in nanoseconds since the Unix epoch; 0 if unknown.
    pub time_unix_nano: u64,
    /// When it was collected, in nanoseconds since the Unix epoch.
    pub observed_time_unix_nano: u64,
    /// `SeverityNumber`: 1 to 4 trace, 5 debug, 9 info, 13 warn, 17 error, 21 to 24 fatal, 0 unspecified.
    pub severity_number: i32,
    /// The severity as the source named it.
    pub severity_text: Text<'a>,
    /// The event's name, if the record is an event.
    pub event_name: Text<'a>,
    /// Attributes the SDK dropped.
    pub dropped_attributes_count: u32,
    /// W3C trace flags in bits 0 to 7.
    pub flags: u32,
    /// 16 bytes if usable; empty if the record belongs to no trace.
    pub trace_id: &'a [u8],
    /// 8 bytes if usable; empty if the record belongs to no span.
    pub span_id: &'a [u8],
    /// The body.
    pub body: AnyValue<'a>,
    attributes: Run,
}

impl<'a> LogRecord<'a> {
    /// A view of the bytes of one log record.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut record = Self { bytes, ..Self::default() };
        let mut body_parts = 0;
        for field in Fields::new(bytes, 0) {
            match (field.number, field.value) {
                (1, RawValue::Fixed64(time)) => record.time_unix_nano = time,
                (2, RawValue::Varint(number)) => record.severity_number = number as i32,
                (3, RawValue::Len(text)) => record.severity_text = Text(text),
                (5, RawValue::Len(body)) => {
                    body_parts += 1;
                    let whole = AnyValue(Message::Whole(body));
                    let split = || AnyValue(Message::Whole(bytes).split(5, 0, body));
                    record.body = if body_parts == 1 { whole } else { split() };
                }
                (6, RawValue::Len(_)) => record.attributes.extend(&field),
                (7, RawValue::Varint(count)) => record.dropped_attributes_count = count as u32,
                (8, RawValue::Fixed32(flags)) => record.flags = flags,
                (9, RawValue::Len(id)) => record.trace_id = id,
                (10, RawValue::Len(id)) => record.span_id = id,
                (11, RawValue::Fixed64(time)) => record.observed_time_unix_nano = time,
                (12, RawValue::Len(text)) => record.event_name = Text(text),
                _ => {}
            }
        }
        record
    }

    /// The attributes in order.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.attributes.within(self.bytes), 6)
    }

    /// The whole record as it lies in the request.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}
