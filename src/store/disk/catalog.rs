//! Which days can be read at which resolution, and from which of them a query is answered. Pure.
//!
//! The rule, day by day: every sample where samples are kept; else the coarsest rows that are no further
//! apart than the query's evaluations, or of which it looks at six or more at a time; else the finest rows
//! there are. So an answer does not change while samples are there, a long query over old days reads few
//! rows, and a window over old days that is shorter than a row is answered from the rows around it
//! ([`super::rollup::densify`]) rather than with a hole: a point of a graph stands for the time up to the
//! next one, and so does the row.

use std::collections::BTreeSet;

use super::layout::{Day, FileKey, Tier};
use super::rollup::Looks;

/// The days that each tier holds whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Catalog {
    raw: BTreeSet<Day>,
    five_minutes: BTreeSet<Day>,
    one_hour: BTreeSet<Day>,
    /// How often files went: a connection from before may be to one that another has taken the name of.
    removals: u64,
    /// How many checkpoints there were: what a reader has of a catalog before is not all there is.
    checkpoints: u64,
}

/// Consecutive days that are read from one tier, as a time open on the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) tier: Tier,
    pub(super) after: i64,
    pub(super) until: i64,
}

impl Catalog {
    pub(super) fn days(&self, tier: Tier) -> &BTreeSet<Day> {
        match tier {
            Tier::Raw => &self.raw,
            Tier::FiveMinutes => &self.five_minutes,
            Tier::OneHour => &self.one_hour,
        }
    }

    fn days_mut(&mut self, tier: Tier) -> &mut BTreeSet<Day> {
        match tier {
            Tier::Raw => &mut self.raw,
            Tier::FiveMinutes => &mut self.five_minutes,
            Tier::OneHour => &mut self.one_hour,
        }
    }

    pub(super) fn insert(&mut self, tier: Tier, day: Day) {
        self.days_mut(tier).insert(day);
    }

    /// Forgets every day of a file.
    pub(super) fn remove(&mut self, key: FileKey) {
        self.days_mut(key.tier).retain(|day| !key.days().contains(&day.0));
        self.renamed();
    }

    /// Notes that a file has another name, so that one of its name may be another.
    pub(super) const fn renamed(&mut self) {
        self.removals += 1;
    }

    /// Notes that there is more in the files.
    pub(super) const fn committed(&mut self) {
        self.checkpoints += 1;
    }

    /// How often files went.
    pub(super) const fn removals(&self) -> u64 {
        self.removals
    }

    /// Where samples in `(after, until]` are read, in ascending time.
    pub(super) fn stretches(&self, after: i64, until: i64, looks: &Looks) -> Vec<Stretch> {
        let mut found: Vec<Stretch> = Vec::new();
        let days = Day::of(after.saturating_add(1))..=Day::of(until);
        if days.is_empty() {
            return found;
        }
        let held = Tier::ALL.iter().flat_map(|&tier| self.days(tier).range(days.clone()));
        let held: BTreeSet<Day> = held.copied().collect();
        for day in held {
            let Some(tier) = self.tier_of(day, looks) else { continue };
            let (from, to) = (day.after_ms().max(after), day.until_ms().min(until));
            match found.last_mut() {
                Some(last) if last.tier == tier && last.until == from => last.until = to,
                _ => found.push(Stretch { tier, after: from, until: to }),
            }
        }
        found
    }

    fn tier_of(&self, day: Day, looks: &Looks) -> Option<Tier> {
        if self.raw.contains(&day) {
            return Some(Tier::Raw);
        }
        let held = || Tier::ROLLUPS.into_iter().filter(|&tier| self.days(tier).contains(&day));
        let fine = |tier: &Tier| {
            let resolution = tier.resolution_ms();
            resolution <= looks.step || resolution * 6 <= looks.range
        };
        held().rfind(fine).or_else(|| held().next())
    }

