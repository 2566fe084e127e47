//! Which series one file has.
//!
//! Cost: 0.2 µs per series of the file, and a look-up for each that is handed over.

use std::ops::ControlFlow;

use rusqlite::Connection;
use sidelight_promql::Labels;

use super::labels;
use crate::store::checkpoint::Found;
use crate::store::{Fingerprint, Kind};

/// Where one series in so many of a file is wanted, it is cheaper to look through the index of fingerprints, 300 to a
/// page, than at rows with labels, 15 to a page, of which most days have the same.
const SCANNED_MIN: i64 = 64;
/// The most series of a file that are listed before they are wanted: 1 MiB.
const LISTED_MAX: usize = 1 << 16;

pub(super) const SERIES_NAMED: &str = "SELECT id FROM series WHERE name = ?";
pub(super) const SERIES_SCANNED: &str = "SELECT id, fingerprint FROM series";

/// Series of a file, by their numbers in it.
pub(super) type Listed = Vec<(i64, Fingerprint)>;

/// Every series, with `names` those of these metrics; `None` when they are too many to hold.
pub(super) fn listed(
    connection: &Connection,
    names: Option<&[&str]>,
) -> rusqlite::Result<Option<Listed>> {
    let mut room = LISTED_MAX + 1;
    let mut fits = |_| {
        room = room.saturating_sub(1);
        room > 0
    };
    let listed = list(connection, names, &mut fits)?;
    Ok((room > 0).then_some(listed))
}

/// Hands the series that are `fresh` to `each`, with `names` those of these metrics, until it breaks; their labels share
/// `texts`. `known` is what [`listed`] said.
pub(super) fn series(
    connection: &Connection,
    (names, texts): (Option<&[&str]>, &mut labels::Texts),
    known: Option<Listed>,
    fresh: &mut dyn FnMut(Fingerprint) -> bool,
    each: &mut dyn FnMut(Found) -> ControlFlow<()>,
) -> rusqlite::Result<ControlFlow<()>> {
    let listed = match known {
        Some(mut listed) => {
            listed.retain(|&(_, fingerprint)| fresh(fingerprint));
            listed
        }
        None => list(connection, names, fresh)?,
    };
    let sql = "SELECT kind, labels FROM series WHERE id = ?";
    let mut statement = connection.prepare_cached(sql)?;
    for (id, fingerprint) in listed {
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else { continue };
        let kind = Kind::from_code(row.get(0)?);
        let labels = texts.decode(row.get_ref(1)?.as_blob()?);
        let (Some(kind), Some(labels)) = (kind, labels) else { continue };
        if each(Found { fingerprint, kind, labels }).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The labels of a series, if the file has it.
pub(super) fn labels(
    connection: &Connection,
    fingerprint: Fingerprint,
) -> rusqlite::Result<Option<Labels>> {
    let sql = "SELECT labels FROM series WHERE fingerprint = ?";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([fingerprint.to_i64()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(labels::decode(row.get_ref(0)?.as_blob()?))
}

/// The series that are `fresh`, with `names` those of these metrics; in the order of their numbers.
fn list(
    connection: &Connection,
    names: Option<&[&str]>,
    fresh: &mut dyn FnMut(Fingerprint) -> bool,
) -> rusqlite::Result<Listed> {
    let Some(names) = names else { return scan(connection, None, fresh) };
    let mut statement = connection.prepare_cached(SERIES_NAMED)?;
    let mut ids: Vec<i64> = Vec::new();
    for name in names {
        for id in statement.query_map([name], |row| row.get(0))? {
            ids.push(id?);
        }
    }
    ids.sort_unstable();
    let sql = "SELECT coalesce(max(id), 0) FROM series";
    let last: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    if (ids.len() as i64) >= last / SCANNED_MIN {
        return scan(connection, Some(&ids), fresh);
    }
    let mut statement = connection.prepare_cached("SELECT fingerprint FROM series WHERE id = ?")?;
    let mut found = Vec::new();
    for id in ids {
        let fingerprint = Fingerprint::from_i64(statement.query_row([id], |row| row.get(0))?);
        if fresh(fingerprint) {
            found.push((id, fingerprint));
        }
    }
    Ok(found)
}

/// The series that are `fresh`, if there are `ids` those among them; in the order of their numbers.
fn scan(
    connection: &Connection,
    ids: Option<&[i64]>,
    fresh: &mut dyn FnMut(Fingerprint) -> bool,
) -> rusqlite::Result<Listed> {
    let mut found = Vec::new();
    let mut statement = connection.prepare_cached(SERIES_SCANNED)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let asked = ids.is_none_or(|ids| ids.binary_search(&id).is_ok());
        let fingerprint = Fingerprint::from_i64(row.get(1)?);
        if asked && fresh(fingerprint) {
            found.push((id, fingerprint));
        }
    }
    found.sort_unstable();
    Ok(found)
}
