//! The head in numbers, and what labels cost: how many values a name has, and how many series a value.

use std::collections::{BTreeMap, HashMap};

use super::symbols::Symbol;
use super::{Head, NAME, Series, Slot};
use crate::store::stats::{Cardinality, Offender, Stats};

impl Head {
    /// Memory held, estimated. Adds up, and makes nothing: it is asked for every few seconds.
    pub(in crate::store) fn heap_bytes(&self) -> usize {
        let series = self.slots.iter().filter_map(|slot| slot.series.as_deref());
        self.symbols.heap_bytes()
            + self.bounds.bytes()
            + self.exemplars.bytes()
            + self.families.bytes()
            + self.plain.heap_bytes()
            + self.classic.heap_bytes()
            + self.slots.capacity() * (size_of::<Slot>() + 5)
            + series.map(Series::heap_bytes).sum::<usize>()
    }

    /// Adds what is in memory to `stats`.
    pub(in crate::store) fn stats(&self, stats: &mut Stats) {
        stats.series = self.len();
        stats.samples = self.samples;
        stats.overflow_samples = self.overflow_samples;
        stats.newest_ms = self.newest_ms;
        for series in self.slots.iter().filter_map(|slot| slot.series.as_deref()) {
            stats.chunks += series.chunks();
            stats.chunk_bytes += series.chunk_bytes();
            let first = series.first_ms();
            stats.oldest_ms =
                stats.oldest_ms.map_or(first, |old| Some(first.map_or(old, |t| t.min(old))));
        }
        stats.head_bytes = self.heap_bytes();
        let names = [false, true].into_iter().flat_map(|classic| self.counted(NAME, classic));
        stats.offenders = self.offenders.loudest(names.map(|(_, name, series)| Offender {
            metric: name.to_string(),
            series,
            refused: 0,
        }));
    }

    /// The labels of live series, the `top` of each list. A pass over the indexes.
    pub(in crate::store) fn cardinality(&self, top: usize) -> Cardinality {
        let mut pairs: HashMap<(Symbol, Symbol), u64> = HashMap::new();
        for (name, value, series) in self.plain.pairs().chain(self.classic.pairs()) {
            *pairs.entry((name, value)).or_default() += series as u64;
        }
        let mut values: BTreeMap<Symbol, u64> = BTreeMap::new();
        let mut bytes: BTreeMap<Symbol, u64> = BTreeMap::new();
        for (&(name, value), &series) in &pairs {
            *values.entry(name).or_default() += 1;
            *bytes.entry(name).or_default() += series * self.symbols.text(value).len() as u64;
        }
        let name_of = |symbol: Symbol| self.symbols.text(symbol).to_owned();
        let metric = self.symbols.find(NAME);
        let metrics = pairs.iter().filter(|((name, _), _)| Some(*name) == metric);
        Cardinality {
            label_pairs: pairs.len(),
            series_by_metric: most(
                metrics.map(|(&(_, value), &series)| (series, value)).collect(),
                top,
                name_of,
            ),
            values_by_label: most(values.iter().map(|(&n, &of)| (of, n)).collect(), top, name_of),
            bytes_by_label: most(bytes.iter().map(|(&n, &of)| (of, n)).collect(), top, name_of),
            series_by_pair: most(
                pairs.iter().map(|(&pair, &series)| (series, pair)).collect(),
                top,
                |(name, value)| format!("{}={}", self.symbols.text(name), self.symbols.text(value)),
            ),
        }
    }
}

/// The `top` of `counted`, most first, those that are equal in the order of their texts.
fn most<T: Copy>(
    mut counted: Vec<(u64, T)>,
    top: usize,
    text: impl Fn(T) -> String,
) -> Vec<(String, u64)> {
    if let Some(last) = top.checked_sub(1).filter(|last| *last < counted.len()) {
        // Texts are made of what may be shown only.
        counted.select_nth_unstable_by(last, |a, b| b.0.cmp(&a.0));
        let least = counted.get(last).map_or(0, |counted| counted.0);
        counted.retain(|(count, _)| *count >= least);
    }
    let mut shown: Vec<_> = counted.into_iter().map(|(count, of)| (text(of), count)).collect();
    shown.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    shown.truncate(top);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::StoreBudget;
    use crate::store::exemplars::Ring;
    use crate::store::{Kind, Rank};

    #[test]
    fn labels_are_counted_over_both_sorts_of_series() {
        let mut head = Head::new(100, StoreBudget::default(), Ring::new(0, 0));
        for (name, job, kind) in [
            ("up", "shop", Kind::Float),
            ("up", "cart", Kind::Float),
            ("seconds", "shop", Kind::Classic),
        ] {
            head.series(Rank::Received, &[("__name__", name), ("job", job)], kind, 0).unwrap();
        }
        let of = |name: &str, count| (name.to_owned(), count);
        let found = head.cardinality(10);
        assert_eq!(found.label_pairs, 4);
        assert_eq!(found.series_by_metric, [of("up", 2), of("seconds", 1)]);
        assert_eq!(found.values_by_label, [of("__name__", 2), of("job", 2)]);
        assert_eq!(found.bytes_by_label, [of("job", 12), of("__name__", 11)]);
        let pairs = [of("__name__=up", 2), of("job=shop", 2)];
        assert_eq!(found.series_by_pair[..2], pairs);
        assert_eq!(head.cardinality(2).series_by_pair, pairs);
        assert_eq!(head.cardinality(0).series_by_pair, []);
    }
}
