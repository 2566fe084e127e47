//! Start times: what a point of a sum or histogram means after the one before it. Pure.
//!
//! OTLP says since when a point counts. A cumulative point with a later start is a reset; a delta point follows the one
//! before it when it starts where that ended. PromQL knows only values, so a reset is written as a zero
//! sample at the start: without it `increase(errors[5m])` of a counter that is born at 1 is nothing.
//!
//! Source: OpenTelemetry metrics data model, "Resets and gaps", "Overlap" and "Delta to cumulative".

use crate::store::Stream;

/// The times of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// `start_time_unix_nano`; 0 if unknown.
    pub start: u64,
    /// `time_unix_nano`.
    pub time: u64,
}

/// What to do with a delta point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delta {
    /// Add it to the total.
    Add,
    /// It begins a new total, from this time on in nanoseconds; 0 if unknown.
    Begin(u64),
    /// It repeats or precedes what was counted: drop it.
    Late,
    /// It covers time that was counted: two writers on one stream. Drop it.
    Overlap,
}

/// Places a delta point after the last one.
#[must_use]
pub const fn delta(stream: Stream, times: Times) -> Delta {
    let Times { start, time } = times;
    let last = stream.last_unix_nano;
    if last == 0 {
        Delta::Begin(if start < time { start } else { 0 })
    } else if time <= last {
        Delta::Late
    } else if start == 0 || start == last {
        Delta::Add
    } else if start > last {
        Delta::Begin(if start < time { start } else { 0 })
    } else {
        Delta::Overlap
    }
}

/// What a cumulative point says besides its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cumulative {
    /// It goes on counting.
    Goes,
    /// It counts from this time on, in nanoseconds, at which it was zero.
    Begins(u64),
    /// It counts since a time before the last point, and that is not the start known: two writers on one stream.
    Overlaps,
}

/// Places a cumulative point after the last one. Late points are the store's to refuse.
#[must_use]
pub const fn cumulative(stream: Stream, times: Times) -> Cumulative {
    let Times { start, time } = times;
    // A start that is unknown or equal to the time says nothing about the value there.
    if start == 0 || start >= time {
        return Cumulative::Goes;
    }
    if stream.last_unix_nano == 0 {
        return Cumulative::Begins(start);
    }
    if start == stream.start_unix_nano {
        Cumulative::Goes
    } else if start >= stream.last_unix_nano {
        Cumulative::Begins(start)
    } else if stream.start_unix_nano == 0 {
        Cumulative::Goes
    } else {
        Cumulative::Overlaps
    }
}

/// Where in milliseconds a zero sample goes: at `begin`, after the last sample and before the point; `None` when there is
/// no room, or the beginning is further back than `back_ms_max`.
#[must_use]
pub fn zero_at(begin: u64, last_ms: Option<i64>, time_ms: i64, back_ms_max: i64) -> Option<i64> {
    let begin_ms = millis(begin);
    let at = last_ms.map_or(begin_ms, |last| begin_ms.max(last.saturating_add(1)));
    (at < time_ms && time_ms.saturating_sub(at) <= back_ms_max).then_some(at)
}

/// Nanoseconds to milliseconds, rounded down as Prometheus does.
#[must_use]
pub const fn millis(unix_nano: u64) -> i64 {
    (unix_nano / 1_000_000).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Stream = stream(0, 0);

    const fn stream(start: u64, last: u64) -> Stream {
        Stream { start_unix_nano: start, last_unix_nano: last, total: 0.0 }
    }

    const fn times(start: u64, time: u64) -> Times {
        Times { start, time }
    }

    #[test]
    fn delta_points_are_placed_as_the_ruling_says() {
        for (name, stream, times, expected) in [
            ("the first", FIRST, times(10, 20), Delta::Begin(10)),
            ("the first, start unknown", FIRST, times(0, 20), Delta::Begin(0)),
            ("the first, start equal to its time", FIRST, times(20, 20), Delta::Begin(0)),
            ("aligned", stream(10, 20), times(20, 30), Delta::Add),
            ("without a start", stream(10, 20), times(0, 30), Delta::Add),
            ("a duplicate", stream(10, 20), times(10, 20), Delta::Late),
            ("late", stream(10, 20), times(5, 15), Delta::Late),
            ("late without a start", stream(10, 20), times(0, 20), Delta::Late),
            ("a gap", stream(10, 20), times(25, 30), Delta::Begin(25)),
            ("a gap, start equal to its time", stream(10, 20), times(30, 30), Delta::Begin(0)),
            ("an overlap", stream(10, 20), times(15, 30), Delta::Overlap),
            ("an overlap of everything", stream(10, 20), times(5, 30), Delta::Overlap),
        ] {
            assert_eq!(delta(stream, times), expected, "{name}");
        }
    }

    #[test]
    fn cumulative_points_are_placed_as_the_data_model_says() {
        for (name, stream, times, expected) in [
            ("the first", FIRST, times(10, 20), Cumulative::Begins(10)),
            ("the first, start unknown", FIRST, times(0, 20), Cumulative::Goes),
            ("a reset at an unknown start", FIRST, times(20, 20), Cumulative::Goes),
            ("the same start", stream(10, 20), times(10, 30), Cumulative::Goes),
            ("without a start", stream(10, 20), times(0, 30), Cumulative::Goes),
            ("a reset", stream(10, 20), times(25, 30), Cumulative::Begins(25)),
            ("a reset at the last point", stream(10, 20), times(20, 30), Cumulative::Begins(20)),
            ("a start between", stream(10, 20), times(15, 30), Cumulative::Overlaps),
            ("a start before", stream(10, 20), times(5, 30), Cumulative::Overlaps),
            ("a start that was unknown", stream(0, 20), times(5, 30), Cumulative::Goes),
        ] {
            assert_eq!(cumulative(stream, times), expected, "{name}");
        }
    }

    #[test]
    fn a_zero_sample_lies_between_the_last_sample_and_the_point() {
        let ms = |ms: u64| ms * 1_000_000;
        for (name, begin, last, time, expected) in [
            ("first seen", ms(5), None, 10, Some(5)),
            ("a reset", ms(15), Some(10), 20, Some(15)),
            ("a reset at the last sample", ms(10), Some(10), 20, Some(11)),
            ("within a millisecond after it", ms(10) + 9, Some(10), 20, Some(11)),
            ("no room", ms(10), Some(10), 11, None),
            ("at the point itself", ms(10), None, 10, None),
            ("too far back", ms(10), None, 1_011, None),
        ] {
            assert_eq!(zero_at(begin, last, time, 1_000), expected, "{name}");
        }
    }
}