    /// Every file that holds a stretch.
    pub(super) fn files(&self, stretch: &Stretch) -> Vec<FileKey> {
        let first = Day::of(stretch.after.saturating_add(1));
        let days = self.days(stretch.tier).range(first..=Day::of(stretch.until));
        let mut files: Vec<_> = days.map(|&day| FileKey::of(stretch.tier, day)).collect();
        files.dedup();
        files
    }
}

#[cfg(test)]
mod tests {
    use sidelight_promql::Reads;

    use super::super::layout::{DAY, HOUR};
    use super::*;

    /// 40 days: rows of an hour for all but the last, of 5 minutes for ten, samples for three.
    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        (0..39).for_each(|day| catalog.insert(Tier::OneHour, Day(day)));
        (29..39).for_each(|day| catalog.insert(Tier::FiveMinutes, Day(day)));
        (37..40).for_each(|day| catalog.insert(Tier::Raw, Day(day)));
        catalog
    }

    fn stretches(step: i64, range: i64) -> Vec<(Tier, i64, i64)> {
        let looks = Looks { first: 0, step, range, lookback: 0, reads: Reads::Last };
        let found = catalog().stretches(-5 * DAY, 50 * DAY, &looks);
        found.iter().map(|s| (s.tier, s.after / DAY, s.until / DAY)).collect()
    }

    #[test]
    fn the_finest_that_is_there_answers_unless_coarser_rows_do() {
        use Tier::{FiveMinutes, OneHour, Raw};
        let fine = [(OneHour, 0, 29), (FiveMinutes, 29, 37), (Raw, 37, 40)];
        let coarse = [(OneHour, 0, 37), (Raw, 37, 40)];
        assert_eq!(stretches(0, 0), fine);
        assert_eq!(stretches(60_000, 0), fine);
        assert_eq!(stretches(HOUR, 0), coarse);
        assert_eq!(stretches(DAY, 300_000), coarse);
        assert_eq!(stretches(HOUR, 300_000), coarse);
        assert_eq!(stretches(HOUR - 1, 300_000), fine);
        assert_eq!(stretches(15_000, 5 * HOUR), fine);
        assert_eq!(stretches(15_000, 6 * HOUR), coarse);
    }

    #[test]
    fn a_stretch_names_the_files_that_may_hold_it() {
        let stretch = Stretch { tier: Tier::Raw, after: 38 * DAY, until: 39 * DAY };
        let names = |stretch| -> Vec<String> {
            catalog().files(&stretch).into_iter().map(FileKey::name).collect()
        };
        assert_eq!(names(stretch), ["metrics-19700208.db"]);
        let stretch = Stretch { tier: Tier::OneHour, after: 5 * DAY, until: 15 * DAY };
        assert_eq!(
            names(stretch),
            ["rollup-1h-19700101.db", "rollup-1h-19700108.db", "rollup-1h-19700115.db"]
        );
    }

    #[test]
    fn a_window_of_no_time_has_no_stretch() {
        let looks = Looks { first: 0, step: 0, range: 0, lookback: 0, reads: Reads::Last };
        for (after, until) in [(DAY, DAY), (2 * DAY, DAY), (i64::MAX, i64::MIN)] {
            assert_eq!(catalog().stretches(after, until, &looks), []);
        }
    }

    #[test]
    fn a_day_without_files_is_a_hole() {
        let mut catalog = catalog();
        catalog.remove(FileKey::of(Tier::Raw, Day(38)));
        catalog.remove(FileKey::of(Tier::FiveMinutes, Day(38)));
        catalog.remove(FileKey::of(Tier::OneHour, Day(38)));
        let looks = Looks { first: 0, step: 0, range: 0, lookback: 0, reads: Reads::Last };
        let found = catalog.stretches(36 * DAY, 40 * DAY, &looks);
        let found: Vec<_> = found.iter().map(|s| (s.after / DAY, s.until / DAY)).collect();
        assert_eq!(found, [(36, 37), (37, 38), (39, 40)]);
    }
}
