//! `docs/journal-format.md` says what the code does.

use crate::journal::format::{
    Header, Identity, Kind, RECORD_HEADER, SEAL, SEGMENT_HEADER, SegmentHeader, VERSION, crc32c,
    encode_seal,
};
use crate::journal::rejected::{
    REJECTED_BYTES_MAX, REJECTED_FILES_MAX, REJECTED_HEADER, REJECTED_VERSION, Rejected,
};
use crate::journal::segment::Segment;
use crate::journal::{DropReason, acks, config, scan};
use crate::signal::{Flags, Meta, Record, Signal};
use crate::time::UnixNano;

const DOCUMENT: &str = include_str!("../../../docs/journal-format.md");

/// The cells of the rows under `heading`, up to the next heading, without the tables' heads.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let section = DOCUMENT.split_once(&format!("\n{heading}\n")).expect(heading).1;
    let section = section.split("\n#").next().unwrap();
    let lines = section.lines().filter(|line| line.starts_with("| "));
    let cells = |line: &str| {
        line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
    };
    lines.map(cells).collect()
}

/// Byte ranges by the field's name, from a table of offset, bytes and field; they leave no hole.
fn layout(heading: &str, len: usize) -> impl Fn(&str) -> std::ops::Range<usize> {
    let mut end = 0;
    let mut fields = Vec::new();
    for row in rows(heading) {
        let (Ok(offset), Ok(bytes)) = (row[0].parse::<usize>(), row[1].parse::<usize>()) else {
            continue;
        };
        assert_eq!(offset, end, "{heading}: {}", row[2]);
        end = offset + bytes;
        let name = row[2].split([' ', ':', ';', ',']).next().unwrap().to_owned();
        fields.push((name, offset..end));
    }
    assert_eq!(end, len, "{heading}");
    move |name| fields.iter().find(|(field, _)| field == name).expect(name).1.clone()
}

#[test]
fn the_constants_are_the_code_s() {
    let code = [
        ("VERSION", u64::from(VERSION)),
        ("SEGMENT_HEADER", SEGMENT_HEADER as u64),
        ("RECORD_HEADER", RECORD_HEADER as u64),
        ("SEAL", SEAL as u64),
        ("RECORD_MAX", config::RECORD_MAX as u64),
        ("MAX_RANGES", acks::MAX_RANGES as u64),
        ("BLOCK_MAX", scan::BLOCK_MAX as u64),
        ("REJECTED_VERSION", u64::from(REJECTED_VERSION)),
        ("REJECTED_HEADER", REJECTED_HEADER as u64),
        ("REJECTED_BYTES_MAX", REJECTED_BYTES_MAX),
        ("REJECTED_FILES_MAX", REJECTED_FILES_MAX as u64),
    ];
    let code = code.map(|(name, value)| vec![name.to_owned(), value.to_string()]);
    assert_eq!(rows("## Numbers")[1..], code);
}

#[test]
fn kinds_and_reasons_are_the_code_s() {
    let kinds = [Kind::Data, Kind::Ack, Kind::State, Kind::Seal, Kind::Block];
    let kinds = kinds.map(|kind| [(kind as u8).to_string(), format!("{kind:?}").to_lowercase()]);
    let written = rows("### Record");
    let at = written.iter().position(|row| row[0] == "kind").unwrap();
    let written: Vec<_> = written[at + 1..].iter().map(|r| [r[0].clone(), r[1].clone()]).collect();
    assert_eq!(written, kinds);
    let reasons = DropReason::ALL.map(|reason| [(reason as u8).to_string(), reason.name().into()]);
    assert_eq!(rows("### Snapshot: state and ack records")[1..], reasons);
}

