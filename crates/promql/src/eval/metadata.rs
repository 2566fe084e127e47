//! `info`: series with the labels of the info series of the same `instance` and `job`.
//!
//! Cost: the info series are found once; of each series a look at its own info series per step.

use std::collections::{BTreeMap, HashMap};

use super::column::Column;
use super::context::Context;
use super::names::{self, Union};
use super::selector::{self, Take};
use crate::Labels;
use crate::ast::{MatchOp, Matcher};
use crate::error::QueryError;
use crate::labels::NAME;
use crate::plan::Selector;
use crate::source::Reads;
use crate::steps::Steps;

/// The labels that tell whose information an info series is.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// Adds to each of `columns` the labels that `wanted` asks for, or all, of the times of the selector `of`.
///
/// # Errors
/// Info series contradict each other, the store cannot answer, or a limit is reached.
pub(crate) fn enrich(
    columns: Vec<Column>,
    wanted: &[Matcher],
    of: Option<Selector<'_>>,
    steps: Steps,
    context: &Context<'_>,
) -> Result<Vec<Column>, QueryError> {
    let mut matchers = wanted.to_vec();
    if !matchers.iter().any(|matcher| matcher.name == NAME) {
        let name = Matcher::new(NAME, MatchOp::Equal, "target_info");
        matchers.extend(name.ok());
    }
    let (offset, at) = of.map_or((0, None), |of| (of.offset, of.at));
    let selector = Selector { matchers: &matchers, offset, at, reads: Reads::Last, buckets: false };
    // What an info series says is in its labels; of two the one with the later sample holds.
    let series = selector::instant(&selector, Take::Time, steps, context)?;
    let (names, data): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| m.name == NAME);
    let infos = Infos { by_identity: by_identity(&series), series: &series, data };
    let mut enriched = Union::default();
    for column in columns {
        let name = column.labels.metric_name();
        if names.iter().any(|matcher| matcher.matches(name)) {
            enriched.add(column)?;
            continue;
        }
        for column in infos.enrich(&column, context)? {
            enriched.add(column)?;
        }
    }
    Ok(enriched.columns)
}

type Identity<'a> = [&'a str; 2];

fn identity(labels: &Labels) -> Identity<'_> {
    IDENTIFYING.map(|name| labels.get(name))
}

/// The positions of info series, by whose they are and then by name.
type ByIdentity<'a> = HashMap<Identity<'a>, BTreeMap<&'a str, Vec<usize>>>;

fn by_identity(series: &[Column]) -> ByIdentity<'_> {
    let mut found = ByIdentity::new();
    for (at, column) in series.iter().enumerate() {
        let names = found.entry(identity(&column.labels)).or_default();
        names.entry(column.labels.metric_name()).or_default().push(at);
    }
    found
}

/// The info series of a query.
struct Infos<'a> {
    /// Their values are the times of their samples.
    series: &'a [Column],
    by_identity: ByIdentity<'a>,
    /// Which labels are wanted; all if there is none.
    data: Vec<&'a Matcher>,
}

impl Infos<'_> {
    /// `column` with the labels that there are for it at each step: as many columns as these change.
    fn enrich(&self, column: &Column, context: &Context<'_>) -> Result<Vec<Column>, QueryError> {
        let own = identity(&column.labels);
        let known = self.by_identity.get(&own).filter(|_| own != ["", ""]);
        let mut results: Vec<Column> = Vec::new();
        let mut last: Option<(Vec<usize>, Option<usize>)> = None;
        for step in column.present.ones() {
            let mut chosen = Vec::new();
            for candidates in known.into_iter().flat_map(BTreeMap::values) {
                chosen.extend(self.latest(candidates, step)?);
            }
            let at = match &last {
                Some((before, at)) if *before == chosen => *at,
                _ => match self.labels(&column.labels, &chosen)? {
                    None => None,
                    Some(labels) => {
                        let same = results.iter().position(|result| result.labels == labels);
                        if same.is_none() {
                            context.budget.take(column.len())?;
                            let mut result = Column::empty(labels, column.len());
                            result.drop_name = column.drop_name;
                            results.push(result);
                        }
                        same.or(Some(results.len() - 1))
                    }
                },
            };
            if let (Some(result), Some(value)) =
                (at.and_then(|at| results.get_mut(at)), column.get(step))
            {
                result.set(step, value);
            }
            last = Some((chosen, at));
        }
        Ok(results)
    }

    /// Of the info series `candidates`, which are of one name, that with the latest sample.
    fn latest(&self, candidates: &[usize], step: usize) -> Result<Option<usize>, QueryError> {
        let mut latest: Option<(usize, f64)> = None;
        for at in candidates {
            let Some(time) = self.series.get(*at).and_then(|series| series.float(step)) else {
                continue;
            };
            match latest {
                Some((_, known)) if known > time => {}
                Some((other, known)) if known >= time => {
                    return Err(self.duplicate(other, *at, time));
                }
                _ => latest = Some((*at, time)),
            }
        }
        Ok(latest.map(|(at, _)| at))
    }

    fn duplicate(&self, first: usize, second: usize, seconds: f64) -> QueryError {
        let labels =
            |at: usize| self.series.get(at).map(|series| series.labels.clone()).unwrap_or_default();
        let millis = seconds * 1000.0;
        QueryError::Execution(format!(
            "found duplicate series for info metric: existing {} @ {millis:.0}, new {} @ {millis:.0}",
            labels(first),
            labels(second),
        ))
    }

    /// The labels of a series with the info series `chosen`; `None` if a label that must be there is not.
    fn labels(&self, base: &Labels, chosen: &[usize]) -> Result<Option<Labels>, QueryError> {
        let mut added: BTreeMap<&str, &str> = BTreeMap::new();
        for series in chosen.iter().filter_map(|at| self.series.get(*at)) {
            for label in &series.labels {
                let wanted =
                    self.data.is_empty() || self.data.iter().any(|m| *m.name == *label.name);
                if *label.name == *NAME || !wanted {
                    continue;
                }
                if added.get(&*label.name).is_some_and(|known| **known != *label.value) {
                    let message = format!("conflicting label: {}", label.name);
                    return Err(QueryError::Execution(message));
                }
                if base.get(&label.name).is_empty() {
                    added.insert(&label.name, &label.value);
                }
            }
        }
        if added.is_empty() && !self.data.iter().all(|matcher| matcher.matches("")) {
            return Ok(None);
        }
        let with =
            |labels: Labels, (name, value): (&&str, &&str)| names::with(&labels, *name, *value);
        Ok(Some(added.iter().fold(base.clone(), with)))
    }
}
