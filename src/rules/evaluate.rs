//! One rule at one time: its query, and what becomes of the result. Pure.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use sidelight_promql::engine::{Options, Stop};
use sidelight_promql::labels::NAME;
use sidelight_promql::value::{Sample, SampleValue};
use sidelight_promql::{Engine, Expr, Label, Labels, QueryError, Queryable};

use super::alerting::{ALERTS_MAX, Seen, TEXT_BYTES_MAX, text_bytes};
use super::error::EvaluationError;
use super::file;
use super::parts::Results;
use super::rule::Rule;
use super::template::{self, Context, Template};
use crate::alert::{Outbox, Pairs};
use crate::signal::Samples;
use crate::signal::samples::Value;
use crate::time::{Clock, UnixNano};

/// How long a rule may take; what its templates ask after that has no answer.
pub const QUERY_TIME_MAX: Duration = Duration::from_secs(10);
/// The most series that a recording rule may make.
pub const SERIES_MAX: usize = 20_000;

/// The clock is looked at once in so many times that an evaluation asks whether it is to stop: after that many series at
/// the latest, however slow they are to read.
const STOP_STRIDE: u32 = 8;

/// The label that names an alert.
const ALERT_NAME: &str = "alertname";

/// Keeps samples.
pub trait Sink {
    /// Keeps them; every query sees them afterwards. May block.
    ///
    /// # Errors
    /// Why they are not kept.
    fn append(&self, samples: Samples) -> Result<(), String>;
}

/// What an evaluation works with.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Answers queries.
    pub source: &'a dyn Queryable,
    /// Keeps results.
    pub sink: &'a dyn Sink,
    /// Takes alerts that someone must hear of.
    pub outbox: &'a dyn Outbox,
    /// Measures, and bounds, how long it takes.
    pub clock: &'a dyn Clock,
    /// `$externalLabels` of templates.
    pub external_labels: &'a [(String, String)],
    /// `$externalURL` of templates, and where links lead.
    pub external_url: &'a str,
    /// The step of a subquery that names none, in milliseconds.
    pub subquery_step_ms: i64,
    /// The most samples that a query holds.
    pub samples_max: usize,
    /// Whether it is to end early: nobody waits for it.
    pub stopped: &'a dyn Fn() -> bool,
    /// How long after it was told a firing alert is told again.
    pub resend: Duration,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("resend", &self.resend).finish_non_exhaustive()
    }
}

/// What a rule made.
pub(super) struct Made {
    /// Its series and their values.
    pub(super) series: Vec<(Labels, Value)>,
    /// Why there is not more, where there would be.
    pub(super) beyond: Option<EvaluationError>,
}

pub(super) type Outcome = Result<Made, EvaluationError>;

/// The alerts that an expression has.
pub(super) struct Found {
    pub(super) seen: Vec<Seen>,
    /// Why some are not among them, where it is so.
    pub(super) beyond: Option<EvaluationError>,
}

/// A rule that asks.
pub(super) struct Asking<'a> {
    pub(super) rule: &'a Rule,
    pub(super) now: UnixNano,
    query_offset: Duration,
    pub(super) with: &'a Surroundings<'a>,
    results: &'a Results<'a>,
    until: Duration,
    /// How often it was asked whether to stop.
    asked: Cell<u32>,
}

impl<'a> Asking<'a> {
    pub(super) fn new(
        rule: &'a Rule,
        now: UnixNano,
        query_offset: Duration,
        with: &'a Surroundings<'a>,
        results: &'a Results<'a>,
        until: Duration,
    ) -> Self {
        let until = with.clock.monotonic().saturating_add(QUERY_TIME_MAX).min(until);
        Self { rule, now, query_offset, with, results, until, asked: Cell::new(0) }
    }

    fn query(&self, expr: &Expr, text: &str, t_ms: i64) -> Result<Vec<Sample>, EvaluationError> {
        let stop = || self.stop();
        let subquery_step = self.with.subquery_step_ms;
        let samples_max = self.with.samples_max;
        let options =
            Options { text, stop: &stop, subquery_step, samples_max, ..Options::default() };
        let engine = Engine::new(options);
        let answer = engine.instant(expr, t_ms, self.results).map_err(|error| {
            EvaluationError::Query(match error {
                QueryError::Source(source) => format!("expanding series: {source}"),
                error => error.to_string(),
            })
        })?;
        match answer.value {
            sidelight_promql::Value::Vector(samples) => Ok(samples),
            sidelight_promql::Value::Scalar((time, value)) => {
                let value = SampleValue::Float(value);
                Ok(vec![Sample { labels: Labels::default(), time, value }])
            }
            _ => Err(EvaluationError::Query("rule result is not a vector or scalar".to_owned())),
        }
    }

