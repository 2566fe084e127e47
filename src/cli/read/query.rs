//! `sidelight query`: PromQL asked of the running agent, at one time or over a range.

use serde::Deserialize;
use serde_json::Value;

use super::client::{Connection, duration};
use super::promql::{self, Labels};
use super::sparkline::sparkline;
use crate::cli::exit::{Exit, Failure};
use crate::cli::rows::{limit, parsed, plain, rows, unreadable};
use crate::cli::terminal::Terminal;
use crate::cli::text::{Format, csv, printable, table};
use crate::time::{Clock as _, SystemClock};

/// Steps of a range unless told otherwise.
const COURSE_STEPS: i64 = 240;

/// What is asked, when, and how it is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A PromQL expression.
    #[arg(value_name = "EXPR")]
    expr: String,
    /// The time to evaluate at, or to end the range at: seconds since the epoch or RFC 3339. Default: now.
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    /// Evaluate over this range up to the time, such as `1h`.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    range: Option<std::time::Duration>,
    /// The distance of two values in a range. Default: a 240th of it, at least 1s.
    #[arg(long, value_name = "DURATION", requires = "range", value_parser = duration)]
    step: Option<std::time::Duration>,
    /// The format.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    /// The most series shown.
    #[arg(short = 'n', long, value_name = "SERIES", default_value = "100", value_parser = limit)]
    limit: usize,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Deserialize)]
struct Document {
    data: Data,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Scalar((f64, String)),
    String((f64, String)),
    Vector(Vec<Series>),
    Matrix(Vec<Series>),
}

/// A series of any result: one `value` of a vector, many `values` of a matrix.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Series {
    metric: Labels,
    value: Option<(f64, String)>,
    values: Vec<(f64, String)>,
    histogram: Option<(f64, Value)>,
    histograms: Vec<(f64, Value)>,
}

pub(crate) async fn execute(args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    promql::check(&args.expr, terminal)?;
    let answer = args.connection.document(&path(args)?).await?;
    if let Format::Json = args.output {
        let text = String::from_utf8_lossy(&answer);
        terminal.data(&format!("{}\n", text.trim_end()))?;
        return Ok(Exit::Ok);
    }
    if let Format::Ndjson = args.output {
        let document = parsed(&answer)?;
        said(&document).iter().for_each(|said| terminal.say(said));
        terminal.data(&ndjson(&document))?;
        return Ok(Exit::Ok);
    }
    said(&parsed(&answer)?).iter().for_each(|said| terminal.say(said));
    let document: Document = serde_json::from_slice(&answer).map_err(|error| unreadable(&error))?;
    show(document.data, args, terminal)?;
    Ok(Exit::Ok)
}

/// What the agent says of its answer, that it is cut for one: lines say nothing of those that are left out.
fn said(document: &Value) -> Vec<String> {
    let lists = ["warnings", "infos"].map(|name| rows(document, name));
    lists.concat().iter().map(|said| printable(&plain(said))).collect()
}

/// A line per series; of a scalar or a string, one.
fn ndjson(document: &Value) -> String {
    let data = |name: &str| document.pointer("/data").and_then(|data| data.get(name));
    match (data("resultType").and_then(Value::as_str), data("result")) {
        (Some("vector" | "matrix"), Some(Value::Array(series))) => {
            series.iter().map(|row| format!("{row}\n")).collect()
        }
        (_, Some(result)) => format!("{result}\n"),
        (_, None) => String::new(),
    }
}

