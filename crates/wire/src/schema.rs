//! What the field tables are made of: messages, fields and kinds of the OTLP schema.
//!
//! The values are in [`tables`](crate::tables), generated from `proto/` as the validator is: what walks any message, the JSON
//! transcoder and the tests among it, reads that description, so that a field exists for all of them or for none.
//! Cost: a lookup by number or JSON name is a scan of at most 16 entries of one cache-resident slice.

use std::fmt;

/// How a field's value is written.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `double`: 8 bytes, IEEE 754.
    Double,
    /// `float`: 4 bytes, IEEE 754.
    Float,
    /// `int32`: varint, sign-extended to 64 bits.
    Int32,
    /// `int64`: varint, two's complement.
    Int64,
    /// `uint32`: varint.
    Uint32,
    /// `uint64`: varint.
    Uint64,
    /// `sint32`: zigzag varint.
    Sint32,
    /// `sint64`: zigzag varint.
    Sint64,
    /// `fixed32`: 4 bytes, unsigned.
    Fixed32,
    /// `fixed64`: 8 bytes, unsigned.
    Fixed64,
    /// `sfixed32`: 4 bytes, two's complement.
    Sfixed32,
    /// `sfixed64`: 8 bytes, two's complement.
    Sfixed64,
    /// `bool`: varint, zero or not.
    Bool,
    /// `string`: length-delimited UTF-8.
    String,
    /// `bytes`: length-delimited.
    Bytes,
    /// An open enum: varint, any `int32`.
    Enum,
    /// A submessage: length-delimited.
    Message(&'static Message),
}

impl Kind {
    /// The wire type of one unpacked value.
    #[must_use]
    pub const fn wire_type(self) -> WireType {
        match self {
            Self::Double | Self::Fixed64 | Self::Sfixed64 => WireType::Fixed64,
            Self::Float | Self::Fixed32 | Self::Sfixed32 => WireType::Fixed32,
            Self::String | Self::Bytes | Self::Message(_) => WireType::Len,
            _ => WireType::Varint,
        }
    }

    /// Whether the value is a 64-bit integer, which OTLP/JSON writes as a decimal string.
    #[must_use]
    pub const fn is_integer_64(self) -> bool {
        matches!(self, Self::Int64 | Self::Uint64 | Self::Sint64 | Self::Fixed64 | Self::Sfixed64)
    }

    /// Whether repeated values of this kind may be packed into one length-delimited field.
    #[must_use]
    pub const fn is_packable(self) -> bool {
        !matches!(self.wire_type(), WireType::Len)
    }
}

/// The low three bits of a field key. Groups (3 and 4) are refused and have no variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum WireType {
    /// 0: a base-128 integer of 1 to 10 bytes.
    Varint = 0,
    /// 1: 8 bytes, little-endian.
    Fixed64 = 1,
    /// 2: a varint length, then that many bytes.
    Len = 2,
    /// 5: 4 bytes, little-endian.
    Fixed32 = 5,
}

impl WireType {
    /// The wire type in the low three bits of `key`, or `None` for groups and undefined types.
    #[must_use]
    pub const fn of_key(key: u32) -> Option<Self> {
        match key & 7 {
            0 => Some(Self::Varint),
            1 => Some(Self::Fixed64),
            2 => Some(Self::Len),
            5 => Some(Self::Fixed32),
            _ => None,
        }
    }
}

/// What a field means beyond its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// Nothing beyond its kind.
    None,
    /// A trace or profile id: 16 bytes, hex in JSON.
    Id16,
    /// A span id: 8 bytes, hex in JSON.
    Id8,
    /// One item of the signal: a span, data point, log record or profile.
    Item,
}

impl Mark {
    /// The required length of an id in bytes, or `None` for anything else.
    #[must_use]
    pub const fn id_len(self) -> Option<usize> {
        match self {
            Self::Id16 => Some(16),
            Self::Id8 => Some(8),
            Self::None | Self::Item => None,
        }
    }
}

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Field number, from 1.
    pub number: u32,
    /// Name in the `.proto` file, `snake_case`.
    pub name: &'static str,
    /// Name in OTLP/JSON, `lowerCamelCase`.
    pub json_name: &'static str,
    /// How the value is written.
    pub kind: Kind,
    /// Whether the field holds any number of values.
    pub repeated: bool,
    /// Whether a writer packs the values (a reader takes both forms of any packable kind).
    pub packed: bool,
    /// Index of the `oneof` within its message, of which at most one member is set.
    pub oneof: Option<u8>,
    /// Whether presence is tracked although the kind is a scalar (`optional`).
    pub optional: bool,
    /// What the field means beyond its kind.
    pub mark: Mark,
}

impl Field {
    /// A singular field without marks; the generated tables add the rest.
    pub(crate) const fn new(
        number: u32,
        name: &'static str,
        json_name: &'static str,
        kind: Kind,
    ) -> Self {
        Self {
            number,
            name,
            json_name,
            kind,
            repeated: false,
            packed: false,
            oneof: None,
            optional: false,
            mark: Mark::None,
        }
    }

    pub(crate) const fn repeated(mut self) -> Self {
        self.repeated = true;
        self
    }

    pub(crate) const fn packed(mut self) -> Self {
        self.packed = true;
        self
    }

    pub(crate) const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    pub(crate) const fn oneof(mut self, index: u8) -> Self {
        self.oneof = Some(index);
        self
    }

    pub(crate) const fn mark(mut self, mark: Mark) -> Self {
        self.mark = mark;
        self
    }

    /// The key a writer puts before the value: number and wire type (of the packed form where `packed`).
    #[must_use]
    pub const fn key(&self) -> u32 {
        let wire = if self.packed { WireType::Len } else { self.kind.wire_type() };
        (self.number << 3) | wire as u32
    }
}

/// One message: its fields by ascending number.
#[derive(Clone, Copy)]
pub struct Message {
    /// Position in [`tables::MESSAGES`](crate::tables::MESSAGES).
    pub index: usize,
    /// Full name, such as `opentelemetry.proto.trace.v1.Span`.
    pub name: &'static str,
    /// Fields by ascending number.
    pub fields: &'static [Field],
}

/// By name: messages may contain themselves.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Message {
    /// The field numbered `number`.
    #[must_use]
    pub fn field(&self, number: u32) -> Option<&'static Field> {
        let index = (number as usize).saturating_sub(1);
        match self.fields.get(index) {
            Some(field) if field.number == number => Some(field),
            _ => self.fields.iter().find(|field| field.number == number),
        }
    }

    /// The field whose OTLP/JSON name is `name`.
    #[must_use]
    pub fn field_by_json_name(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.json_name == name)
    }

    /// The name without its package, such as `Span`.
    #[must_use]
    pub fn short_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }
}
