//! Intents and decisions: what was detected, how surely.

use crate::labelled::Counter;
use crate::names;

static DETECTIONS: Counter<2> =
    Counter::of(&names::INTENT_DETECTIONS).labels(["intent.type", "confidence"]);

/// From this confidence on it is high, from the next on medium.
const HIGH: f64 = 0.8;
const MEDIUM: f64 = 0.5;

/// Counts an intent of a type, one of few, that a classifier detected with a confidence of 0 to 1: high from 0.8 on, medium
/// from 0.5 on, else low.
///
/// Metric: `sidelight.intent.detections` by `intent.type` and `confidence`. Cost: 40 ns, no allocation but for a type that is
/// new. Limit: 170 types, what is beyond is one series, `otel.metric.overflow="true"`.
///
/// ```
/// sidelight::intent("refund", 0.83); // high
/// ```
#[inline]
pub fn intent(kind: &str, confidence: f64) {
    let confidence = if confidence >= HIGH {
        "high"
    } else if confidence >= MEDIUM {
        "medium"
    } else {
        "low"
    };
    DETECTIONS.add(1, [kind, confidence]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::capture;

    #[test]
    fn confidence_is_high_medium_or_low() {
        let captured = capture();
        for confidence in [1.0, 0.8, 0.79, 0.5, 0.49, -3.0, f64::NAN] {
            intent("refund", confidence);
        }
        let of = |confidence| {
            let series = format!("confidence={confidence},intent.type=refund");
            captured.value(&format!("sidelight.intent.detections{{{series}}}"))
        };
        assert_eq!(["high", "medium", "low"].map(of), [2.0, 2.0, 3.0]);
    }
}
