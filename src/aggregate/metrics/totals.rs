//! Totals of delta histograms: what a series has counted since its start, bucket by bucket.
//!
//! The store keeps the total of numbers beside each series; histograms are kept here. A checkpoint names the
//! series by their fingerprints, so that a restart gives the totals back to the same ones. Equal bounds are held once.
//! Limit: bytes; the delta of a series past it is refused, since without a total it would be a wrong sample. About
//! 0.2 KiB each with 15 buckets.

use std::collections::HashMap;
use std::hash::{Hash, Hasher as _};
use std::sync::Arc;

use sidelight_exphist::Histogram;

use super::classic::Buckets;
use super::drops::Reason;
use super::sink::Sink;
use super::stream::Delta;
use crate::aggregate::codec::{self, Read};
use crate::store::{Kind, StoreError};

/// What a total takes besides its counts: its place by series.
const TOTAL_BYTES: usize = 128;
/// What a set of bounds takes besides its numbers.
const SET_BYTES: usize = 64;

/// The total of one series.
#[derive(Clone, Debug, PartialEq)]
enum Total {
    /// With explicit bounds.
    Classic(Classic),
    /// Exponential.
    Exponential(Box<Histogram>),
}

/// A total with explicit bounds.
#[derive(Clone, Debug, PartialEq)]
struct Classic {
    bounds: Arc<[f64]>,
    counts: Box<[u64]>,
    sum: Option<f64>,
    count: u64,
}

impl Total {
    /// The bytes that it takes, without bounds.
    fn bytes(&self) -> usize {
        match self {
            Self::Classic(total) => TOTAL_BYTES + size_of_val(&*total.counts),
            Self::Exponential(total) => exponential_bytes(total),
        }
    }
}

fn exponential_bytes(total: &Histogram) -> usize {
    let buckets = total.positive().1.len() + total.negative().1.len();
    TOTAL_BYTES + size_of::<Histogram>() + buckets * 8
}

/// Totals by series.
#[derive(Debug)]
pub(super) struct Totals<Id> {
    bytes_max: usize,
    /// What totals and bounds take.
    bytes: usize,
    by_series: HashMap<Id, Total>,
    /// Bounds by a hash of theirs.
    bounds: HashMap<u64, Arc<[f64]>>,
}

