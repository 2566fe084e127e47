//! The order of texts with numbers in them: `a2` before `a10`.

use std::cmp::Ordering;

/// Compares run by run: digits as numbers, all else as text.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let ((run_a, rest_a), (run_b, rest_b)) = (split(a), split(b));
        if run_a.is_empty() || run_b.is_empty() {
            return run_a.len().cmp(&run_b.len());
        }
        let order = match (number(run_a), number(run_b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => run_a.cmp(run_b),
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// The first run of digits, or of anything but digits, and the rest.
fn split(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

fn number(run: &str) -> Option<u64> {
    run.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_are_compared_as_numbers() {
        let mut texts = ["a10b", "a2", "a10", "b1", "a", "", "a10b2"];
        texts.sort_by(|a, b| compare(a, b));
        assert_eq!(texts, ["", "a", "a2", "a10", "a10b", "a10b2", "b1"]);
    }
}
