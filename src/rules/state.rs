//! The alerts on disk, `alerts.db` in the store's directory: what a restart must not forget.
//!
//! ```text
//! alert      file │ grp │ rule │ rule_labels │ nth │ labels  ─▶  annotations, state, value, six times
//! evaluated  file │ grp  ─▶  when the group was last evaluated, at most a minute late, as long as an alert of it is pending
//! ```
//! `nth` tells rules of one name and equal labels in a group apart. Times are nanoseconds since the Unix epoch; `value` is the
//! bits of an f64, since SQLite has no NaN; labels are JSON. What an evaluation changed is written in one
//! transaction. A file that is damaged is set aside, and the alerts begin anew; one that cannot be written, or is not of this
//! version, is tried again by every evaluation.
//!
//! `evaluated` is made where it is missing, without a version of its own: agents before it leave it alone, and alerts that
//! they wrote since have times that are later than what it says.
//!
//! Limits: [`WRITE_TIME_MAX`] for a write, and as long for one that is before it; then it goes on without anyone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::alerting::latest;
use super::turn::Turn;
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
/// What files of earlier agents do not have.
const EVALUATED: &str = "CREATE TABLE IF NOT EXISTS evaluated (
  file TEXT NOT NULL, grp TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (file, grp)
) WITHOUT ROWID";
/// The longest that anyone waits for a write: longer than for another process, and no longer than an alert may.
const WRITE_TIME_MAX: Duration = Duration::from_secs(2);

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

/// When a group was evaluated.
#[derive(Clone, Debug)]
pub(super) struct Evaluated {
    pub(super) file: String,
    pub(super) group: String,
    pub(super) at: UnixNano,
}

/// What is on disk.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) alerts: BTreeMap<RuleKey, Vec<Alert>>,
    /// When groups were last evaluated for all that is known, by file and name.
    pub(super) evaluated: BTreeMap<(String, String), UnixNano>,
    /// That of [`State::epoch`].
    pub(super) epoch: u64,
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

/// The alerts on disk.
#[derive(Debug)]
pub struct State {
    file: Arc<File>,
    /// Of those who do not wait for the disk for long.
    turn: Turn,
    /// The last write failed.
    fails: AtomicBool,
}

/// The open file.
#[derive(Debug)]
struct File {
    path: PathBuf,
    connection: Mutex<Option<Connection>>,
    /// Grows when everything must be written again.
    epoch: AtomicU64,
    /// Nobody knows what is in it: the next write begins with nothing.
    unread: AtomicBool,
}

impl State {
    /// The alerts in `directory`, which is made if there is none. Never fails: what is wrong is logged, and tried again by
    /// the next write.
    #[must_use]
    pub fn open(directory: &Path) -> Self {
        Self::open_within(directory, WRITE_TIME_MAX)
    }

    /// The same, where nobody waits for a write for longer than `patience`.
    pub(super) fn open_within(directory: &Path, patience: Duration) -> Self {
        let file = File {
            path: directory.join("alerts.db"),
            connection: Mutex::new(None),
            epoch: AtomicU64::new(0),
            unread: AtomicBool::new(false),
        };
        // Opened by the first use; a failure is told by it.
        if let Err(error) = file.with("open", |_| Ok(())) {
            tell(&error);
        }
        Self { file: Arc::new(file), turn: Turn::new(patience), fails: AtomicBool::new(false) }
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
        self.file.epoch.load(Ordering::Relaxed)
    }

    /// Everything; `None` where it cannot be read, which is logged. Waits for the disk.
    pub(super) fn load(&self) -> Option<Known> {
        self.file.load().inspect_err(tell).ok()
    }

    /// The same for whoever cannot wait for the disk; `None` also where what is there is not to come back.
    pub(super) fn load_in_turn(&self) -> Option<Known> {
        if self.file.unread.load(Ordering::Relaxed) {
            return None;
        }
        self.in_turn("read", File::load).inspect_err(tell).ok()
    }

    /// What is there could not be read, and must not come back at the next start: the next write begins with nothing.
    pub(super) fn begin_anew(&self) {
        self.file.unread.store(true, Ordering::Relaxed);
    }

    /// Writes what evaluations changed and when the last was, in one transaction.
    ///
    /// # Errors
    /// [`StateError`]: write it again with the next change. Some time it may be written all the same, where the disk took too
    /// long.
    pub(super) fn save(
        &self,
        changes: Vec<(RuleKey, Vec<Change>)>,
        evaluated: Option<Evaluated>,
    ) -> Result<(), StateError> {
        self.in_turn("write", move |file| file.save(&changes, evaluated.as_ref()))
    }

