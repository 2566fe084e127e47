//! Rows of one series and one day as bytes. Pure.
//!
//! ```text
//! version u8 = 1 │ rows varint │ at, zigzag varints │ count·2+ended, zigzag varints │ 6 columns
//! column: mode u8 │ values         last, first, increase, min, max, sum, in this order
//!   0 predicted:  nothing
//!   1 whole:      zigzag varint of value - prediction
//!   2 float:      head u8 (leading zero bytes << 4 | bytes), then the bytes of value xor prediction
//! ```
//! `at` is told from the row before plus the resolution, every other value from those before it in its
//! row and from the row before: what a monotonic counter's columns are can be predicted but for `last`,
//! `first` and `sum`. Floats other than `first` and `last`, whose differences are looked at, keep 24 bits of
//! mantissa (6e-8). Cost: 8 to 10 bytes a row for counters of whole numbers, up to 32 for noise.

use sidelight_promql::Reads;

use super::super::layout::DAY;
use super::row::Row;

const VERSION: u8 = 1;
/// Rows of one day at the finest resolution, with room; what claims more is corrupt.
const ROWS_MAX: u64 = 1_000;
/// Whole numbers that a float holds exactly.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
/// Bits of the mantissa that a rounded float does not keep.
const DROPPED_BITS: u32 = 28;

/// Bytes that are no rows.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("rollup rows cannot be decoded")]
pub(in crate::store) struct Corrupt;

/// A value of a row, and what it is expected to be. One type each, so that reading rows is one loop per column.
trait Column {
    /// Whether it is kept to the bit.
    const EXACT: bool;
    fn get(row: &Row) -> f64;
    fn set(row: &mut Row, value: f64);
    /// May look at the columns that stand before it, and at `last` of the row before.
    fn predict(row: &Row, before: Option<f64>) -> f64;
}

/// `column!(name, exact, field, prediction)`
macro_rules! column {
    ($name:ident, $exact:literal, $field:ident, |$row:ident, $before:ident| $predict:expr) => {
        struct $name;

        impl Column for $name {
            const EXACT: bool = $exact;
            fn get(row: &Row) -> f64 {
                row.$field
            }
            fn set(row: &mut Row, value: f64) {
                row.$field = value;
            }
            fn predict($row: &Row, $before: Option<f64>) -> f64 {
                $predict
            }
        }
    };
}

column!(Last, true, last, |_row, before| before.unwrap_or(0.0));
column!(First, true, first, |row, before| before.unwrap_or(row.last));
column!(Increase, false, increase, |row, _before| row.plain_increase());
column!(Min, false, min, |row, _before| row.first.min(row.last));
column!(Max, false, max, |row, _before| row.first.max(row.last));
column!(Sum, false, sum, |row, _before| {
    ((row.first + row.last) / 2.0 * f64::from(row.count)).trunc()
});

/// How many columns are read, in their order: what a query needs of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) enum Depth {
    /// `last`.
    Last,
    /// `last`, `first` and `increase`.
    Increase,
    /// All.
    All,
}

impl Depth {
    /// What `reads` needs.
    pub(in crate::store) const fn of(reads: Reads) -> Self {
        match reads {
            Reads::Last | Reads::Count | Reads::Every => Self::Last,
            Reads::Increase | Reads::Line => Self::Increase,
            Reads::Min | Reads::Max | Reads::Average | Reads::Sum => Self::All,
        }
    }
}

