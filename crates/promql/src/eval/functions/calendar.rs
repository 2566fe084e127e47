//! Functions of a time in seconds since the Unix epoch, in UTC.

use std::fmt::{self, Display, Formatter};

use crate::calendar::Date;
use crate::functions::Id;

const DAY: i64 = 86_400;

/// The function, if it is one.
pub(super) fn find(id: Id) -> Option<fn(f64) -> f64> {
    Some(match id {
        Id::Minute => |time| whole(seconds(time).div_euclid(60).rem_euclid(60)),
        Id::Hour => |time| whole(seconds(time).div_euclid(3_600).rem_euclid(24)),
        Id::DayOfWeek => |time| whole((days(time) + 4).rem_euclid(7)),
        Id::DayOfMonth => |time| whole(Date::of(days(time)).day),
        Id::DayOfYear => |time| {
            let days = days(time);
            whole(days - Date { month: 1, day: 1, ..Date::of(days) }.days() + 1)
        },
        Id::DaysInMonth => |time| {
            let first = Date { day: 1, ..Date::of(days(time)) };
            let next = match first.month {
                12 => Date { year: first.year + 1, month: 1, day: 1 },
                month => Date { month: month + 1, ..first },
            };
            whole(next.days() - first.days())
        },
        Id::Month => |time| whole(Date::of(days(time)).month),
        Id::Year => |time| whole(Date::of(days(time)).year),
        _ => return None,
    })
}

/// The whole seconds; of what is no time the last second that there is, as in Prometheus.
#[expect(clippy::cast_possible_truncation, reason = "within the bounds")]
fn seconds(time: f64) -> i64 {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    if (-BOUND..BOUND).contains(&time) { time as i64 } else { i64::MAX }
}

fn days(time: f64) -> i64 {
    seconds(time).div_euclid(DAY)
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn whole(value: i64) -> f64 {
    value as f64
}

/// A time in milliseconds, written in seconds as RFC 3339 has it.
pub(super) struct Rfc3339(pub(super) i64);

impl Display for Rfc3339 {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(1_000);
        let Date { year, month, day } = Date::of(seconds.div_euclid(DAY));
        let of_day = seconds.rem_euclid(DAY);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written() {
        assert_eq!(Rfc3339(1_709_251_198_999).to_string(), "2024-02-29T23:59:58Z");
    }

    #[test]
    fn times_have_their_parts() {
        // 2024-02-29T23:59:58Z, a Thursday.
        let part = |id| find(id).map(|f| f(1_709_251_198.0));
        assert_eq!(part(Id::Minute), Some(59.0));
        assert_eq!(part(Id::Hour), Some(23.0));
        assert_eq!(part(Id::DayOfWeek), Some(4.0));
        assert_eq!(part(Id::DayOfMonth), Some(29.0));
        assert_eq!(part(Id::DayOfYear), Some(60.0));
        assert_eq!(part(Id::DaysInMonth), Some(29.0));
        assert_eq!(part(Id::Month), Some(2.0));
        assert_eq!(part(Id::Year), Some(2024.0));
        for time in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e20] {
            let part = |id| find(id).map(|f| f(time));
            assert_eq!(part(Id::Year), Some(292_277_026_596.0));
            assert_eq!(part(Id::DayOfYear), Some(339.0));
            assert_eq!(part(Id::Minute), Some(30.0));
        }
        assert_eq!(find(Id::Year).map(|f| f(-1e17)), Some(-3_168_871_881.0));
    }
}
