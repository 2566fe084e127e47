//! The alerts on disk, `alerts.db` in the store's directory: what a restart must not forget.
//!
//! ```text
//! alert   file │ grp │ rule │ rule_labels │ nth │ labels  ─▶  annotations, state, value, six times
//! ```
//! `nth` tells rules of one name and equal labels in a group apart. Times are nanoseconds since the Unix epoch; `value` is the
//! bits of an f64, since SQLite has no NaN; labels are JSON. What an evaluation changed is written in one
//! transaction. A file that is damaged is set aside, and the alerts begin anew; one that cannot be written, or is not of this
//! version, is tried again by every evaluation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Row, params};

use crate::alert::{Alert, Pairs, State as AlertState, fingerprint};
use crate::sqlite;
use crate::time::UnixNano;

const HOLDS: sqlite::Holds = sqlite::Holds {
    // `sidA`.
    application_id: 0x7369_6441,
    version: 1,
    schema: SCHEMA,
    busy: Duration::from_secs(1),
};
const SCHEMA: &str = "CREATE TABLE alert (
  file TEXT NOT NULL, grp TEXT NOT NULL, rule TEXT NOT NULL, rule_labels TEXT NOT NULL, nth INTEGER NOT NULL,
  labels TEXT NOT NULL, annotations TEXT NOT NULL, state TEXT NOT NULL, value INTEGER NOT NULL,
  active_at INTEGER NOT NULL, fired_at INTEGER, keep_firing_since INTEGER, resolved_at INTEGER,
  last_sent_at INTEGER, valid_until INTEGER, generator_url TEXT NOT NULL,
  PRIMARY KEY (file, grp, rule, rule_labels, nth, labels)
) WITHOUT ROWID;";

/// Which rule an alert is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleKey {
    /// The file of its group.
    pub file: String,
    /// Its group.
    pub group: String,
    /// Its name.
    pub rule: String,
    /// Its labels.
    pub labels: Pairs,
    /// How many rules of the group with that name and these labels are before it.
    pub nth: u32,
}

/// What of an alert must not be forgotten: a change of it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    state: AlertState,
    active_at: UnixNano,
    times: [Option<UnixNano>; 4],
}

impl Stamp {
    pub(super) const fn of(alert: &Alert) -> Self {
        let Alert { fired_at, keep_firing_since, resolved_at, last_sent_at, .. } = *alert;
        let times = [fired_at, keep_firing_since, resolved_at, last_sent_at];
        Self { state: alert.state, active_at: alert.active_at, times }
    }
}

/// What an evaluation changed.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// It is there, and so.
    Put(Alert),
    /// The alert with these labels is forgotten.
    Remove(Pairs),
}

/// A file that is not used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The operating system or SQLite refused.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is damaged.
    #[error("{} is damaged: set aside as {}", path.display(), aside.display())]
    Damaged {
        /// What.
        path: PathBuf,
        /// Where it is.
        aside: PathBuf,
    },
}

/// The open file.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    connection: Mutex<Option<Connection>>,
    /// Grows when everything must be written again.
    epoch: AtomicU64,
    /// The last write failed.
    fails: AtomicBool,
}

impl State {
    /// The alerts in `directory`, which is made if there is none. Never fails: what is wrong is logged, and tried again by
    /// the next write.
    #[must_use]
    pub fn open(directory: &Path) -> Self {
        let path = directory.join("alerts.db");
        let state = Self {
            path,
            connection: Mutex::new(None),
            epoch: AtomicU64::new(0),
            fails: AtomicBool::new(false),
        };
        // Opened by the first use; a failure is told by it.
        if let Err(error) = state.with("open", |_| Ok(())) {
            tell(&error);
        }
        state
    }

    /// A write failed; whether it is the first in a row.
    pub(super) fn note_failure(&self) -> bool {
        !self.fails.swap(true, Ordering::Relaxed)
    }

    /// A write succeeded, which is said where the one before did not.
    pub(super) fn note_success(&self) {
        if self.fails.swap(false, Ordering::Relaxed) {
            tracing::info!("alerts are on disk again");
        }
    }

    /// Differs from what it was when everything must be written again.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Every alert by its rule.
    pub(super) fn load(&self) -> BTreeMap<RuleKey, Vec<Alert>> {
        let mut known: BTreeMap<RuleKey, Vec<Alert>> = BTreeMap::new();
        let read = self.with("read", |connection| {
            let mut query = connection.prepare("SELECT * FROM alert")?;
            let mut rows = query.query([])?;
            let mut strange = 0;
            while let Some(row) = rows.next()? {
                match read(row)? {
                    Some((key, alert)) => known.entry(key).or_default().push(alert),
                    None => strange += 1,
                }
            }
            Ok(strange)
        });
        match read {
            Ok(0) => {}
            Ok(strange) => {
                tracing::warn!(strange, "alerts of the last run cannot be read: left out")
            }
            Err(error) => tell(&error),
        }
        known
    }

