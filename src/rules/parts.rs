//! Parts of expressions that several rules of a group have: each is evaluated once in an evaluation of the group.
//!
//! ```text
//! histogram_quantile(0.5, sum by (le) (…))                              part 0: sum by (le) (…)
//! histogram_quantile(0.9, sum by (le) (…)) ─ Split::of ─▶ rules: histogram_quantile(0.5, ‹0›), histogram_quantile(0.9, ‹0›)
//! ```
//! A part is an aggregation, or a function of ranges that is not aggregated at once: its series have no metric name, so that a
//! selector of them means what it meant. Not looked into are subqueries, which are evaluated at other times, `absent`, which
//! reads its argument's matchers, and `topk`,
//! `bottomk` and `limitk`, which choose by the order of what they are given: a part's series come sorted. What a part
//! gave is forgotten when a metric that it reads is recorded after it was evaluated, and after the last rule that reads it. Pure.
//!
//! Limits: [`SAMPLES_MAX`] samples wait for another rule; a part that does not fit is evaluated again.
//! Cost: one printed text of every aggregation, once when a file is read; then a copy of a part's series for each reader.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use sidelight_promql::ast::{AggregateOp, Call, Duration, Matcher, Type, VectorSelector};
use sidelight_promql::functions::Id;
use sidelight_promql::labels::NAME;
use sidelight_promql::source::{Each, Points, SourceError, Warnings};
use sidelight_promql::value::{Sample, SampleValue};
use sidelight_promql::{Expr, Queryable, Selection};

use super::reads::Reads;

/// What no metric of a rule file is called.
const PREFIX: &str = "\u{0}part ";
/// The most samples of all parts of a group that are kept from one rule to the next.
const SAMPLES_MAX: usize = 20_000;

/// A part.
#[derive(Debug)]
pub(super) struct Part {
    /// With selectors of parts in it that are before it.
    pub(super) expr: Expr,
    reads: Reads,
    /// The place of the last expression that needs it.
    last_reader: usize,
}

/// Expressions and what they have in common.
#[derive(Debug)]
pub(super) struct Split {
    /// As they were, but with selectors of parts; in the same order.
    pub(super) exprs: Vec<Expr>,
    /// Each needs only those before it.
    pub(super) parts: Vec<Part>,
}

impl Split {
    pub(super) fn of<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Self {
        let mut exprs: Vec<Expr> = exprs.into_iter().cloned().collect();
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for expr in &mut exprs {
            visit(expr, &mut |expr| {
                if is_sharable(expr) {
                    *times.entry(expr.to_string()).or_default() += 1;
                }
                true
            });
        }
        let mut splitter = Splitter { times, known: BTreeMap::new(), parts: Vec::new() };
        for expr in &mut exprs {
            splitter.replace(expr, 1);
        }
        let mut parts = splitter.parts;
        for (index, expr) in exprs.iter().enumerate() {
            let mut needed = needs(expr);
            // Each needs only those before it.
            while let Some(part) = needed.pop_last().and_then(|id| parts.get_mut(id)) {
                part.last_reader = index;
                needed.extend(needs(&part.expr));
            }
        }
        Self { exprs, parts }
    }
}

struct Splitter {
    /// How often each aggregation is there.
    times: BTreeMap<String, usize>,
    known: BTreeMap<String, usize>,
    parts: Vec<Part>,
}

impl Splitter {
    /// Puts selectors in the place of what is there more than `within` times: as often as what it is a part of.
    fn replace(&mut self, expr: &mut Expr, within: usize) {
        visit(expr, &mut |expr| {
            if !is_sharable(expr) {
                return true;
            }
            let text = expr.to_string();
            let times = self.times.get(&text).copied().unwrap_or_default();
            if times <= within {
                return true;
            }
            let id = match self.known.get(&text) {
                Some(id) => *id,
                None => self.add(expr, text, times),
            };
            *expr = selector(id);
            false
        });
    }

    fn add(&mut self, expr: &Expr, text: String, times: usize) -> usize {
        let (mut expr, reads) = (expr.clone(), Reads::of_expr(expr));
        if let Expr::Aggregate(aggregate) = &mut expr {
            if let Some(param) = &mut aggregate.param {
                self.replace(param, times);
            }
            self.replace(&mut aggregate.expr, times);
        }
        let id = self.parts.len();
        self.parts.push(Part { expr, reads, last_reader: 0 });
        self.known.insert(text, id);
        id
    }
}

fn selector(id: usize) -> Expr {
    let name = format!("{PREFIX}{id}");
    let matchers = vec![Matcher::equal(NAME, &name)];
    let (offset, at, span) = (Duration::Fixed(0), None, Default::default());
    Expr::Vector(VectorSelector { name: Some(name), matchers, offset, at, span })
}

/// The part that is selected.
fn selected(matchers: &[Matcher]) -> Option<usize> {
    let [matcher] = matchers else { return None };
    matcher.value.strip_prefix(PREFIX)?.parse().ok()
}

