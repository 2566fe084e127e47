//! `sidelight spans`: calls and latency as the running agent counts them, since its start.

use std::cmp::Ordering;

use serde_json::Value;

use super::client::Connection;
use super::watch::Watch;
use crate::cli::exit::{Exit, Failure};
use crate::cli::rows::{Column, Shape, limit, parsed, plain, text};
use crate::cli::terminal::Terminal;
use crate::cli::text;
use crate::cli::text::Format;

/// What is shown and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The format; CSV has every column.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    /// Every column in the table, too.
    #[arg(long)]
    wide: bool,
    /// The most rows.
    #[arg(short = 'n', long, value_name = "ROWS", default_value = "50", value_parser = limit)]
    limit: usize,
    /// The order: `impact` is the time spent in all calls together.
    #[arg(long, value_name = "BY", default_value = "impact")]
    sort: Sort,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    connection: Connection,
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

const NONE: &str = "no spans yet: point an OpenTelemetry SDK at the agent's OTLP endpoint";

const NARROW: Shape = Shape {
    list: "routes",
    columns: &[
        Column::text("SERVICE", |row| text(row, "service")),
        Column::text("OPERATION", |row| {
            match (text(row, "http_route"), text(row, "http_request_method")) {
                (route, _) if route.is_empty() => text(row, "span_name"),
                (route, method) => format!("{method} {route}").trim_start().to_owned(),
            }
        }),
        Column::text("KIND", |row| short(row, "span_kind", "SPAN_KIND_")),
        Column::text("STATUS", |row| short(row, "status_code", "STATUS_CODE_")),
        Column::text("CODE", |row| text(row, "http_response_status_code")),
        Column::number("CALLS", |row| text(row, "calls")),
        Column::number("P50", |row| latency(row, "p50")),
        Column::number("P95", |row| latency(row, "p95")),
        Column::number("P99", |row| latency(row, "p99")),
    ],
    none: NONE,
};

const WIDE: Shape = Shape {
    list: "routes",
    columns: &[
        Column::text("SERVICE", |row| text(row, "service")),
        Column::text("SPAN", |row| text(row, "span_name")),
        Column::text("METHOD", |row| text(row, "http_request_method")),
        Column::text("ROUTE", |row| text(row, "http_route")),
        Column::text("KIND", |row| short(row, "span_kind", "SPAN_KIND_")),
        Column::text("STATUS", |row| short(row, "status_code", "STATUS_CODE_")),
        Column::text("CODE", |row| text(row, "http_response_status_code")),
        Column::text("LABELS", labels),
        Column::number("CALLS", |row| text(row, "calls")),
        Column::number("MIN", |row| latency(row, "min"))
            .plain("min_seconds", |row| in_full(row, "min")),
        Column::number("P50", |row| latency(row, "p50"))
            .plain("p50_seconds", |row| in_full(row, "p50")),
        Column::number("P95", |row| latency(row, "p95"))
            .plain("p95_seconds", |row| in_full(row, "p95")),
        Column::number("P99", |row| latency(row, "p99"))
            .plain("p99_seconds", |row| in_full(row, "p99")),
        Column::number("MAX", |row| latency(row, "max"))
            .plain("max_seconds", |row| in_full(row, "max")),
        Column::number("TOTAL", |row| latency(row, "sum"))
            .plain("total_seconds", |row| in_full(row, "sum")),
    ],
    none: NONE,
};

pub(crate) async fn execute(args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    args.watch
        .repeat(terminal, async || {
            let mut document = parsed(&args.connection.document("/api/sidelight/v1/spans").await?)?;
            let (shown, all) = cut(&mut document, args.sort, args.limit);
            let wide = args.wide || args.output == Format::Csv;
            let shape = if wide { &WIDE } else { &NARROW };
            let text = shape.shown(&document, args.output, terminal);
            if all > shown {
                terminal.note(&format!("{shown} of {all} rows; more with `-n {all}`"));
            }
            let overflow = document.pointer("/overflow/calls").and_then(Value::as_u64);
            if let Some(calls) = overflow.filter(|calls| *calls > 0) {
                terminal.note(&format!("{calls} calls are in no row: see `aggregate.series_max`"));
            }
            Ok(text)
        })
        .await
}

/// What else tells a row from others.
fn labels(row: &Value) -> String {
    let labels = row.get("labels").and_then(Value::as_object);
    let pairs =
        labels.into_iter().flatten().map(|(name, value)| format!("{name}={}", plain(value)));
    pairs.collect::<Vec<_>>().join(" ")
}

