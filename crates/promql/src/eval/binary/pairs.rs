//! Operators between two vectors: arithmetic and comparisons of the series that belong together.

use super::super::bits::Bits;
use super::super::column::Column;
use super::super::context::Context;
use super::super::names::{self, Union};
use super::sample;
use super::signature::{self, Group};
use crate::ast::{BinaryOp, Cardinality, Matching, Span};
use crate::error::QueryError;
use crate::value::SampleValue;
use crate::{Labels, arithmetic};

/// An operator between two vectors.
#[derive(Clone, Copy)]
pub(crate) struct Pairs<'a> {
    pub(crate) op: BinaryOp,
    pub(crate) matching: &'a Matching,
    pub(crate) return_bool: bool,
    pub(crate) span: Span,
}

impl Pairs<'_> {
    /// The result for the columns of both sides.
    ///
    /// # Errors
    /// The series do not match as the expression says, or a limit is reached.
    pub(crate) fn apply(
        self,
        left: &[Column],
        right: &[Column],
        len: usize,
        context: &Context<'_>,
    ) -> Result<Vec<Column>, QueryError> {
        let swapped = self.matching.cardinality == Cardinality::OneToMany;
        let mut both = everywhere(left, len);
        both.intersect(&everywhere(right, len));
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        let mut groups = Vec::new();
        for Group { left, right } in signature::groups(self.matching, left, right) {
            let (many_at, one_at) = if swapped { (right, left) } else { (left, right) };
            let many: Vec<&Column> = many_at.iter().filter_map(|at| many.get(*at)).collect();
            let one: Vec<&Column> = one_at.iter().filter_map(|at| one.get(*at)).collect();
            self.one_is_one(&one, &both)?;
            groups.push((many, one));
        }
        let mut united = Union::default();
        for (many, one) in groups {
            self.group(&many, &one, context, &mut united)?;
        }
        Ok(united.columns)
    }

    /// Ends the query if the one side has two samples at a step at which both sides have any.
    fn one_is_one(self, one: &[&Column], both: &Bits) -> Result<(), QueryError> {
        let mut seen = Bits::none(both.len());
        for column in one {
            let mut here = column.present.clone();
            here.intersect(both);
            if seen.overlaps(&here) {
                let other = one
                    .iter()
                    .find(|other| other.labels != column.labels && other.present.overlaps(&here));
                return Err(self.duplicate(column, other.unwrap_or(column)));
            }
            seen.union(&here);
        }
        Ok(())
    }

    fn duplicate(self, column: &Column, other: &Column) -> QueryError {
        let side =
            if self.matching.cardinality == Cardinality::OneToMany { "left" } else { "right" };
        // In order of their text, so that the message does not depend on the order of the series.
        let mut both = [column.labels.to_string(), other.labels.to_string()];
        both.sort_unstable();
        let [first, second] = both;
        QueryError::Execution(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{first}, {second}];\
             many-to-many matching not allowed: matching labels must be unique on one side",
            signature::signature(self.matching, &column.labels),
        ))
    }

    fn group(
        self,
        many: &[&Column],
        one: &[&Column],
        context: &Context<'_>,
        united: &mut Union,
    ) -> Result<(), QueryError> {
        let one_to_one = self.matching.cardinality == Cardinality::OneToOne;
        let mut taken = Bits::default();
        let mut group = Union::default();
        for many in many {
            for one in one {
                if !many.present.overlaps(&one.present) {
                    continue;
                }
                let column = self.pair(many, one, context);
                context.budget.take(column.samples())?;
                if taken.len() == 0 {
                    taken = Bits::none(column.len());
                }
                // What a comparison does not keep is matched all the same.
                let mut matched = column.present.clone();
                let floats = many.histograms.is_empty() && one.histograms.is_empty();
                if self.op.is_comparison() && floats {
                    matched = many.present.clone();
                    matched.intersect(&one.present);
                }
                if one_to_one && taken.overlaps(&matched) {
                    return Err(QueryError::Execution(
                        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                            .into(),
                    ));
                }
                taken.union(&matched);
                group.add(column).map_err(|_| {
                    QueryError::Execution(
                        "multiple matches for labels: grouping labels must ensure unique matches"
                            .into(),
                    )
                })?;
            }
        }
        group.columns.into_iter().try_for_each(|column| united.add(column))
    }

    fn pair(self, many: &Column, one: &Column, context: &Context<'_>) -> Column {
        let swapped = self.matching.cardinality == Cardinality::OneToMany;
        let (left, right) = if swapped { (one, many) } else { (many, one) };
        let mut column = Column {
            labels: self.labels(&many.labels, &one.labels),
            // As in Prometheus, a filter has the name of its left side even where that was to go.
            drop_name: self.return_bool,
            values: left.values.clone(),
            present: left.present.clone(),
            histograms: Vec::new(),
        };
        column.present.intersect(&right.present);
        let histograms = self.histograms(left, right, &mut column.present, context);
        if self.op.is_comparison() {
            self.compare(&mut column, right);
        } else {
            arithmetic::apply(self.op, &mut column.values, &right.values);
        }
        for (step, value) in histograms {
            column.set(step, value);
        }
        column
    }

    fn compare(self, column: &mut Column, right: &Column) {
        for (step, (value, right)) in column.values.iter_mut().zip(&right.values).enumerate() {
            let holds = arithmetic::compare(self.op, *value, *right);
            if self.return_bool {
                *value = f64::from(u8::from(holds));
            } else if !holds {
                column.present.clear(step);
            }
        }
    }

    /// The results at the steps at which either side is a histogram; these are taken out of `present`. All steps are where
    /// something is trimmed: between floats that is nothing, which is noted.
    fn histograms(
        self,
        left: &Column,
        right: &Column,
        present: &mut Bits,
        context: &Context<'_>,
    ) -> Vec<(usize, SampleValue)> {
        let mut results = Vec::new();
        let trim = self.op.is_trim();
        if left.histograms.is_empty() && right.histograms.is_empty() && !trim {
            return results;
        }
        let steps: Vec<usize> = present
            .ones()
            .filter(|step| trim || left.histogram(*step).or(right.histogram(*step)).is_some())
            .collect();
        let mut said = false;
        for step in steps {
            present.clear(step);
            let floats = left.histogram(step).or(right.histogram(step)).is_none();
            // One pair of floats says what all of them would.
            if floats && std::mem::replace(&mut said, true) {
                continue;
            }
            let (Some(left), Some(right)) = (left.get(step), right.get(step)) else { continue };
            let result = sample::apply(self.op, (&left, &right), self.span, context);
            if let Some(value) = result.and_then(|result| sample::kept(result, self.return_bool)) {
                results.push((step, value));
            }
        }
        results
    }

    /// The labels of the result of a pair.
    fn labels(self, many: &Labels, one: &Labels) -> Labels {
        let matching = self.matching;
        let keeps_name = self.op.is_comparison() || self.op.is_trim();
        let mut labels = if keeps_name { many.clone() } else { names::without_metadata(many) };
        if matching.cardinality == Cardinality::OneToOne {
            let named = |name: &str| matching.labels.iter().any(|label| label == name);
            labels = names::without(&labels, |name| named(name) != matching.on);
        }
        for name in &matching.include {
            labels =
                names::with(&labels, name.as_str(), one.find(name).cloned().unwrap_or_default());
        }
        labels
    }
}

/// The steps at which any column has a sample.
fn everywhere(columns: &[Column], len: usize) -> Bits {
    let mut bits = Bits::none(len);
    for column in columns {
        bits.union(&column.present);
    }
    bits
}
