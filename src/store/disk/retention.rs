//! Which files go. Pure.
//!
//! By age: a file goes when all of it is older than its tier is kept, a file of samples only after its
//! day is rolled up. Age is measured by received time, as everything in the store is; a leap of it of more
//! than an hour against the monotonic clock suspends this for a day, in which someone may set the clock
//! right; a restart does not end that day. By size, which wins: the oldest samples first, then the oldest
//! rows of 5 minutes, then of an hour; within samples those that are rolled up before those that are not.
//! The files that are written to stay; when they alone are too large, the oldest part of today's samples is
//! deleted in place. On a disk that is almost full files go in the same order until enough of it is free,
//! but nothing is deleted in place, which would free nothing for others.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::layout::{FileKey, Tier};
use crate::store::Config;
use crate::time::{JumpGuard, UnixNano};

/// A file as retention sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) key: FileKey,
    pub(super) bytes: u64,
    /// Whether rows stand for all of its samples; true for files of rows.
    pub(super) rolled: bool,
}

/// Why a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It is older than it is to be kept.
    Age,
    /// The files together are larger than they may be.
    Size,
    /// The disk that they are on is almost full.
    Disk,
}

/// A disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    /// Its bytes.
    pub(super) total: u64,
    /// Those that are free to us.
    pub(super) free: u64,
}

/// One part in so many of a disk is kept free, as the journal does.
const KEPT_FREE: u64 = 20;

impl Space {
    /// Bytes that are free on the disk of a directory.
    pub(super) fn of(directory: &Path) -> io::Result<Self> {
        if cfg!(test) {
            // The disk that runs tests may be full.
            return Ok(Self { total: 1 << 40, free: 1 << 40 });
        }
        let found = rustix::fs::statvfs(directory)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Self { total: bytes(found.f_blocks), free: bytes(found.f_bavail) })
    }

    /// Bytes that are missing from what is kept free.
    pub(super) const fn missing(self) -> u64 {
        (self.total / KEPT_FREE).saturating_sub(self.free)
    }
}

impl Reason {
    /// The value of the label `reason`.
    #[must_use]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
            Self::Disk => "disk",
        }
    }
}

/// How long ages are not believed after a leap of the clock.
const LEAP_HOLD: Duration = Duration::from_hours(24);

/// What says whether ages may be believed, from received time `now_ms` on. Before the start they were not for as long as
/// `left`.
pub(super) fn clocks(now_ms: i64, monotonic: Duration, left: Duration) -> JumpGuard {
    let mut clocks = JumpGuard::new(LEAP_HOLD);
    if !left.is_zero() {
        clocks.hold(unix_nano(now_ms), monotonic, left);
    }
    clocks
}

pub(super) fn unix_nano(ms: i64) -> UnixNano {
    UnixNano(u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000))
}

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Files that go, in this order.
    pub(super) drop: Vec<(FileKey, Reason)>,
    /// Bytes that are too many even then.
    pub(super) excess: u64,
}

/// Decides at `now_ms`. `other_bytes` is what cannot be dropped; `by_age` is false while the clock is not
/// to be trusted; `missing` is what the disk lacks.
pub(super) fn decide(
    held: &[Held],
    other_bytes: u64,
    now_ms: i64,
    (by_age, missing): (bool, u64),
    config: &Config,
) -> Verdict {
    let all = other_bytes + held.iter().map(|file| file.bytes).sum::<u64>();
    let mut drop = Vec::new();
    let mut left: Vec<Held> = Vec::new();
    for file in held {
        if by_age
            && file.rolled
            && file.key.until_ms() < now_ms.saturating_sub(kept_ms(config, file))
        {
            drop.push((file.key, Reason::Age));
        } else {
            left.push(*file);
        }
    }
    let mut bytes: u64 = other_bytes + left.iter().map(|file| file.bytes).sum::<u64>();
    left.retain(|file| file.key.until_ms() < now_ms);
    left.sort_by_key(|file| (file.key.tier, !file.rolled, file.key.first));
    for file in left {
        let reason = if bytes > config.max_size {
            Reason::Size
        } else if all - bytes < missing {
            Reason::Disk
        } else {
            break;
        };
        bytes -= file.bytes;
        drop.push((file.key, reason));
    }
    Verdict { drop, excess: bytes.saturating_sub(config.max_size) }
}

