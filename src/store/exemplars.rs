//! Exemplars: single observations with the trace they belong to, in memory and in checkpoints.
//!
//! A series may have all of them while there is room: one of a histogram stands for all its buckets, each with exemplars of
//! its own. Where there is no room the oldest goes of the series that holds most, and the oldest of all where none holds more
//! than [`SHARE`]: what sends much leaves to others what they send, and what ended makes room.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use sidelight_promql::Labels;

use super::{Fingerprint, SeriesId};

/// One observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// What was observed.
    pub value: f64,
    /// `trace_id`, `span_id` and filtered attributes.
    pub labels: Vec<(String, String)>,
}

/// The exemplars of one series in ascending time.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplars {
    /// The series as PromQL sees it.
    pub labels: Labels,
    /// At least one.
    pub exemplars: Vec<Exemplar>,
}

/// The most bytes of labels that an exemplar is kept with.
const LABEL_BYTES_MAX: usize = 512;

/// What a series may hold without being the first to make room: an exemplar for each bucket of a histogram of the usual 15
/// bounds.
const SHARE: usize = 16;

/// What the places of an exemplar in the indexes take.
const INDEX_BYTES: usize = 56;

/// What an exemplar takes.
fn cost(exemplar: &Exemplar) -> usize {
    let labels = exemplar.labels.iter();
    let labels =
        labels.map(|(name, value)| size_of::<(String, String)>() + name.len() + value.len());
    size_of::<(SeriesId, Exemplar)>() + INDEX_BYTES + labels.sum::<usize>()
}

/// The exemplars of all series, bounded by their number and by bytes. Cost: few steps for each, and for each that makes room.
#[derive(Debug)]
pub(super) struct Ring {
    max: usize,
    bytes_max: usize,
    bytes: usize,
    /// By the order in which they came.
    newest: BTreeMap<u64, (SeriesId, Exemplar)>,
    next: u64,
    /// Those of each series, likewise.
    by_series: HashMap<SeriesId, VecDeque<u64>>,
    /// Every series by how many it holds.
    by_size: BTreeSet<(usize, SeriesId)>,
    /// The hash of each, which no sender can guess: one that is sent again is not looked for among thousands of its time.
    known: HashSet<u64>,
    marks: RandomState,
}

impl Ring {
    pub(super) fn new(max: usize, bytes_max: usize) -> Self {
        Self {
            max,
            bytes_max,
            bytes: 0,
            newest: BTreeMap::new(),
            next: 0,
            by_series: HashMap::new(),
            by_size: BTreeSet::new(),
            known: HashSet::new(),
            marks: RandomState::new(),
        }
    }

    /// Memory held, estimated.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps an exemplar, in place of others where there is no room. One that is there stays as it is.
    pub(super) fn push(&mut self, series: SeriesId, mut exemplar: Exemplar) {
        let bytes = |labels: &[(String, String)]| -> usize {
            labels.iter().map(|(name, value)| name.len() + value.len()).sum()
        };
        while bytes(&exemplar.labels) > LABEL_BYTES_MAX {
            exemplar.labels.pop();
        }
        // What is cut off is not kept in memory either.
        exemplar.labels.shrink_to_fit();
        if self.max == 0 || !self.known.insert(self.mark(series, &exemplar)) {
            return;
        }
        let (cost, at) = (cost(&exemplar), self.next);
        while (self.newest.len() >= self.max || self.bytes + cost > self.bytes_max)
            && let Some(next) = self.next_to_go()
        {
            self.remove(next);
        }
        self.bytes += cost;
        self.resize(series, |of| of.push_back(at));
        self.newest.insert(at, (series, exemplar));
        self.next += 1;
    }

    /// What tells whether it is there.
    fn mark(&self, series: SeriesId, exemplar: &Exemplar) -> u64 {
        self.marks.hash_one((series, exemplar.time_ms, &exemplar.labels))
    }

    /// The one that makes room: always the oldest of its series. By when it came, not by its time: a clock that is ahead keeps
    /// nothing.
    fn next_to_go(&self) -> Option<u64> {
        let most = self.by_size.last().filter(|(size, _)| *size > SHARE);
        let of_most = most.and_then(|(_, series)| self.by_series.get(series)?.front());
        of_most.or_else(|| self.newest.keys().next()).copied()
    }

    /// Removes the oldest of a series.
    fn remove(&mut self, at: u64) {
        let Some((series, exemplar)) = self.newest.remove(&at) else { return };
        self.bytes -= cost(&exemplar);
        self.known.remove(&self.mark(series, &exemplar));
        self.resize(series, VecDeque::pop_front);
    }

    /// Removes those of a series that is gone: nobody can ask for them.
    pub(super) fn remove_series(&mut self, series: SeriesId) {
        while let Some(&oldest) = self.by_series.get(&series).and_then(VecDeque::front) {
            self.remove(oldest);
        }
    }

    /// Changes which are those of a series.
    fn resize<T>(&mut self, series: SeriesId, change: impl FnOnce(&mut VecDeque<u64>) -> T) {
        let of = self.by_series.entry(series).or_default();
        self.by_size.remove(&(of.len(), series));
        change(of);
        if of.is_empty() {
            self.by_series.remove(&series);
        } else {
            self.by_size.insert((of.len(), series));
        }
    }

