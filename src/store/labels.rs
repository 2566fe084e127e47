//! Names and values of labels, label sets, exemplars: what a person is offered to choose from.
//!
//! Histograms with explicit bounds show as their virtual series do. Times are as coarse as the head and the
//! day files: a live series counts as there from its oldest sample in memory to its newest, and on the days whose files have it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use sidelight_promql::ast::Matcher;
use sidelight_promql::{Labels, Reads};

use super::checkpoint::Window;
use super::exemplars::{Exemplar, SeriesExemplars};
use super::handle::Store;
use super::head::{Series, Views, resolve};
use super::select::{Place, Query, Reading, Selected};
use super::virtual_series::{self, LE, Suffix};
use super::{Kind, SeriesId, StoreError};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// In order.
    pub rows: Vec<T>,
    /// Whether so many series have to be read for it that not all of them were.
    pub cut: bool,
}

/// Labels, sets of bounds, and whether there are sums.
type Shape = (Labels, Vec<Arc<[f64]>>, bool);

impl Store {
    fn exemplars_of(
        &self,
        (id, views): (SeriesId, Views),
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Vec<SeriesExemplars> {
        let head = self.shared.head();
        let exemplars = head.exemplars.of(id, start_ms, end_ms);
        let Some(series) = head.get(id).filter(|_| !exemplars.is_empty()) else {
            return Vec::new();
        };
        let labels = head.labels(series);
        let Views::Virtual([wanted, ..]) = views else {
            return vec![SeriesExemplars { labels, exemplars }];
        };
        let bounds = virtual_series::bounds(series.bounds().map(|bounds| &**bounds));
        drop(head);
        let mut of_bound: BTreeMap<usize, Vec<Exemplar>> = BTreeMap::new();
        for exemplar in exemplars {
            // What is no number is above all.
            let below = |bound: &f64| exemplar.value > *bound || exemplar.value.is_nan();
            of_bound.entry(bounds.partition_point(below)).or_default().push(exemplar);
        }
        let mut texts = virtual_series::Texts::default();
        let buckets = of_bound.into_iter().filter_map(|(nth, exemplars)| {
            let le = texts.bound(bounds.get(nth).copied().unwrap_or(f64::INFINITY));
            let meets = wanted && matchers.iter().all(|m| m.name != LE || m.matches(&le));
            let labels = meets.then(|| texts.bucket(&labels, &le))?;
            Some(SeriesExemplars { labels, exemplars })
        });
        buckets.collect()
    }
}

/// The most series whose samples say what their label sets are, or that are in memory: of one selector.
const GATHERED_MAX: usize = if cfg!(test) { 2_000 } else { 50_000 };

/// Keeps the first `limit` in order.
fn keep(kept: &mut BTreeSet<String>, text: String, limit: usize) {
    kept.insert(text);
    if kept.len() > limit {
        kept.pop_last();
    }
}

impl Reading<'_> {
    /// The exemplars of series that meet one of `selectors`, from `start_ms` to `end_ms`. Those of a
    /// histogram with explicit bounds belong to its buckets.
    ///
    /// # Errors
    /// [`StoreError::Stopped`]: it was stopped.
    pub fn exemplars(
        &self,
        selectors: &[&[Matcher]],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<SeriesExemplars>, StoreError> {
        let store = self.store;
        let mut found: Vec<SeriesExemplars> = Vec::new();
        let mut seen: BTreeSet<(u32, Labels)> = BTreeSet::new();
        for matchers in selectors {
            self.go_on()?;
            for target in resolve(&store.shared.head, matchers) {
                self.go_on()?;
                let of_series = (target.id, target.views);
                for of in store.exemplars_of(of_series, matchers, start_ms, end_ms) {
                    if seen.insert((target.id.index, of.labels.clone())) {
                        found.push(of);
                    }
                }
            }
        }
        Ok(found)
    }

    /// The names of labels of series that meet one of `selectors` (none: of every series) and have
    /// samples from `start_ms` to `end_ms`; sorted, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`]: a file cannot be read, or it was stopped.
    pub fn label_names(
        &self,
        selectors: &[&[Matcher]],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<Listing<String>, StoreError> {
        let mut names = BTreeSet::new();
        let cut = self.each_label_set(selectors, start_ms, end_ms, |labels| {
            for label in labels {
                if !names.contains(&*label.name) {
                    keep(&mut names, label.name.to_string(), limit);
                }
            }
            true
        })?;
        Ok(Listing { rows: names.into_iter().collect(), cut })
    }

    /// The values of label `name`, likewise.
    ///
    /// # Errors
    /// [`StoreError`]: a file cannot be read, or it was stopped.
    pub fn label_values(
        &self,
        name: &str,
        selectors: &[&[Matcher]],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<Listing<String>, StoreError> {
        let mut values = BTreeSet::new();
        let cut = self.each_label_set(selectors, start_ms, end_ms, |labels| {
            let value = labels.get(name);
            if !value.is_empty() && !values.contains(value) {
                keep(&mut values, value.to_owned(), limit);
            }
            true
        })?;
        Ok(Listing { rows: values.into_iter().collect(), cut })
    }

    /// The label sets of series, likewise; the first `limit` that are found.
    ///
    /// # Errors
    /// [`StoreError`]: a file cannot be read, or it was stopped.
    pub fn series(
        &self,
        selectors: &[&[Matcher]],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<Listing<Labels>, StoreError> {
        let mut sets = BTreeSet::new();
        let cut = self.each_label_set(selectors, start_ms, end_ms, |labels| {
            let room = sets.len() < limit;
            if room {
                sets.insert(labels.clone());
            }
            room
        })?;
        Ok(Listing { rows: sets.into_iter().collect(), cut })
    }

    /// Hands every label set to `each`, some more than once, until it says no. Whether some were left out, because they are
    /// those of more than [`GATHERED_MAX`] series.
    fn each_label_set(
        &self,
        selectors: &[&[Matcher]],
        start_ms: i64,
        end_ms: i64,
        mut each: impl FnMut(&Labels) -> bool,
    ) -> Result<bool, StoreError> {
        let after = start_ms.saturating_sub(1);
        let (step, range, lookback, reads) = (0, 0, 0, Reads::Last);
        let window = Window { after, until: end_ms, step, range, lookback, reads };
        let every: &[&[Matcher]] = &[&[]];
        let mut cut = false;
        for matchers in if selectors.is_empty() { every } else { selectors } {
            let mut query = Query::new(*self, window);
            let mut ended = false;
            // What has to be read first. Numbers on disk show as they are stored, and are not gathered.
            let mut others = Vec::new();
            query.find_each(matchers, &mut |found| {
                match &found.place {
                    Place::Disk(labels) if found.kind != Kind::Classic => ended = !each(labels),
                    _ if others.len() >= GATHERED_MAX => cut = true,
                    _ => others.push(found),
                }
                if ended || cut { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            for series in others {
                if ended || !self.label_sets(&mut query, &series, (matchers, end_ms), &mut each)? {
                    return Ok(cut);
                }
            }
            if ended {
                return Ok(cut);
            }
        }
        Ok(cut)
    }

    fn label_sets(
        &self,
        query: &mut Query<'_>,
        of: &Selected,
        (matchers, end_ms): (&[Matcher], i64),
        each: &mut impl FnMut(&Labels) -> bool,
    ) -> Result<bool, StoreError> {
        if let Place::Head(id) = of.place
            && self.store.shared.head().get(id).and_then(Series::first_ms) > Some(end_ms)
            && !query.is_on_disk(of.fingerprint)?
        {
            return Ok(true);
        }
        let Some((labels, sets, sums)) = self.shape(query, of)? else { return Ok(true) };
        let Views::Virtual(wanted) = of.views else { return Ok(each(&labels)) };
        let fits = |le: &str| matchers.iter().all(|m| m.name != LE || m.matches(le));
        for (suffix, wanted) in Suffix::ALL.into_iter().zip(wanted) {
            let sets = sets.iter().map(|bounds| &**bounds);
            let more = match suffix {
                _ if !wanted => true,
                Suffix::Sum if !sums => true,
                Suffix::Bucket => virtual_series::bounds(sets).into_iter().all(|bound| {
                    let le = query.texts.bound(bound);
                    !fits(&le) || each(&query.texts.bucket(&labels, &le))
                }),
                Suffix::Sum | Suffix::Count => {
                    !fits(labels.get(LE)) || each(&query.texts.whole(&labels, suffix))
                }
            };
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The labels of a stored series; of a histogram with explicit bounds these, and whether it has sums. `None` when it
    /// left.
    fn shape(&self, query: &mut Query<'_>, of: &Selected) -> Result<Option<Shape>, StoreError> {
        let labels = match &of.place {
            Place::Disk(labels) => Some(labels.clone()),
            Place::Head(id) => {
                let head = self.store.shared.head();
                let series = head.get(*id);
                let labels = series.map(|series| head.labels(series));
                let known = series.and_then(|of| of.bounds().cloned().zip(of.has_sum()));
                if let (Some(labels), Some((bounds, sums))) = (&labels, known) {
                    return Ok(Some((labels.clone(), vec![bounds], sums)));
                }
                labels
            }
        };
        if let (Some(labels), true) = (&labels, of.kind != Kind::Classic) {
            return Ok(Some((labels.clone(), Vec::new(), false)));
        }
        // On disk; or it left the head since it was found.
        let read = query.read(of)?;
        let Some(labels) = labels.or(read.map(|(labels, _)| labels)) else { return Ok(None) };
        let classics = &query.samples.classics;
        let sums = classics.rows.iter().any(|row| row.sum.is_some());
        Ok(Some((labels, classics.bounds.clone(), sums)))
    }
}
