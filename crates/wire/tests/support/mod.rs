//! Requests for tests, benches and fuzz targets: random ones made from the schema tables, so that every field of every
//! message occurs, and realistic ones.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "shared by tests, benches and fuzz targets, none of which uses all of it"
)]

pub mod realistic;

use sidelight_wire::field::{Fields, RawValue};
use sidelight_wire::schema::{Field, Kind, Message};
use sidelight_wire::view::{AnyValue, Attributes, Value, logs, metrics, traces};
use sidelight_wire::{Signal, tables, varint};

/// A small deterministic generator (splitmix64).
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// How random requests are written.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Fields in any order, singular ones several times, submessages in parts, both packed forms.
    pub wild: bool,
    /// Unknown fields now and then.
    pub unknown: bool,
}

/// A random valid request.
pub fn request(rng: &mut Rng, signal: Signal, style: Style) -> Vec<u8> {
    let mut out = Vec::new();
    message(rng, tables::request(signal), 0, style, &mut out);
    out
}

fn message(rng: &mut Rng, message: &Message, depth: usize, style: Style, out: &mut Vec<u8>) {
    let mut writes: Vec<&Field> = Vec::new();
    for field in message.fields {
        let leads_on = matches!(field.kind, Kind::Message(_)) && depth < 4;
        let times = match (field.repeated, leads_on) {
            (true, true) => 1 + rng.below(3),
            (true, false) => rng.below(3),
            (false, _) if style.wild && rng.one_in(8) => 2,
            (false, _) => usize::from(!rng.one_in(3)),
        };
        let deep = depth > 7 && matches!(field.kind, Kind::Message(_));
        // Of a oneof, one member usually.
        let skip = field.oneof.is_some() && rng.below(if style.wild { 3 } else { 2 }) != 0;
        writes.extend(std::iter::repeat_n(field, if deep || skip { 0 } else { times }));
    }
    if style.wild {
        for i in (1..writes.len()).rev() {
            writes.swap(i, rng.below(i + 1));
        }
    }
    if !style.wild {
        let mut last: Option<u8> = None;
        writes.retain(|field| match field.oneof {
            Some(oneof) if last == Some(oneof) => false,
            Some(oneof) => {
                last = Some(oneof);
                true
            }
            None => true,
        });
    }
    for field in writes {
        if style.unknown && rng.one_in(12) {
            unknown(rng, out);
        }
        value(rng, field, depth, style, out);
    }
}

/// Field 2047 in any wire type.
pub fn unknown(rng: &mut Rng, out: &mut Vec<u8>) {
    let wire = [0, 1, 2, 5][rng.below(4)];
    unknown_of(rng, wire, out);
}

/// Field 2047 as wire type `wire`.
pub fn unknown_of(rng: &mut Rng, wire: u64, out: &mut Vec<u8>) {
    varint::write(2047 << 3 | wire, out);
    match wire {
        0 => varint::write(rng.next() >> rng.below(64), out),
        1 => out.extend(rng.next().to_le_bytes()),
        2 => {
            let len = rng.below(20);
            varint::write(len as u64, out);
            out.extend((0..len).map(|_| rng.next() as u8));
        }
        _ => out.extend((rng.next() as u32).to_le_bytes()),
    }
}

/// Writes one occurrence of `field`.
pub fn value(rng: &mut Rng, field: &Field, depth: usize, style: Style, out: &mut Vec<u8>) {
    let packed = field.repeated && field.kind.is_packable() && !(style.wild && rng.one_in(2));
    if packed {
        varint::write(u64::from(field.number << 3 | 2), out);
        let mut content = Vec::new();
        for _ in 0..rng.below(5) {
            scalar(rng, field, &mut content);
        }
        delimited(&content, out);
        return;
    }
    varint::write(u64::from(field.number << 3 | field.kind.wire_type() as u32), out);
    if let Kind::Message(child) = field.kind {
        let mut content = Vec::new();
        message(rng, child, depth + 1, style, &mut content);
        delimited(&content, out);
    } else {
        scalar(rng, field, out);
    }
}

fn delimited(content: &[u8], out: &mut Vec<u8>) {
    varint::write(content.len() as u64, out);
    out.extend_from_slice(content);
}