/// The parts that `expr` selects.
pub(super) fn needs(expr: &Expr) -> BTreeSet<usize> {
    let mut needs = BTreeSet::new();
    expr.selectors(&mut |selector, _| needs.extend(selected(&selector.matchers)));
    needs
}

/// Whether its series have no names, and it asks a store at all.
fn is_sharable(expr: &Expr) -> bool {
    let aggregate = match expr {
        Expr::Aggregate(aggregate) => aggregate,
        Expr::Call(call) => return is_of_ranges(call) && !Reads::of_expr(expr).is_nothing(),
        _ => return false,
    };
    let names = matches!(
        aggregate.op,
        AggregateOp::Topk
            | AggregateOp::Bottomk
            | AggregateOp::Limitk
            | AggregateOp::LimitRatio
            | AggregateOp::CountValues
    );
    let named = aggregate.grouping.iter().any(|label| label == NAME);
    !names && !named && !Reads::of_expr(expr).is_nothing()
}

/// Whether it is a function of ranges whose series lose their names.
fn is_of_ranges(call: &Call) -> bool {
    let keeps = [Id::FirstOverTime, Id::LastOverTime, Id::AbsentOverTime];
    call.function.args.contains(&Type::Matrix) && !keeps.contains(&call.function.id)
}

/// Hands every part of `expr` to `each`, the outer before the inner, and those within it only where `each` says so.
fn visit(expr: &mut Expr, each: &mut dyn FnMut(&mut Expr) -> bool) {
    if !each(expr) {
        return;
    }
    match expr {
        Expr::Call(call) if matches!(call.function.id, Id::Absent | Id::AbsentOverTime) => {}
        Expr::Call(call) => call.args.iter_mut().for_each(|arg| visit(arg, each)),
        Expr::Aggregate(aggregate) => {
            aggregate.param.iter_mut().for_each(|param| visit(param, each));
            let op = aggregate.op;
            // Series of a metric that are aggregated as they come need not be there together.
            let at_once = matches!(&aggregate.expr, Expr::Call(call) if is_of_ranges(call));
            if !at_once
                && !matches!(op, AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk)
            {
                visit(&mut aggregate.expr, each);
            }
        }
        Expr::Binary(binary) => {
            visit(&mut binary.lhs, each);
            visit(&mut binary.rhs, each);
        }
        Expr::Unary(unary) => visit(&mut unary.expr, each),
        Expr::Paren(paren) => visit(&mut paren.expr, each),
        Expr::Subquery(_)
        | Expr::Number(_)
        | Expr::String(_)
        | Expr::Vector(_)
        | Expr::Matrix(_) => {}
    }
}

/// What parts gave in one evaluation, before a store that has everything else.
pub(super) struct Results<'a> {
    parts: &'a [Part],
    source: &'a dyn Queryable,
    found: RefCell<Vec<Option<Vec<Sample>>>>,
}

impl<'a> Results<'a> {
    pub(super) fn new(parts: &'a [Part], source: &'a dyn Queryable) -> Self {
        let found = parts.iter().map(|_| None).collect();
        Self { parts, source, found: RefCell::new(found) }
    }

    /// Forgets what read one of `names`: they are about to be recorded.
    pub(super) fn forget(&self, names: &BTreeSet<String>) {
        for (part, found) in self.parts.iter().zip(self.found.borrow_mut().iter_mut()) {
            if part.reads.any_of(names) {
                *found = None;
            }
        }
    }

    /// Forgets what no expression after the one at `index` needs, and what is too much to wait for it.
    pub(super) fn release(&self, index: usize) {
        let mut kept = 0;
        for (part, found) in self.parts.iter().zip(self.found.borrow_mut().iter_mut()) {
            let samples = found.as_ref().map_or(0, Vec::len);
            if part.last_reader <= index || kept + samples > SAMPLES_MAX {
                *found = None;
            } else {
                kept += samples;
            }
        }
    }

    /// Has each of `needs` evaluated by `ask` that was not since it was forgotten.
    ///
    /// # Errors
    /// Those of `ask`.
    pub(super) fn prepare<E>(
        &self,
        needs: &BTreeSet<usize>,
        ask: &dyn Fn(&Expr) -> Result<Vec<Sample>, E>,
    ) -> Result<(), E> {
        for id in needs {
            let known = self.found.borrow().get(*id).is_none_or(Option::is_some);
            let Some(part) = self.parts.get(*id).filter(|_| !known) else { continue };
            self.prepare(&self::needs(&part.expr), ask)?;
            let found = ask(&part.expr)?;
            if let Some(place) = self.found.borrow_mut().get_mut(*id) {
                *place = Some(found);
            }
        }
        Ok(())
    }
}