/// What the agent is asked for.
fn path(args: &Args) -> Result<String, Failure> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("query", &args.expr);
    query.append_pair("limit", &args.limit.to_string());
    let end = match &args.time {
        Some(text) => crate::time::parse_unix_ms(text).ok_or_else(|| {
            let what = format!("`{text}` is not a time");
            Failure::new(Exit::Usage, what).help("write seconds since the epoch or RFC 3339")
        })?,
        None => SystemClock::new().unix_nano().as_ms(),
    };
    let Some(range) = args.range else {
        query.append_pair("time", &seconds(end));
        return Ok(format!("/api/v1/query?{}", query.finish()));
    };
    let range = i64::try_from(range.as_millis()).unwrap_or(i64::MAX);
    let step = args.step.map(|step| i64::try_from(step.as_millis()).unwrap_or(i64::MAX));
    let step =
        step.unwrap_or(range / COURSE_STEPS).max(if args.step.is_some() { 1 } else { 1_000 });
    query.append_pair("start", &seconds(end.saturating_sub(range)));
    query.append_pair("end", &seconds(end));
    query.append_pair("step", &seconds(step));
    Ok(format!("/api/v1/query_range?{}", query.finish()))
}

/// Milliseconds as the API takes times and durations.
fn seconds(milliseconds: i64) -> String {
    format!("{}.{:03}", milliseconds.div_euclid(1_000), milliseconds.rem_euclid(1_000))
}

fn show(data: Data, args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let csv_wanted = matches!(args.output, Format::Csv);
    match data {
        Data::Scalar(value) | Data::String(value) if csv_wanted => {
            terminal.data(&rows_csv(&[Series { value: Some(value), ..Series::default() }]))
        }
        Data::Scalar((_, value)) | Data::String((_, value)) => {
            terminal.data(&format!("{}\n", printable(&value)))
        }
        Data::Vector(series) | Data::Matrix(series) if csv_wanted => {
            terminal.data(&rows_csv(&series))
        }
        Data::Vector(series) | Data::Matrix(series) if series.is_empty() => {
            terminal.note("no series; `sidelight series` lists what there is");
            Ok(())
        }
        Data::Vector(series) => terminal.data(&vector(&series, terminal.width())),
        Data::Matrix(series) => terminal.data(&matrix(&series, terminal.width())),
    }
}

fn vector(series: &[Series], width: Option<u16>) -> String {
    let rows = series.iter().map(|series| {
        let value = match (&series.value, &series.histogram) {
            (Some((_, value)), _) => value.clone(),
            (None, Some((_, histogram))) => histogram_text(histogram),
            (None, None) => String::new(),
        };
        vec![series.metric.to_string(), value]
    });
    table(&["SERIES", "VALUE"], &[1], rows, width)
}

/// A line per series: its course, and what a reader looks for in it.
fn matrix(series: &[Series], width: Option<u16>) -> String {
    let rows = series.iter().map(|series| {
        let values: Vec<f64> = series.values.iter().filter_map(|(_, v)| number(v)).collect();
        let histograms =
            series.histograms.iter().filter_map(|(_, h)| number(h.get("count")?.as_str()?));
        let values: Vec<f64> = values.into_iter().chain(histograms).collect();
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let figures =
            [values.last().copied(), finite().reduce(f64::min), finite().reduce(f64::max)];
        let figures = figures.map(|figure| figure.map_or_else(|| "-".to_owned(), short));
        let mut row = vec![series.metric.to_string(), sparkline(&values, 32)];
        row.extend(figures);
        row
    });
    table(&["SERIES", "COURSE", "LAST", "MIN", "MAX"], &[2, 3, 4], rows, width)
}

/// A row per sample: RFC 4180.
fn rows_csv(series: &[Series]) -> String {
    let mut rows =
        vec![vec!["series".to_owned(), "time_unix_seconds".to_owned(), "value".to_owned()]];
    for series in series {
        let name = series.metric.to_string();
        let floats = series.value.iter().chain(&series.values);
        rows.extend(
            floats.map(|(time, value)| vec![name.clone(), time.to_string(), value.clone()]),
        );
        let histograms = series.histogram.iter().chain(&series.histograms);
        rows.extend(
            histograms.map(|(time, h)| vec![name.clone(), time.to_string(), h.to_string()]),
        );
    }
    csv(rows)
}

