//! The views as JSON and CSV: `/api/sidelight/v1/{view}` and `/api/sidelight/v1/{view}.csv`, and everything in one
//! document, `/api/sidelight/v1/export.json`.
//!
//! Parameters: `range` (default 1h; 7d for the export), `time` (its end, default now), `step` (default 1h, of views that
//! go through time), `service`, `sort` (a column or key, `-` before it: the largest first), `limit` (default 1,000).

use serde_json::{Map, Value, json};

use super::call::Call;
use super::failure::Failure;
use super::reply::Reply;
use super::route::{Route, private, query};
use crate::views::csv;
use crate::views::{Cell, Row, Rows, Times, VIEWS, View, evaluate};

/// What every view's path begins with.
pub(super) const BASE: &str = "/api/sidelight/v1/";

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const LIVE_MS: i64 = HOUR_MS;
const REPORT_MS: i64 = 7 * 24 * HOUR_MS;
/// The longest window.
const RANGE_MAX_MS: i64 = 92 * 24 * HOUR_MS;
const LIMIT: usize = 1_000;

macro_rules! views {
    ($($name:literal),+ $(,)?) => {
        /// A path for JSON and one for CSV of every view, and the documents.
        pub(super) const ROUTES: &[Route] = &[
            $(
                query(concat!("/api/sidelight/v1/", $name), purpose($name), table),
                query(concat!("/api/sidelight/v1/", $name, ".csv"), "the same as CSV", table),
            )+
            private(query("/api/sidelight/v1/export.json", "every view over 7 days, and the storage", export)),
        ];
    };
}

views!(
    "overview",
    "routes",
    "routes/trend",
    "caches",
    "caches/routes",
    "queues",
    "connections",
    "retries",
    "features",
    "intents",
    "llm",
    "logs",
    "score",
);

/// What the view is for, while this is compiled: a name that is none does not compile.
#[expect(clippy::indexing_slicing, clippy::panic, reason = "evaluated by the compiler")]
const fn purpose(name: &str) -> &'static str {
    let mut at = 0;
    while at < VIEWS.len() {
        if equal(VIEWS[at].name.as_bytes(), name.as_bytes()) {
            return VIEWS[at].purpose;
        }
        at += 1;
    }
    panic!("there is no view of this name")
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// What of a view is asked.
struct Asked<'a> {
    times: Times,
    service: Option<&'a str>,
    sort: Option<&'a str>,
    limit: usize,
}

impl<'a> Asked<'a> {
    fn of(call: &Call<'a>, range: i64) -> Result<Self, Failure> {
        let params = call.params;
        let positive = |name: &str, default: i64| {
            let ms = params.duration(name)?.unwrap_or(default);
            if (MINUTE_MS..=RANGE_MAX_MS).contains(&ms) {
                Ok(ms)
            } else {
                Err(Failure::parameter(name, "it must be from 1m to 92d"))
            }
        };
        let range = positive("range", range)?;
        let step = positive("step", HOUR_MS)?;
        let end = params.time("time", call.now_ms())?;
        let limit = match params.limit("limit")? {
            0 => LIMIT,
            limit => limit,
        };
        let times = Times { end, range, step };
        Ok(Self { times, service: params.first("service"), sort: params.first("sort"), limit })
    }

    fn rows(&self, view: &'static View, call: &Call<'_>) -> Result<Rows, Failure> {
        let definitions = &call.sources.definitions;
        let stop = || (call.stop)().is_some();
        let store = &call.store.reading(&stop);
        let rows = evaluate(view, definitions, store, self.times, call.options());
        let mut rows = rows.map_err(|error| call.failure(error))?;
        if let Some(service) = self.service {
            rows.of_service(service);
        }
        let sort = self.sort.unwrap_or(view.sort);
        if !rows.sort(sort) {
            let names = view.keys.iter().copied().chain(view.columns.iter().map(|c| c.name));
            let names = names.collect::<Vec<_>>().join(", ");
            return Err(Failure::parameter(
                "sort",
                format_args!("no such column; there are {names}"),
            ));
        }
        Ok(rows)
    }
}

fn table(call: &Call<'_>) -> Result<Reply, Failure> {
    let name = call.path.strip_prefix(BASE).unwrap_or_default();
    let (name, csv_wanted) = name.strip_suffix(".csv").map_or((name, false), |name| (name, true));
    let Some(view) = View::find(name) else {
        return Err(Failure::BadData(format!("there is no view {name}")));
    };
    let asked = Asked::of(call, LIVE_MS)?;
    let rows = asked.rows(view, call)?;
    Ok(if csv_wanted {
        Reply::new(
            http::StatusCode::OK,
            "text/csv; charset=utf-8; header=present",
            sheet(&rows, asked.limit),
        )
    } else {
        Reply::json(http::StatusCode::OK, document(&rows, &asked).to_string())
    })
}