impl<Id: Copy + Eq + Hash> Totals<Id> {
    /// Room for totals of `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, by_series: HashMap::new(), bounds: HashMap::new() }
    }

    /// Adds a delta to the total of a series and writes the total over it.
    pub(super) fn add_classic(
        &mut self,
        id: Id,
        place: Delta,
        delta: &mut Buckets,
    ) -> Result<(), Reason> {
        if place == Delta::Add
            && let Some(Total::Classic(total)) = self.by_series.get_mut(&id)
            && total.add(delta)
        {
            return Ok(());
        }
        // Other bounds begin a new total: the same observations are counted elsewhere from here on.
        let room = self.room(id);
        let bounds = self.share(&delta.bounds, room)?;
        let (counts, sum, count) = (delta.counts.as_slice().into(), delta.sum, delta.count);
        self.keep(id, Total::Classic(Classic { bounds, counts, sum, count }))
    }

    /// Adds a delta to the total of a series; the total.
    pub(super) fn add_exponential(
        &mut self,
        id: Id,
        place: Delta,
        delta: Histogram,
    ) -> Result<&Histogram, Reason> {
        let total = match (place, self.by_series.remove(&id)) {
            (Delta::Add, Some(Total::Exponential(mut total))) => {
                self.bytes -= exponential_bytes(&total);
                total.merge(&delta);
                total
            }
            (_, other) => {
                self.bytes -= other.map_or(0, |total| total.bytes());
                Box::new(delta)
            }
        };
        self.keep(id, Total::Exponential(total))?;
        match self.by_series.get(&id) {
            Some(Total::Exponential(total)) => Ok(total),
            _ => Err(Reason::Memory),
        }
    }

    /// The bytes that are left once the total of a series is replaced.
    fn room(&self, id: Id) -> usize {
        let before = self.by_series.get(&id).map_or(0, Total::bytes);
        self.bytes_max.saturating_sub(self.bytes - before)
    }

    fn keep(&mut self, id: Id, total: Total) -> Result<(), Reason> {
        if total.bytes() > self.room(id) {
            return Err(Reason::Memory);
        }
        self.bytes += total.bytes();
        if let Some(before) = self.by_series.insert(id, total) {
            self.bytes -= before.bytes();
        }
        Ok(())
    }

    /// These bounds, shared with other totals.
    fn share(&mut self, bounds: &[f64], room: usize) -> Result<Arc<[f64]>, Reason> {
        let mut hasher = std::hash::DefaultHasher::new();
        bounds.iter().for_each(|bound| hasher.write_u64(bound.to_bits()));
        let hash = hasher.finish();
        if let Some(known) = self.bounds.get(&hash)
            && **known == *bounds
        {
            return Ok(Arc::clone(known));
        }
        let bytes = SET_BYTES + size_of_val(bounds);
        if bytes > room {
            return Err(Reason::Memory);
        }
        let set: Arc<[f64]> = bounds.into();
        self.bytes += bytes;
        if let Some(other) = self.bounds.insert(hash, Arc::clone(&set)) {
            self.bytes -= SET_BYTES + size_of_val(&*other);
        }
        Ok(set)
    }

    /// Lets go of the totals of series that left the store, and of bounds that none has.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(Id) -> bool) {
        let bytes = &mut self.bytes;
        self.by_series.retain(|&id, total| {
            let kept = is_kept(id);
            if !kept {
                *bytes -= total.bytes();
            }
            kept
        });
        self.bounds.retain(|_, set| {
            let used = Arc::strong_count(set) > 1;
            if !used {
                *bytes -= SET_BYTES + size_of_val(&**set);
            }
            used
        });
    }

    /// Everything, for the checkpoint, a piece at a time.
    pub(super) fn encode<S: Sink<Id = Id>>(
        &self,
        sink: &S,
        put: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let known = self.by_series.iter();
        let known = known.filter_map(|(&id, total)| Some((sink.fingerprint(id)?, total)));
        codec::in_pieces(known, put, |out, (fingerprint, total)| {
            let kind = match total {
                Total::Classic(_) => Kind::Classic,
                Total::Exponential(_) => Kind::Native,
            };
            out.push(kind as u8);
            codec::put(out, fingerprint);
            match total {
                Total::Classic(total) => total.encode(out),
                Total::Exponential(total) => total.encode(out),
            }
        })
    }

    /// Takes up a piece that [`Totals::encode`] wrote, up to what cannot be read or has no room.
    pub(super) fn take_back<S: Sink<Id = Id>>(&mut self, piece: &[u8], sink: &S) {
        let mut read = Read(piece);
        while let Some((fingerprint, total)) = self.entry(&mut read) {
            if let Some(id) = sink.by_fingerprint(fingerprint)
                && self.keep(id, total).is_err()
            {
                return;
            }
        }
    }

    fn entry(&mut self, read: &mut Read<'_>) -> Option<(u64, Total)> {
        let kind = Kind::from_code(read.byte()?)?;
        let fingerprint = read.number()?;
        let total = match kind {
            Kind::Float => return None,
            Kind::Native => Total::Exponential(Box::new(read.histogram()?)),
            Kind::Classic => {
                let len = read.number().filter(|&len| len <= super::classic::BOUNDS_MAX as u64)?;
                let bounds = (0..len).map(|_| read.float()).collect::<Option<Vec<_>>>()?;
                let counts = (0..=len).map(|_| read.number()).collect::<Option<_>>()?;
                let count = read.number()?;
                let has_sum = read.byte()? == 1;
                let sum = read.float()?;
                let room = self.bytes_max.saturating_sub(self.bytes);
                let bounds = self.share(&bounds, room).ok()?;
                Total::Classic(Classic { bounds, counts, sum: has_sum.then_some(sum), count })
            }
        };
        Some((fingerprint, total))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_series.len()
    }
}

