//! Totals of delta histograms: what a series has counted since its start, bucket by bucket.
//!
//! The store keeps the total of numbers beside each series; histograms are kept here with their labels, so that a
//! checkpoint can give them back to the same series. Limit: [`TOTALS_MAX`]; a series past it begins a total with each
//! delta. About 1 KiB each.

use std::collections::HashMap;
use std::hash::Hash;

use sidelight_exphist::Histogram;

use super::classic::Buckets;
use super::labels::LabelSet;
use super::sink::Sink;
use crate::aggregate::codec::{self, Read};
use crate::store::Kind;

/// The most totals.
pub(super) const TOTALS_MAX: usize = 20_000;

/// The total of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Total {
    /// Nothing yet.
    #[default]
    None,
    /// With explicit bounds.
    Classic(Buckets),
    /// Exponential.
    Exponential(Histogram),
}

/// Totals by series.
#[derive(Debug)]
pub(super) struct Totals<Id>(HashMap<Id, (LabelSet, Total)>);

impl<Id> Default for Totals<Id> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<Id: Copy + Eq + Hash> Totals<Id> {
    /// Makes room for the total of a series, unless there is none.
    pub(super) fn prepare(&mut self, id: Id, labels: LabelSet) {
        if self.0.len() < TOTALS_MAX {
            self.0.entry(id).or_insert((labels, Total::None));
        }
    }

    /// The total of a series.
    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Total> {
        self.0.get_mut(&id).map(|(_, total)| total)
    }

    /// Lets go of the totals of series that left the store.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(Id) -> bool) {
        self.0.retain(|&id, _| is_kept(id));
    }

    /// Everything, for the checkpoint.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for (labels, total) in self.0.values() {
            let kind = match total {
                Total::None => continue,
                Total::Classic(_) => Kind::Classic,
                Total::Exponential(_) => Kind::Native,
            };
            out.push(kind as u8);
            let labels = labels.as_sorted();
            codec::put(out, labels.len() as u64);
            for (name, value) in labels {
                codec::put_bytes(out, name.as_bytes());
                codec::put_bytes(out, value.as_bytes());
            }
            match total {
                Total::None => {}
                Total::Classic(total) => put_classic(out, total),
                Total::Exponential(total) => total.encode(out),
            }
        }
    }

    /// What [`Totals::encode`] wrote, up to what cannot be read.
    pub(super) fn decode<S: Sink<Id = Id>>(bytes: &[u8], sink: &mut S) -> Self {
        let mut totals = Self::default();
        let mut read = Read(bytes);
        while let Some((labels, total)) = entry(&mut read) {
            let kind = match total {
                Total::Exponential(_) => Kind::Native,
                _ => Kind::Classic,
            };
            if totals.0.len() < TOTALS_MAX
                && let Some(id) = sink.series(&labels.as_sorted(), kind)
            {
                totals.0.insert(id, (labels, total));
            }
        }
        totals
    }
}

fn put_classic(out: &mut Vec<u8>, total: &Buckets) {
    codec::put(out, total.bounds.len() as u64);
    total.bounds.iter().for_each(|&bound| codec::put_float(out, bound));
    total.counts.iter().for_each(|&count| codec::put(out, count));
    codec::put(out, total.count);
    out.push(u8::from(total.sum.is_some()));
    codec::put_float(out, total.sum.unwrap_or(0.0));
}

fn entry(read: &mut Read<'_>) -> Option<(LabelSet, Total)> {
    let kind = Kind::from_code(read.byte()?)?;
    let mut labels = LabelSet::default();
    for _ in 0..read.number()? {
        let (name, value) = (read.text()?, read.text()?);
        labels.set(name, value);
    }
    let total = match kind {
        Kind::Float => return None,
        Kind::Native => Total::Exponential(read.histogram()?),
        Kind::Classic => {
            let len = read.number().filter(|&len| len <= super::classic::BOUNDS_MAX as u64)?;
            let bounds = (0..len).map(|_| read.float()).collect::<Option<_>>()?;
            let counts = (0..=len).map(|_| read.number()).collect::<Option<_>>()?;
            let count = read.number()?;
            let has_sum = read.byte()? == 1;
            let sum = read.float()?;
            Total::Classic(Buckets { bounds, counts, sum: has_sum.then_some(sum), count })
        }
    };
    Some((labels, total))
}