/// Everything: what a report is made of.
fn export(call: &Call<'_>) -> Result<Reply, Failure> {
    let asked = Asked::of(call, REPORT_MS)?;
    let mut views = Map::new();
    for view in VIEWS {
        let rows = Asked { sort: None, ..asked }.rows(view, call)?;
        views.insert(view.name.replace('/', "_"), document(&rows, &asked));
    }
    let document = json!({
        "schema_version": 1,
        "generated_unix_seconds": seconds(call.now_ms()),
        "range_seconds": seconds(asked.times.range),
        "views": views,
        "storage": super::storage::document(call),
    });
    Ok(Reply::json(http::StatusCode::OK, document.to_string()))
}

#[expect(clippy::cast_precision_loss, reason = "exact for every time to come")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1_000.0
}

fn document(rows: &Rows, asked: &Asked<'_>) -> Value {
    let Rows { view, rows, cut } = rows;
    let columns = view
        .columns
        .iter()
        .map(|column| json!({ "name": column.name, "unit": column.unit, "help": column.help }));
    let all = rows.len();
    let shown: Vec<_> = rows.iter().take(asked.limit).map(|row| object(view, row)).collect();
    json!({
        "schema_version": 1,
        "view": view.name,
        "start_unix_seconds": seconds(asked.times.end - asked.times.range),
        "end_unix_seconds": seconds(asked.times.end),
        "keys": view.keys,
        "columns": columns.collect::<Vec<_>>(),
        "rows_total": all,
        "truncated": *cut || all > shown.len(),
        "rows": shown,
    })
}

fn object(view: &View, row: &Row) -> Value {
    let mut object = Map::new();
    if let Some(time) = row.time {
        object.insert("time_unix_seconds".to_owned(), json!(seconds(time)));
    }
    for (key, value) in view.keys.iter().zip(&row.keys) {
        object.insert((*key).to_owned(), json!(value));
    }
    for (column, cell) in view.columns.iter().zip(&row.cells) {
        let value = match cell {
            Cell::Empty => Value::Null,
            Cell::Number(number) => json!(number),
            Cell::Text(text) => json!(text),
        };
        object.insert(column.name.to_owned(), value);
    }
    Value::Object(object)
}

