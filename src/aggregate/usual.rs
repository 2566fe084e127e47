//! The fields of a span that are counted by, the fast way: one walk over a span written in the usual form.
//!
//! Usual is what SDKs write: one-byte keys but for the flags, each singular field once, attributes
//! with the key before the value. Anything else is `None`, and the caller takes the view, which
//! reads every legal form; a property test holds both to the same answer. Cost: two thirds of the
//! view's, because attributes are looked at in passing and most only for the length of their key.

/// What is needed of a span, borrowed from the request. Of attributes that say the same under an old and a present name, the
/// present one counts; of two with the same name, the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// `http.route`.
    pub(super) route: Named<&'a [u8]>,
    /// `http.request.method`, `http.method`.
    pub(super) method: Named<&'a [u8]>,
    /// `http.response.status_code`, `http.status_code`.
    pub(super) http_status: Named<i64>,
    /// `rpc.method`.
    pub(super) rpc_method: Named<&'a [u8]>,
    /// `rpc.service`, where the method does not say it.
    pub(super) rpc_service: Named<&'a [u8]>,
    /// `rpc.grpc.status_code`.
    pub(super) grpc_status: Named<i64>,
    /// `messaging.operation.name`, `messaging.operation`.
    pub(super) messaging_operation: Named<&'a [u8]>,
    /// `messaging.destination.name`, `messaging.destination`.
    pub(super) messaging_destination: Named<&'a [u8]>,
    /// Whom a client calls: `service.peer.name`, `peer.service`, the database's namespace or system,
    /// `server.address`, or the old names of these.
    pub(super) peer: Named<&'a [u8]>,
    /// Whether an attribute says that the peer is a database.
    pub(super) database: bool,
    /// Whether it says something of a family that few spans say: of a cache, an attempt, a language model, or by events.
    pub(super) says: bool,
}

/// An attribute's value under the best of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named<T> {
    pub(super) value: Option<T>,
    /// Place of the name, the best first.
    place: u8,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { value: None, place: u8::MAX }
    }
}

impl<T> Named<T> {
    #[inline(always)]
    fn offer(&mut self, place: u8, value: Option<T>) {
        if place < self.place && value.is_some() {
            *self = Self { value, place };
        }
    }
}

/// The value of an attribute, as far as any is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scalar<'a> {
    Text(&'a [u8]),
    Int(i64),
    Other,
}

impl<'a> Scalar<'a> {
    /// A text that is not empty.
    #[inline(always)]
    fn text(self) -> Option<&'a [u8]> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A number, which some write as text.
    #[inline(always)]
    fn int(self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(int),
            Self::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            Self::Other => None,
        }
    }
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

/// The lengths of the keys that [`Fields::take`] knows, as bits.
const LENGTHS: u32 = {
    let mut lengths: &[u8] = &[7, 9, 10, 11, 12, 13, 14, 16, 17, 19, 20, 21, 24, 25, 26, 30];
    let mut bits = 0;
    while let Some((&length, rest)) = lengths.split_first() {
        bits |= 1 << length;
        lengths = rest;
    }
    bits
};

