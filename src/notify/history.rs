//! Reading history: transitions and delivery results, the newest first, filtered and paged.

use rusqlite::types::Value as Sql;
use serde_json::{Value, json};

use super::database::{Database, untime};
use super::error::DatabaseError;
use crate::time::{parse_unix_ms, rfc3339};

/// Rows of one answer.
const ROWS_MAX: usize = 1_000;
const ROWS_DEFAULT: usize = 100;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A parameter is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The database refuses.
    #[error("the history cannot be read")]
    Database(#[from] DatabaseError),
}

impl From<rusqlite::Error> for HistoryError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

/// What is asked for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Query {
    deliveries: bool,
    conditions: Vec<(String, Sql)>,
    limit: usize,
}

impl Query {
    /// Reads the parameters of a request: `what`, `name`, `state`, `receiver`, `outcome`, `service`, `fingerprint`,
    /// `since`, `until`, `before`, `limit`.
    pub(super) fn parse<'a>(
        parameters: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, HistoryError> {
        let mut query = Self { limit: ROWS_DEFAULT, ..Self::default() };
        let refuse = |what: String| Err(HistoryError::Invalid(what));
        for (name, value) in parameters {
            match name {
                "what" if value == "deliveries" => query.deliveries = true,
                "what" if value == "transitions" => {}
                "limit" => match value.parse() {
                    Ok(limit) if (1..=ROWS_MAX).contains(&limit) => query.limit = limit,
                    _ => return refuse(format!("`limit` is from 1 to {ROWS_MAX}")),
                },
                "before" => match value.parse::<i64>() {
                    Ok(id) => query.add("id < ?", id),
                    Err(_) => return refuse("`before` is the `next` of an answer".to_owned()),
                },
                "since" => query.add("at >= ?", moment(name, value)?),
                "until" => query.add("at < ?", moment(name, value)?),
                "name" | "state" | "receiver" | "outcome" | "fingerprint" => {
                    query.add(&format!("{name} = ?"), value.to_owned());
                }
                "service" => {
                    query.add("labels ->> '$.service_name' = ?", value.to_owned());
                }
                _ => return refuse(format!("there is no parameter `{name}` of this value")),
            }
        }
        let foreign: &[&str] = if query.deliveries {
            &["name", "state", "fingerprint", "labels"]
        } else {
            &["receiver", "outcome"]
        };
        let wrong = query.conditions.iter().find(|(condition, _)| {
            foreign.iter().any(|column| condition.split(' ').next() == Some(column))
        });
        if let Some((condition, _)) = wrong {
            let column = condition.split(' ').next().unwrap_or_default();
            return refuse(format!("`{column}` is not a filter of these rows: see `what`"));
        }
        Ok(query)
    }

    fn add(&mut self, condition: &str, value: impl Into<Sql>) {
        self.conditions.push((condition.to_owned(), value.into()));
    }
}

fn moment(name: &str, text: &str) -> Result<i64, HistoryError> {
    let milliseconds = parse_unix_ms(text).and_then(|ms| ms.checked_mul(1_000_000));
    milliseconds.ok_or_else(|| {
        HistoryError::Invalid(format!("`{name}` is not a time: write RFC 3339 or Unix seconds"))
    })
}

impl Database {
    /// The rows that `query` asks for.
    pub(super) fn history(&self, query: &Query) -> Result<Value, HistoryError> {
        let (table, columns) = if query.deliveries {
            ("delivery", "id, at, receiver, kind, outcome, firing, resolved, subject, detail")
        } else {
            (
                "transition",
                "id, at, fingerprint, name, state, value, labels, annotations, silenced_by",
            )
        };
        let conditions: String =
            query.conditions.iter().map(|(condition, _)| format!(" AND {condition}")).collect();
        let text = format!(
            "SELECT {columns} FROM {table} WHERE 1{conditions} ORDER BY id DESC LIMIT {}",
            query.limit + 1
        );
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&text)?;
        let values = rusqlite::params_from_iter(query.conditions.iter().map(|(_, value)| value));
        let read = if query.deliveries { delivery } else { transition };
        let mut rows: Vec<(i64, Value)> =
            statement.query_map(values, read)?.collect::<rusqlite::Result<_>>()?;
        let more = rows.len() > query.limit;
        rows.truncate(query.limit);
        let next = rows.last().map(|(id, _)| *id).filter(|_| more);
        let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
        let what = if query.deliveries { "deliveries" } else { "transitions" };
        Ok(json!({ "schema_version": 1, "what": what, "rows": rows, "next": next }))
    }

    /// How many rows there are: transitions, deliveries.
    pub(super) fn counts(&self) -> Result<(u64, u64), DatabaseError> {
        let connection = self.lock();
        let count = |table: &str| {
            let text = format!("SELECT COUNT(*) FROM {table}");
            connection.query_row(&text, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
        };
        Ok((count("transition")?, count("delivery")?))
    }
}

fn transition(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, Value)> {
    let object = |index| -> rusqlite::Result<Value> {
        let text: String = row.get(index)?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    };
    let id = row.get(0)?;
    let value = json!({
        "id": id,
        "at": rfc3339(untime(row.get(1)?)),
        "fingerprint": row.get::<_, String>(2)?,
        "name": row.get::<_, String>(3)?,
        "state": row.get::<_, String>(4)?,
        "value": row.get::<_, Option<f64>>(5)?,
        "labels": object(6)?,
        "annotations": object(7)?,
        "silencedBy": row.get::<_, Option<String>>(8)?,
    });
    Ok((id, value))
}

fn delivery(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, Value)> {
    let id = row.get(0)?;
    let value = json!({
        "id": id,
        "at": rfc3339(untime(row.get(1)?)),
        "receiver": row.get::<_, String>(2)?,
        "kind": row.get::<_, String>(3)?,
        "outcome": row.get::<_, String>(4)?,
        "firing": row.get::<_, i64>(5)?,
        "resolved": row.get::<_, i64>(6)?,
        "subject": row.get::<_, String>(7)?,
        "detail": row.get::<_, String>(8)?,
    });
    Ok((id, value))
}
