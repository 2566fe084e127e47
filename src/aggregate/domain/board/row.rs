//! One derived series: its value, its samples, its bytes in a checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::instruments::{Holds, Instrument};
use crate::aggregate::codec::{self, Read};
use crate::aggregate::metrics::sink::Sink;
use crate::store::{Classic, Rank, Refused};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) instrument: Instrument,
    pub(super) labels: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(f64),
    /// Per bucket, one more than bounds; counts are weights.
    Buckets {
        bounds: Vec<f64>,
        counts: Vec<f64>,
        sum: f64,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Row<Id> {
    pub(super) key: Arc<Key>,
    pub(super) value: Value,
    pub(super) id: Option<Id>,
    pub(super) changed: bool,
    /// When it was zero; `None` when that is not known.
    pub(super) zero_ms: Option<i64>,
    /// When it was sampled; 0 before.
    pub(super) sampled_ms: i64,
    /// When there was news.
    pub(super) seen_ms: i64,
    /// When it was made.
    pub(super) since_ms: i64,
    /// What each that counts by itself had counted, by [`Counter::id`].
    pub(super) counted: BTreeMap<u64, Counted>,
}

/// What was last said to be counted.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    start_ms: i64,
    pub(super) seen_ms: i64,
    /// Buckets and the sum, or the number.
    values: Vec<f64>,
}

/// One that counts by itself, of the several that a series may be the sum of: workers, schemes, hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::aggregate::domain) struct Counter {
    pub(in crate::aggregate::domain) id: u64,
    /// When it began at zero; 0 where that is not known.
    pub(in crate::aggregate::domain) start_ms: i64,
    pub(in crate::aggregate::domain) before: Before,
}

/// What there was before a source that counts by itself first said what it had counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::aggregate::domain) enum Before {
    /// Nothing, at this time in milliseconds where it is known.
    Zero(Option<i64>),
    /// Another source, which counted the same.
    Another,
}

impl<Id: Copy> Row<Id> {
    /// What `from` counted since it last said so, given what it has counted: of a histogram each bucket, then the sum. What it
    /// had counted before it was the source is another's, and was counted there.
    ///
    /// Of buckets the running totals are compared: an exponential histogram that gets coarser moves what was counted to the
    /// buckets before.
    pub(super) fn more(&mut self, from: Counter, now: Vec<f64>) -> Vec<f64> {
        self.changed = true;
        let values = now.clone();
        let counted = Counted { start_ms: from.start_ms, seen_ms: self.seen_ms, values };
        let Some(before) = self.counted.insert(from.id, counted) else {
            return if self.is_new(from) { now } else { vec![0.0; now.len()] };
        };
        let before = before.values;
        let counts = now.len() - usize::from(now.len() > 1);
        let total = |counted: &[f64]| counted.iter().take(counts).sum::<f64>();
        let since = total(&now) - total(&before);
        if before.len() != now.len() || since < 0.0 {
            return now;
        }
        let (mut running, mut counted) = (0.0, 0.0);
        let grown = now.iter().zip(before).enumerate().map(|(at, (now, before))| {
            if at >= counts {
                return (now - before).max(0.0);
            }
            running += now - before;
            let up_to = f64::max(running, counted).min(since);
            up_to - std::mem::replace(&mut counted, up_to)
        });
        grown.collect()
    }

    /// Whether all that one counted, which was not there before, is missing in the value.
    fn is_new(&mut self, from: Counter) -> bool {
        let Before::Zero(zero_ms) = from.before else { return false };
        let is_first = self.counted.len() == 1;
        if self.sampled_ms == 0 {
            if is_first {
                // What was counted in its place and not shown is in it.
                self.value = self.value.nothing();
                self.zero_ms = zero_ms;
            } else {
                self.zero_ms = self.zero_ms.zip(zero_ms).map(|(one, other)| one.min(other));
            }
            return true;
        }
        // One that began before the series was followed has counted what nobody saw; unless its process is known, which has
        // not said it until now.
        let mut others = self.counted.iter().filter(|(id, _)| **id != from.id);
        let known = others.any(|(_, other)| other.start_ms == from.start_ms);
        !is_first && from.start_ms > 0 && (known || from.start_ms >= self.since_ms)
    }

    pub(super) fn set(&mut self, to: f64) {
        if let Value::Number(value) = &mut self.value
            && value.to_bits() != to.to_bits()
        {
            *value = to;
            self.changed = true;
        }
    }

