//! Which file holds what: tiers, days, and names. Pure.
//!
//! Time is cut into UTC days that are open on the left, `(midnight, next midnight]`, as PromQL's windows
//! are, so that an aggregate that ends at an hour equals a window that ends there. A chunk belongs to
//! each day that it has a sample of, so that a day's file is whole when every other is gone; a row to the day of its last.

use std::ops::RangeInclusive;

use sidelight_promql::calendar::Date;

/// Milliseconds of an hour.
pub(super) const HOUR: i64 = 3_600_000;
/// Milliseconds of a day.
pub(super) const DAY: i64 = 24 * HOUR;
/// Days that a file of the coarsest tier spans: 90 days are 13 or 14 files to open.
const DAYS_PER_HOURLY_FILE: i32 = 7;

/// The name of the file that holds the head.
pub(super) const STATE_FILE: &str = "state.db";

/// How closely samples are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Tier {
    /// Every sample.
    Raw,
    /// A row per 5 minutes.
    FiveMinutes,
    /// A row per hour.
    OneHour,
}

impl Tier {
    /// Finest first.
    pub(super) const ALL: [Self; 3] = [Self::Raw, Self::FiveMinutes, Self::OneHour];
    /// Those that hold rows.
    pub(super) const ROLLUPS: [Self; 2] = [Self::FiveMinutes, Self::OneHour];

    /// The word in file names, self-metrics and JSON.
    #[must_use]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::FiveMinutes => "5m",
            Self::OneHour => "1h",
        }
    }

    /// Milliseconds between two rows; 0 for [`Tier::Raw`].
    #[must_use]
    pub(super) const fn resolution_ms(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::FiveMinutes => HOUR / 12,
            Self::OneHour => HOUR,
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Raw => "metrics-",
            Self::FiveMinutes => "rollup-5m-",
            Self::OneHour => "rollup-1h-",
        }
    }

    const fn days_per_file(self) -> i32 {
        match self {
            Self::Raw | Self::FiveMinutes => 1,
            Self::OneHour => DAYS_PER_HOURLY_FILE,
        }
    }
}

/// A UTC day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day(pub(super) i32);

impl Day {
    /// The day that `t_ms` belongs to.
    pub(super) fn of(t_ms: i64) -> Self {
        let days = t_ms.saturating_sub(1).div_euclid(DAY);
        Self(i32::try_from(days).unwrap_or(if days < 0 { i32::MIN / 2 } else { i32::MAX / 2 }))
    }

    /// The midnight before it, which is not part of it.
    pub(super) const fn after_ms(self) -> i64 {
        self.0 as i64 * DAY
    }

    /// The midnight that ends it, which is.
    pub(super) const fn until_ms(self) -> i64 {
        self.after_ms() + DAY
    }

    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    fn calendar(self) -> Date {
        Date::of(self.0.into())
    }

    /// `2026-11-21`.
    pub(super) fn date(self) -> String {
        let Date { year, month, day } = self.calendar();
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// `20261121`.
    fn digits(self) -> String {
        let Date { year, month, day } = self.calendar();
        format!("{year:04}{month:02}{day:02}")
    }

    fn parse(digits: &str) -> Option<Self> {
        let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<u16>().ok();
        let all_digits = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
        if !all_digits {
            return None;
        }
        let date = Date { year: year.into(), month: month.into(), day: day.into() };
        let found = Self(i32::try_from(date.days()).ok()?);
        (found.calendar() == date).then_some(found)
    }
}

/// One file of chunks or rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileKey {
    pub(super) tier: Tier,
    /// The first day that it spans.
    pub(super) first: Day,
}

impl FileKey {
    /// The file of `tier` that holds `day`.
    pub(super) const fn of(tier: Tier, day: Day) -> Self {
        let span = tier.days_per_file();
        Self { tier, first: Day(day.0.div_euclid(span) * span) }
    }

    /// The days that it spans.
    pub(super) const fn days(self) -> RangeInclusive<i32> {
        self.first.0..=self.last().0
    }

    /// The last day that it spans.
    pub(super) const fn last(self) -> Day {
        Day(self.first.0 + self.tier.days_per_file() - 1)
    }

    /// The midnight that ends it.
    pub(super) const fn until_ms(self) -> i64 {
        self.last().until_ms()
    }

    pub(super) fn name(self) -> String {
        format!("{}{}.db", self.tier.prefix(), self.first.digits())
    }

    /// The key of a file's name; `None` when it is none of ours.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Tier::ALL.into_iter().find_map(|tier| {
            let day = Day::parse(name.strip_prefix(tier.prefix())?.strip_suffix(".db")?)?;
            Some(Self::of(tier, day)).filter(|key| key.first == day)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dates_and_read_back() {
        let day = Day::of(1_795_219_200_000 + 1);
        assert_eq!(FileKey::of(Tier::Raw, day).name(), "metrics-20261121.db");
        for days in (-200_000..200_000).step_by(97) {
            for tier in Tier::ALL {
                let key = FileKey::of(tier, Day(days));
                assert!(key.days().contains(&days), "{key:?} {days}");
                let year = |day: Day| day.calendar().year;
                if [Day(days), key.first].map(year).iter().all(|year| (0..10_000).contains(year)) {
                    assert_eq!(FileKey::parse(&key.name()), Some(key));
                }
            }
        }
    }

    #[test]
    fn names_that_are_not_ours_are_no_keys() {
        for name in [
            "metrics-20261131.db",
            "metrics-20261121.db-wal",
            "metrics-2026112.db",
            "metrics-+2026112.db",
            "metrics-20261121.db.corrupt-1",
            "rollup-1h-20261121.db",
            "state.db",
            "metrics-éé261121.db",
        ] {
            assert_eq!(FileKey::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_sample_at_midnight_belongs_to_the_day_that_ends() {
        assert_eq!(Day::of(DAY), Day(0));
        assert_eq!(Day::of(DAY + 1), Day(1));
        assert_eq!(Day::of(0), Day(-1));
        assert_eq!(Day(0).until_ms(), Day(1).after_ms());
        assert_eq!(Day::of(i64::MIN).0, i32::MIN / 2);
    }
}
