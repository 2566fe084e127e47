//! Every function of PromQL in one table: what it takes and what it gives.
//!
//! Source: Prometheus 3.15, querying/functions.

use crate::types::Type;
use crate::types::Type::{Matrix, Scalar, String, Vector};

/// A function's signature.
#[derive(Debug)]
pub struct Function {
    /// Which it is.
    pub id: Id,
    /// As written.
    pub name: &'static str,
    /// The types of its arguments.
    pub args: &'static [Type],
    /// How many of them, from the last, may be left out.
    pub optional: usize,
    /// How many arguments there may be; `usize::MAX` where the last may be repeated without end.
    pub args_max: usize,
    /// What it gives.
    pub returns: Type,
    /// Whether Prometheus has it behind `--enable-feature=promql-experimental-functions`.
    pub experimental: bool,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// The function called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Function> {
    let at = FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok()?;
    FUNCTIONS.get(at)
}

/// Names a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the function of its name")]
pub enum Id {
    Abs,
    Absent,
    AbsentOverTime,
    Acos,
    Acosh,
    Asin,
    Asinh,
    Atan,
    Atanh,
    AvgOverTime,
    Ceil,
    Changes,
    Clamp,
    ClampMax,
    ClampMin,
    Cos,
    Cosh,
    CountOverTime,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    DaysInMonth,
    Deg,
    Delta,
    Deriv,
    DoubleExponentialSmoothing,
    End,
    Exp,
    FirstOverTime,
    Floor,
    HistogramAvg,
    HistogramCount,
    HistogramFraction,
    HistogramQuantile,
    HistogramQuantiles,
    HistogramStddev,
    HistogramStdvar,
    HistogramSum,
    Hour,
    Idelta,
    Increase,
    Info,
    Irate,
    LabelJoin,
    LabelReplace,
    LastOverTime,
    Ln,
    Log10,
    Log2,
    MadOverTime,
    MaxOf,
    MaxOverTime,
    MinOf,
    MinOverTime,
    Minute,
    Month,
    Pi,
    PredictLinear,
    PresentOverTime,
    QuantileOverTime,
    Rad,
    Range,
    Rate,
    Resets,
    Round,
    Scalar,
    Sgn,
    Sin,
    Sinh,
    Sort,
    SortByLabel,
    SortByLabelDesc,
    SortDesc,
    Sqrt,
    Start,
    StddevOverTime,
    StdvarOverTime,
    Step,
    SumOverTime,
    Tan,
    Tanh,
    Time,
    Timestamp,
    TsOfFirstOverTime,
    TsOfLastOverTime,
    TsOfMaxOverTime,
    TsOfMinOverTime,
    Vector,
    Year,
}

const fn stable(id: Id, name: &'static str, args: &'static [Type], returns: Type) -> Function {
    let args_max = args.len();
    Function { id, name, args, optional: 0, args_max, returns, experimental: false }
}

impl Function {
    const fn optional(mut self, optional: usize) -> Self {
        self.optional = optional;
        self
    }

    const fn at_most(mut self, args: usize) -> Self {
        self.args_max = args;
        self
    }

    const fn experimental(mut self) -> Self {
        self.experimental = true;
        self
    }
}

