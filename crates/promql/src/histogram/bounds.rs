//! Where buckets begin and end, and all buckets of a histogram in order.
//!
//! Bounds are those that Prometheus prints, bit by bit: its table has errors of up to four units
//! in the last place, which come from the order of its multiplications and are made again here.

use super::{Histogram, MAX_SCHEMA, MIN_SCHEMA};

const STEPS: usize = 1 << MAX_SCHEMA;
/// 2^(1/2), 2^(1/4), … The first is one unit below the nearest number, as in Prometheus' table.
const ROOTS: [f64; MAX_SCHEMA as usize] = [
    std::f64::consts::SQRT_2.next_down(),
    1.189_207_115_002_721,
    1.090_507_732_665_257_7,
    1.044_273_782_427_413_8,
    1.021_897_148_654_116_6,
    1.010_889_286_051_700_5,
    1.005_429_901_112_802_7,
    1.002_711_275_050_202_5,
];
/// 2^(k/256).
static POWERS: [f64; STEPS] = powers();

/// Each level halves the steps: what is new in it is its left neighbour times the level's root.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks it")]
const fn powers() -> [f64; STEPS] {
    let mut powers = [1.0; STEPS];
    let mut level = 0;
    while level < ROOTS.len() {
        let step = STEPS >> (level + 1);
        let mut at = step;
        while at < STEPS {
            powers[at] = powers[at - step] * ROOTS[level];
            at += 2 * step;
        }
        level += 1;
    }
    powers
}

/// A bucket with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The lower bound.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
    /// Whether the lower bound belongs to it.
    pub lower_inclusive: bool,
    /// Whether the upper bound belongs to it.
    pub upper_inclusive: bool,
    /// How many observations it holds.
    pub count: f64,
}

impl Bucket {
    /// How the HTTP API names which bounds belong to it: 0 the upper, 1 the lower, 2 neither, 3 both.
    #[must_use]
    pub const fn boundary_rule(&self) -> u8 {
        match (self.lower_inclusive, self.upper_inclusive) {
            (false, true) => 0,
            (true, false) => 1,
            (false, false) => 2,
            (true, true) => 3,
        }
    }
}

/// The upper bound of exponential bucket `index`: 2^(index × 2^-schema). That of the last bucket
/// of finite values is the largest of them, since the one after it counts infinities.
#[must_use]
pub fn bound(index: i32, schema: i32) -> f64 {
    let schema = schema.clamp(MIN_SCHEMA, MAX_SCHEMA);
    let finest = i64::from(index) << MAX_SCHEMA.abs_diff(schema);
    let step = usize::try_from(finest.rem_euclid(1 << MAX_SCHEMA)).unwrap_or(0);
    let power = POWERS.get(step).copied().unwrap_or(1.0);
    match finest >> MAX_SCHEMA {
        1024 if step == 0 => f64::MAX,
        1024.. => f64::INFINITY,
        exponent @ -1022.. => power * power_of_two(exponent),
        // In two steps: the power alone would be 0.
        exponent @ -1075.. => power * power_of_two(exponent + 100) * power_of_two(-100),
        _ => 0.0,
    }
}

/// 2^exponent, for exponents of normal numbers.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(u64::try_from(exponent + 1023).unwrap_or(0) << 52)
}

impl Histogram {
    /// The upper bound of bucket `index` on the positive side.
    pub(super) fn upper_bound(&self, index: i32) -> f64 {
        if !self.is_custom() {
            return bound(index, self.schema);
        }
        match usize::try_from(index) {
            Ok(index) => self.bounds().get(index).copied().unwrap_or(f64::INFINITY),
            Err(_) => f64::NEG_INFINITY,
        }
    }

    pub(super) fn positive_bucket(&self, &(index, count): &(i32, f64)) -> Bucket {
        let (lower, upper) = (self.upper_bound(index.saturating_sub(1)), self.upper_bound(index));
        let lower_inclusive = if self.is_custom() { index == 0 } else { lower < 0.0 };
        Bucket { lower, upper, lower_inclusive, upper_inclusive: true, count }
    }

    pub(super) fn negative_bucket(&self, &(index, count): &(i32, f64)) -> Bucket {
        let (lower, upper) =
            (-bound(index, self.schema), -bound(index.saturating_sub(1), self.schema));
        Bucket { lower, upper, lower_inclusive: true, upper_inclusive: false, count }
    }

    /// The zero bucket; custom buckets have none.
    #[must_use]
    pub fn zero_bucket(&self) -> Option<Bucket> {
        (!self.is_custom()).then_some(Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
        })
    }

    /// The buckets that hold something, from the lowest to the highest, with their bounds as they
    /// are: the outermost of a side may overlap the zero bucket. What the HTTP API shows, as Prometheus
    /// without a zero bucket whose count is negative or NaN.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        self.with_zero(self.zero_bucket().filter(|zero| zero.count > 0.0))
    }

    /// The same with any zero bucket that is not empty: what its text shows.
    pub(super) fn written_buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        self.with_zero(self.zero_bucket())
    }

    fn with_zero(&self, zero: Option<Bucket>) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        let negative = self.negative.0.iter().rev().map(|b| self.negative_bucket(b));
        let positive = self.positive.0.iter().map(|b| self.positive_bucket(b));
        negative.chain(zero).chain(positive).filter(|bucket| bucket.count != 0.0)
    }

    /// Every bucket from the lowest to the highest, the zero bucket where it holds something;
    /// those that overlap it are cut at its threshold. What quantiles are found in.
    pub(super) fn cut_buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        let threshold = self.zero_threshold;
        let negative = self.negative.0.iter().rev().map(|b| self.negative_bucket(b));
        let positive = self.positive.0.iter().map(|b| self.positive_bucket(b));
        let zero = self.zero_bucket().filter(|zero| zero.count > 0.0);
        let cut = move |mut bucket: Bucket| {
            if bucket.upper < 0.0 && bucket.upper > -threshold {
                bucket.upper = -threshold;
            } else if bucket.lower > 0.0 && bucket.lower < threshold {
                bucket.lower = threshold;
            }
            bucket
        };
        negative.map(cut).chain(zero).chain(positive.map(cut))
    }
}