/// Sorts the rows and leaves the first of them; how many are left, of how many.
fn cut(document: &mut Value, by: Sort, limit: usize) -> (usize, usize) {
    let Some(rows) = document.get_mut("routes").and_then(Value::as_array_mut) else {
        return (0, 0);
    };
    let value = |row: &Value| match by {
        Sort::Impact => seconds(row, "sum"),
        Sort::Calls => row.get("calls").and_then(Value::as_f64),
        Sort::P50 => seconds(row, "p50"),
        Sort::P95 => seconds(row, "p95"),
        Sort::P99 => seconds(row, "p99"),
        Sort::Max => seconds(row, "max"),
        Sort::Name => None,
    };
    let name = |row: &Value| {
        ["service", "span_name", "span_kind", "status_code"].map(|name| text(row, name))
    };
    rows.sort_by(|a, b| {
        let largest_first = value(b).partial_cmp(&value(a)).unwrap_or(Ordering::Equal);
        largest_first.then_with(|| name(a).cmp(&name(b)))
    });
    let all = rows.len();
    rows.truncate(limit);
    (rows.len(), all)
}

fn seconds(row: &Value, name: &str) -> Option<f64> {
    row.get("latency_seconds")?.get(name)?.as_f64()
}

fn latency(row: &Value, name: &str) -> String {
    seconds(row, name).map_or_else(|| "-".to_owned(), text::seconds)
}

/// Seconds, in full.
fn in_full(row: &Value, name: &str) -> String {
    row.get("latency_seconds").and_then(|all| all.get(name)).map_or_else(String::new, plain)
}

fn short(row: &Value, key: &str, prefix: &str) -> String {
    let text = text(row, key);
    text.strip_prefix(prefix).unwrap_or(&text).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::cli::ColourChoice;

    const SENT: &str = r#"{"schema_version":1,"later":true,"routes":[
        {"service":"shop","span_name":"GET /cart","span_kind":"SPAN_KIND_SERVER",
         "status_code":"STATUS_CODE_UNSET","http_route":"/cart/{id}","http_request_method":"GET",
         "calls":1200,"latency_seconds":{"sum":12.5,"min":0.001,"max":1.5,"p50":0.0104,"p95":0.1,
         "p99":0.9},"later":1},
        {"service":"a,\"b\"","span_name":"x\u001b[31m","span_kind":"SPAN_KIND_CLIENT",
         "status_code":"STATUS_CODE_ERROR","http_route":"","http_request_method":"","calls":7,
         "latency_seconds":{"sum":70.0,"min":null,"max":10,"p50":0.0000005}}],
        "overflow":{"calls":3,"latency_seconds":{}}}"#;

    fn sorted(by: Sort) -> Value {
        let mut document = parsed(SENT.as_bytes()).unwrap();
        assert_eq!(cut(&mut document, by, 10), (2, 2));
        document
    }

    #[test]
    fn a_table_has_what_took_the_most_time_first() {
        expect![[r#"
            SERVICE  OPERATION       KIND    STATUS  CODE  CALLS      P50     P95     P99
            a,"b"    x�[31m          client  error             7   500 ns       -       -
            shop     GET /cart/{id}  server  unset          1200  10.4 ms  100 ms  900 ms
        "#]]
        .assert_eq(&NARROW.table(&sorted(Sort::Impact)));
    }

    #[test]
    fn a_wide_table_has_every_figure() {
        expect![[r#"
            SERVICE  SPAN       METHOD  ROUTE       KIND    STATUS  CODE  LABELS  CALLS      MIN      P50     P95     P99     MAX   TOTAL
            shop     GET /cart  GET     /cart/{id}  server  unset                  1200  1.00 ms  10.4 ms  100 ms  900 ms  1.50 s  12.5 s
            a,"b"    x�[31m                         client  error                     7        -   500 ns       -       -  10.0 s  70.0 s
        "#]]
        .assert_eq(&WIDE.table(&sorted(Sort::Calls)));
    }

    #[test]
    fn csv_is_quoted_and_in_full() {
        let terminal = Terminal::of_process(true, ColourChoice::Never);
        let shown = WIDE.shown(&sorted(Sort::Name), Format::Csv, &terminal);
        expect![[r#"
            service,span,method,route,kind,status,code,labels,calls,min_seconds,p50_seconds,p95_seconds,p99_seconds,max_seconds,total_seconds
            "a,""b""",x[31m,,,client,error,,,7,,5e-7,,,10,70.0
            shop,GET /cart,GET,/cart/{id},server,unset,,,1200,0.001,0.0104,0.1,0.9,1.5,12.5
        "#]]
        .assert_eq(&shown.replace("\r\n", "\n").replace('\u{1b}', ""));
    }

    #[test]
    fn only_the_first_rows_are_shown_in_any_format() {
        let mut document = parsed(SENT.as_bytes()).unwrap();
        assert_eq!(cut(&mut document, Sort::Impact, 1), (1, 2));
        let terminal = Terminal::of_process(true, ColourChoice::Never);
        let shown = NARROW.shown(&document, Format::Ndjson, &terminal);
        assert!(shown.lines().count() == 1 && shown.contains("SPAN_KIND_CLIENT"), "{shown}");
    }
}