    /// Why it is to end early.
    fn stop(&self) -> Option<Stop> {
        if (self.with.stopped)() {
            return Some(Stop::Canceled);
        }
        // Of the small pieces that it is asked after, the clock would be a good part.
        let asked = self.asked.get();
        self.asked.set(asked.wrapping_add(1));
        let late = asked.is_multiple_of(STOP_STRIDE) && self.with.clock.monotonic() > self.until;
        late.then_some(Stop::Timeout)
    }

    fn result(&self) -> Result<Vec<Sample>, EvaluationError> {
        let Rule { spec, expr, needs, .. } = self.rule;
        let t_ms = self.now.before(self.query_offset).as_ms();
        let ask = |expr: &Expr| self.query(expr, &spec.query.text, t_ms);
        self.results.prepare(needs, &ask)?;
        ask(expr)
    }

    /// Answers `query` in a template.
    fn answer(&self, text: &str) -> Result<Vec<Sample>, String> {
        let expr = sidelight_promql::parse(text).map_err(|error| error.to_string())?;
        self.query(&expr, text, self.now.as_ms()).map_err(|error| error.to_string())
    }

    /// Where the expression can be looked at.
    pub(super) fn generator_url(&self) -> String {
        let base = self.with.external_url.trim_end_matches('/');
        format!("{base}{}", self.rule.link)
    }
}

/// The series of a recording rule.
pub(super) fn recorded(asking: &Asking<'_>, limit: usize, labels: &Pairs) -> Outcome {
    // Shared by all series, as what is theirs is with the store.
    let text = |text: &str| Arc::<str>::from(text);
    let name = (text(NAME), text(&asking.rule.spec.name.text));
    let set = labels.iter().map(|(name, value)| (text(name), text(value)));
    let set: Vec<(Arc<str>, Arc<str>)> = set.chain([name]).collect();
    let mut out = Vec::new();
    for sample in asking.result()? {
        out.push((recorded_labels(&sample.labels, &set), value(sample.value)));
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    if !out.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(EvaluationError::DuplicateSeries);
    }
    let limit = if limit == 0 { SERIES_MAX } else { limit.min(SERIES_MAX) };
    if out.len() > limit {
        return Err(EvaluationError::Series { limit, found: out.len() });
    }
    Ok(Made { series: out, beyond: None })
}

/// The labels of a recorded series: those of the result, and those of the rule in their place.
fn recorded_labels(own: &Labels, set: &[(Arc<str>, Arc<str>)]) -> Labels {
    if let [(name, value)] = set
        && own.get(name).is_empty()
    {
        let (name, value) = (name.clone(), value.clone());
        return Labels::sorted(iter::once(Label { name, value }).chain(own.iter().cloned()));
    }
    let own = own.iter().map(|label| (label.name.clone(), label.value.clone()));
    Labels::new(own.chain(set.iter().cloned()))
}

fn value(value: SampleValue) -> Value {
    match value {
        SampleValue::Float(value) => Value::Float(value),
        SampleValue::Histogram(histogram) => Value::Native(histogram),
    }
}

/// A template that is expanded for every sample: its text, and what was read of it once.
struct Prepared<'a> {
    name: &'a str,
    text: &'a str,
    template: Option<Template>,
}

impl<'a> Prepared<'a> {
    fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, text, template: template::parse(text).ok() }
    }

    fn expand(&self, alert: &str, context: &Context<'_>) -> String {
        match &self.template {
            Some(template) => template.expand(alert, context),
            None => template::expand(alert, self.text, context),
        }
    }
}

/// The alerts that an expression has, templates expanded. Where it has more than a rule may have, those that are pending or
/// firing are among them: a flood ends no alert.
pub(super) fn alerts_seen(
    asking: &Asking<'_>,
    alerting: &file::Alerting,
    limit: usize,
) -> Result<Found, EvaluationError> {
    let labels = asking.rule.labels.iter().map(|(name, text)| Prepared::new(name, text));
    let labels: Vec<Prepared<'_>> = labels.collect();
    let annotations =
        alerting.annotations.iter().map(|pair| Prepared::new(&pair.name, &pair.value.text));
    let annotations: Vec<Prepared<'_>> = annotations.collect();
    let samples = asking.result()?;
    let found = samples.len();
    if limit > 0 && found > limit {
        return Err(EvaluationError::Alerts { limit, found });
    }
    let expanding = Expanding::new(asking);
    let Chosen { active, new, mut beyond } = chosen(&expanding, &labels, samples)?;
    let mut seen = Vec::new();
    let mut bytes = 0;
    let known = active.into_iter().map(|one| (one, true));
    for ((labels, sample), is_known) in known.chain(new.into_iter().map(|one| (one, false))) {
        expanding.go_on()?;
        bytes += text_bytes(&labels);
        let mut expanded = None;
        if bytes <= TEXT_BYTES_MAX {
            let annotations = expanding.expand(&annotations, &sample);
            bytes += text_bytes(&annotations);
            expanded = Some(annotations).filter(|_| bytes <= TEXT_BYTES_MAX);
        }
        if expanded.is_none() {
            beyond = Some(EvaluationError::Text { limit: TEXT_BYTES_MAX });
            if !is_known {
                break;
            }
        }
        // As in Prometheus' API, which has no histogram here.
        let value = match sample.value {
            SampleValue::Float(value) => value,
            SampleValue::Histogram(_) => 0.0,
        };
        seen.push(Seen { labels, annotations: expanded, value });
    }
    Ok(Found { seen, beyond })
}