/// Appends `rows`, which ascend, to `out`. `origin` is the start of their day.
pub(in crate::store) fn encode(rows: &[Row], origin: i64, resolution: i64, out: &mut Vec<u8>) {
    out.push(VERSION);
    put_varint(out, rows.len() as u64);
    let mut expected = origin.wrapping_add(resolution);
    for row in rows {
        put_zigzag(out, row.at.wrapping_sub(expected));
        expected = row.at.wrapping_add(resolution);
    }
    let mut before = 0;
    for row in rows {
        let count = i64::from(row.count) * 2 + i64::from(row.ended);
        put_zigzag(out, count - before);
        before = count;
    }
    // Predictions are made from what will be read back, so columns are rounded one by one.
    let blank = |row: &Row| Row { first: 0.0, last: 0.0, min: 0.0, max: 0.0, sum: 0.0, ..*row };
    let mut kept: Vec<Row> = rows.iter().map(blank).collect();
    put_column::<Last>(rows, &mut kept, out);
    put_column::<First>(rows, &mut kept, out);
    put_column::<Increase>(rows, &mut kept, out);
    put_column::<Min>(rows, &mut kept, out);
    put_column::<Max>(rows, &mut kept, out);
    put_column::<Sum>(rows, &mut kept, out);
}

fn put_column<C: Column>(rows: &[Row], kept: &mut [Row], out: &mut Vec<u8>) {
    let pairs = || rows.iter().zip(predictions::<C>(rows, kept));
    let predicted = pairs().all(|(row, predicted)| same(wanted::<C>(row), predicted));
    let whole =
        !predicted && pairs().all(|(row, predicted)| is_whole(C::get(row)) && is_whole(predicted));
    let mode = if predicted { 0 } else { 2 - u8::from(whole) };
    out.push(mode);
    let mut before = None;
    for (row, slot) in rows.iter().zip(kept) {
        let predicted = C::predict(slot, before);
        let value = match mode {
            0 => predicted,
            1 => {
                let value = C::get(row);
                put_zigzag(out, to_whole(value) - to_whole(predicted));
                value
            }
            _ => {
                let value = wanted::<C>(row);
                put_xor(out, value.to_bits() ^ rounded::<C>(predicted).to_bits());
                value
            }
        };
        C::set(slot, value);
        before = Some(slot.last);
    }
}

/// What each row's value is expected to be, if this column were kept without loss.
fn predictions<'a, C: Column>(
    rows: &'a [Row],
    kept: &'a [Row],
) -> impl Iterator<Item = f64> + use<'a, C> {
    let before = std::iter::once(None).chain(rows.iter().map(|row| Some(row.last)));
    kept.iter().zip(before).map(|(slot, before)| C::predict(slot, before))
}

/// Appends what [`encode`] wrote to `rows`, as far as `depth`; other columns are zero. The rows ascend, are of the day that
/// begins at `origin`, and have a sample each.
///
/// # Errors
/// [`Corrupt`]: these are no rows. Nothing is appended.
pub(in crate::store) fn decode(
    bytes: &[u8],
    origin: i64,
    resolution: i64,
    depth: Depth,
    rows: &mut Vec<Row>,
) -> Result<(), Corrupt> {
    let from = rows.len();
    let taken = take_rows(bytes, origin, resolution, depth, rows);
    if taken.is_err() {
        rows.truncate(from);
    }
    taken
}

fn take_rows(
    mut bytes: &[u8],
    origin: i64,
    resolution: i64,
    depth: Depth,
    rows: &mut Vec<Row>,
) -> Result<(), Corrupt> {
    let input = &mut bytes;
    if take(input)? != VERSION {
        return Err(Corrupt);
    }
    let len = varint(input)?;
    if len > ROWS_MAX {
        return Err(Corrupt);
    }
    let from = rows.len();
    let mut expected = origin.wrapping_add(resolution);
    let (mut before, end) = (origin, origin.saturating_add(DAY));
    for _ in 0..len {
        let at = expected.wrapping_add(zigzag(input)?);
        if at <= before || at > end {
            return Err(Corrupt);
        }
        before = at;
        expected = at.wrapping_add(resolution);
        let zero = 0.0;
        let (first, last, min, max, sum) = (zero, zero, zero, zero, zero);
        let (count, ended, increase) = (0, false, zero);
        rows.push(Row { at, count, ended, first, last, min, max, sum, increase });
    }
    let rows = rows.get_mut(from..).ok_or(Corrupt)?;
    let mut count = 0_i64;
    for row in rows.iter_mut() {
        count = count.wrapping_add(zigzag(input)?);
        row.ended = count & 1 == 1;
        let samples = u32::try_from(count >> 1).ok().filter(|&samples| samples > 0);
        row.count = samples.ok_or(Corrupt)?;
    }
    take_column::<Last>(rows, input)?;
    if depth == Depth::Last {
        return Ok(());
    }
    take_column::<First>(rows, input)?;
    take_column::<Increase>(rows, input)?;
    if depth == Depth::Increase {
        return Ok(());
    }
    take_column::<Min>(rows, input)?;
    take_column::<Max>(rows, input)?;
    take_column::<Sum>(rows, input)?;
    if input.is_empty() { Ok(()) } else { Err(Corrupt) }
}

