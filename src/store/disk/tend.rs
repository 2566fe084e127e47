//! What is done in the background: rolling up days that are over, and letting go of files.
//!
//! [`Disk::tend`] does one slice and says whether there is more; whoever calls it decides how often, on
//! a thread where it holds up nobody. A checkpoint waits for at most one slice. While less than 5 % of the
//! disk is free nothing is rolled up and the oldest files go.

use rusqlite::Connection;

use super::commit::GRACE;
use super::damage::is_set_aside;
use super::file::{self, Access, Role, Trouble};
use super::layout::{Day, FileKey, HOUR, Tier};
use super::open;
use super::retention::{self, Held, Reason, Space, unix_nano};
use super::roll::{Fault, Roll, Step};
use super::{Disk, Files};

/// Files that were set aside and stay for people to look at.
const SET_ASIDE_MAX: usize = 4;

impl Disk {
    /// Does some of what is to be done in the background. Whether there is more.
    pub(in crate::store) fn tend(&self) -> bool {
        let files = &mut *self.lock();
        self.set_suspects_aside(files);
        self.damage.look(&self.config.directory);
        let missing = self.missing(files);
        if !files.scarce && files.roll.is_none() && files.stuck_ms != files.now_ms {
            files.roll = self.next_roll(files);
        }
        if !files.scarce && files.roll.is_some() {
            self.roll(files);
            return true;
        }
        if files.judged_ms != files.now_ms {
            files.judged_ms = files.now_ms;
            self.retain(files, missing);
        }
        false
    }

    /// Bytes that the disk lacks of what is kept free on it. While it does, checkpoints go on, rolling up waits.
    fn missing(&self, files: &mut Files) -> u64 {
        let missing = (self.space)(&self.config.directory).map_or(0, Space::missing);
        let scarce = missing > 0;
        if scarce && !files.scarce {
            tracing::warn!(
                missing,
                "less than 5 % of the store's disk is free: samples are not rolled up, and the oldest days go"
            );
        } else if files.scarce && !scarce {
            tracing::info!("the store's disk has room again");
        }
        files.scarce = scarce;
        missing
    }

    /// The oldest day that is over and not rolled up, or that has late samples.
    fn next_roll(&self, files: &mut Files) -> Option<Roll> {
        let day = {
            let catalog = self.catalog();
            let over = |day: &&Day| day.until_ms() + GRACE <= files.now_ms;
            let rolled =
                |day: &Day| Tier::ROLLUPS.iter().all(|&tier| catalog.days(tier).contains(day));
            let mut days = catalog.days(Tier::Raw).iter().filter(over);
            *days.find(|day| !rolled(day) || files.late.contains(day))?
        };
        files.late.remove(&day);
        match Roll::begin(self, day) {
            Ok(roll) => Some(roll),
            Err(fault) => {
                self.fault(files, fault, day);
                None
            }
        }
    }

    fn roll(&self, files: &mut Files) {
        let Some(mut roll) = files.roll.take() else { return };
        let day = roll.day();
        match roll.step(self) {
            Ok(Step::More) => files.roll = Some(roll),
            Ok(step) => {
                if roll.is_behind() {
                    files.late.insert(day);
                }
                self.change_catalog(|catalog| {
                    Tier::ROLLUPS.iter().for_each(|&tier| catalog.insert(tier, day));
                });
                if step == Step::Done {
                    self.metrics.rolled_days.add(1);
                }
            }
            Err(fault) => {
                drop(roll);
                self.fault(files, fault, day);
            }
        }
    }

    /// A file that cannot be read is set aside and the day begun anew; a disk that refuses is tried
    /// again after the next checkpoint.
    fn fault(&self, files: &mut Files, fault: Fault, day: Day) {
        let Fault { key, trouble } = fault;
        match trouble {
            Trouble::Unreadable(why) => {
                self.close(files, key);
                // Said there.
                let _ = self.set_aside(&self.path(key), &why);
                files.late.insert(day);
            }
            trouble => {
                let error = trouble.into_error("roll up", &self.path(key));
                let error = crate::telemetry::chain(&error);
                tracing::warn!(error, "samples are not rolled up for now");
                files.stuck_ms = files.now_ms;
                // If it had been rolled up before, nothing else says that samples came late.
                files.late.insert(day);
            }
        }
    }

    /// Lets go of files.
    fn retain(&self, files: &mut Files, missing: u64) {
        let Some((held, other_bytes)) = self.held(files) else { return };
        let now = unix_nano(files.now_ms);
        let clocks = files.clocks.as_mut();
        let by_age = clocks.is_some_and(|clocks| clocks.trusted(now, self.clock.monotonic()));
        let verdict =
            retention::decide(&held, other_bytes, files.now_ms, (by_age, missing), &self.config);
        for (key, reason) in verdict.drop {
            self.drop_file(files, key, reason);
        }
        if verdict.excess > 0 {
            self.shed(files, verdict.excess);
        }
        self.show_sizes();
    }

