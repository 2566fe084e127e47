//! Wall-clock times as RFC 3339, in UTC, without a library of calendars.
//!
//! Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.

use std::fmt::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes `2026-11-21T13:38:12.000123Z`; times before 1970 as 1970.
pub(crate) fn write(out: &mut impl Write, time: SystemTime) -> fmt::Result {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let (second, micros) = (second % 60, since.subsec_micros());
    write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Year, month and day of a day after 1970-01-01. Years begin in March, so that leap days end them.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// The wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a log line says when it was written; nothing is measured with it"
)]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_of_leap_years_and_of_their_ends() {
        let shown = |seconds, micros| {
            let mut text = String::new();
            write(
                &mut text,
                UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros),
            )
            .unwrap();
            text
        };
        assert_eq!(shown(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(shown(951_782_400, 7), "2000-02-29T00:00:00.000007Z");
        assert_eq!(shown(951_868_799, 999_999), "2000-02-29T23:59:59.999999Z");
        assert_eq!(shown(951_868_800, 0), "2000-03-01T00:00:00.000000Z");
        assert_eq!(shown(1_735_689_599, 0), "2024-12-31T23:59:59.000000Z");
        assert_eq!(shown(4_107_542_400, 0), "2100-03-01T00:00:00.000000Z");
    }
}
