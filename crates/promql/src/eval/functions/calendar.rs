//! Functions of a time in seconds since the Unix epoch, in UTC.
//!
//! Source: Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.

use std::fmt::{self, Display, Formatter};

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
            whole(days - days_before(Date::of(days).year, 1) + 1)
        },
        Id::DaysInMonth => |time| {
            let Date { year, month, .. } = Date::of(days(time));
            let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            whole(days_before(next.0, next.1) - days_before(year, month))
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

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Date {
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    /// The day that is `days` after 1970-01-01.
    fn of(days: i64) -> Self {
        // Years from March, so that the day that leap years add is the last.
        let days = days + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
    }
}

/// The days from 1970-01-01 to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
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
    fn days_become_dates_and_back() {
        for days in (-1_000_000..1_000_000).step_by(37) {
            let Date { year, month, day } = Date::of(days);
            assert_eq!(days_before(year, month) + day - 1, days);
        }
        assert_eq!(Date::of(0), Date { year: 1970, month: 1, day: 1 });
        assert_eq!(Date::of(19_782), Date { year: 2024, month: 2, day: 29 });
    }

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
