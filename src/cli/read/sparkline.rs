//! A course of numbers as one line of text.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The course of `values` in at most `width` characters, between their least and greatest; a gap where
/// there is no finite number. Several values that share a character show the greatest, so that no peak
/// is lost.
pub(crate) fn sparkline(values: &[f64], width: usize) -> String {
    let columns = width.min(values.len());
    let peaks: Vec<Option<f64>> = (0..columns)
        .map(|column| {
            let (from, to) =
                (column * values.len() / columns, (column + 1) * values.len() / columns);
            let shared = values.get(from..to).unwrap_or_default();
            shared.iter().copied().filter(|value| value.is_finite()).reduce(f64::max)
        })
        .collect();
    let finite = || peaks.iter().flatten().copied();
    let (Some(least), Some(most)) = (finite().reduce(f64::min), finite().reduce(f64::max)) else {
        return " ".repeat(columns);
    };
    let bar = |peak: &Option<f64>| {
        let Some(peak) = peak else { return ' ' };
        // Halved first: the distance of two finite numbers may be infinite.
        let (height, whole) = (peak / 2.0 - least / 2.0, most / 2.0 - least / 2.0);
        let share = if whole > 0.0 { height / whole } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
        let index = (share * 7.0).round() as usize;
        BARS.get(index).copied().unwrap_or('█')
    };
    peaks.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_rises_falls_and_keeps_its_peaks() {
        assert_eq!(sparkline(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 8), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[1.0, f64::NAN, 3.0, 1.0], 8), "▁ █▁");
        assert_eq!(sparkline(&[5.0; 3], 8), "▁▁▁");
        assert_eq!(sparkline(&[f64::MIN, f64::MAX], 8), "▁█");
        assert_eq!(sparkline(&[], 8), "");
        let mut flat = [0.0; 1000];
        flat[501] = 9.0;
        let line = sparkline(&flat, 10);
        assert_eq!((line.chars().count(), line.matches('█').count()), (10, 1));
    }
}
