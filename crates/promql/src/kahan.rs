//! Sums that lose little to rounding, and means that do not overflow.
//!
//! Source: Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", 1974.

/// A sum with the part that rounding took from it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) value: f64,
    pub(crate) lost: f64,
}

impl Sum {
    /// A sum of one value.
    pub(crate) const fn of(value: f64) -> Self {
        Self { value, lost: 0.0 }
    }

    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        let sum = self.value + value;
        if sum.is_infinite() {
            self.lost = 0.0;
        } else if self.value.abs() >= value.abs() {
            self.lost += (self.value - sum) + value;
        } else {
            self.lost += (value - sum) + self.value;
        }
        self.value = sum;
    }

    #[inline]
    pub(crate) fn total(self) -> f64 {
        self.value + self.lost
    }

    pub(crate) fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self { value: f(self.value), lost: f(self.lost) }
    }
}

/// A mean: the sum by the count until the sum overflows, adjusted value by value from then on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mean {
    sum: Sum,
    count: f64,
    /// Whether `sum` holds the mean itself.
    incremental: bool,
}

impl Mean {
    /// A mean of one value.
    pub(crate) const fn of(value: f64) -> Self {
        Self { sum: Sum::of(value), count: 1.0, incremental: false }
    }

    pub(crate) fn add(&mut self, value: f64) {
        let before = self.count;
        self.count += 1.0;
        if !self.incremental {
            let mut sum = self.sum;
            sum.add(value);
            if !sum.value.is_infinite() {
                self.sum = sum;
                return;
            }
            self.incremental = true;
            self.sum = self.sum.map(|part| part / before);
        }
        self.sum = self.sum.map(|part| part * (before / self.count));
        self.sum.add(value / self.count);
    }

    pub(crate) fn mean(self) -> f64 {
        if self.incremental {
            return self.sum.total();
        }
        self.sum.value / self.count + self.sum.lost / self.count
    }
}

/// Mean and squared distance from it. Source: Welford, 1962, with the sums above.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread {
    count: f64,
    mean: Sum,
    squares: Sum,
}

impl Spread {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean.total();
        self.mean.add(delta / self.count);
        self.squares.add(delta * (value - self.mean.total()));
    }

    /// The variance of what was added, as of a whole population.
    pub(crate) fn variance(self) -> f64 {
        self.squares.total() / self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_values_survive_large_ones() {
        let mut sum = Sum::of(2.0);
        for value in [8.0, 1e100, -1e100] {
            sum.add(value);
        }
        assert_eq!(sum.total(), 10.0);
    }

    #[test]
    fn a_mean_does_not_overflow() {
        let mut mean = Mean::of(f64::MAX);
        for _ in 0..3 {
            mean.add(f64::MAX);
        }
        assert!((mean.mean() / f64::MAX - 1.0).abs() < 1e-12);
        let mut mean = Mean::of(0.0);
        mean.add(f64::INFINITY);
        mean.add(0.0);
        assert_eq!(mean.mean(), f64::INFINITY);
        mean.add(f64::NEG_INFINITY);
        assert!(mean.mean().is_nan());
    }

    #[test]
    fn equal_values_have_no_spread() {
        let mut spread = Spread::default();
        for _ in 0..3 {
            spread.add(1.33);
        }
        assert_eq!(spread.variance(), 0.0);
        let mut spread = Spread::default();
        for value in [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0] {
            spread.add(value);
        }
        assert!((spread.variance() - 4.0).abs() < 1e-12);
    }
}