fn kept_ms(config: &Config, file: &Held) -> i64 {
    let kept = match file.key.tier {
        Tier::Raw => config.retention,
        Tier::FiveMinutes => config.retention_5m,
        Tier::OneHour => config.retention_1h,
    };
    i64::try_from(kept.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::layout::{DAY, Day};
    use super::*;

    fn held(tier: Tier, day: i32) -> Held {
        Held { key: FileKey::of(tier, Day(day)), bytes: 100, rolled: true }
    }

    fn decided(held: &[Held], now: i64, bytes_max: u64) -> (Vec<(Tier, i32, Reason)>, u64) {
        let config = Config { max_size: bytes_max, ..Config::new("".into()) };
        let verdict = decide(held, 50, now, (true, 0), &config);
        let dropped = verdict.drop.iter().map(|(key, why)| (key.tier, key.first.0, *why));
        (dropped.collect(), verdict.excess)
    }

    #[test]
    fn a_file_goes_when_all_of_it_is_too_old() {
        let files: Vec<_> = (0..4).map(|day| held(Tier::Raw, day)).collect();
        let raw = |day| (Tier::Raw, day, Reason::Age);
        assert_eq!(decided(&files, 3 * DAY, 9_999).0, []);
        assert_eq!(decided(&files, 3 * DAY + 1, 9_999).0, [raw(0)]);
        let mut unrolled = files.clone();
        unrolled[0].rolled = false;
        assert_eq!(decided(&unrolled, 4 * DAY + 1, 9_999).0, [raw(1)]);
        let hours = [held(Tier::OneHour, 0), held(Tier::OneHour, 7)];
        assert_eq!(decided(&hours, 97 * DAY, 9_999).0, []);
        assert_eq!(decided(&hours, 97 * DAY + 1, 9_999).0, [(Tier::OneHour, 0, Reason::Age)]);
    }

    #[test]
    fn too_many_bytes_cost_the_oldest_samples_first_and_never_what_is_written() {
        let mut files: Vec<_> = (6..9).map(|day| held(Tier::Raw, day)).collect();
        files[1].rolled = false;
        files.extend((5..8).map(|day| held(Tier::FiveMinutes, day)));
        files.extend([held(Tier::OneHour, 0), held(Tier::OneHour, 7)]);
        let now = 8 * DAY + 5;
        let size = |tier, day| (tier, day, Reason::Size);
        let all = [
            size(Tier::Raw, 6),
            size(Tier::Raw, 7),
            size(Tier::FiveMinutes, 5),
            size(Tier::FiveMinutes, 6),
            size(Tier::FiveMinutes, 7),
            size(Tier::OneHour, 0),
        ];
        assert_eq!(decided(&files, now, 850), (vec![], 0));
        assert_eq!(decided(&files, now, 849), (all[..1].to_vec(), 0));
        assert_eq!(decided(&files, now, 550), (all[..3].to_vec(), 0));
        assert_eq!(decided(&files, now, 10), (all.to_vec(), 240));
    }

    #[test]
    fn a_clock_that_leapt_drops_nothing_by_age() {
        let verdict =
            decide(&[held(Tier::Raw, 0)], 0, 9_999 * DAY, (false, 0), &Config::new("".into()));
        assert_eq!(verdict, Verdict::default());
    }

    #[test]
    fn an_almost_full_disk_costs_the_oldest_files_until_enough_is_free() {
        let files: Vec<_> = (0..4).map(|day| held(Tier::Raw, day)).collect();
        let config = Config { max_size: 9_999, ..Config::new("".into()) };
        let dropped = |missing| {
            let verdict = decide(&files, 50, 3 * DAY + 5, (false, missing), &config);
            assert_eq!(verdict.excess, 0);
            verdict.drop.iter().map(|(key, why)| (key.first.0, *why)).collect::<Vec<_>>()
        };
        assert_eq!(dropped(0), []);
        assert_eq!(dropped(100), [(0, Reason::Disk)]);
        assert_eq!(dropped(101), [(0, Reason::Disk), (1, Reason::Disk)]);
        assert_eq!(dropped(9_999).len(), 3, "what is written stays");
        assert_eq!(Space { total: 2_000, free: 100 }.missing(), 0);
        assert_eq!(Space { total: 2_000, free: 99 }.missing(), 1);
    }
}