#[test]
fn the_fields_stand_where_the_document_says() {
    let field = layout("### Segment header", SEGMENT_HEADER);
    let created = UnixNano(0x1122_3344);
    let journal = Identity([7; 12]);
    let header = SegmentHeader { first_seq: 77, created, salt: [9; 16], journal, blocks: true };
    let bytes = header.encode();
    assert_eq!(bytes[field("magic")], *b"SIDELOG\0");
    assert_eq!(bytes[field("version")], VERSION.to_le_bytes());
    assert_eq!(bytes[field("flags")], [1, 0]);
    assert_eq!(bytes[field("first_seq")], 77_u64.to_le_bytes());
    assert_eq!(bytes[field("created_unix_nano")], created.0.to_le_bytes());
    assert_eq!(bytes[field("salt")], [9; 16]);
    assert_eq!(bytes[field("journal")], [7; 12]);
    assert_eq!(bytes[field("crc")], crc32c(&[&bytes[..60]]).to_le_bytes());

    let field = layout("### Record", RECORD_HEADER);
    let header = Header {
        signal: 3,
        flags: Flags::ALONE.0,
        received: UnixNano(5),
        durable_seq: 41,
        items: 6,
        meta_len: 8,
        ..Header::of(Kind::Data, 42, b"payload")
    };
    let bytes = header.encode(&[9; 16], 1000);
    assert_eq!(bytes[field("magic")], [0xd5, 0x1d, 0x0e, 0xa7]);
    assert_eq!((bytes[field("kind")][0], bytes[field("signal")][0]), (1, 3));
    assert_eq!(bytes[field("flags")], [1, 0]);
    assert_eq!(bytes[field("seq")], 42_u64.to_le_bytes());
    assert_eq!(bytes[field("received_unix_nano")], 5_u64.to_le_bytes());
    assert_eq!(bytes[field("durable_seq")], 41_u64.to_le_bytes());
    assert_eq!(bytes[field("items")], 6_u32.to_le_bytes());
    assert_eq!(bytes[field("payload_len")], 7_u32.to_le_bytes());
    assert_eq!(bytes[field("meta_len")], 8_u16.to_le_bytes());
    assert_eq!(bytes[field("body_crc")], crc32c(&[b"payload"]).to_le_bytes());
    let seeded = crc32c(&[&[9; 16], &1000_u64.to_le_bytes(), &bytes[..48]]);
    assert_eq!(bytes[field("crc")], seeded.to_le_bytes());
}

#[test]
fn the_fields_of_seals_and_rejected_records_stand_where_the_document_says() {
    let field = layout("### Seal", SEAL - RECORD_HEADER);
    let mut segment = Segment::starting_at(7);
    segment.record(7, Signal::Metrics.into(), 3, 11, UnixNano(5));
    let bytes = encode_seal(&segment);
    assert_eq!(bytes[24..48], [1_u64, 3, 11].map(u64::to_le_bytes).concat());
    assert_eq!(bytes[field("end_seq")], 8_u64.to_le_bytes());
    assert_eq!(bytes[field("first_received_unix_nano")], 5_u64.to_le_bytes());
    assert_eq!(bytes[field("last_received_unix_nano")], 5_u64.to_le_bytes());

    let field = layout("## Rejected records", REJECTED_HEADER);
    let (meta, payload) = (Meta::from_tlv(vec![9, 1, 0, 7].into()), vec![1, 2].into());
    let record = Record { signal: Signal::Logs, items: 6, flags: Flags::ALONE, meta, payload };
    let (exporter, status) = ("tempo".into(), "13".into());
    let bytes = Rejected { exporter, status, seq: 4, at: UnixNano(8), record }.encode();
    assert_eq!(bytes[field("magic")], *b"SIDEREJ\0");
    assert_eq!(bytes[field("version")], REJECTED_VERSION.to_le_bytes());
    assert_eq!(bytes[field("signal")], [3]);
    assert_eq!(bytes[field("items")], 6_u32.to_le_bytes());
    assert_eq!(bytes[field("seq")], 4_u64.to_le_bytes());
    assert_eq!(bytes[field("at_unix_nano")], 8_u64.to_le_bytes());
    let lengths =
        ["exporter_len", "status_len", "meta_len"].map(|name| bytes[field(name)].to_vec());
    assert_eq!(lengths, [[5, 0], [2, 0], [4, 0]]);
    assert_eq!(bytes[field("payload_len")], 2_u32.to_le_bytes());
    assert_eq!(bytes[field("body_crc")], crc32c(&[&bytes[64..]]).to_le_bytes());
    assert_eq!(bytes[field("crc")], crc32c(&[&bytes[..60]]).to_le_bytes());
}