    pub(super) fn write<S: Sink<Id = Id>>(&mut self, sink: &mut S, at_ms: i64) {
        // The series may have left the store since it was found.
        for _ in 0..2 {
            let Some(id) = self.id.or_else(|| self.find(sink)) else { return };
            self.id = Some(id);
            if self.sampled_ms == 0
                && let Some(zero_ms) = self.zero_ms.filter(|zero_ms| *zero_ms < at_ms)
            {
                let _no_room = append(sink, id, &self.value.nothing(), zero_ms);
            }
            match append(sink, id, &self.value, at_ms) {
                Ok(()) => {
                    (self.changed, self.sampled_ms) = (false, at_ms);
                    return;
                }
                Err(Refused::Gone) => self.id = None,
                // Another source of the same series said its last at this instant: it is tried again at the next.
                Err(_) => return,
            }
        }
    }

    fn find<S: Sink<Id = Id>>(&self, sink: &mut S) -> Option<Id> {
        let name = self.key.instrument.series_name();
        let own = self.key.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut labels: Vec<_> = std::iter::once(("__name__", name.as_str())).chain(own).collect();
        labels.sort_unstable();
        sink.series(Rank::Derived, &labels, self.key.instrument.stored_as())
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.key.instrument as u8);
        codec::put(out, self.key.labels.len() as u64);
        for (name, value) in &self.key.labels {
            codec::put_bytes(out, name.as_bytes());
            codec::put_bytes(out, value.as_bytes());
        }
        for time in [self.zero_ms.unwrap_or(0), self.sampled_ms, self.seen_ms, self.since_ms] {
            codec::put(out, time.unsigned_abs());
        }
        codec::put(out, self.counted.len() as u64);
        for (id, of) in &self.counted {
            codec::put(out, *id);
            codec::put(out, of.start_ms.unsigned_abs());
            codec::put(out, of.seen_ms.unsigned_abs());
            codec::put(out, of.values.len() as u64);
            of.values.iter().for_each(|value| codec::put_float(out, *value));
        }
        out.push(u8::from(self.changed));
        match &self.value {
            Value::Number(value) => codec::put_float(out, *value),
            Value::Buckets { bounds, counts, sum } => {
                codec::put(out, bounds.len() as u64);
                for number in bounds.iter().chain(counts).chain([sum]) {
                    codec::put_float(out, *number);
                }
            }
        }
    }

    pub(super) fn decode(read: &mut Read<'_>) -> Option<Self> {
        let instrument = Instrument::from_code(read.byte()?)?;
        let labels = (0..read.number()?).map(|_| Some((read.text()?, read.text()?)));
        let key = Arc::new(Key { instrument, labels: labels.collect::<Option<_>>()? });
        let mut time = || Some(read.number()?.cast_signed());
        let (zero_ms, sampled_ms, seen_ms, since_ms) = (time()?, time()?, time()?, time()?);
        let mut counted = BTreeMap::new();
        for _ in 0..read.number()? {
            let id = read.number()?;
            let (start_ms, seen_ms) = (read.number()?.cast_signed(), read.number()?.cast_signed());
            let values = (0..read.number()?).map(|_| read.float()).collect::<Option<_>>()?;
            counted.insert(id, Counted { start_ms, seen_ms, values });
        }
        let changed = read.byte()? == 1;
        let value = match instrument.spec().holds {
            Holds::Count | Holds::Level => Value::Number(read.float()?),
            Holds::Buckets(_) => {
                let len = read.number()?;
                let bounds = (0..len).map(|_| read.float()).collect::<Option<Vec<_>>>()?;
                let counts = (0..=len).map(|_| read.float()).collect::<Option<Vec<_>>>()?;
                Value::Buckets { bounds, counts, sum: read.float()? }
            }
        };
        let zero_ms = Some(zero_ms).filter(|zero_ms| *zero_ms > 0);
        let id = None;
        Some(Self { key, value, id, changed, zero_ms, sampled_ms, seen_ms, since_ms, counted })
    }
}

impl Value {
    fn nothing(&self) -> Self {
        match self {
            Self::Number(_) => Self::Number(0.0),
            Self::Buckets { bounds, counts, .. } => {
                let counts = vec![0.0; counts.len()];
                Self::Buckets { bounds: bounds.clone(), counts, sum: 0.0 }
            }
        }
    }
}

/// Appends a value.
fn append<S: Sink>(sink: &mut S, id: S::Id, value: &Value, at_ms: i64) -> Result<(), Refused> {
    match value {
        Value::Number(value) => sink.append(id, at_ms, *value),
        Value::Buckets { bounds, counts, sum } => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "counts are not negative, and far below 2^64"
            )]
            let counts: Vec<u64> = counts.iter().map(|count| count.round() as u64).collect();
            let count = counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
            let histogram = Classic { bounds, counts: &counts, sum: Some(*sum), count };
            sink.append_classic(id, at_ms, &histogram)
        }
    }
}