/// Fills in the fields of a span in the usual form; `None` for another, and some of the fields are filled in.
#[inline]
pub(super) fn read<'a>(span: &'a [u8], fields: &mut Fields<'a>) -> Option<()> {
    fields.size = span.len();
    let mut seen = 0_u16;
    let mut rest = span;
    while let Some((&key, after)) = rest.split_first() {
        if key == ATTRIBUTE {
            let (attribute, after) = delimited(after)?;
            fields.note(attribute)?;
            rest = after;
            continue;
        }
        // Fields 1 to 8 and the status are singular.
        if key < ATTRIBUTE & !7 || key == STATUS {
            let bit = 1_u16 << (key >> 3);
            if seen & bit != 0 {
                return None;
            }
            seen |= bit;
        }
        rest = match key {
            START | END => {
                let (time, after) = after.split_first_chunk()?;
                let time = u64::from_le_bytes(*time);
                let slot = if key == START {
                    &mut fields.start_unix_nano
                } else {
                    &mut fields.end_unix_nano
                };
                *slot = time;
                after
            }
            KIND => {
                let (&kind @ 0..0x80, after) = after.split_first()? else { return None };
                fields.kind = i32::from(kind);
                after
            }
            FLAGS => {
                let (&[1, ..], after) = after.split_first_chunk::<5>()? else { return None };
                after
            }
            DROPPED_ATTRIBUTES | DROPPED_EVENTS | DROPPED_LINKS => varint(after)?.1,
            NAME => {
                let (name, after) = delimited(after)?;
                fields.name = name;
                after
            }
            STATUS => {
                let (status, after) = delimited(after)?;
                fields.status = status_code(status)?;
                after
            }
            TRACE_ID | SPAN_ID | TRACE_STATE | PARENT_SPAN_ID => {
                let (bytes, after) = delimited(after)?;
                let slot = match key {
                    TRACE_ID => &mut fields.trace_id,
                    SPAN_ID => &mut fields.span_id,
                    TRACE_STATE => &mut fields.trace_state,
                    _ => &mut fields.parent_span_id,
                };
                *slot = bytes;
                after
            }
            EVENT => {
                fields.says = true;
                delimited(after)?.1
            }
            LINK => delimited(after)?.1,
            _ => return None,
        };
    }
    Some(())
}

impl<'a> Fields<'a> {
    /// Keeps the value of an attribute that is asked for.
    #[inline(always)]
    fn note(&mut self, attribute: &'a [u8]) -> Option<()> {
        let (&[0x0a, key_len @ 0..0x80], after) = attribute.split_first_chunk()? else {
            return None;
        };
        let (key, value) = after.split_at_checked(key_len.into())?;
        let value = whole(value, 0x12)?;
        // Most keys are told apart by their lengths alone.
        if key_len < 32 && LENGTHS >> key_len & 1 != 0 {
            self.take(key, || scalar(value))?;
        }
        Some(())
    }

    /// Keeps the value of an attribute that is asked for; `None` when it is and `scalar` cannot read it.
    #[inline(always)]
    pub(super) fn take(
        &mut self,
        key: &[u8],
        scalar: impl FnOnce() -> Option<Scalar<'a>>,
    ) -> Option<()> {
        match key {
            b"http.route" => self.route.offer(0, scalar()?.text()),
            b"http.request.method" => self.method.offer(0, scalar()?.text()),
            b"http.method" => self.method.offer(1, scalar()?.text()),
            b"http.response.status_code" => self.http_status.offer(0, scalar()?.int()),
            b"http.status_code" => self.http_status.offer(1, scalar()?.int()),
            b"rpc.method" => self.rpc_method.offer(0, scalar()?.text()),
            b"rpc.service" => self.rpc_service.offer(0, scalar()?.text()),
            b"rpc.grpc.status_code" => self.grpc_status.offer(0, scalar()?.int()),
            b"messaging.operation.name" => self.messaging_operation.offer(0, scalar()?.text()),
            b"messaging.operation" => self.messaging_operation.offer(1, scalar()?.text()),
            b"messaging.destination.name" => self.messaging_destination.offer(0, scalar()?.text()),
            b"messaging.destination" => self.messaging_destination.offer(1, scalar()?.text()),
            b"service.peer.name" => self.peer.offer(0, scalar()?.text()),
            b"peer.service" => self.peer.offer(1, scalar()?.text()),
            b"db.namespace" => self.database(2, scalar()?.text()),
            b"db.name" => self.database(3, scalar()?.text()),
            b"db.system.name" => self.database(4, scalar()?.text()),
            b"db.system" => self.database(5, scalar()?.text()),
            b"server.address" => self.peer.offer(6, scalar()?.text()),
            b"net.peer.name" => self.peer.offer(7, scalar()?.text()),
            b"sidelight.cache.name" => self.says = true,
            b"cache.name" => self.says = true,
            b"http.request.resend_count" => self.says = true,
            b"http.resend_count" => self.says = true,
            b"celery.retries" => self.says = true,
            b"gen_ai.provider.name" => self.says = true,
            b"gen_ai.system" => self.says = true,
            b"gen_ai.request.model" => self.says = true,
            b"gen_ai.usage.input_tokens" => self.says = true,
            b"gen_ai.usage.prompt_tokens" => self.says = true,
            b"gen_ai.usage.output_tokens" => self.says = true,
            b"gen_ai.usage.completion_tokens" => self.says = true,
            _ => {}
        }
        Some(())
    }