fn histogram_text(histogram: &Value) -> String {
    let part = |name| histogram.get(name).and_then(Value::as_str).unwrap_or("?");
    format!("{{count: {}, sum: {}}}", part("count"), part("sum"))
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Four significant digits.
fn short(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || !value.is_finite() {
        format!("{value}")
    } else if (1e-3..1e7).contains(&magnitude) {
        let digits = if magnitude >= 1e3 {
            0
        } else if magnitude >= 1e1 {
            2
        } else {
            4
        };
        let text = format!("{value:.digits$}");
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        }
    } else {
        format!("{value:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn data(json: &str) -> Data {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_vector_is_a_table_with_hostile_labels_made_harmless() {
        let Data::Vector(series) = data(
            r#"{"resultType":"vector","result":[
            {"metric":{"__name__":"up","job":"shop"},"value":[1.5,"1"]},
            {"metric":{"evil":"\u001b[31m"},"value":[1.5,"NaN"]},
            {"metric":{"__name__":"h"},"histogram":[1.5,{"count":"4","sum":"2.5"}]}]}"#,
        ) else {
            unreachable!("it is a vector")
        };
        expect![[r#"
            SERIES                              VALUE
            up{job="shop"}                          1
            {evil="\u{1b}[31m"}                   NaN
            h                    {count: 4, sum: 2.5}
        "#]]
        .assert_eq(&vector(&series, None));
    }

    #[test]
    fn a_matrix_is_a_course_with_last_least_and_most() {
        let Data::Matrix(series) = data(
            r#"{"resultType":"matrix","result":[
            {"metric":{"__name__":"up"},"values":[[1,"0"],[2,"0.5"],[3,"NaN"],[4,"1"]]}]}"#,
        ) else {
            unreachable!("it is a matrix")
        };
        expect![[r#"
            SERIES  COURSE  LAST  MIN  MAX
            up      ▁▅ █       1    0    1
        "#]]
        .assert_eq(&matrix(&series, None));
        expect![[r#"
            series,time_unix_seconds,value
            up,1,0
            up,2,0.5
            up,3,NaN
            up,4,1
        "#]]
        .assert_eq(&rows_csv(&series).replace("\r\n", "\n"));
    }

    #[test]
    fn a_scalar_is_one_line_of_ndjson_and_a_row_below_a_heading_of_csv() {
        let scalar = r#"{"resultType":"scalar","result":[1.5,"2"]}"#;
        let document =
            serde_json::json!({ "data": serde_json::from_str::<Value>(scalar).unwrap() });
        assert_eq!(ndjson(&document), "[1.5,\"2\"]\n");
        let Data::Scalar(value) = data(scalar) else { unreachable!("it is a scalar") };
        let row = Series { value: Some(value), ..Series::default() };
        assert_eq!(
            rows_csv(&[row]).replace("\r\n", "\n"),
            "series,time_unix_seconds,value\n{},1.5,2\n"
        );
        assert_eq!(rows_csv(&[]).replace("\r\n", "\n"), "series,time_unix_seconds,value\n");
    }

    #[test]
    fn what_is_cut_is_said_beside_lines_as_beside_a_table() {
        let document = serde_json::json!({"data": {}, "warnings": ["cut at 2"], "infos": ["i"]});
        assert_eq!(said(&document), ["cut at 2", "i"]);
        assert!(said(&serde_json::json!({"data": {}})).is_empty());
    }

    #[test]
    fn numbers_keep_four_digits() {
        let shown = [0.0, 1.0, 0.123_456, 12.345_6, 1_234_567.8, 1e9, 1.5e-7, f64::INFINITY];
        expect![[r#"
            [
                "0",
                "1",
                "0.1235",
                "12.35",
                "1234568",
                "1.000e9",
                "1.500e-7",
                "inf",
            ]
        "#]]
        .assert_debug_eq(&shown.map(short));
    }
}