impl Classic {
    /// Adds a delta and writes the total over it; false, and nothing done, when their bounds differ.
    fn add(&mut self, delta: &mut Buckets) -> bool {
        if *self.bounds != *delta.bounds || self.counts.len() != delta.counts.len() {
            return false;
        }
        for (total, count) in self.counts.iter_mut().zip(&mut delta.counts) {
            *total = total.saturating_add(*count);
            *count = *total;
        }
        self.count = self.count.saturating_add(delta.count);
        self.sum = self.sum.zip(delta.sum).map(|(total, sum)| total + sum);
        (delta.count, delta.sum) = (self.count, self.sum);
        true
    }

    fn encode(&self, out: &mut Vec<u8>) {
        codec::put(out, self.bounds.len() as u64);
        self.bounds.iter().for_each(|&bound| codec::put_float(out, bound));
        self.counts.iter().for_each(|&count| codec::put(out, count));
        codec::put(out, self.count);
        out.push(u8::from(self.sum.is_some()));
        codec::put_float(out, self.sum.unwrap_or(0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(bounds: &[f64], counts: &[u64]) -> Buckets {
        let count = counts.iter().sum();
        Buckets { bounds: bounds.to_vec(), counts: counts.to_vec(), sum: Some(1.5), count }
    }

    #[test]
    fn deltas_add_up_where_their_bounds_agree_and_begin_anew_where_not() {
        let mut totals = Totals::new(1 << 20);
        let mut shown = delta(&[1.0], &[1, 2]);
        totals.add_classic(7, Delta::Add, &mut shown).unwrap();
        let mut shown = delta(&[1.0], &[10, 0]);
        totals.add_classic(7, Delta::Add, &mut shown).unwrap();
        assert_eq!((&shown.counts[..], shown.count, shown.sum), (&[11, 2][..], 13, Some(3.0)));
        let mut shown = delta(&[2.0], &[1, 0]);
        totals.add_classic(7, Delta::Add, &mut shown).unwrap();
        assert_eq!((shown.count, totals.len()), (1, 1));
        let mut shown = delta(&[2.0], &[4, 0]);
        totals.add_classic(7, Delta::Begin(0), &mut shown).unwrap();
        assert_eq!(shown.count, 4);
    }

    #[test]
    fn totals_are_bounded_in_bytes_and_share_equal_bounds() {
        let bounds: Vec<f64> = (0..1_000).map(f64::from).collect();
        let counts = vec![1; 1_001];
        let mut totals = Totals::new(1 << 20);
        let add = |totals: &mut Totals<u32>, id: u32, first: f64| {
            let mut bounds = bounds.clone();
            bounds[0] = first;
            totals.add_classic(id, Delta::Add, &mut delta(&bounds, &counts)).is_ok()
        };
        let shared = (0..1_000).filter(|&id| add(&mut totals, id, -1.0)).count();
        assert!((120..130).contains(&shared), "{shared}");
        assert!(totals.bytes <= 1 << 20);
        totals.retain(|_| false);
        assert_eq!((totals.bytes, totals.len()), (0, 0));
        let alone = (0..1_000).filter(|&id| add(&mut totals, id, -1.0 - f64::from(id))).count();
        assert!((60..70).contains(&alone), "{alone}");
        let mut histogram = Histogram::new(5, 320);
        histogram.record(1.0);
        let kept = (0..10_000_u32)
            .filter(|&id| totals.add_exponential(id, Delta::Add, histogram.clone()).is_ok());
        assert!(kept.count() < 10_000);
        assert!(totals.bytes <= 1 << 20);
    }
}