    /// Writes what evaluations changed, in one transaction.
    ///
    /// # Errors
    /// [`StateError`]: nothing was written; write it again with the next change.
    pub(super) fn save(&self, changes: &[(RuleKey, Vec<Change>)]) -> Result<(), StateError> {
        self.with("write", |connection| {
            let transaction = connection.transaction()?;
            for (key, changes) in changes {
                for change in changes {
                    write(&transaction, key, change)?;
                }
            }
            transaction.commit()
        })
    }

    /// Forgets the alerts of every rule that is not in `keys`.
    ///
    /// # Errors
    /// [`StateError`]: nothing was forgotten.
    pub(super) fn keep_only(&self, keys: &[RuleKey]) -> Result<(), StateError> {
        self.with("write", |connection| {
            let transaction = connection.transaction()?;
            transaction.execute_batch(
                "CREATE TEMP TABLE kept (file, grp, rule, rule_labels, nth, PRIMARY KEY (file, grp, rule, rule_labels, nth))",
            )?;
            for key in keys {
                let mut insert =
                    transaction.prepare_cached("INSERT OR IGNORE INTO temp.kept VALUES (?, ?, ?, ?, ?)")?;
                insert.execute(params![key.file, key.group, key.rule, json(&key.labels), key.nth])?;
            }
            transaction.execute(
                "DELETE FROM alert WHERE (file, grp, rule, rule_labels, nth) NOT IN (SELECT * FROM temp.kept)",
                [],
            )?;
            transaction.execute_batch("DROP TABLE temp.kept")?;
            transaction.commit()
        })
    }

    /// Runs `work` on the file, opened if it is not. A damaged one is set aside.
    fn with<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        let mut held = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match &mut *held {
            Some(connection) => connection,
            none => {
                let (connection, aside) =
                    sqlite::open(&self.path, &HOLDS).map_err(|error| self.failed("open", error))?;
                if let Some(aside) = aside {
                    tell(&self.damaged(aside));
                }
                none.insert(connection)
            }
        };
        work(connection).map_err(|error| {
            if !sqlite::is_damaged(&error) {
                return self.failed(operation, error);
            }
            *held = None;
            match sqlite::set_aside(&self.path) {
                Ok(aside) => self.damaged(aside),
                Err(error) => self.failed("set aside", error),
            }
        })
    }

    fn failed(
        &self,
        operation: &'static str,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> StateError {
        StateError::File { operation, path: self.path.clone(), source: Box::new(source) }
    }

    /// It is out of the way, and everything is to be written again.
    fn damaged(&self, aside: PathBuf) -> StateError {
        self.epoch.fetch_add(1, Ordering::Relaxed);
        StateError::Damaged { path: self.path.clone(), aside }
    }
}

fn tell(error: &StateError) {
    let error = crate::telemetry::chain(error);
    tracing::error!(error, "the state of alerts on disk is not used");
}