/// The samples that are to be alerts, by their labels as such.
struct Chosen {
    /// Those of alerts that are pending or firing.
    active: BTreeMap<Pairs, Sample>,
    /// As many others as there is room for.
    new: Vec<(Pairs, Sample)>,
    beyond: Option<EvaluationError>,
}

fn chosen(
    expanding: &Expanding<'_>,
    labels: &[Prepared<'_>],
    samples: Vec<Sample>,
) -> Result<Chosen, EvaluationError> {
    let Asking { rule, .. } = expanding.asking;
    let found = samples.len();
    let (mut active, mut new) = (BTreeMap::new(), Vec::new());
    let (mut bytes, mut beyond) = (0, None);
    for sample in samples {
        expanding.go_on()?;
        let name = (ALERT_NAME.to_owned(), rule.spec.name.text.clone());
        let own = sample.labels.iter().filter(|label| &*label.name != NAME);
        let own = own.map(|label| (label.name.to_string(), label.value.to_string()));
        let of_rule = expanding.expand(labels, &sample).into_iter();
        if expanding.unanswered.get() {
            // With other labels it would be another alert: what fires would be over, and begin anew under the text of an error.
            let why = "expanding the labels took too long";
            return Err(EvaluationError::Query(why.to_owned()));
        }
        let all = Labels::new(own.chain(of_rule).chain([name]));
        let all = pairs(&all);
        if rule.live().alerts.is_active(&all) {
            if active.insert(all, sample).is_some() {
                return Err(EvaluationError::DuplicateAlerts);
            }
        } else if new.len() < ALERTS_MAX {
            bytes += text_bytes(&all);
            if bytes > TEXT_BYTES_MAX {
                beyond = Some(EvaluationError::Text { limit: TEXT_BYTES_MAX });
            } else {
                new.push((all, sample));
            }
        }
    }
    new.truncate(ALERTS_MAX.saturating_sub(active.len()));
    if beyond.is_none() && active.len() + new.len() < found {
        beyond = Some(EvaluationError::Alerts { limit: ALERTS_MAX, found });
    }
    Ok(Chosen { active, new, beyond })
}

fn pairs(labels: &Labels) -> Pairs {
    labels.iter().map(|label| (label.name.to_string(), label.value.to_string())).collect()
}

/// The templates of a rule on their way to texts.
struct Expanding<'a> {
    asking: &'a Asking<'a>,
    template_name: String,
    /// The time of the rule is over: what templates ask has no answer, so that the alerts are told without it.
    late: Cell<bool>,
    /// Something that was asked has no answer for that reason.
    unanswered: Cell<bool>,
}

impl<'a> Expanding<'a> {
    fn new(asking: &'a Asking<'a>) -> Self {
        let template_name = format!("__alert_{}", asking.rule.spec.name.text);
        Self { asking, template_name, late: Cell::new(false), unanswered: Cell::new(false) }
    }

    /// Looks at the time.
    ///
    /// # Errors
    /// Nobody waits for the alerts.
    fn go_on(&self) -> Result<(), EvaluationError> {
        let Asking { with, until, .. } = self.asking;
        if (with.stopped)() {
            let why = "expanding the templates was stopped";
            return Err(EvaluationError::Query(why.to_owned()));
        }
        self.late.set(with.clock.monotonic() > *until);
        Ok(())
    }

    fn expand(&self, templates: &[Prepared<'_>], sample: &Sample) -> Pairs {
        let Asking { now, with, .. } = *self.asking;
        let labels = pairs(&sample.labels);
        let query = |text: &str| {
            let answer = match self.late.get() {
                true => Err("the rule took too long".to_owned()),
                false => self.asking.answer(text),
            };
            if answer.is_err() && with.clock.monotonic() > self.asking.until {
                self.unanswered.set(true);
            }
            answer
        };
        let context = Context {
            labels: &labels,
            external_labels: with.external_labels,
            external_url: with.external_url,
            value: &sample.value,
            now,
            query: &query,
        };
        let expand =
            |one: &Prepared<'_>| (one.name.to_owned(), one.expand(&self.template_name, &context));
        templates.iter().map(expand).collect()
    }
}