/// RFC 4180, with a heading.
fn sheet(rows: &Rows, limit: usize) -> String {
    let Rows { view, rows, .. } = rows;
    let timed = rows.iter().any(|row| row.time.is_some());
    let mut out = String::new();
    let time = timed.then_some("time_unix_seconds");
    let names = view.columns.iter().map(|column| column.name);
    csv::line(&mut out, time.into_iter().chain(view.keys.iter().copied()).chain(names));
    for row in rows.iter().take(limit) {
        let time = row.time.map(|time| seconds(time).to_string());
        let cells = row.cells.iter().map(|cell| match cell {
            Cell::Empty => String::new(),
            Cell::Number(number) => number.to_string(),
            Cell::Text(text) => csv::harmless(text).into_owned(),
        });
        let keys = row.keys.iter().map(|key| csv::harmless(key).into_owned());
        csv::line(&mut out, time.into_iter().chain(keys).chain(cells));
    }
    out
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use expect_test::expect;
    use sidelight_promql::engine::Stop;

    use super::{Call, Failure, ROUTES};
    use crate::api::params::Params;
    use crate::api::route::Answer;
    use crate::api::routes::routes;
    use crate::api::tests::{Running, ask, sources, start_with, text};
    use crate::store::{Config, Deps, Kind, Store};
    use crate::telemetry::Registry;
    use crate::time::SystemClock;

    /// 2026-11-21T00:00:00Z.
    const T: i64 = 1_795_219_200_000;

    fn store(directory: &std::path::Path) -> Store {
        let deps = Deps { clock: Arc::new(SystemClock::new()), registry: Registry::default() };
        let (store, mut writer, _) = Store::open(Config::new(directory.into()), deps).unwrap();
        for (service, severity, per_step) in [("shop", "error", 1.0), ("a \"b\", c", "warn", 2.0)] {
            let labels = [
                ("__name__", "sidelight_log_records_total"),
                ("service_name", service),
                ("severity", severity),
            ];
            let id = writer.series(&labels, Kind::Float);
            for nth in 0..=240_i32 {
                writer.set_now(T + i64::from(nth) * 15_000);
                writer.append(id, T + i64::from(nth) * 15_000, f64::from(nth) * per_step).unwrap();
            }
        }
        store
    }

    #[test]
    fn a_text_that_looks_like_a_formula_is_one_in_no_spreadsheet_and_numbers_stay() {
        let view = super::View::find("logs").unwrap();
        let row = super::Row {
            time: None,
            keys: vec!["=1+1".to_owned(), "warn".to_owned()],
            cells: vec![super::Cell::Number(-2.0)],
        };
        let rows = super::Rows { view, rows: vec![row], cut: false };
        assert!(super::sheet(&rows, 10).ends_with("\r\n'=1+1,warn,-2\r\n"));
    }

    #[tokio::test]
    async fn a_view_ends_where_it_is_when_its_client_goes() {
        let directory = tempfile::tempdir().unwrap();
        let (sources, _control) = sources(Some(store(directory.path())));
        let params = Params::new(Some("time=1795222800&range=1h"), b"");
        let store = &(sources.store)().unwrap();
        for route in ROUTES {
            let Answer::Query(handler) = route.answer else { panic!("{}", route.path) };
            // How often it is asked while a view is made, and what becomes of it when the client goes at any of these.
            let run = |patience: usize| {
                let asked = Cell::new(0);
                let stop = || {
                    asked.set(asked.get() + 1);
                    (asked.get() > patience).then_some(Stop::Canceled)
                };
                let (sources, params, now) = (&sources, &params, sources.clock.unix_nano());
                let (path, open, headers) = (route.path, "", &http::HeaderMap::new());
                let call = Call { sources, store, params, headers, path, open, now, stop: &stop };
                (handler(&call), asked.get())
            };
            let (whole, often) = run(usize::MAX);
            assert!(whole.is_ok() && often > 0, "{}: {often}", route.path);
            for patience in (0..often).step_by(often.div_ceil(20)) {
                let (ended, asked) = run(patience);
                assert!(matches!(ended, Err(Failure::Canceled(_))), "{} at {patience}", route.path);
                // Once more for what failed.
                assert!(asked <= patience + 2, "{}: {asked} of {patience}", route.path);
            }
        }
    }

    #[tokio::test]
    async fn a_view_is_json_csv_and_part_of_the_export_and_says_what_is_wrong_with_a_request() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(directory.path());
        let Running { api, .. } = start_with(|_| {}, Some("t"), Some(store)).await;
        let get = async |path: &str| {
            let line = format!("GET /api/sidelight/v1/{path}time=1795222800");
            let (status, head, body) = ask(&api, &line, "authorization: Bearer t\r\n").await;
            (status, head, text(body))
        };
        let (status, _, body) = get("logs?sort=-records&limit=1&").await;
        assert_eq!(status, 200, "{body}");
        expect![[r#"{"columns":[{"help":"Log records.","name":"records","unit":""}],"end_unix_seconds":1795222800.0,"keys":["service_name","severity"],"rows":[{"records":480.0,"service_name":"a \"b\", c","severity":"warn"}],"rows_total":2,"schema_version":1,"start_unix_seconds":1795219200.0,"truncated":true,"view":"logs"}"#]]
        .assert_eq(&body);
        let (status, head, body) = get("logs.csv?").await;
        assert_eq!(status, 200, "{body}");
        assert!(head.contains("text/csv"), "{head}");
        expect![[r#"
            service_name,severity,records
            "a ""b"", c",warn,480
            shop,error,240
        "#]]
        .assert_eq(&body.replace("\r\n", "\n"));
        let (_, _, body) = get("logs?service=shop&").await;
        assert!(body.contains(r#""rows_total":1"#), "{body}");
        let (status, _, body) = get("export.json?range=1h&").await;
        assert_eq!(status, 200, "{body}");
        let document: serde_json::Value = serde_json::from_str(&body).unwrap();
        // The document says of views what they are.
        let said = crate::api::openapi::document(routes());
        let said = &said["paths"]["/api/sidelight/v1/logs"]["get"]["responses"]["2XX"]["content"];
        let said = &said["application/json"]["schema"]["properties"];
        let shown = document["views"]["logs"].as_object().unwrap();
        assert!(shown.keys().all(|key| said[key].is_object()), "{shown:?}");
        assert_eq!(said["keys"]["const"], shown["keys"]);
        assert_eq!(document["views"]["logs"]["rows_total"], 2);
        assert_eq!(document["storage"]["series"], 2);
        for (path, why) in [
            ("logs?sort=nothing&", "there are service_name, severity, records"),
            ("logs?range=1s&", "from 1m to 92d"),
            ("logs?range=soon&", "cannot parse"),
        ] {
            let (status, _, body) = get(path).await;
            assert_eq!(status, 400, "{path}: {body}");
            assert!(body.contains(why), "{path}: {body}");
        }
    }
}