fn scalar(rng: &mut Rng, field: &Field, out: &mut Vec<u8>) {
    const TEXTS: [&str; 8] = [
        "",
        "a",
        "http.route",
        "/api/v1/users",
        "grüße",
        "日本語テキスト",
        "SELECT * FROM t",
        "x y z 0 1 2 3 4 5 6 7 8 9",
    ];
    match field.kind {
        Kind::String => delimited(TEXTS[rng.below(TEXTS.len())].as_bytes(), out),
        Kind::Bytes => {
            let len = match field.mark.id_len() {
                Some(_) if rng.one_in(8) => rng.below(20),
                Some(len) => len,
                None => rng.below(40),
            };
            let zero = rng.one_in(8);
            let id: Vec<u8> = (0..len).map(|_| if zero { 0 } else { rng.next() as u8 }).collect();
            delimited(&id, out);
        }
        // Non-negative as int32, so that every reader writes it back in the same bytes.
        Kind::Bool => varint::write(rng.next() & 1, out),
        Kind::Enum | Kind::Int32 | Kind::Uint32 | Kind::Sint32 => {
            varint::write((rng.next() as u32 >> (1 + rng.below(30))).into(), out);
        }
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 => {
            varint::write(rng.next() >> rng.below(64), out)
        }
        Kind::Fixed64 | Kind::Sfixed64 => out.extend(rng.next().to_le_bytes()),
        Kind::Double => out.extend(((rng.next() >> 40) as f64 / 16.0).to_le_bytes()),
        Kind::Fixed32 | Kind::Sfixed32 => out.extend((rng.next() as u32).to_le_bytes()),
        Kind::Float => out.extend(((rng.next() >> 48) as f32).to_le_bytes()),
        Kind::Message(_) => {}
    }
}

/// Looks at everything that the views show of `bytes`, whatever they are; the number of values seen.
pub fn walk_views(bytes: &[u8]) -> usize {
    let mut seen = 0;
    for resource in traces::Request::new(bytes).resources() {
        seen += attributes(resource.resource().attributes());
        for scope in resource.scope_spans() {
            seen += attributes(scope.scope().attributes()) + scope.schema_url().as_bytes().len();
            for span in scope.spans() {
                seen += attributes(span.attributes());
                seen += span.events().map(|event| attributes(event.attributes())).sum::<usize>();
                seen += span.links().map(|link| attributes(link.attributes())).sum::<usize>();
            }
        }
    }
    for resource in logs::Request::new(bytes).resources() {
        for record in resource.scope_logs().flat_map(|scope| scope.log_records()) {
            seen += attributes(record.attributes()) + any(record.body);
        }
    }
    for resource in metrics::Request::new(bytes).resources() {
        for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
            seen += attributes(metric.metadata()) + points(metric.data);
        }
    }
    seen
}

fn points(data: metrics::Data<'_>) -> usize {
    use metrics::Data;
    let (Data::Gauge(points)
    | Data::Sum(points)
    | Data::Histogram(points)
    | Data::ExponentialHistogram(points)
    | Data::Summary(points)) = data
    else {
        return 0;
    };
    // Of any kind: the bytes may be anything.
    let numbers = points.numbers().map(|p| attributes(p.attributes()) + p.exemplars().count());
    let histograms = points.histograms().map(|p| {
        attributes(p.attributes()) + p.bucket_counts().count() + p.explicit_bounds().count()
    });
    let exponential = points
        .exponential_histograms()
        .map(|p| p.positive().bucket_counts().count() + p.negative().bucket_counts().count());
    let summaries = points.summaries().map(|p| p.quantile_values().count());
    numbers.chain(histograms).chain(exponential).chain(summaries).sum()
}

fn attributes(attributes: Attributes<'_>) -> usize {
    attributes.map(|attribute| attribute.key.as_bytes().len() + any(attribute.value)).sum()
}

fn any(value: AnyValue<'_>) -> usize {
    match value.get() {
        Value::Empty => 0,
        Value::Array(array) => array.values().count(),
        Value::KeyValueList(list) => list.entries().count(),
        Value::String(text) => text.to_string_lossy().len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Bool(_) | Value::Int(_) | Value::Double(_) => 1,
    }
}

/// The same message with its fields, and those of all submessages, written in descending order, as the collector does.
pub fn descending(message: &Message, bytes: &[u8]) -> Vec<u8> {
    let mut fields: Vec<_> = Fields::new(bytes, 0).collect();
    // Stable, and elements of repeated fields keep their order.
    fields.sort_by_key(|field| std::cmp::Reverse(field.number));
    let mut out = Vec::new();
    for field in fields {
        let child = match (message.field(field.number).map(|known| known.kind), field.value) {
            (Some(Kind::Message(child)), RawValue::Len(content)) => descending(child, content),
            _ => {
                out.extend_from_slice(&bytes[field.start..field.end]);
                continue;
            }
        };
        varint::write(u64::from(field.number << 3 | 2), &mut out);
        delimited(&child, &mut out);
    }
    out
}

/// Changes `bytes` in one of the ways that break parsers.
pub fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        bytes.push(rng.next() as u8);
        return;
    }
    let at = rng.below(bytes.len());
    match rng.below(9) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = rng.next() as u8,
        2 => bytes.truncate(at),
        3 => bytes.insert(at, rng.next() as u8),
        4 => drop(bytes.remove(at)),
        5 => bytes[at] = bytes[at].wrapping_add(1),
        6 => bytes[at] = bytes[at].wrapping_sub(1),
        7 => bytes[at] = [0x00, 0x0a, 0x12, 0x7f, 0x80, 0xff][rng.below(6)],
        _ => {
            let len = rng.below(16).min(bytes.len() - at);
            let piece = bytes[at..at + len].to_vec();
            let to = rng.below(bytes.len());
            bytes.splice(to..to, piece);
        }
    }
}