/// Every function, by name.
pub static FUNCTIONS: &[Function] = &[
    stable(Id::Abs, "abs", &[Vector], Vector),
    stable(Id::Absent, "absent", &[Vector], Vector),
    stable(Id::AbsentOverTime, "absent_over_time", &[Matrix], Vector),
    stable(Id::Acos, "acos", &[Vector], Vector),
    stable(Id::Acosh, "acosh", &[Vector], Vector),
    stable(Id::Asin, "asin", &[Vector], Vector),
    stable(Id::Asinh, "asinh", &[Vector], Vector),
    stable(Id::Atan, "atan", &[Vector], Vector),
    stable(Id::Atanh, "atanh", &[Vector], Vector),
    stable(Id::AvgOverTime, "avg_over_time", &[Matrix], Vector),
    stable(Id::Ceil, "ceil", &[Vector], Vector),
    stable(Id::Changes, "changes", &[Matrix], Vector),
    stable(Id::Clamp, "clamp", &[Vector, Scalar, Scalar], Vector),
    stable(Id::ClampMax, "clamp_max", &[Vector, Scalar], Vector),
    stable(Id::ClampMin, "clamp_min", &[Vector, Scalar], Vector),
    stable(Id::Cos, "cos", &[Vector], Vector),
    stable(Id::Cosh, "cosh", &[Vector], Vector),
    stable(Id::CountOverTime, "count_over_time", &[Matrix], Vector),
    stable(Id::DayOfMonth, "day_of_month", &[Vector], Vector).optional(1),
    stable(Id::DayOfWeek, "day_of_week", &[Vector], Vector).optional(1),
    stable(Id::DayOfYear, "day_of_year", &[Vector], Vector).optional(1),
    stable(Id::DaysInMonth, "days_in_month", &[Vector], Vector).optional(1),
    stable(Id::Deg, "deg", &[Vector], Vector),
    stable(Id::Delta, "delta", &[Matrix], Vector),
    stable(Id::Deriv, "deriv", &[Matrix], Vector),
    stable(
        Id::DoubleExponentialSmoothing,
        "double_exponential_smoothing",
        &[Matrix, Scalar, Scalar],
        Vector,
    )
    .experimental(),
    stable(Id::End, "end", &[], Scalar).experimental(),
    stable(Id::Exp, "exp", &[Vector], Vector),
    stable(Id::FirstOverTime, "first_over_time", &[Matrix], Vector),
    stable(Id::Floor, "floor", &[Vector], Vector),
    stable(Id::HistogramAvg, "histogram_avg", &[Vector], Vector),
    stable(Id::HistogramCount, "histogram_count", &[Vector], Vector),
    stable(Id::HistogramFraction, "histogram_fraction", &[Scalar, Scalar, Vector], Vector),
    stable(Id::HistogramQuantile, "histogram_quantile", &[Scalar, Vector], Vector),
    stable(Id::HistogramQuantiles, "histogram_quantiles", &[Vector, String, Scalar], Vector)
        .at_most(12)
        .experimental(),
    stable(Id::HistogramStddev, "histogram_stddev", &[Vector], Vector),
    stable(Id::HistogramStdvar, "histogram_stdvar", &[Vector], Vector),
    stable(Id::HistogramSum, "histogram_sum", &[Vector], Vector),
    stable(Id::Hour, "hour", &[Vector], Vector).optional(1),
    stable(Id::Idelta, "idelta", &[Matrix], Vector),
    stable(Id::Increase, "increase", &[Matrix], Vector),
    stable(Id::Info, "info", &[Vector, Vector], Vector).optional(1).experimental(),
    stable(Id::Irate, "irate", &[Matrix], Vector),
    stable(Id::LabelJoin, "label_join", &[Vector, String, String, String], Vector)
        .optional(1)
        .at_most(usize::MAX),
    stable(Id::LabelReplace, "label_replace", &[Vector, String, String, String, String], Vector),
    stable(Id::LastOverTime, "last_over_time", &[Matrix], Vector),
    stable(Id::Ln, "ln", &[Vector], Vector),
    stable(Id::Log10, "log10", &[Vector], Vector),
    stable(Id::Log2, "log2", &[Vector], Vector),
    stable(Id::MadOverTime, "mad_over_time", &[Matrix], Vector).experimental(),
    stable(Id::MaxOf, "max_of", &[Scalar, Scalar], Scalar).experimental(),
    stable(Id::MaxOverTime, "max_over_time", &[Matrix], Vector),
    stable(Id::MinOf, "min_of", &[Scalar, Scalar], Scalar).experimental(),
    stable(Id::MinOverTime, "min_over_time", &[Matrix], Vector),
    stable(Id::Minute, "minute", &[Vector], Vector).optional(1),
    stable(Id::Month, "month", &[Vector], Vector).optional(1),
    stable(Id::Pi, "pi", &[], Scalar),
    stable(Id::PredictLinear, "predict_linear", &[Matrix, Scalar], Vector),
    stable(Id::PresentOverTime, "present_over_time", &[Matrix], Vector),
    stable(Id::QuantileOverTime, "quantile_over_time", &[Scalar, Matrix], Vector),
    stable(Id::Rad, "rad", &[Vector], Vector),
    stable(Id::Range, "range", &[], Scalar).experimental(),
    stable(Id::Rate, "rate", &[Matrix], Vector),
    stable(Id::Resets, "resets", &[Matrix], Vector),
    stable(Id::Round, "round", &[Vector, Scalar], Vector).optional(1),
    stable(Id::Scalar, "scalar", &[Vector], Scalar),
    stable(Id::Sgn, "sgn", &[Vector], Vector),
    stable(Id::Sin, "sin", &[Vector], Vector),
    stable(Id::Sinh, "sinh", &[Vector], Vector),
    stable(Id::Sort, "sort", &[Vector], Vector),
    stable(Id::SortByLabel, "sort_by_label", &[Vector, String], Vector)
        .optional(1)
        .at_most(usize::MAX)
        .experimental(),
    stable(Id::SortByLabelDesc, "sort_by_label_desc", &[Vector, String], Vector)
        .optional(1)
        .at_most(usize::MAX)
        .experimental(),
    stable(Id::SortDesc, "sort_desc", &[Vector], Vector),
    stable(Id::Sqrt, "sqrt", &[Vector], Vector),
    stable(Id::Start, "start", &[], Scalar).experimental(),
    stable(Id::StddevOverTime, "stddev_over_time", &[Matrix], Vector),
    stable(Id::StdvarOverTime, "stdvar_over_time", &[Matrix], Vector),
    stable(Id::Step, "step", &[], Scalar).experimental(),
    stable(Id::SumOverTime, "sum_over_time", &[Matrix], Vector),
    stable(Id::Tan, "tan", &[Vector], Vector),
    stable(Id::Tanh, "tanh", &[Vector], Vector),
    stable(Id::Time, "time", &[], Scalar),
    stable(Id::Timestamp, "timestamp", &[Vector], Vector),
    stable(Id::TsOfFirstOverTime, "ts_of_first_over_time", &[Matrix], Vector).experimental(),
    stable(Id::TsOfLastOverTime, "ts_of_last_over_time", &[Matrix], Vector).experimental(),
    stable(Id::TsOfMaxOverTime, "ts_of_max_over_time", &[Matrix], Vector).experimental(),
    stable(Id::TsOfMinOverTime, "ts_of_min_over_time", &[Matrix], Vector).experimental(),
    stable(Id::Vector, "vector", &[Scalar], Vector),
    stable(Id::Year, "year", &[Vector], Vector).optional(1),
];

#[cfg(test)]
mod tests {
    use super::{FUNCTIONS, find};

    #[test]
    fn every_function_is_found_by_its_name() {
        for function in FUNCTIONS {
            assert_eq!(find(function.name), Some(function));
        }
        assert!(find("rat").is_none());
    }
}