    /// Everything, for the checkpoint, oldest first, numbers little-endian:
    ///
    /// ```text
    /// fingerprint u64 │ time i64 │ value f64 │ labels u8 │ name and value of each: bytes u16, text
    /// ```
    pub(super) fn encode(&self, fingerprint: impl Fn(SeriesId) -> Option<Fingerprint>) -> Vec<u8> {
        let mut out = Vec::new();
        for (series, exemplar) in self.newest.values() {
            let Some(Fingerprint(of)) = fingerprint(*series) else { continue };
            out.extend(of.to_le_bytes());
            out.extend(exemplar.time_ms.to_le_bytes());
            out.extend(exemplar.value.to_le_bytes());
            // At most 512 bytes of labels are kept.
            let labels =
                exemplar.labels.iter().filter(|(name, value)| name.len() + value.len() > 0);
            let labels = labels.take(usize::from(u8::MAX));
            out.push(labels.clone().count() as u8);
            for text in labels.flat_map(|(name, value)| [name, value]) {
                out.extend((text.len() as u16).to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        }
        out
    }

    /// Takes up what [`Ring::encode`] wrote, up to what cannot be read.
    pub(super) fn take_back(
        &mut self,
        mut bytes: &[u8],
        find: impl Fn(Fingerprint) -> Option<SeriesId>,
    ) {
        while let Some((of, exemplar)) = entry(&mut bytes) {
            if let Some(series) = find(of) {
                self.push(series, exemplar);
            }
        }
    }

    /// The exemplars of a series from `start_ms` to `end_ms`, ascending.
    pub(super) fn of(&self, series: SeriesId, start_ms: i64, end_ms: i64) -> Vec<Exemplar> {
        let of = self.by_series.get(&series).into_iter().flatten();
        let of = of.filter_map(|at| self.newest.get(at).map(|(_, exemplar)| exemplar));
        let of = of.filter(|exemplar| (start_ms..=end_ms).contains(&exemplar.time_ms));
        let mut found: Vec<Exemplar> = of.cloned().collect();
        found.sort_by_key(|exemplar| exemplar.time_ms);
        found
    }
}

fn entry(bytes: &mut &[u8]) -> Option<(Fingerprint, Exemplar)> {
    let mut word = || {
        let (word, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(u64::from_le_bytes(*word))
    };
    let (of, time_ms, value) = (word()?, word()?.cast_signed(), f64::from_bits(word()?));
    let (&count, rest) = bytes.split_first()?;
    *bytes = rest;
    let mut text = || {
        let (len, rest) = bytes.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(u16::from_le_bytes(*len).into())?;
        *bytes = rest;
        Some(std::str::from_utf8(text).ok()?.to_owned())
    };
    let labels = (0..count).map(|_| Some((text()?, text()?))).collect::<Option<_>>()?;
    Some((Fingerprint(of), Exemplar { time_ms, value, labels }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(index: u32) -> SeriesId {
        SeriesId { index, generation: 0 }
    }

    fn exemplar(time_ms: i64) -> Exemplar {
        Exemplar { time_ms, value: 1.0, labels: vec![("trace_id".to_owned(), time_ms.to_string())] }
    }

    fn times(ring: &Ring, of: u32) -> Vec<i64> {
        let of = ring.of(series(of), i64::MIN, i64::MAX);
        of.iter().map(|exemplar| exemplar.time_ms).collect()
    }

    #[test]
    fn a_full_ring_makes_room_where_most_is_held() {
        let mut ring = Ring::new(100, usize::MAX);
        for time in 0..200 {
            ring.push(series(0), exemplar(time));
        }
        assert_eq!(times(&ring, 0), (100..200).collect::<Vec<_>>(), "alone it has all of it");
        for time in 0..20 {
            ring.push(series(1), exemplar(time));
        }
        assert_eq!(times(&ring, 1).len(), 20, "what sends little loses nothing to what sends much");
        assert_eq!(times(&ring, 0), (120..200).collect::<Vec<_>>(), "the oldest goes");
        for time in 20..90 {
            ring.push(series(1), exemplar(time));
        }
        let kept = [times(&ring, 0), times(&ring, 1)];
        assert_eq!(kept.each_ref().map(Vec::len), [50, 50]);
        assert_eq!(kept[1], (40..90).collect::<Vec<_>>());
    }

    #[test]
    fn series_that_ended_make_room_before_one_that_goes_on_has_a_share() {
        let mut ring = Ring::new(64, usize::MAX);
        for of in 1..=64 {
            ring.push(series(of), exemplar(of.into()));
        }
        for time in 100..200 {
            ring.push(series(0), exemplar(time));
        }
        assert_eq!(times(&ring, 0), (183..200).collect::<Vec<_>>(), "an export of a histogram");
        assert_eq!((times(&ring, 17), times(&ring, 18)), (vec![], vec![18]), "the oldest first");
    }

    #[test]
    fn one_that_is_sent_again_is_there_once_and_what_is_held_is_known_to_the_byte() {
        let mut ring = Ring::new(50, 6_000);
        let mut random = 7_u64;
        for _ in 0..5_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (of, time) = ((random >> 60) as u32, (random >> 40 & 63) as i64);
            ring.push(series(of), exemplar(time));
            ring.push(series(of), exemplar(time));
            if random >> 33 & 127 == 0 {
                ring.remove_series(series(of));
                assert!(times(&ring, of).is_empty());
            } else {
                let there = times(&ring, of).into_iter().filter(|known| *known == time);
                assert_eq!(there.count(), 1);
            }
            let held: usize = ring.newest.values().map(|(_, exemplar)| cost(exemplar)).sum();
            assert_eq!(held, ring.bytes());
            assert!(held <= 6_000 && ring.newest.len() <= 50);
            let sizes: BTreeSet<_> =
                ring.by_series.iter().map(|(of, at)| (at.len(), *of)).collect();
            assert_eq!(sizes, ring.by_size);
            let all = ring.by_series.values().map(VecDeque::len).sum::<usize>();
            assert_eq!((all, ring.known.len()), (ring.newest.len(), ring.newest.len()));
        }
    }
}
