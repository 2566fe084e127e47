//! Days of the proleptic Gregorian calendar.
//!
//! Source: Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days` and `days_from_civil`.

/// A day. Any of `i64` seconds before and after 1970-01-01 has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// The year; 0 is the one before 1.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
}

impl Date {
    /// The day that is `days` after 1970-01-01.
    #[must_use]
    pub const fn of(days: i64) -> Self {
        // Years from March, so that the day that leap years add is the last.
        let days = days + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let january = if month <= 2 { 1 } else { 0 };
        Self { year: year_of_era + era * 400 + january, month, day }
    }

    /// The days from 1970-01-01 to it. Of a day that its month does not have, those of as many days after the first.
    #[must_use]
    pub const fn days(self) -> i64 {
        let Self { year, month, day } = self;
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let from_march = (month + 9) % 12;
        let of_year = (153 * from_march + 2) / 5 + day - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        era * 146_097 + of_era - 719_468
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates_and_back() {
        for days in (-1_000_000..1_000_000).step_by(37) {
            assert_eq!(Date::of(days).days(), days);
        }
        assert_eq!(Date::of(0), Date { year: 1970, month: 1, day: 1 });
        assert_eq!(Date::of(19_782), Date { year: 2024, month: 2, day: 29 });
    }
}
