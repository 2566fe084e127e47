//! How many spans one stands for: the adjusted count of consistent probability sampling.
//!
//! `tracestate: ot=th:c` says that spans below a threshold T of 2^56 were left out, so each stands for
//! 2^56 / (2^56 - T). That is a fraction as a rule, and calls and buckets are whole: a row carries what is left over to its
//! next span, so that its count is below the exact one by less than 1, its buckets add up to it, and reading the
//! same spans again gives the same. Limit: a span counts at most [`WEIGHT_MAX`] times.
//! Source: OpenTelemetry "TraceState: Probability Sampling".

/// The most spans that one stands for.
const WEIGHT_MAX: f64 = 1e6;
/// Digits of a threshold; missing ones are zeros at the end.
const DIGITS_MAX: usize = 14;

/// How many spans one with this `tracestate` stands for.
#[inline]
pub(super) fn of(trace_state: &[u8]) -> f64 {
    if trace_state.is_empty() { 1.0 } else { sampled(trace_state).unwrap_or(1.0) }
}

fn sampled(trace_state: &[u8]) -> Option<f64> {
    let mut members = trace_state.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let fields = members.find_map(|member| member.strip_prefix(b"ot="))?;
    let digits = fields.split(|&byte| byte == b';').find_map(|field| field.strip_prefix(b"th:"))?;
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let mut threshold = 0_u64;
    for &digit in digits {
        threshold = threshold << 4 | u64::from(char::from(digit).to_digit(16)?);
    }
    threshold <<= 4 * (DIGITS_MAX - digits.len());
    let all = 1_u64 << 56;
    #[expect(clippy::cast_precision_loss, reason = "a weight needs no more than 53 bits")]
    let weight = all as f64 / (all - threshold) as f64;
    Some(weight.min(WEIGHT_MAX))
}

/// The whole spans that `weight` is, given what was carried over, and what is carried on.
#[inline]
pub(super) fn whole(weight: f64, carry: &mut f64) -> u64 {
    #[expect(clippy::float_cmp, reason = "1 is exact, and what most spans weigh")]
    if weight == 1.0 {
        return 1;
    }
    let exact = weight + *carry;
    let whole = exact.floor();
    *carry = exact - whole;
    #[expect(clippy::cast_sign_loss, reason = "at least 1")]
    let whole = whole as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_the_specification() {
        let rows = [
            ("", 1.0),
            ("ot=th:0", 1.0),
            ("ot=th:8", 2.0),
            ("ot=th:c", 4.0),
            ("vendor=x, ot=rv:aabbccddeeff00;th:fd70a3d70a3d71", 100.0),
            ("ot=th:aaaaaaaaaaaaaa", 3.0),
            ("ot=th:ffffffffffffff", 1e6),
            ("ot=th:", 1.0),
            ("ot=th:xyz", 1.0),
            ("ot=th:000000000000000", 1.0),
            ("ot=rv:ff", 1.0),
            ("other=th:8", 1.0),
        ];
        for (trace_state, expected) in rows {
            let weight = of(trace_state.as_bytes());
            assert!((weight - expected).abs() < 1e-4, "{trace_state}: {weight}");
        }
    }

    #[test]
    fn fractions_are_carried_so_that_nothing_is_lost() {
        let (mut carry, mut counted) = (0.0, 0);
        for spans in 1..1_000_u32 {
            counted += whole(1.3, &mut carry);
            let exact = f64::from(spans) * 1.3;
            assert!((exact - counted as f64 - carry).abs() < 1e-6 && (0.0..1.0).contains(&carry));
        }
    }
}
