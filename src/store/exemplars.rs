//! Exemplars: single observations with the trace they belong to. A ring of the newest, in memory and in checkpoints.

use std::collections::{BTreeMap, HashMap, VecDeque};

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

/// What an exemplar takes.
fn cost(exemplar: &Exemplar) -> usize {
    let labels = exemplar.labels.iter();
    let labels =
        labels.map(|(name, value)| size_of::<(String, String)>() + name.len() + value.len());
    size_of::<(SeriesId, Exemplar)>() + labels.sum::<usize>()
}

/// The newest exemplars of all series, bounded by their number and by bytes. Cost: a look at those of its series, and few
/// steps for the one that it takes the place of.
#[derive(Debug)]
pub(super) struct Ring {
    max: usize,
    per_series_max: usize,
    bytes_max: usize,
    bytes: usize,
    /// By the order in which they came.
    newest: BTreeMap<u64, (SeriesId, Exemplar)>,
    next: u64,
    /// Those of each series, likewise.
    by_series: HashMap<SeriesId, VecDeque<u64>>,
}

impl Ring {
    pub(super) fn new(max: usize, per_series_max: usize, bytes_max: usize) -> Self {
        let (newest, by_series) = (BTreeMap::new(), HashMap::new());
        Self { max, per_series_max, bytes_max, bytes: 0, newest, next: 0, by_series }
    }

    /// Memory held, estimated.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps an exemplar in place of the oldest of its series, or of all. One that is there stays as it is.
    pub(super) fn push(&mut self, series: SeriesId, mut exemplar: Exemplar) {
        let same =
            |known: &Exemplar| known.time_ms == exemplar.time_ms && known.labels == exemplar.labels;
        if self.max == 0 || self.per_series_max == 0 || self.those_of(series).any(same) {
            return;
        }
        let bytes = |labels: &[(String, String)]| -> usize {
            labels.iter().map(|(name, value)| name.len() + value.len()).sum()
        };
        while bytes(&exemplar.labels) > LABEL_BYTES_MAX {
            exemplar.labels.pop();
        }
        // What is cut off is not kept in memory either.
        exemplar.labels.shrink_to_fit();
        let cost = cost(&exemplar);
        let kept = self.by_series.get(&series);
        if let Some(&oldest) =
            kept.filter(|of| of.len() >= self.per_series_max).and_then(VecDeque::front)
        {
            self.remove(oldest);
        }
        while let Some((&oldest, _)) = self.newest.first_key_value()
            && (self.newest.len() >= self.max || self.bytes + cost > self.bytes_max)
        {
            self.remove(oldest);
        }
        self.bytes += cost;
        self.by_series.entry(series).or_default().push_back(self.next);
        self.newest.insert(self.next, (series, exemplar));
        self.next += 1;
    }

    /// The exemplars of a series, in the order in which they came.
    fn those_of(&self, series: SeriesId) -> impl Iterator<Item = &Exemplar> {
        let of = self.by_series.get(&series).into_iter().flatten();
        of.filter_map(|at| self.newest.get(at).map(|(_, exemplar)| exemplar))
    }

    /// Removes the oldest of a series.
    fn remove(&mut self, at: u64) {
        let Some((series, exemplar)) = self.newest.remove(&at) else { return };
        self.bytes -= cost(&exemplar);
        if let Some(left) = self.by_series.get_mut(&series) {
            left.pop_front();
            if left.is_empty() {
                self.by_series.remove(&series);
            }
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
        let of = self.those_of(series);
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
