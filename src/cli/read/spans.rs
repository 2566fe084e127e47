//! `sidelight spans`: calls and latency as the running agent counts them.

use std::cmp::Ordering;

use serde::Deserialize;
use serde_json::Value;

use super::client::Connection;
use crate::cli::exit::{Exit, Failure};
use crate::cli::rows::unreadable;
use crate::cli::terminal::Terminal;
use crate::cli::text;

/// What is shown and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The format.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    /// The most rows.
    #[arg(short = 'n', long, value_name = "ROWS", default_value_t = 50)]
    limit: usize,
    /// The order: `impact` is the time spent in all calls together.
    #[arg(long, value_name = "BY", default_value = "impact")]
    sort: Sort,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Table,
    Wide,
    Json,
    Ndjson,
    Csv,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Sort {
    Impact,
    Calls,
    P50,
    P95,
    P99,
    Max,
    Name,
}

/// A row as the agent sent it, and the part of it that is shown.
#[derive(Debug)]
struct Row {
    sent: Value,
    route: Route,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Route {
    service: String,
    span_name: String,
    span_kind: String,
    status_code: String,
    http_route: String,
    http_request_method: String,
    calls: u64,
    latency_seconds: Latency,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Latency {
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
}

pub(crate) async fn execute(args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let bytes = args.connection.document("/api/sidelight/v1/spans").await?;
    let (mut document, mut rows) = read(&bytes).map_err(|error| unreadable(&error))?;
    let all = rows.len();
    sort(&mut rows, args.sort);
    rows.truncate(args.limit);
    let overflow = document.pointer("/overflow/calls").and_then(Value::as_u64).unwrap_or(0);
    let shown = rows.len();
    match args.output {
        Format::Json => {
            let sent = rows.into_iter().map(|row| row.sent).collect();
            if let Some(routes) = document.get_mut("routes") {
                *routes = Value::Array(sent);
            }
            terminal.data(&format!("{document}\n"))?;
        }
        Format::Ndjson => {
            let lines: String = rows.iter().map(|row| format!("{}\n", row.sent)).collect();
            terminal.data(&lines)?;
        }
        Format::Csv => terminal.data(&csv(&rows))?,
        Format::Table | Format::Wide if rows.is_empty() => {
            terminal.note("no spans yet: point an OpenTelemetry SDK at the agent's OTLP endpoint");
        }
        Format::Table => terminal.data(&table(&rows, &NARROW, terminal.width()))?,
        Format::Wide => terminal.data(&table(&rows, &WIDE, terminal.width()))?,
    }
    if all > shown {
        terminal.note(&format!("{shown} of {all} rows; more with `-n {all}`"));
    }
    if overflow > 0 {
        terminal.note(&format!("{overflow} calls are in no row: see `aggregate.series_max`"));
    }
    Ok(Exit::Ok)
}

/// The document without its rows, and the rows.
fn read(bytes: &[u8]) -> Result<(Value, Vec<Row>), serde_json::Error> {
    let mut document: Value = serde_json::from_slice(bytes)?;
    let sent = document.get_mut("routes").map(Value::take);
    let sent = Vec::<Value>::deserialize(sent.unwrap_or_else(|| Value::Array(Vec::new())))?;
    let rows = sent.into_iter().map(|sent| Ok(Row { route: Route::deserialize(&sent)?, sent }));
    Ok((document, rows.collect::<Result<_, serde_json::Error>>()?))
}

fn sort(rows: &mut [Row], by: Sort) {
    let value = |Route { calls, latency_seconds: latency, .. }: &Route| match by {
        Sort::Impact => latency.sum,
        #[expect(clippy::cast_precision_loss, reason = "only the order matters")]
        Sort::Calls => Some(*calls as f64),
        Sort::P50 => latency.p50,
        Sort::P95 => latency.p95,
        Sort::P99 => latency.p99,
        Sort::Max => latency.max,
        Sort::Name => None,
    };
    rows.sort_by(|Row { route: a, .. }, Row { route: b, .. }| {
        let largest_first = value(b).partial_cmp(&value(a)).unwrap_or(Ordering::Equal);
        let name = || (&a.service, &a.span_name, &a.span_kind, &a.status_code);
        largest_first
            .then_with(|| name().cmp(&(&b.service, &b.span_name, &b.span_kind, &b.status_code)))
    });
}

/// A column: its heading, whether it holds numbers, and what it shows.
type Column = (&'static str, bool, fn(&Route) -> String);

const NARROW: [Column; 8] = [
    ("SERVICE", false, |route| route.service.clone()),
    ("OPERATION", false, |route| match (&*route.http_route, &*route.http_request_method) {
        ("", _) => route.span_name.clone(),
        (path, "") => path.to_owned(),
        (path, method) => format!("{method} {path}"),
    }),
    ("KIND", false, |route| short(&route.span_kind, "SPAN_KIND_")),
    ("STATUS", false, |route| short(&route.status_code, "STATUS_CODE_")),
    ("CALLS", true, |route| route.calls.to_string()),
    ("P50", true, |route| seconds(route.latency_seconds.p50)),
    ("P95", true, |route| seconds(route.latency_seconds.p95)),
    ("P99", true, |route| seconds(route.latency_seconds.p99)),
];

const WIDE: [Column; 13] = [
    ("SERVICE", false, |route| route.service.clone()),
    ("SPAN", false, |route| route.span_name.clone()),
    ("METHOD", false, |route| route.http_request_method.clone()),
    ("ROUTE", false, |route| route.http_route.clone()),
    ("KIND", false, |route| short(&route.span_kind, "SPAN_KIND_")),
    ("STATUS", false, |route| short(&route.status_code, "STATUS_CODE_")),
    ("CALLS", true, |route| route.calls.to_string()),
    ("MIN", true, |route| seconds(route.latency_seconds.min)),
    ("P50", true, |route| seconds(route.latency_seconds.p50)),
    ("P95", true, |route| seconds(route.latency_seconds.p95)),
    ("P99", true, |route| seconds(route.latency_seconds.p99)),
    ("MAX", true, |route| seconds(route.latency_seconds.max)),
    ("TOTAL", true, |route| seconds(route.latency_seconds.sum)),
];

/// Rows under headings; on a terminal no wider than it, else as wide as they are.
fn table(rows: &[Row], columns: &[Column], width: Option<u16>) -> String {
    let headings: Vec<_> = columns.iter().map(|(heading, ..)| *heading).collect();
    let numbered = columns.iter().enumerate().filter(|(_, (_, number, _))| *number);
    let numbers: Vec<_> = numbered.map(|(index, _)| index).collect();
    let rows = rows.iter().map(|row| columns.iter().map(|(_, _, show)| show(&row.route)).collect());
    text::table(&headings, &numbers, rows, width)
}

/// Numbers in full, seconds.
fn csv(rows: &[Row]) -> String {
    const HEADINGS: &str = "service,span_name,span_kind,status_code,http_route,\
                            http_request_method,calls,latency_sum_seconds,min,max,p50,p95,p99";
    let rows = rows.iter().map(|Row { route, .. }| {
        let Latency { sum, min, max, p50, p95, p99 } = route.latency_seconds;
        let texts = [
            &route.service,
            &route.span_name,
            &route.span_kind,
            &route.status_code,
            &route.http_route,
            &route.http_request_method,
        ];
        let numbers = [sum, min, max, p50, p95, p99];
        let numbers = numbers.map(|n| n.map_or_else(String::new, |n| n.to_string()));
        texts.into_iter().cloned().chain([route.calls.to_string()]).chain(numbers).collect()
    });
    let headings = HEADINGS.split(',').map(str::to_owned).collect();
    text::csv(std::iter::once(headings).chain(rows))
}

fn short(text: &str, prefix: &str) -> String {
    text.strip_prefix(prefix).unwrap_or(text).to_ascii_lowercase()
}

/// Three significant digits and a unit.
fn seconds(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else { return "-".to_owned() };
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s if s >= 1e-6 => (s * 1e6, "us"),
        s => (s * 1e9, "ns"),
    };
    match value {
        v if v >= 100.0 => format!("{v:.0}{unit}"),
        v if v >= 10.0 => format!("{v:.1}{unit}"),
        v => format!("{v:.2}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    const SENT: &str = r#"{"schema_version":1,"later":true,"routes":[
        {"service":"shop","span_name":"GET /cart","span_kind":"SPAN_KIND_SERVER",
         "status_code":"STATUS_CODE_UNSET","http_route":"/cart/{id}","http_request_method":"GET",
         "calls":1200,"latency_seconds":{"sum":12.5,"min":0.001,"max":1.5,"p50":0.0104,"p95":0.1,
         "p99":0.9},"later":1},
        {"service":"a,\"b\"","span_name":"x\u001b[31m","span_kind":"SPAN_KIND_CLIENT",
         "status_code":"STATUS_CODE_ERROR","http_route":"","http_request_method":"","calls":7,
         "latency_seconds":{"sum":70.0,"min":null,"max":10,"p50":0.0000005}}],
        "overflow":{"calls":3,"latency_seconds":{}}}"#;

    fn rows(by: Sort) -> Vec<Row> {
        let mut rows = read(SENT.as_bytes()).unwrap().1;
        sort(&mut rows, by);
        rows
    }

    #[test]
    fn a_table_has_what_took_the_most_time_first() {
        expect![[r#"
            SERVICE  OPERATION       KIND    STATUS  CALLS     P50    P95    P99
            a,"b"    x�[31m          client  error       7   500ns      -      -
            shop     GET /cart/{id}  server  unset    1200  10.4ms  100ms  900ms
        "#]]
        .assert_eq(&table(&rows(Sort::Impact), &NARROW, None));
    }

    #[test]
    fn a_wide_table_has_every_figure() {
        expect![[r#"
            SERVICE  SPAN       METHOD  ROUTE       KIND    STATUS  CALLS     MIN     P50    P95    P99    MAX  TOTAL
            shop     GET /cart  GET     /cart/{id}  server  unset    1200  1.00ms  10.4ms  100ms  900ms  1.50s  12.5s
            a,"b"    x�[31m                         client  error       7       -   500ns      -      -  10.0s  70.0s
        "#]].assert_eq(&table(&rows(Sort::Calls), &WIDE, None));
    }

    #[test]
    fn a_table_fits_the_terminal() {
        let table = table(&rows(Sort::Name), &NARROW, Some(50));
        assert!(table.lines().all(|line| line.chars().count() <= 50), "{table}");
    }

    #[test]
    fn csv_is_quoted_and_in_full() {
        expect![[r#"
            service,span_name,span_kind,status_code,http_route,http_request_method,calls,latency_sum_seconds,min,max,p50,p95,p99
            "a,""b""",x[31m,SPAN_KIND_CLIENT,STATUS_CODE_ERROR,,,7,70,,10,0.0000005,,
            shop,GET /cart,SPAN_KIND_SERVER,STATUS_CODE_UNSET,/cart/{id},GET,1200,12.5,0.001,1.5,0.0104,0.1,0.9
        "#]].assert_eq(&csv(&rows(Sort::Name)).replace("\r\n", "\n"));
    }

    #[test]
    fn times_have_three_digits_and_a_unit() {
        let shown =
            [0.0, 4.2e-7, 0.00125, 0.0126, 0.5, 1.0, 12.34, 750.0].map(|s| seconds(Some(s)));
        assert_eq!(
            shown,
            ["0.00ns", "420ns", "1.25ms", "12.6ms", "500ms", "1.00s", "12.3s", "750s"]
        );
        assert_eq!(seconds(None), "-");
    }
}
