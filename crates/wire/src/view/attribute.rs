//! Attributes and their values.

use super::message::{Elements, Message};
use super::{Text, set};
use crate::field::Fields;

/// The attributes of a resource, scope, span, event, link, data point, exemplar or log record, or the entries of a
/// key-value list, in the order of writing.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    elements: Elements<'a>,
}

impl<'a> Attributes<'a> {
    #[inline]
    pub(crate) fn new(message: Message<'a>, number: u32) -> Self {
        Self { elements: message.elements(number) }
    }

    /// The value of the first attribute called `key`.
    #[must_use]
    pub fn get(mut self, key: &str) -> Option<Value<'a>> {
        self.find(|attribute| attribute.key == key).map(|attribute| attribute.value.get())
    }

    /// The attributes as they are written, for those that ask whether two sets are the same bytes.
    #[inline]
    pub fn bytes(self) -> impl Iterator<Item = &'a [u8]> {
        self.elements
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    #[inline]
    fn next(&mut self) -> Option<Attribute<'a>> {
        self.elements.next().map(Attribute::new)
    }
}

/// One attribute: a key and a value, which is looked into when asked for.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a> {
    /// The key; empty if absent.
    pub key: Text<'a>,
    /// The value.
    pub value: AnyValue<'a>,
}

impl<'a> Attribute<'a> {
    /// A view of the bytes of one attribute.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        if let Some(attribute) = Self::in_usual_form(bytes) {
            return attribute;
        }
        let mut key = Text::default();
        for field in Fields::new(bytes, 0).filter(|field| field.number == 1) {
            set(&mut key, field.value.text());
        }
        Self { key, value: AnyValue(Message::Whole(bytes).child(2).unwrap_or_default()) }
    }

    /// Key, then value, each shorter than 128 bytes, nothing else.
    #[inline(always)]
    fn in_usual_form(bytes: &'a [u8]) -> Option<Self> {
        let (&[0x0a, key_len @ 0..0x80], rest) = bytes.split_first_chunk()? else { return None };
        let (key, rest) = rest.split_at_checked(usize::from(key_len))?;
        let (&[0x12, value_len @ 0..0x80], value) = rest.split_first_chunk()? else { return None };
        (usize::from(value_len) == value.len())
            .then_some(Self { key: Text(key), value: AnyValue(Message::Whole(value)) })
    }
}

/// A value that has not been looked into.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyValue<'a>(pub(crate) Message<'a>);

/// What an [`AnyValue`] holds.
#[derive(Clone, Copy, Debug, Default)]
pub enum Value<'a> {
    /// Nothing, or something this version does not know.
    #[default]
    Empty,
    /// A string.
    String(Text<'a>),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// A list of values.
    Array(Array<'a>),
    /// A map.
    KeyValueList(KeyValueList<'a>),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The text of a string value.
    #[must_use]
    pub const fn text(self) -> Option<Text<'a>> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an integer value.
    #[must_use]
    pub const fn int(self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(value),
            _ => None,
        }
    }
}

/// A list of values.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a>(Message<'a>);

impl<'a> Array<'a> {
    /// The values in order.
    pub fn values(self) -> impl Iterator<Item = AnyValue<'a>> + Clone {
        self.0.elements(1).map(|bytes| AnyValue(Message::Whole(bytes)))
    }
}

/// A map from keys to values, as written: keys may repeat.
#[derive(Clone, Copy, Debug)]
pub struct KeyValueList<'a>(Message<'a>);

impl<'a> KeyValueList<'a> {
    /// The entries in order.
    #[must_use]
    pub fn entries(self) -> Attributes<'a> {
        Attributes::new(self.0, 1)
    }
}

impl<'a> AnyValue<'a> {
    /// What the value holds: of several members the last.
    #[inline]
    #[must_use]
    pub fn get(self) -> Value<'a> {
        self.short_text().map_or_else(|| self.resolve(), Value::String)
    }

    /// The usual case: one string shorter than 128 bytes.
    #[inline(always)]
    fn short_text(self) -> Option<Text<'a>> {
        let Message::Whole(bytes) = self.0 else { return None };
        let (&[0x0a, len @ 0..0x80], text) = bytes.split_first_chunk()? else { return None };
        (usize::from(len) == text.len()).then_some(Text(text))
    }

    fn resolve(self) -> Value<'a> {
        let mut value = Value::Empty;
        let mut oneof = OneofMessage::default();
        for field in self.0.fields() {
            let read = match field.number {
                1 => field.value.text().map(Value::String),
                2 => field.value.varint().map(|bits| Value::Bool(bits != 0)),
                3 => field.value.varint().map(|bits| Value::Int(bits as i64)),
                4 => field.value.fixed64().map(|bits| Value::Double(f64::from_bits(bits))),
                7 => field.value.bytes().map(Value::Bytes),
                8 => Some(Value::Empty),
                5 => oneof.member(self.0, 5, field.value.bytes()).map(|m| Value::Array(Array(m))),
                6 => oneof
                    .member(self.0, 6, field.value.bytes())
                    .map(|m| Value::KeyValueList(KeyValueList(m))),
                _ => None,
            };
            if read.is_some() && !matches!(field.number, 5 | 6) {
                oneof.current = 0;
            }
            set(&mut value, read);
        }
        value
    }
}

/// Follows a `oneof` whose members are messages: parts of one member in a row merge, another member replaces them.
#[derive(Default)]
pub(crate) struct OneofMessage {
    current: u32,
    parts: u32,
    /// Parts of each member so far, by field number.
    seen: [u32; 16],
}

impl OneofMessage {
    /// The member `number` of `parent` as it is after the part `bytes`.
    pub(crate) fn member<'a>(
        &mut self,
        parent: Message<'a>,
        number: u32,
        bytes: Option<&'a [u8]>,
    ) -> Option<Message<'a>> {
        let bytes = bytes?;
        let seen = self.seen.get_mut(number as usize)?;
        self.parts = if self.current == number { self.parts + 1 } else { 1 };
        self.current = number;
        *seen += 1;
        let skip = *seen - self.parts;
        Some(if self.parts == 1 {
            Message::Whole(bytes)
        } else {
            parent.split(number, skip, bytes)
        })
    }
}
