//! What state and ack records say: the ledger's accepted counts and readers' settled records. Pure.
//!
//! ```text
//! accepted: 4 × (requests u64, items u64), by signal │ readers u16 │ per reader:
//!   name_len u16 │ name │ signals u8 (bit = signal; 16 = local) │ watermark u64 │ ranges u32 × (start u64, end u64)
//!   per signal of the set: before, delivered: 2 × (requests u64, items u64) │ dropped_requests u64
//!                          reasons u8 × (reason u8, items u64)
//! departed u16 │ per reader: name_len u16 │ name │ signals u8 │ per signal of the set: as above
//! ```
//!
//! A state record has every durable reader and all that left, an ack record those that changed; it ends
//! before `departed` when none left or came back. Counts and ranges of
//! one reader are of one instant: a lost ack record loses both, so the ledger stays true.

use super::acks::Acks;
use super::departed::{Departed, Row};
use super::format::{Header, Input, Kind};
use super::lane::Lane;
use super::ledger::{Count, PerSignal, Totals, slot};
use super::{Class, DropReason, ReaderConfig, SignalSet, Start, WhenFull};
use crate::signal::Signal;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) accepted: PerSignal,
    pub(super) readers: Vec<SavedReader>,
    /// Absent when nothing changed.
    pub(super) departed: Option<Vec<Row>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SavedReader {
    pub(super) name: String,
    pub(super) signals: SignalSet,
    pub(super) acks: Acks,
    pub(super) totals: [Totals; 5],
}

impl SavedReader {
    /// The reader as one that is configured.
    pub(super) fn config(&self) -> ReaderConfig {
        ReaderConfig {
            name: self.name.clone(),
            signals: self.signals,
            durable: true,
            start: Start::Oldest,
            when_full: WhenFull::Reject,
        }
    }
}

impl Snapshot {
    /// Takes over what a record that lies behind it says.
    pub(super) fn note(&mut self, header: &Header, payload: &[u8]) {
        match header.kind {
            Kind::Ack => {
                if let Some(later) = Self::decode(payload) {
                    self.update(later);
                }
            }
            Kind::Data => {
                if let Some(class) = header.class() {
                    self.accepted.get_mut(class).add_one(header.items);
                }
            }
            Kind::State | Kind::Seal | Kind::Block => {}
        }
    }

    /// Takes over what a later record says.
    pub(super) fn update(&mut self, later: Self) {
        self.accepted = later.accepted;
        if let Some(departed) = later.departed {
            self.readers.retain(|r| !departed.iter().any(|d| d.name == r.name));
            self.departed = Some(departed);
        }
        for reader in later.readers {
            // One that left and is here again took its row with it; what said so may be unreadable.
            let same = |row: &Row| row.name == reader.name && row.signals == reader.signals;
            self.departed.iter_mut().for_each(|rows| rows.retain(|row| !same(row)));
            match self.readers.iter_mut().find(|r| r.name == reader.name) {
                Some(known) => *known = reader,
                None => self.readers.push(reader),
            }
        }
    }

    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let mut input = Input(payload);
        let mut accepted = PerSignal::default();
        for signal in Signal::ALL {
            *accepted.get_mut(signal) = read_count(&mut input)?;
        }
        let readers = input.u16()?;
        let readers = (0..readers).map(|_| read_reader(&mut input)).collect::<Option<_>>()?;
        let departed = match input.u16() {
            Some(rows) => Some((0..rows).map(|_| read_row(&mut input)).collect::<Option<_>>()?),
            None => None,
        };
        Some(Self { accepted, readers, departed })
    }
}

/// Encodes the payload of a state or ack record.
pub(super) fn encode<'a>(
    accepted: &PerSignal,
    lanes: impl ExactSizeIterator<Item = &'a Lane>,
    departed: Option<&Departed>,
) -> Vec<u8> {
    let mut out = Vec::new();
    Signal::ALL.iter().for_each(|&signal| put_count(&mut out, accepted.get(signal)));
    out.extend_from_slice(&u16::try_from(lanes.len()).unwrap_or(u16::MAX).to_le_bytes());
    for lane in lanes.take(u16::MAX.into()) {
        put_reader(&mut out, lane);
    }
    if let Some(departed) = departed {
        let rows = u16::try_from(departed.rows.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&rows.to_le_bytes());
        for row in departed.rows.iter().take(rows.into()) {
            put_name(&mut out, &row.name, row.signals);
            put_totals(&mut out, row.signals, &row.totals);
        }
    }
    out
}