    /// Every file that can go, and the bytes of those that cannot.
    fn held(&self, files: &Files) -> Option<(Vec<Held>, u64)> {
        let listed = open::list(&self.config.directory);
        let listed =
            listed.inspect_err(|error| tracing::warn!(%error, "files stay for now")).ok()?;
        let catalog = self.catalog();
        let rolled = |key: FileKey| {
            key.tier != Tier::Raw
                || !files.late.contains(&key.first)
                    && Tier::ROLLUPS.iter().all(|&tier| catalog.days(tier).contains(&key.first))
        };
        let mut held = Vec::new();
        let (mut other_bytes, mut aside) = (0, Vec::new());
        for file in listed {
            let name = file.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(key) = FileKey::parse(name) {
                held.push(Held { key, bytes: file.bytes, rolled: rolled(key) });
            } else if is_set_aside(name) {
                aside.push(file);
            } else {
                other_bytes += file.bytes;
            }
        }
        let excess = aside.len().saturating_sub(SET_ASIDE_MAX);
        for old in aside.drain(..excess) {
            if file::remove(&old.path).is_ok() {
                tracing::info!(file = %old.path.display(), "removed a file that was set aside");
            }
        }
        Some((held, other_bytes + aside.iter().map(|file| file.bytes).sum::<u64>()))
    }

    pub(super) fn drop_file(&self, files: &mut Files, key: FileKey, reason: Reason) {
        self.close(files, key);
        if key.tier == Tier::Raw {
            files.horizon = files.horizon.max(key.first.next());
        }
        match file::remove(&self.path(key)) {
            Ok(()) => {
                self.metrics.dropped_file(key.tier, reason);
                tracing::info!(file = key.name(), reason = reason.name(), "dropped a file");
            }
            Err(error) => tracing::warn!(file = key.name(), %error, "cannot drop a file"),
        }
    }

    /// Deletes the oldest hour of the newest samples, so that what comes takes its place.
    fn shed(&self, files: &Files, excess: u64) {
        let Some(day) = self.catalog().days(Tier::Raw).last().copied() else { return };
        let path = self.path(FileKey::of(Tier::Raw, day));
        let shed = file::open(&path, Role::Samples, Access::Read).and_then(|connection| {
            delete_oldest(&connection, excess).map_err(|error| file::trouble("trim", &path, error))
        });
        match shed {
            Ok(chunks) => {
                self.metrics.dropped_chunks.add(chunks);
                let now_ms = files.now_ms;
                tracing::warn!(
                    excess,
                    chunks,
                    now_ms,
                    "the store is full: the day's oldest hour goes"
                );
            }
            Err(trouble) => {
                let error = trouble.into_error("trim", &path);
                tracing::warn!(%error, "the store is full and cannot shed samples");
            }
        }
    }

    pub(super) fn show_sizes(&self) {
        let Ok(listed) = open::list(&self.config.directory) else { return };
        let mut pinned = 0;
        for tier in [Some(Tier::Raw), Some(Tier::FiveMinutes), Some(Tier::OneHour), None] {
            let of = |file: &&crate::store::stats::FileSize| {
                let name = file.path.file_name().and_then(|name| name.to_str());
                name.and_then(FileKey::parse).map(|key| key.tier) == tier
            };
            let bytes = listed.iter().filter(of).map(|file| file.bytes).sum();
            self.metrics.show_bytes(tier, bytes);
            // The newest of a tier is written to.
            let newest = listed.iter().filter(of).max_by_key(|file| file.path.file_name());
            pinned += if tier.is_none() { bytes } else { newest.map_or(0, |file| file.bytes) };
        }
        self.metrics.show_pinned(pinned);
    }
}

/// How many chunks went. None while there is room in the file already.
fn delete_oldest(connection: &Connection, excess: u64) -> rusqlite::Result<u64> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let free = number("PRAGMA freelist_count")? * number("PRAGMA page_size")?;
    if free.cast_unsigned() >= excess {
        return Ok(0);
    }
    let oldest = connection
        .query_row("SELECT min(start) FROM chunk", [], |row| row.get::<_, Option<i64>>(0))?;
    let Some(oldest) = oldest else { return Ok(0) };
    let deleted = connection.execute("DELETE FROM chunk WHERE start < ?", [oldest + HOUR])?;
    Ok(deleted as u64)
}