fn write(connection: &Connection, key: &RuleKey, change: &Change) -> rusqlite::Result<()> {
    let RuleKey { file, group, rule, labels: rule_labels, nth } = key;
    let rule_labels = json(rule_labels);
    match change {
        Change::Remove(labels) => {
            let mut delete = connection.prepare_cached(
                "DELETE FROM alert WHERE file = ? AND grp = ? AND rule = ? AND rule_labels = ? AND nth = ? AND labels = ?",
            )?;
            delete.execute(params![file, group, rule, rule_labels, nth, json(labels)])?;
        }
        Change::Put(alert) => {
            let mut put = connection.prepare_cached(
                "INSERT OR REPLACE INTO alert VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?;
            let time = |time: Option<UnixNano>| time.map(|time| time.0.cast_signed());
            put.execute(params![
                file,
                group,
                rule,
                rule_labels,
                nth,
                json(&alert.labels),
                json(&alert.annotations),
                alert.state.name(),
                alert.value.to_bits().cast_signed(),
                alert.active_at.0.cast_signed(),
                time(alert.fired_at),
                time(alert.keep_firing_since),
                time(alert.resolved_at),
                time(alert.last_sent_at),
                time(alert.valid_until),
                alert.generator_url,
            ])?;
        }
    }
    Ok(())
}

/// An alert; `None` where a row makes no sense.
fn read(row: &Row<'_>) -> rusqlite::Result<Option<(RuleKey, Alert)>> {
    let pairs = |at| Ok::<_, rusqlite::Error>(parse(&row.get::<_, String>(at)?));
    let time = |at| {
        let time: Option<i64> = row.get(at)?;
        Ok::<_, rusqlite::Error>(time.map(|time| UnixNano(time.cast_unsigned())))
    };
    let (rule_labels, labels, annotations) = (pairs(3)?, pairs(5)?, pairs(6)?);
    let state = AlertState::from_name(&row.get::<_, String>(7)?);
    let (Some(rule_labels), Some(labels), Some(annotations), Some(state)) =
        (rule_labels, labels, annotations, state)
    else {
        return Ok(None);
    };
    let key = RuleKey {
        file: row.get(0)?,
        group: row.get(1)?,
        rule: row.get(2)?,
        labels: rule_labels,
        nth: row.get(4)?,
    };
    let alert = Alert {
        fingerprint: fingerprint(&labels),
        labels,
        annotations,
        state,
        value: f64::from_bits(row.get::<_, i64>(8)?.cast_unsigned()),
        active_at: time(9)?.unwrap_or_default(),
        fired_at: time(10)?,
        keep_firing_since: time(11)?,
        resolved_at: time(12)?,
        last_sent_at: time(13)?,
        valid_until: time(14)?,
        generator_url: row.get(15)?,
    };
    Ok(Some((key, alert)))
}

fn json(pairs: &Pairs) -> String {
    serde_json::Value::from_iter(
        pairs.iter().map(|(name, value)| vec![name.as_str(), value.as_str()]),
    )
    .to_string()
}

fn parse(text: &str) -> Option<Pairs> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn alert(label: &str, state: AlertState) -> Alert {
        let labels =
            vec![("alertname".to_owned(), "A".to_owned()), ("l".to_owned(), label.to_owned())];
        Alert {
            fingerprint: fingerprint(&labels),
            labels,
            annotations: vec![("summary".to_owned(), "\"quoted\"\n".to_owned())],
            state,
            value: -0.0,
            active_at: UnixNano(1),
            fired_at: Some(UnixNano(u64::MAX)),
            keep_firing_since: None,
            resolved_at: Some(UnixNano(3)),
            last_sent_at: Some(UnixNano(4)),
            valid_until: Some(UnixNano(5)),
            generator_url: "http://x/graph?g0.expr=up".to_owned(),
        }
    }

    fn key(rule: &str, nth: u32) -> RuleKey {
        let labels = vec![("a".to_owned(), "b".to_owned())];
        RuleKey { file: "f".into(), group: "g".into(), rule: rule.into(), labels, nth }
    }

    fn put(state: &State, key: &RuleKey, alert: Alert) {
        state.save(&[(key.clone(), vec![Change::Put(alert)])]).unwrap();
    }

    #[test]
    fn what_was_written_is_read_back_by_rule() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("made"));
        for (n, one) in AlertState::ALL.into_iter().enumerate() {
            put(&state, &key("R", 0), alert(&n.to_string(), one));
        }
        put(&state, &key("R", 1), alert("0", AlertState::Firing));
        let gone = alert("1", AlertState::Pending).labels;
        state.save(&[(key("R", 0), vec![Change::Remove(gone)])]).unwrap();
        drop(state);
        let state = State::open(&directory.path().join("made"));
        let known = state.load();
        let of_first = [alert("0", AlertState::Inactive), alert("2", AlertState::Firing)];
        assert_eq!(known[&key("R", 0)], of_first);
        assert_eq!(known[&key("R", 1)], [alert("0", AlertState::Firing)]);
        state.keep_only(&[key("R", 1), key("S", 0)]).unwrap();
        assert_eq!(state.load().into_keys().collect::<Vec<_>>(), [key("R", 1)]);
    }

    #[test]
    fn a_value_that_is_no_number_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(directory.path());
        put(&state, &key("R", 0), Alert { value: f64::NAN, ..alert("x", AlertState::Firing) });
        assert!(state.load()[&key("R", 0)][0].value.is_nan());
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_everything_is_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alerts.db");
        fs::write(&path, "this is no database, but it is longer than a header: ".repeat(100))
            .unwrap();
        let state = State::open(directory.path());
        assert!(directory.path().join("alerts.db.corrupt-1").try_exists().unwrap());
        put(&state, &key("R", 0), alert("x", AlertState::Firing));
        assert_eq!(state.load().len(), 1);
        assert_eq!(state.epoch(), 1);
    }

    #[test]
    fn a_file_of_a_later_version_is_left_as_it_is_and_said_to_be_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alerts.db");
        put(&State::open(directory.path()), &key("R", 0), alert("x", AlertState::Firing));
        let version = |version| {
            let file = Connection::open(&path).unwrap();
            file.pragma_update(None, "user_version", version).unwrap();
        };
        version(2);
        let state = State::open(directory.path());
        assert!(state.load().is_empty());
        let error = crate::telemetry::chain(&state.save(&[]).unwrap_err());
        assert!(error.contains("another version"), "{error}");
        version(1);
        assert_eq!(state.load().len(), 1);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_and_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let state = State::open(&file);
        assert!(state.load().is_empty());
        let change = Change::Put(alert("x", AlertState::Firing));
        assert!(matches!(state.save(&[(key("R", 0), vec![change])]), Err(StateError::File { .. })));
        fs::remove_file(&file).unwrap();
        put(&state, &key("R", 0), alert("x", AlertState::Firing));
    }
}
