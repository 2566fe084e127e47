//! From a value to its bucket and back.
//!
//! One table at [`MAX_SCALE`] serves every scale: the index at a lower scale is the index at the
//! highest, shifted right. So a value falls into the same bucket whether it was recorded before or
//! after a downscale, and every bound is within one unit in the last place of the true one; powers
//! of two are exact.
//!
//! ```text
//! f64 = sign │ exponent e │ mantissa m (52 bits)
//! index = e × 256 + #{k : m > BOUND[k]} - 1        BOUND[k] = mantissa of 2^(k/256), BOUND[0] = 0
//! ```
//! The count comes from a hint by the top 8 bits of `m` and two comparisons: bounds are 0.69 to 1.39
//! slots apart, so a slot holds at most two. Cost: 2.5 KiB of tables, no float arithmetic.

/// The highest scale: 256 buckets per power of two. Also the highest of Prometheus' native
/// histograms.
pub const MAX_SCALE: i32 = 8;
/// The lowest scale: one bucket per 1,024 powers of two.
pub const MIN_SCALE: i32 = -10;

const STEPS: usize = 1 << MAX_SCALE;
const MANTISSA_BITS: u32 = 52;
const MANTISSA: u64 = (1 << MANTISSA_BITS) - 1;
const EXPONENT_BIAS: i32 = 1023;
const HINT_SHIFT: u32 = MANTISSA_BITS - MAX_SCALE as u32;

static BOUND: [u64; STEPS + 2] = bounds();
static HINT: [u16; STEPS] = hints();

/// The bucket of a positive finite value at [`MAX_SCALE`].
#[inline]
pub(crate) fn index(value: f64) -> i32 {
    let bits = value.to_bits();
    let exponent = (bits >> MANTISSA_BITS) as i32;
    if exponent > 0 {
        return compose(exponent - EXPONENT_BIAS, bits & MANTISSA);
    }
    // Subnormal: the product is exact and normal.
    let bits = (value * (1_u64 << MANTISSA_BITS) as f64).to_bits();
    let exponent = (bits >> MANTISSA_BITS) as i32 - MANTISSA_BITS as i32;
    compose(exponent - EXPONENT_BIAS, bits & MANTISSA)
}

/// The bucket of a positive whole number at [`MAX_SCALE`].
pub(crate) fn index_u64(value: u64) -> i32 {
    let zeros = value.leading_zeros().min(63);
    let exponent = 63 - zeros as i32;
    let fraction = value << zeros << 1;
    // What does not fit in the mantissa still lifts the value above a bound that equals the rest.
    let sticky = u64::from(fraction & 0xfff != 0);
    compose(exponent, fraction >> 12 | sticky)
}

#[inline]
fn compose(exponent: i32, mantissa: u64) -> i32 {
    let hint = HINT.get((mantissa >> HINT_SHIFT) as usize).copied().unwrap_or(0);
    let bound = |k: usize| BOUND.get(k).copied().unwrap_or(u64::MAX);
    let at = usize::from(hint);
    let above = i32::from(mantissa > bound(at)) + i32::from(mantissa > bound(at + 1));
    exponent * STEPS as i32 + i32::from(hint) + above - 1
}

/// The bucket of a positive finite `value` at `scale` (clamped to the limits): `i` such that
/// `lower_bound(i) < value <= lower_bound(i + 1)`. `None` for any other value.
#[must_use]
pub fn index_at(value: f64, scale: i32) -> Option<i32> {
    let positive = value > 0.0 && value.is_finite();
    positive.then(|| index(value) >> (MAX_SCALE - scale.clamp(MIN_SCALE, MAX_SCALE)))
}

/// The lower, exclusive bound of bucket `index` at `scale` (clamped to the limits): base^index.
/// Infinite above the range of `f64`, zero below.
#[must_use]
pub fn lower_bound(index: i32, scale: i32) -> f64 {
    let scale = scale.clamp(MIN_SCALE, MAX_SCALE);
    let finest = i64::from(index) << (MAX_SCALE - scale);
    let step = finest.rem_euclid(STEPS as i64) as usize;
    let exponent = finest.div_euclid(STEPS as i64);
    let mantissa = BOUND.get(step).copied().unwrap_or(0);
    let significand = f64::from_bits((EXPONENT_BIAS as u64) << MANTISSA_BITS | mantissa);
    match exponent {
        1024.. => f64::INFINITY,
        -1022.. => significand * power_of_two(exponent),
        // In two steps: the power alone would be zero. Rounds to the nearest subnormal.
        -1075.. => significand * power_of_two(exponent + 100) * power_of_two(-100),
        _ => 0.0,
    }
}

