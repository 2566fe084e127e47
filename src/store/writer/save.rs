//! What the writer puts into a checkpoint, and what it forgets after.

use std::sync::Arc;

use super::{EXEMPLARS, PutState, Writer, millis};
use crate::store::checkpoint::Record;
use crate::store::{Config, SeriesId, StoreError, state};

/// So much of a series stays in memory beside its open chunk, where there is room: rules and dashboards look at the last
/// minutes again and again.
const KEPT_MS: i64 = 10 * 60 * 1_000;

impl Writer {
    /// Whether it is time for a checkpoint: by received time, by what was read of the journal since the
    /// last, or because the chunks that wait for one take half of what they may.
    #[must_use]
    pub fn checkpoint_due(&self, journal_bytes_since: u64) -> bool {
        let config = &self.shared.config;
        let since = self.now_ms.zip(self.checkpoint_ms);
        let since = since.map_or(0, |(now, last)| now.saturating_sub(last));
        journal_bytes_since >= self.checkpoint_bytes
            || self.shared.head().pending_bytes > config.memory.pending / 2
            || since >= millis(config.checkpoint_interval)
    }

    /// Writes everything that records up to `journal_seq` gave, lets series that are dead leave, and
    /// returns when it is durable. Blocks on disk.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is lost, the next one writes it too.
    pub fn checkpoint(&mut self, journal_seq: u64) -> Result<(), StoreError> {
        self.checkpoint_with(journal_seq, |_, _| Ok(()))
    }

    /// The same, with named state: `states` gives it away a piece at a time, each with its name, and gets it back from
    /// [`Writer::take_states`] after a restart. What it does not give is forgotten.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is lost, the next one writes it too.
    pub fn checkpoint_with(
        &mut self,
        journal_seq: u64,
        states: impl FnOnce(&Self, PutState<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let now = self.now_ms.unwrap_or_default();
        let mut commit = shared.disk.begin(journal_seq, now)?;
        let all = commit.wants_all();
        let mut gone = Vec::new();
        let mut state = Vec::new();
        let slots = shared.head().slots();
        for index in 0..slots {
            let Some((id, dead)) = self.seal_if_over(index, now) else { continue };
            let kept = *self.keep(id);
            let (fingerprint, kind, labels, sealed) = {
                let head = shared.head();
                let Some(series) = head.get(id) else { continue };
                if !(series.changed || kept.changed || all || dead) {
                    continue;
                }
                state.clear();
                if !dead {
                    series.state(&kept.stream, &mut state);
                }
                (series.fingerprint, series.kind, head.labels(series), series.pending().to_vec())
            };
            let record =
                Record { fingerprint, kind, labels: &labels, sealed: &sealed, live: &state };
            commit.series(&record)?;
            if dead {
                commit.removed(fingerprint)?;
                gone.push(id);
            }
        }
        for &of in self.lost.iter().filter(|&&of| shared.head().id(of).is_none()) {
            commit.removed(of)?;
        }
        let mut pieces = state::Pieces::new(&mut commit);
        states(self, &mut |key, bytes| pieces.put(key, bytes))?;
        pieces.put(EXEMPLARS, &shared.head().encoded_exemplars())?;
        let written = pieces.finish(&self.pieces)?;
        let (changed, forgotten) = shared.head().families.unsaved(all);
        changed.iter().try_for_each(|(name, known)| commit.family(name, known))?;
        forgotten.iter().try_for_each(|name| commit.forget_family(name))?;
        commit.finish()?;
        self.lost = Vec::new();
        self.pieces = written;
        self.finished(&gone);
        Ok(())
    }

    /// The series of a slot, and whether it is dead, or has samples of a time that was none: then all of it is sealed, and
    /// so is what is open for as long as it may be. Where nothing comes any more, its day waits for it.
    fn seal_if_over(&self, index: u32, now: i64) -> Option<(SeriesId, bool)> {
        let Config { series_ttl, future_max, .. } = self.shared.config;
        let oldest = now.saturating_sub(millis(series_ttl));
        // Without that it is only what the journal has not come to again.
        let set_back = self.checkpoint_ms == Some(i64::MIN);
        let latest = if set_back { now.saturating_add(millis(future_max)) } else { i64::MAX };
        let (id, dead, over) = {
            let head = self.shared.head();
            let (id, series) = head.at(index)?;
            let used_ms = series.used_ms();
            (id, used_ms < oldest || used_ms > latest, series.is_over(now))
        };
        if dead || over {
            let mut head = self.shared.head_mut();
            let sealed = head.seal(id);
            head.pending_bytes += sealed;
        }
        Some((id, dead))
    }

    /// Forgets what is on disk.
    fn finished(&mut self, gone: &[SeriesId]) {
        self.checkpoint_ms = self.now_ms;
        let after = self.now_ms.unwrap_or_default().saturating_sub(KEPT_MS);
        self.attempts.covered();
        self.streams.iter_mut().for_each(|kept| kept.changed = false);
        let slots = self.shared.head().slots();
        for index in 0..slots {
            let mut head = self.shared.head_mut();
            let Some((id, _)) = head.at(index) else { continue };
            head.written(id, after);
        }
        let mut head = self.shared.head_mut();
        head.families.saved();
        head.remove(gone);
        // What has left of a time that was none is asked for by nobody who asks for now.
        let latest =
            self.now_ms.unwrap_or_default().saturating_add(millis(self.shared.config.future_max));
        head.departed_ms = head.departed_ms.min(latest);
        head.sweep_bounds();
    }
}