fn take_column<C: Column>(rows: &mut [Row], input: &mut &[u8]) -> Result<(), Corrupt> {
    match take(input)? {
        0 => fill::<C>(rows, Ok),
        1 => fill::<C>(rows, |predicted| {
            Ok(from_whole(to_whole(predicted).wrapping_add(zigzag(input)?)))
        }),
        2 => fill::<C>(rows, |predicted| {
            Ok(f64::from_bits(rounded::<C>(predicted).to_bits() ^ take_xor(input)?))
        }),
        _ => Err(Corrupt),
    }
}

fn fill<C: Column>(
    rows: &mut [Row],
    mut value: impl FnMut(f64) -> Result<f64, Corrupt>,
) -> Result<(), Corrupt> {
    let mut before = None;
    for row in rows {
        C::set(row, value(C::predict(row, before))?);
        before = Some(row.last);
    }
    Ok(())
}

/// The value as it is kept when it is not whole.
fn wanted<C: Column>(row: &Row) -> f64 {
    let value = C::get(row);
    if is_whole(value) { value } else { rounded::<C>(value) }
}

fn rounded<C: Column>(value: f64) -> f64 {
    if C::EXACT || !value.is_finite() {
        return value;
    }
    let mask = !((1 << DROPPED_BITS) - 1);
    let bits = value.to_bits();
    let nearest = f64::from_bits(bits.wrapping_add(1 << (DROPPED_BITS - 1)) & mask);
    if nearest.is_finite() { nearest } else { f64::from_bits(bits & mask) }
}

/// Equal to the bit, so that -0 stays -0; any NaN is as good as another.
fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

fn is_whole(value: f64) -> bool {
    value.abs() <= WHOLE_MAX
        && value.trunc() == value
        && !(value == 0.0 && value.is_sign_negative())
}

#[expect(clippy::cast_possible_truncation, reason = "asked of whole numbers that fit")]
fn to_whole(value: f64) -> i64 {
    value as i64
}

#[expect(clippy::cast_precision_loss, reason = "encoded from a float that was whole")]
fn from_whole(value: i64) -> f64 {
    value as f64
}

fn put_xor(out: &mut Vec<u8>, bits: u64) {
    let leading = (bits.leading_zeros() / 8).min(7);
    let trailing = if bits == 0 { 8 - leading } else { bits.trailing_zeros() / 8 };
    let len = 8 - leading - trailing;
    out.push(u8::try_from(leading << 4 | len).unwrap_or(8));
    let bytes = bits.to_be_bytes();
    let from = leading as usize;
    out.extend_from_slice(bytes.get(from..from + len as usize).unwrap_or_default());
}

fn take_xor(input: &mut &[u8]) -> Result<u64, Corrupt> {
    let head = take(input)?;
    let (from, len) = (usize::from(head >> 4), usize::from(head & 0x0f));
    let (taken, rest) = input.split_at_checked(len).ok_or(Corrupt)?;
    *input = rest;
    let mut bytes = [0; 8];
    bytes.get_mut(from..from + len).ok_or(Corrupt)?.copy_from_slice(taken);
    Ok(u64::from_be_bytes(bytes))
}

fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, (value << 1 ^ value >> 63).cast_unsigned());
}