/// 2^exponent, for exponents of normal numbers.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((exponent + i64::from(EXPONENT_BIAS)) as u64) << MANTISSA_BITS)
}

/// The mantissas of 2^(k/256), rounded down, and two bounds that nothing exceeds.
///
/// Computed in fixed point with 62 fractional bits: square roots of 2, multiplied by the bits of k.
/// Each step is off by less than 2^-61, all by less than 2^-57.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks it")]
const fn bounds() -> [u64; STEPS + 2] {
    let mut roots = [0_u128; MAX_SCALE as usize];
    let mut root = 2_u128 << 62;
    let mut j = 0;
    while j < roots.len() {
        root = (root << 62).isqrt();
        roots[j] = root;
        j += 1;
    }
    let mut bounds = [u64::MAX; STEPS + 2];
    let mut k = 0;
    while k < STEPS {
        let mut product = 1_u128 << 62;
        let mut j = 0;
        while j < roots.len() {
            if k >> (roots.len() - 1 - j) & 1 == 1 {
                product = (product * roots[j]) >> 62;
            }
            j += 1;
        }
        bounds[k] = (product >> (62 - MANTISSA_BITS)) as u64 & MANTISSA;
        k += 1;
    }
    bounds
}

/// Per slot of the mantissa's top bits: how many bounds every mantissa of the slot exceeds.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks it")]
const fn hints() -> [u16; STEPS] {
    let bounds = bounds();
    let mut hints = [0; STEPS];
    let mut slot = 0;
    while slot < STEPS {
        let least = (slot as u64) << HINT_SHIFT;
        let mut k = 0;
        while k < STEPS && bounds[k] < least {
            k += 1;
        }
        hints[slot] = k as u16;
        slot += 1;
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_belong_to_the_bucket_below_at_every_scale() {
        for scale in 0..=MAX_SCALE {
            for exponent in -1074..1024 {
                let power = if exponent < -1022 {
                    f64::from_bits(1 << (exponent + 1074))
                } else {
                    power_of_two(exponent)
                };
                let bucket = (exponent as i32) << scale;
                assert_eq!(index_at(power, scale), Some(bucket - 1), "2^{exponent} at {scale}");
                assert_eq!(lower_bound(bucket, scale), power, "2^{exponent} at {scale}");
                if exponent > -1022 {
                    assert_eq!(index_at(power.next_up(), scale), Some(bucket));
                }
            }
        }
    }

    #[test]
    fn every_bound_is_within_one_unit_in_the_last_place_of_the_true_one() {
        for k in 0..STEPS {
            let true_bound = (k as f64 / STEPS as f64).exp2();
            let bound = lower_bound(k as i32, MAX_SCALE);
            assert!(bound.to_bits().abs_diff(true_bound.to_bits()) <= 1, "{k}: {bound}");
            assert_eq!(index(bound), k as i32 - 1, "{k}: the upper bound is inclusive");
            assert_eq!(index(bound.next_up()), k as i32, "{k}");
        }
    }

    #[test]
    fn a_slot_of_the_hint_table_holds_at_most_two_bounds() {
        for slot in 0..STEPS {
            let end = if slot + 1 < STEPS { HINT[slot + 1] } else { STEPS as u16 };
            assert!(end - HINT[slot] <= 2, "{slot}");
        }
    }

    #[test]
    fn whole_numbers_fall_where_their_floats_do() {
        for shift in 0..64 {
            for near in [-1_i64, 0, 1] {
                let value = (1_u64 << shift).wrapping_add_signed(near);
                if value == 0 || value >= 1 << 53 {
                    continue;
                }
                assert_eq!(index_u64(value), index(value as f64), "{value}");
            }
        }
        assert_eq!(index_u64(1 << 63), 63 * STEPS as i32 - 1);
        assert_eq!(index_u64((1 << 63) + 1), 63 * STEPS as i32);
        assert_eq!(index_u64(u64::MAX), 64 * STEPS as i32 - 1);
    }

    #[test]
    fn bounds_leave_the_range_of_floats_gracefully() {
        assert_eq!(lower_bound(i32::MAX, MAX_SCALE), f64::INFINITY);
        assert_eq!(lower_bound(i32::MIN, MAX_SCALE), 0.0);
        assert_eq!(lower_bound(1, MIN_SCALE), f64::INFINITY);
        assert_eq!(lower_bound(-2, MIN_SCALE), 0.0);
        assert_eq!(index_at(f64::MIN_POSITIVE / 8.0, 0), Some(-1026));
        assert_eq!(index_at(f64::from_bits(3), 0), Some(-1073));
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(index_at(odd, 0), None);
        }
    }
}