    /// Forgets the alerts of every rule that is not in `keys`, but for those of `files`.
    ///
    /// # Errors
    /// [`StateError`]: nothing was forgotten, or, where the disk took too long, may be later.
    pub(super) fn keep_only(
        &self,
        keys: Vec<RuleKey>,
        files: Vec<String>,
    ) -> Result<(), StateError> {
        self.in_turn("write", move |file| file.keep_only(&keys, &files))
    }

    fn in_turn<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&File) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let file = Arc::clone(&self.file);
        let done = self.turn.run(move || work(&file));
        done.unwrap_or_else(|refused| Err(self.file.failed(operation, refused)))
    }

    /// Has the disk hang until the guard is dropped.
    #[cfg(test)]
    pub(super) fn hang(&self) -> std::sync::MutexGuard<'_, Option<Connection>> {
        self.file.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl File {
    fn load(&self) -> Result<Known, StateError> {
        let mut known = Known::default();
        let strange = self.with("read", |connection| {
            let mut query = connection.prepare("SELECT * FROM alert")?;
            let mut rows = query.query([])?;
            let mut strange = 0;
            while let Some(row) = rows.next()? {
                match read(row)? {
                    Some((key, alert)) => known.alerts.entry(key).or_default().push(alert),
                    None => strange += 1,
                }
            }
            let mut query = connection.prepare("SELECT file, grp, at FROM evaluated")?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                let at = UnixNano(row.get::<_, i64>(2)?.cast_unsigned());
                known.evaluated.insert((row.get(0)?, row.get(1)?), at);
            }
            Ok(strange)
        })?;
        if strange > 0 {
            tracing::warn!(strange, "alerts of the last run cannot be read: left out");
        }
        for (key, alerts) in &known.alerts {
            let group = (key.file.clone(), key.group.clone());
            if let Some(at) = known.evaluated.get_mut(&group) {
                *at = alerts.iter().map(latest).fold(*at, UnixNano::max);
            }
        }
        known.epoch = self.epoch.load(Ordering::Relaxed);
        Ok(known)
    }

    fn save(
        &self,
        changes: &[(RuleKey, Vec<Change>)],
        evaluated: Option<&Evaluated>,
    ) -> Result<(), StateError> {
        let unread = self.unread.load(Ordering::Relaxed);
        self.with("write", |connection| {
            let transaction = connection.transaction()?;
            if unread {
                transaction.execute_batch("DELETE FROM alert; DELETE FROM evaluated")?;
            }
            for (key, changes) in changes {
                for change in changes {
                    write(&transaction, key, change)?;
                }
            }
            if let Some(Evaluated { file, group, at }) = evaluated {
                let mut put = transaction
                    .prepare_cached("INSERT OR REPLACE INTO evaluated VALUES (?, ?, ?)")?;
                put.execute(params![file, group, at.0.cast_signed()])?;
            }
            transaction.commit()
        })?;
        if unread {
            self.unread.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    fn keep_only(&self, keys: &[RuleKey], files: &[String]) -> Result<(), StateError> {
        self.with("write", |connection| {
            let transaction = connection.transaction()?;
            transaction.execute_batch(
                "CREATE TEMP TABLE kept (file, grp, rule, rule_labels, nth, PRIMARY KEY (file, grp, rule, rule_labels, nth));
                 CREATE TEMP TABLE kept_file (file PRIMARY KEY)",
            )?;
            for key in keys {
                let mut insert =
                    transaction.prepare_cached("INSERT OR IGNORE INTO temp.kept VALUES (?, ?, ?, ?, ?)")?;
                insert.execute(params![key.file, key.group, key.rule, json(&key.labels), key.nth])?;
            }
            for file in files {
                transaction.execute("INSERT OR IGNORE INTO temp.kept_file VALUES (?)", [file])?;
            }
            transaction.execute_batch(
                "DELETE FROM alert WHERE (file, grp, rule, rule_labels, nth) NOT IN (SELECT * FROM temp.kept)
                   AND file NOT IN (SELECT * FROM temp.kept_file);
                 DELETE FROM evaluated WHERE (file, grp) NOT IN (SELECT file, grp FROM temp.kept)
                   AND file NOT IN (SELECT * FROM temp.kept_file);
                 DROP TABLE temp.kept;
                 DROP TABLE temp.kept_file",
            )?;
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
        // Says nothing where the table is there, and reads no more than the schema.
        let made = connection.execute_batch(EVALUATED);
        made.and_then(|()| work(connection)).map_err(|error| {
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

    use super::super::turn::until;
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
        state.save(vec![(key.clone(), vec![Change::Put(alert)])], None).unwrap();
    }

    fn alerts(state: &State) -> BTreeMap<RuleKey, Vec<Alert>> {
        state.load().unwrap_or_default().alerts
    }

    /// The file, as another program has it.
    fn file(directory: &Path) -> Connection {
        Connection::open(directory.join("alerts.db")).unwrap()
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
        state.save(vec![(key("R", 0), vec![Change::Remove(gone)])], None).unwrap();
        drop(state);
        let state = State::open(&directory.path().join("made"));
        let known = alerts(&state);
        let of_first = [alert("0", AlertState::Inactive), alert("2", AlertState::Firing)];
        assert_eq!(known[&key("R", 0)], of_first);
        assert_eq!(known[&key("R", 1)], [alert("0", AlertState::Firing)]);
        state.keep_only(vec![key("R", 1), key("S", 0)], Vec::new()).unwrap();
        assert_eq!(alerts(&state).into_keys().collect::<Vec<_>>(), [key("R", 1)]);
    }

    #[test]
    fn a_value_that_is_no_number_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(directory.path());
        put(&state, &key("R", 0), Alert { value: f64::NAN, ..alert("x", AlertState::Firing) });
        assert!(alerts(&state)[&key("R", 0)][0].value.is_nan());
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
        assert_eq!(alerts(&state).len(), 1);
        assert_eq!(state.epoch(), 1);
    }

    #[test]
    fn a_file_of_a_later_version_is_left_as_it_is_and_said_to_be_one() {
        let directory = tempfile::tempdir().unwrap();
        put(&State::open(directory.path()), &key("R", 0), alert("x", AlertState::Firing));
        let version = |version| {
            file(directory.path()).pragma_update(None, "user_version", version).unwrap();
        };
        version(2);
        let state = State::open(directory.path());
        assert!(state.load().is_none());
        let error = crate::telemetry::chain(&state.save(Vec::new(), None).unwrap_err());
        assert!(error.contains("another version"), "{error}");
        version(1);
        assert_eq!(alerts(&state).len(), 1);
    }

    #[test]
    fn a_file_of_the_agent_that_knew_no_times_of_groups_is_read_and_one_of_now_by_that_agent() {
        let directory = tempfile::tempdir().unwrap();
        put(&State::open(directory.path()), &key("R", 0), alert("x", AlertState::Firing));
        file(directory.path()).execute_batch("DROP TABLE evaluated").unwrap();
        let state = State::open(directory.path());
        let known = state.load().unwrap();
        assert_eq!((known.alerts.len(), known.evaluated.len()), (1, 0));
        let at = UnixNano(9);
        let evaluated = Evaluated { file: "f".into(), group: "g".into(), at };
        state.save(Vec::new(), Some(evaluated)).unwrap();
        let group = ("f".to_owned(), "g".to_owned());
        // What the other wrote since is later than what it left alone.
        let written = Alert { fired_at: Some(UnixNano(10)), ..alert("x", AlertState::Firing) };
        put(&state, &key("R", 0), written);
        assert_eq!(state.load().unwrap().evaluated[&group], UnixNano(10));
        let file = file(directory.path());
        let version: i32 = file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, 1);
    }

    #[test]
    fn what_could_not_be_read_at_a_start_does_not_come_back_at_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(directory.path());
        put(&state, &key("R", 0), alert("old", AlertState::Pending));
        state.begin_anew();
        put(&state, &key("S", 0), alert("new", AlertState::Firing));
        put(&state, &key("T", 0), alert("new", AlertState::Firing));
        let rules: Vec<RuleKey> = alerts(&State::open(directory.path())).into_keys().collect();
        assert_eq!(rules, [key("S", 0), key("T", 0)]);
    }

    #[test]
    fn what_is_of_a_file_that_was_left_out_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(directory.path());
        let of = |file: &str| RuleKey { file: file.to_owned(), ..key("R", 0) };
        for file in ["here", "gone", "left out"] {
            put(&state, &of(file), alert("x", AlertState::Firing));
        }
        state.keep_only(vec![of("here")], vec!["left out".to_owned()]).unwrap();
        assert_eq!(alerts(&state).into_keys().collect::<Vec<_>>(), [of("here"), of("left out")]);
    }

    #[test]
    fn a_disk_that_hangs_refuses_what_is_written_and_is_used_again_when_it_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open_within(directory.path(), Duration::from_millis(20));
        let hanging = state.hang();
        let error = state.save(Vec::new(), None).unwrap_err();
        let error = crate::telemetry::chain(&error);
        assert!(error.contains("alerts.db: the disk took longer than 20ms"), "{error}");
        assert!(state.keep_only(Vec::new(), Vec::new()).is_err());
        drop(hanging);
        until(|| state.save(Vec::new(), None).is_ok());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_and_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let state = State::open(&file);
        assert!(state.load().is_none());
        let change = Change::Put(alert("x", AlertState::Firing));
        let saved = state.save(vec![(key("R", 0), vec![change])], None);
        assert!(matches!(saved, Err(StateError::File { .. })));
        fs::remove_file(&file).unwrap();
        put(&state, &key("R", 0), alert("x", AlertState::Firing));
    }
}