fn zigzag(input: &mut &[u8]) -> Result<i64, Corrupt> {
    let value = varint(input)?;
    Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn varint(input: &mut &[u8]) -> Result<u64, Corrupt> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(input)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Corrupt)
}

fn take(input: &mut &[u8]) -> Result<u8, Corrupt> {
    let (first, rest) = input.split_first().ok_or(Corrupt)?;
    *input = rest;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::points::{Looks, densify, samples};
    use super::super::row::Roller;
    use super::*;

    const RESOLUTION: i64 = 300_000;

    /// Whether a column is exact, and its value.
    type Get = (bool, fn(&Row) -> f64);

    fn round_trip(rows: &[Row]) -> (Vec<Row>, usize) {
        let mut bytes = Vec::new();
        encode(rows, 0, RESOLUTION, &mut bytes);
        let mut back = Vec::new();
        decode(&bytes, 0, RESOLUTION, Depth::All, &mut back).unwrap();
        (back, bytes.len())
    }

    fn day(step: i64, value: impl Fn(i64) -> f64) -> Vec<Row> {
        let mut roller = Roller::new(RESOLUTION);
        // Timestamps jitter as those of real exporters do.
        (1..86_400_000 / step).for_each(|nth| roller.push(nth * step + nth * 37 % 11, value(nth)));
        if roller.is_gauge() {
            roller.settle_gauge();
        }
        roller.rows().to_vec()
    }

    #[test]
    fn whole_numbers_come_back_as_they_were() {
        let rows = day(15_000, |nth| (nth * 3 % 10_000) as f64);
        let (back, _) = round_trip(&rows);
        assert_eq!(back, rows);
    }

    #[test]
    fn a_counter_takes_ten_bytes_a_row_and_noise_thirty_three() {
        let counter = day(15_000, |nth| (nth * 57 + nth * nth % 13) as f64);
        let (_, bytes) = round_trip(&counter);
        assert!(bytes < counter.len() * 10, "{} bytes in {} rows", bytes, counter.len());
        let gauge = day(15_000, |nth| 20.0 + (nth as f64 * 0.7).sin() * 3.0);
        let (_, bytes) = round_trip(&gauge);
        assert!(bytes < gauge.len() * 33, "{} bytes in {} rows", bytes, gauge.len());
    }

    #[test]
    fn what_a_query_does_not_need_is_not_read_and_the_rest_is_the_same() {
        let rows = day(60_000, |nth| (nth * 31 % 977) as f64 / 7.0);
        let mut bytes = Vec::new();
        encode(&rows, 0, RESOLUTION, &mut bytes);
        let read = |depth| {
            let mut back = Vec::new();
            decode(&bytes, 0, RESOLUTION, depth, &mut back).unwrap();
            back
        };
        let all = read(Depth::All);
        for (row, whole) in read(Depth::Last).iter().zip(&all) {
            assert_eq!((row.at, row.count, row.last), (whole.at, whole.count, whole.last));
            assert_eq!((row.first, row.increase, row.sum), (0.0, 0.0, 0.0));
        }
        for (row, whole) in read(Depth::Increase).iter().zip(&all) {
            let of = |row: &Row| (row.at, row.last, row.first, row.increase);
            assert_eq!(of(row), of(whole));
            assert_eq!((row.min, row.max, row.sum), (0.0, 0.0, 0.0));
        }
    }

    /// Does what a query does with bytes.
    fn query(bytes: &[u8], reads: Reads) -> Result<(), Corrupt> {
        let kept = day(60_000, |nth| nth as f64)[0];
        let mut rows = vec![kept];
        let decoded = decode(bytes, DAY, RESOLUTION, Depth::of(reads), &mut rows);
        assert!(decoded.is_ok() || rows == [kept]);
        let mut points = Vec::new();
        samples(&rows, RESOLUTION, reads, &mut points);
        assert!(points.is_sorted_by(|a, b| a.0 < b.0));
        for (step, range) in [(0, 0), (60_000, 0), (0, 60_000), (60_000, 300_000), (90_000, 60_000)]
        {
            let looks = Looks { first: DAY + 600_000, step, range, lookback: 300_000, reads };
            densify(&points, &looks, RESOLUTION, (DAY, DAY + 7_200_000), &mut Vec::new());
        }
        decoded
    }

    #[test]
    fn no_bytes_make_decoding_or_a_query_of_what_they_are_panic() {
        let day: Vec<_> = day(60_000, |nth| nth as f64 / 7.0).into_iter().take(12).collect();
        let tomorrow: Vec<_> = day.iter().map(|row| Row { at: row.at + DAY, ..*row }).collect();
        let mut bytes = Vec::new();
        encode(&tomorrow, DAY, RESOLUTION, &mut bytes);
        use Reads::{Average, Count, Every, Increase, Last, Line, Max, Min, Sum};
        for reads in [Average, Count, Every, Increase, Last, Line, Max, Min, Sum] {
            assert_eq!(query(&bytes, reads), Ok(()));
            for end in 0..bytes.len() {
                let whole = Depth::of(reads) == Depth::All;
                assert!(query(&bytes[..end], reads) == Err(Corrupt) || !whole, "{end}");
            }
            for (at, flip) in
                (0..bytes.len()).flat_map(|at| [0xa5, 0x01, 0x40].map(|flip| (at, flip)))
            {
                bytes[at] ^= flip;
                drop(query(&bytes, reads));
                bytes[at] ^= flip;
            }
        }
    }

    #[test]
    fn rows_without_samples_out_of_order_or_of_another_day_are_none() {
        let row = day(60_000, |nth| nth as f64)[0];
        let is_fine = |rows: &[Row]| {
            let (mut bytes, mut back) = (Vec::new(), Vec::new());
            encode(rows, 0, RESOLUTION, &mut bytes);
            let decoded = decode(&bytes, 0, RESOLUTION, Depth::Last, &mut back).is_ok();
            assert_eq!(back.len(), if decoded { rows.len() } else { 0 });
            decoded
        };
        let at = |at| Row { at, ..row };
        assert!(is_fine(&[at(1), at(DAY)]));
        assert!(!is_fine(&[Row { count: 0, ..row }]));
        for rows in [[at(5), at(5)], [at(6), at(5)], [at(0), at(5)], [at(5), at(DAY + 1)]] {
            assert!(!is_fine(&rows), "{rows:?}");
        }
        for far in [i64::MIN, i64::MIN + 1, i64::MAX] {
            assert!(!is_fine(&[at(far)]) && !is_fine(&[at(5), at(far)]), "{far}");
        }
    }

    proptest! {
        #[test]
        fn every_value_comes_back_to_what_is_promised(
            values in prop::collection::vec(
                (1..860_000_i64, prop_oneof![
                    any::<f64>(),
                    (-1000..1000_i32).prop_map(f64::from),
                    Just(0.1),
                    Just(-0.0),
                    Just(f64::MAX),
                ]),
                1..100,
            ),
        ) {
            let mut t = 0;
            let mut roller = Roller::new(RESOLUTION);
            for (step, value) in values {
                t += step;
                roller.push(t, value);
            }
            let (back, _) = round_trip(roller.rows());
            prop_assert_eq!(back.len(), roller.rows().len());
            for (back, row) in back.iter().zip(roller.rows()) {
                prop_assert_eq!((back.at, back.count, back.ended), (row.at, row.count, row.ended));
                let gets: [Get; 6] = [
                    (Last::EXACT, Last::get),
                    (First::EXACT, First::get),
                    (Increase::EXACT, Increase::get),
                    (Min::EXACT, Min::get),
                    (Max::EXACT, Max::get),
                    (Sum::EXACT, Sum::get),
                ];
                for (exact, get) in gets {
                    let (back, was) = (get(back), get(row));
                    let near = (back - was).abs() <= was.abs() * 1e-7 + f64::MIN_POSITIVE;
                    prop_assert!(same(back, was) || !exact && near, "{} {}", back, was);
                }
            }
        }
    }
}