fn put_reader(out: &mut Vec<u8>, lane: &Lane) {
    put_name(out, &lane.config.name, lane.config.signals);
    out.extend_from_slice(&lane.acks.watermark().to_le_bytes());
    let ranges = lane.acks.ranges();
    out.extend_from_slice(&u32::try_from(ranges.len()).unwrap_or(0).to_le_bytes());
    for range in ranges {
        out.extend_from_slice(&range.start.to_le_bytes());
        out.extend_from_slice(&range.end.to_le_bytes());
    }
    put_totals(out, lane.config.signals, &lane.saved_totals());
}

fn put_name(out: &mut Vec<u8>, name: &str, signals: SignalSet) {
    out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(name.as_bytes());
    out.push(signals.classes().fold(0, |bits, class| bits | 1 << class.index()));
}

fn put_totals(out: &mut Vec<u8>, signals: SignalSet, totals: &[Totals; 5]) {
    for totals in signals.classes().filter_map(|class| totals.get(class.index())) {
        put_count(out, totals.before);
        put_count(out, totals.delivered);
        out.extend_from_slice(&totals.dropped_requests.to_le_bytes());
        out.push(u8::try_from(totals.dropped.len()).unwrap_or(0));
        for (&reason, items) in &totals.dropped {
            out.push(reason as u8);
            out.extend_from_slice(&items.to_le_bytes());
        }
    }
}

fn read_reader(input: &mut Input<'_>) -> Option<SavedReader> {
    let (name, signals) = read_name(input)?;
    let mut acks = Acks::below(input.u64()?);
    for _ in 0..input.u32()? {
        let (start, end) = (input.u64()?, input.u64()?);
        acks.insert(start..end);
    }
    let totals = read_totals(input, signals)?;
    Some(SavedReader { name, signals, acks, totals })
}

fn read_row(input: &mut Input<'_>) -> Option<Row> {
    let (name, signals) = read_name(input)?;
    Some(Row { name, signals, totals: read_totals(input, signals)? })
}

fn read_name(input: &mut Input<'_>) -> Option<(String, SignalSet)> {
    let name_len = input.u16()?;
    let name = String::from_utf8(input.bytes(name_len.into())?.to_vec()).ok()?;
    let bits = input.u8()?;
    Some((name, SignalSet(Class::ALL.map(|class| bits & 1 << class.index() != 0))))
}

fn read_totals(input: &mut Input<'_>, signals: SignalSet) -> Option<[Totals; 5]> {
    let mut totals: [Totals; 5] = Default::default();
    for class in signals.classes() {
        let (before, delivered) = (read_count(input)?, read_count(input)?);
        let dropped_requests = input.u64()?;
        let mut dropped = std::collections::BTreeMap::new();
        for _ in 0..input.u8()? {
            let (reason, items) = (input.u8()?, input.u64()?);
            // A reason of a newer agent is kept in the sum under the nearest one this agent knows.
            let reason = DropReason::from_code(reason).unwrap_or(DropReason::Permanent);
            let sum: &mut u64 = dropped.entry(reason).or_default();
            *sum = sum.saturating_add(items);
        }
        *slot(&mut totals, class) = Totals { before, delivered, dropped_requests, dropped };
    }
    Some(totals)
}

fn put_count(out: &mut Vec<u8>, count: Count) {
    out.extend_from_slice(&count.requests.to_le_bytes());
    out.extend_from_slice(&count.items.to_le_bytes());
}

fn read_count(input: &mut Input<'_>) -> Option<Count> {
    Some(Count { requests: input.u64()?, items: input.u64()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_here_again_has_not_left_though_what_said_so_is_unreadable() {
        let signals = SignalSet::only(Signal::Traces);
        let row = |name: &str| Row { name: name.to_owned(), signals, ..Row::default() };
        let departed = Some(vec![row("a:traces"), row("b:traces")]);
        let mut known = Snapshot { departed, ..Snapshot::default() };
        let name = "a:traces".to_owned();
        let reader =
            SavedReader { name, signals, acks: Acks::default(), totals: Default::default() };
        known.update(Snapshot { readers: vec![reader.clone()], ..Snapshot::default() });
        assert_eq!(known.departed.unwrap(), [row("b:traces")]);
        assert_eq!(known.readers, [reader]);
    }
}