    #[inline(always)]
    fn database(&mut self, place: u8, name: Option<&'a [u8]>) {
        self.database |= name.is_some();
        self.peer.offer(place, name);
    }
}

/// A value in the usual form, if any is asked for in its type.
#[inline(always)]
fn scalar(value: &[u8]) -> Option<Scalar<'_>> {
    match value.split_first()? {
        (0x0a, _) => Some(Scalar::Text(whole(value, 0x0a)?)),
        (0x18, int) => {
            let (int, rest) = varint(int)?;
            rest.is_empty().then_some(Scalar::Int(int.cast_signed()))
        }
        _ => None,
    }
}

/// The code of a status: an optional message, then an optional one-byte code.
fn status_code(status: &[u8]) -> Option<i32> {
    let after_message = match status.split_first() {
        None => return Some(0),
        Some((0x12, message)) => delimited(message)?.1,
        Some(_) => status,
    };
    match *after_message {
        [] => Some(0),
        [0x18, code @ 0..0x80] => Some(i32::from(code)),
        _ => None,
    }
}

/// The content of a message that is one delimited field with this key and nothing else.
#[inline(always)]
fn whole(message: &[u8], key: u8) -> Option<&[u8]> {
    let (first, after) = message.split_first()?;
    let (content, rest) = delimited(after)?;
    (*first == key && rest.is_empty()).then_some(content)
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
mod tests {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::trace::v1::{Span, Status, span};
    use proptest::prelude::*;
    use prost::Message as _;
    use sidelight_wire::view::traces::Span as View;

    use super::*;

    fn any_attribute() -> impl Strategy<Value = KeyValue> {
        let keys = [
            "http.route",
            "http.request.method",
            "http.method",
            "x",
            "ten.chars.",
            "",
            "http.response.status_code",
            "http.status_code",
            "rpc.method",
            "rpc.service",
            "rpc.grpc.status_code",
            "messaging.operation.name",
            "messaging.operation",
            "messaging.destination.name",
            "messaging.destination",
            "service.peer.name",
            "peer.service",
            "db.namespace",
            "db.name",
            "db.system.name",
            "db.system",
            "server.address",
            "net.peer.name",
            "cache.name",
            "gen_ai.usage.completion_tokens",
        ];
        let value = prop_oneof![
            3 => "[a-z]{0,200}".prop_map(any_value::Value::StringValue),
            1 => "[0-9]{0,4}".prop_map(any_value::Value::StringValue),
            1 => any::<bool>().prop_map(any_value::Value::BoolValue),
            1 => any::<i64>().prop_map(any_value::Value::IntValue),
        ];
        (prop::sample::select(keys.to_vec()), prop::option::of(prop::option::of(value))).prop_map(
            |(key, value)| KeyValue {
                key: key.to_owned(),
                value: value.map(|value| AnyValue { value }),
                ..KeyValue::default()
            },
        )
    }

    fn any_span() -> impl Strategy<Value = Span> {
        let attributes = prop::collection::vec(any_attribute(), 0..6);
        let status = prop::option::of(("[a-z]{0,150}", -1..300_i32));
        let times = any::<(u64, u64)>();
        ("[a-z]{0,200}", -1..300_i32, times, attributes, status, any::<u32>(), 0..3_usize).prop_map(
            |(name, kind, (start, end), attributes, status, flags, more)| Span {
                trace_id: vec![7; 16],
                span_id: vec![8; flags as usize % 10],
                parent_span_id: vec![9; flags as usize / 10 % 10],
                trace_state: if more > 1 { "ot=th:8".to_owned() } else { String::new() },
                name,
                kind,
                start_time_unix_nano: start,
                end_time_unix_nano: end,
                attributes,
                status: status.map(|(message, code)| Status { message, code }),
                flags,
                dropped_attributes_count: flags >> 3,
                events: vec![span::Event { time_unix_nano: 1, ..span::Event::default() }; more],
                links: vec![span::Link { trace_id: vec![1; 16], ..span::Link::default() }; more],
                ..Span::default()
            },
        )
    }

    proptest! {
        #[test]
        fn a_span_is_read_as_the_view_reads_it(span in any_span(), again in any::<bool>()) {
            let mut bytes = span.encode_to_vec();
            if again {
                // Every field twice: the last of scalars holds, submessages merge.
                bytes.extend_from_within(..);
            }
            let by_view = Fields::of_view(&View::new(&bytes));
            prop_assert_eq!(Fields::of(&bytes), by_view);
        }

        #[test]
        fn a_damaged_span_is_read_as_the_view_reads_it_or_left_to_it(
            span in any_span(), at in any::<prop::sample::Index>(), with in any::<u8>(),
        ) {
            let mut bytes = span.encode_to_vec();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = with;
            }
            if sidelight_wire::validate(
                sidelight_wire::Signal::Traces,
                &request_of(&bytes),
                &sidelight_wire::Limits::default(),
            ).is_ok() {
                prop_assert_eq!(Fields::of(&bytes), Fields::of_view(&View::new(&bytes)));
            } else {
                let _ = read(&bytes, &mut Fields::default());
            }
        }
    }

    fn request_of(span: &[u8]) -> Vec<u8> {
        let nest = |field: u8, content: &[u8]| {
            let mut outer = vec![field << 3 | 2];
            prost::encoding::encode_varint(content.len() as u64, &mut outer);
            outer.extend_from_slice(content);
            outer
        };
        nest(1, &nest(2, &nest(2, span)))
    }

    #[test]
    fn what_an_sdk_writes_is_in_the_usual_form() {
        let value = AnyValue { value: Some(any_value::Value::StringValue("/cart".to_owned())) };
        let route =
            KeyValue { key: "http.route".to_owned(), value: Some(value), ..KeyValue::default() };
        let value = AnyValue { value: Some(any_value::Value::IntValue(503)) };
        let key = "http.response.status_code".to_owned();
        let code = KeyValue { key, value: Some(value), ..KeyValue::default() };
        let span = Span {
            name: "GET /cart".to_owned(),
            kind: 2,
            attributes: vec![route, code],
            status: Some(Status { message: "no".to_owned(), code: 2 }),
            flags: 0x101,
            ..Span::default()
        };
        let bytes = span.encode_to_vec();
        let mut fields = Fields::default();
        read(&bytes, &mut fields).unwrap();
        assert_eq!((fields.name, fields.route.value), (&b"GET /cart"[..], Some(&b"/cart"[..])));
        assert_eq!((fields.kind, fields.status), (2, 2));
        assert_eq!((fields.http_status.value, fields.size), (Some(503), bytes.len()));
    }

    #[test]
    fn every_known_key_has_a_length_that_is_looked_at() {
        let keys: Vec<&str> = include_str!("usual.rs")
            .lines()
            .filter_map(|line| line.trim().strip_prefix("b\"")?.split_once("\" => self."))
            .map(|(key, _)| key)
            .collect();
        assert_eq!(keys.len(), 32);
        assert!(keys.iter().all(|key| LENGTHS >> key.len() & 1 == 1), "{keys:?}");
    }
}
