//! What is left of a histogram without its observations above or below a value: `</` and `>/` of PromQL.
//!
//! The bucket that holds the value is cut: over the logarithm if it is exponential, else evenly. Of a bucket without
//! end nobody knows how its observations are spread. It goes as a whole where it has its end on the side that goes and stays
//! as a whole on the other; a custom one below a positive bound counts as begun at 0. Count and sum are made anew from
//! what the buckets hold, with every observation at the middle of what is left of its bucket.
//! Source: Prometheus 3.15, whose results these are also where that is odd.

use super::bounds::Bucket;
use super::{Buckets, Histogram};

/// What of the observations stays.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep {
    /// Those up to the value.
    Below(f64),
    /// Those from the value on.
    Above(f64),
}

/// How buckets are cut.
#[derive(Clone, Copy)]
struct Cut {
    keep: Keep,
    /// Whether they are custom ones.
    custom: bool,
    /// Whether they are those of negative values.
    negative: bool,
}

/// What is left of a bucket.
#[derive(Clone, Copy, Default)]
struct Rest {
    count: f64,
    middle: f64,
}

/// What is left of all buckets.
#[derive(Default)]
struct Left {
    count: f64,
    sum: f64,
    /// Whether it is less than there was.
    cut: bool,
}

impl Left {
    /// Trims the buckets of one sign. Whether there are any that hold something.
    fn trim(&mut self, all: &mut Buckets, cut: Cut, of: impl Fn(&(i32, f64)) -> Bucket) -> bool {
        let mut any = false;
        for entry in all.0.iter_mut().filter(|(_, count)| *count != 0.0) {
            any = true;
            let rest = cut.of(of(entry));
            self.add(&mut entry.1, rest);
        }
        any
    }

    fn add(&mut self, count: &mut f64, rest: Rest) {
        self.count += rest.count;
        self.sum += rest.middle * rest.count;
        self.cut |= *count != rest.count;
        *count = rest.count;
    }
}

impl Histogram {
    /// Drops the observations that are not to be kept. What loses none stays as it is.
    pub(crate) fn trim(&mut self, keep: Keep) {
        let mut left = Left::default();
        let cut = Cut { keep, custom: self.is_custom(), negative: false };
        let mut positive = std::mem::take(&mut self.positive);
        let has_positive = left.trim(&mut positive, cut, |entry| self.positive_bucket(entry));
        self.positive = positive;
        let cut = Cut { negative: true, ..cut };
        let mut negative = std::mem::take(&mut self.negative);
        let has_negative = left.trim(&mut negative, cut, |entry| self.negative_bucket(entry));
        self.negative = negative;
        if self.zero_count > 0.0 {
            let lower = if has_positive && !has_negative { 0.0 } else { -self.zero_threshold };
            let upper = if has_negative && !has_positive { 0.0 } else { self.zero_threshold };
            let rest = of_zero_bucket(keep, lower, upper, self.zero_count);
            left.add(&mut self.zero_count, rest);
        }
        if left.cut {
            (self.count, self.sum) = (left.count, left.sum);
            self.compact();
        }
    }
}

impl Cut {
    fn of(self, bucket: Bucket) -> Rest {
        let Bucket { lower, upper, count, .. } = bucket;
        let (all, some) = match self.keep {
            Keep::Below(value) => (upper <= value, lower < value),
            Keep::Above(value) => (lower >= value, upper > value),
        };
        if all {
            Rest { count, middle: self.middle(lower, upper) }
        } else if !some {
            Rest::default()
        } else if lower == f64::NEG_INFINITY {
            self.of_lowest(upper, count)
        } else if upper == f64::INFINITY {
            match self.keep {
                Keep::Below(_) => Rest::default(),
                Keep::Above(value) => Rest { count, middle: value },
            }
        } else {
            match self.keep {
                Keep::Below(value) => {
                    let count = count * self.share_below(value, lower, upper);
                    Rest { count, middle: self.middle(lower, value) }
                }
                Keep::Above(value) => {
                    let count = count - count * self.share_below(value, lower, upper);
                    Rest { count, middle: self.middle(value, upper) }
                }
            }
        }
    }

    /// Of a bucket from -Inf to `upper`, which the value is within.
    fn of_lowest(self, upper: f64, count: f64) -> Rest {
        match self.keep {
            Keep::Below(value) if value > 0.0 && upper.is_finite() => {
                Rest { count: count * value / upper, middle: value / 2.0 }
            }
            Keep::Below(value) if upper <= 0.0 => Rest { count, middle: value },
            Keep::Above(value) if value >= 0.0 && upper.is_finite() => {
                Rest { count: count * (1.0 - value / upper), middle: f64::midpoint(value, upper) }
            }
            _ => Rest::default(),
        }
    }

    /// The share of a bucket's observations below `value`, which is within its finite bounds.
    fn share_below(self, value: f64, lower: f64, upper: f64) -> f64 {
        if self.custom {
            return (value - lower) / (upper - lower);
        }
        let [low, high, at] = [lower, upper, value].map(|bound| bound.abs().log2());
        if value > 0.0 { (at - low) / (high - low) } else { 1.0 - (at - high) / (low - high) }
    }

    fn middle(self, lower: f64, upper: f64) -> f64 {
        match (lower.is_infinite(), upper.is_infinite()) {
            (true, true) => 0.0,
            (true, false) if upper > 0.0 => upper / 2.0,
            (true, false) => upper,
            (false, true) => lower,
            (false, false) if self.custom => f64::midpoint(lower, upper),
            (false, false) => {
                let middle = (lower * upper).abs().sqrt();
                if self.negative { -middle } else { middle }
            }
        }
    }
}

/// Of the zero bucket, which reaches to 0 only on a side where there are no buckets.
fn of_zero_bucket(keep: Keep, lower: f64, upper: f64, count: f64) -> Rest {
    let whole = Rest { count, middle: f64::midpoint(lower, upper) };
    match keep {
        Keep::Below(value) if value <= lower => Rest::default(),
        Keep::Below(value) if value >= upper => whole,
        Keep::Below(value) => Rest {
            count: count * ((value - lower) / (upper - lower)),
            middle: f64::midpoint(lower, value),
        },
        Keep::Above(value) if value <= lower => whole,
        Keep::Above(value) if value >= upper => Rest::default(),
        Keep::Above(value) => Rest {
            count: count * ((upper - value) / (upper - lower)),
            middle: f64::midpoint(value, upper),
        },
    }
}