impl Queryable for Results<'_> {
    fn select(&self, selection: &Selection<'_>, each: Each<'_>) -> Result<Warnings, SourceError> {
        let Some(id) = selected(selection.matchers) else {
            return self.source.select(selection, each);
        };
        let found = self.found.borrow();
        let mut points = Points::default();
        for sample in found.get(id).into_iter().flatten().flatten() {
            points.clear();
            match &sample.value {
                SampleValue::Float(value) => points.floats.push((sample.time, *value)),
                SampleValue::Histogram(histogram) => {
                    points.histograms.push((sample.time, histogram.clone()));
                }
            }
            if each(&sample.labels, &points).is_break() {
                break;
            }
        }
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(exprs: &[&str]) -> (Vec<String>, Vec<String>) {
        let exprs: Vec<Expr> =
            exprs.iter().map(|text| sidelight_promql::parse(text).unwrap()).collect();
        let split = Split::of(&exprs);
        let shown = |expr: &Expr| expr.to_string().replace('\u{0}', "");
        (
            split.exprs.iter().map(shown).collect(),
            split.parts.iter().map(|p| shown(&p.expr)).collect(),
        )
    }

    #[test]
    fn what_is_there_twice_is_a_part_and_what_is_in_it_only_where_it_is_elsewhere_too() {
        let (exprs, parts) = split(&[
            "histogram_quantile(0.5, sum by (le) (rate(a[5m])))",
            "histogram_quantile(0.9, sum by (le)(rate(a[5m])))",
            "x / sum(max by (l) (b)) or sum(max by (l) (b))",
            "max by (l) (b) > 1",
        ]);
        assert_eq!(parts, ["sum by (le) (rate(a[5m]))", "max by (l) (b)", "sum(part 1)"]);
        assert_eq!(
            exprs,
            [
                "histogram_quantile(0.5, part 0)",
                "histogram_quantile(0.9, part 0)",
                "x / part 2 or part 2",
                "part 1 > 1",
            ]
        );
    }

    #[test]
    fn what_is_aggregated_as_it_comes_is_no_part_by_itself() {
        let (exprs, parts) = split(&["sum by (a) (rate(x[5m]))", "sum by (b) (rate(x[5m])) / 2"]);
        assert_eq!((exprs[0].as_str(), parts.len()), ("sum by (a) (rate(x[5m]))", 0));
        let (_, parts) = split(&["rate(x[5m]) > 1", "rate(x[5m]) > 2"]);
        assert_eq!(parts, ["rate(x[5m])"]);
    }

    struct Empty;

    impl Queryable for Empty {
        fn select(&self, _: &Selection<'_>, _: Each<'_>) -> Result<Warnings, SourceError> {
            Ok(Vec::new())
        }
    }

    /// How many samples are kept after each of `exprs`, of which every part has `samples`, and how often one was evaluated.
    fn kept(exprs: &[&str], samples: usize) -> (Vec<usize>, usize) {
        let exprs: Vec<Expr> =
            exprs.iter().map(|text| sidelight_promql::parse(text).unwrap()).collect();
        let split = Split::of(&exprs);
        let results = Results::new(&split.parts, &Empty);
        let asked = std::cell::Cell::new(0);
        let value = || SampleValue::Float(1.0);
        let ask = |_: &Expr| {
            asked.set(asked.get() + 1);
            let one = || Sample { labels: Default::default(), time: 0, value: value() };
            Ok::<_, ()>((0..samples).map(|_| one()).collect())
        };
        let kept = split.exprs.iter().enumerate().map(|(index, expr)| {
            results.prepare(&needs(expr), &ask).unwrap();
            results.release(index);
            results.found.borrow().iter().flatten().map(Vec::len).sum()
        });
        (kept.collect(), asked.get())
    }

    #[test]
    fn what_a_part_gave_is_kept_until_the_last_rule_that_reads_it_and_not_without_a_bound() {
        let nested = ["sum(max by (l) (b))", "sum(max by (l) (b)) + 1", "max by (l) (b)", "c"];
        assert_eq!(kept(&nested, 3), (vec![6, 3, 0, 0], 2));
        let two = ["sum(a) + sum(b)", "sum(a)", "sum(b)"];
        assert_eq!(kept(&two, SAMPLES_MAX), (vec![SAMPLES_MAX, 0, 0], 3), "one is asked again");
        assert_eq!(kept(&two, SAMPLES_MAX + 1), (vec![0, 0, 0], 4));
    }

    #[test]
    fn what_means_something_else_in_another_place_is_no_part() {
        for twice in [
            "topk(1, sum by (l) (a)) + topk(1, sum by (l) (a))",
            "bottomk(1, sum by (l) (a)) + topk(1, sum by (l) (a))",
            "max_over_time(sum(a)[1h:1m]) + max_over_time(sum(a)[2h:1m])",
            "absent(sum(a)) + absent(1 + sum(a))",
            "topk(1, a) + topk(1, a)",
            "count by (__name__) (a) + count by (__name__) (a)",
            "last_over_time(a[5m]) + last_over_time(a[5m])",
            "absent_over_time(a[5m]) + absent_over_time(a[5m])",
            "sum(vector(1)) + sum(vector(1))",
        ] {
            assert_eq!(split(&[twice]).1, [""; 0], "{twice}");
        }
    }
}
