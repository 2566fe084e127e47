//! Metric names and units as Prometheus has them: `UnderscoreEscapingWithSuffixes`.
//!
//! Words are runs of letters, digits and colons, joined by one underscore. The unit's words follow unless the
//! name has them, then `total` (counters) or `ratio` (gauges of unit `1`), which move to the end. Pure; runs
//! once per metric, not per point. Source: OpenTelemetry "Prometheus and OpenMetrics compatibility",
//! prometheus/otlptranslator 1.0, and what Prometheus 3.15 was seen to answer.

/// What a metric is, as far as its name depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A gauge.
    Gauge,
    /// A monotonic sum.
    Counter,
    /// Anything else.
    Other,
}

/// Units by their UCUM code. `kBy` is how UCUM and the specification spell kilobytes, `KBy` how the
/// translator does.
const UNITS: [(&str, &str); 27] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("kBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];

/// Units below the stroke, in the singular.
const PER: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

/// The Prometheus name of a metric, or `None` when nothing of it can be written.
#[must_use]
pub fn metric_name(name: &str, unit: &str, kind: Kind) -> Option<String> {
    let mut words: Vec<&str> = name.split(|c| !is_word(c)).filter(|w| !w.is_empty()).collect();
    let (main, per) = words_of_unit(unit);
    let (main, per) = (clean(main), clean(&per));
    // A unit of which nothing is left to write ends in the stroke's word alone.
    let per = if per == "per_" { "" } else { per.strip_suffix('_').unwrap_or(&per) };
    let per = if words.contains(&per) { "" } else { per };
    let main = if words.contains(&main.as_str()) { "" } else { &main };
    let main = if per.is_empty() { main } else { main.strip_suffix('_').unwrap_or(main) };
    words.extend([main, per].into_iter().filter(|word| !word.is_empty()));
    let mut last = |word| {
        words.retain(|known| *known != word);
        words.push(word);
    };
    match kind {
        Kind::Counter => last("total"),
        Kind::Gauge if unit == "1" => last("ratio"),
        Kind::Gauge | Kind::Other => {}
    }
    let mut joined = words.join("_");
    if joined.starts_with(|c: char| c.is_ascii_digit()) {
        joined.insert(0, '_');
    }
    let written = joined.bytes().any(|byte| byte != b'_');
    written.then_some(joined)
}

/// The unit for metadata: `seconds`, `bytes_per_second`; empty when there is none.
#[must_use]
pub fn unit_name(unit: &str) -> String {
    let (main, per) = words_of_unit(unit);
    let (main, per) = (clean(main), clean(&per));
    let both = if main.is_empty() || per.is_empty() { main + &per } else { main + "_" + &per };
    let both = both.strip_prefix('_').unwrap_or(&both);
    both.strip_suffix('_').unwrap_or(both).to_owned()
}

/// The words of a unit and of what is below its stroke, the latter after `per_`. What is in braces is an
/// annotation and adds nothing.
fn words_of_unit(unit: &str) -> (&str, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let per = word_of(per, &PER);
    (word_of(main, &UNITS), if per.is_empty() { String::new() } else { format!("per_{per}") })
}

fn word_of<'a>(unit: &'a str, known: &[(&'static str, &'static str)]) -> &'a str {
    let unit = unit.trim();
    if unit.contains(['{', '}']) {
        return "";
    }
    known.iter().find(|(code, _)| *code == unit).map_or(unit, |(_, word)| word)
}

/// Everything but letters, digits and colons as underscores, never two in a row, none in front.
fn clean(unit: &str) -> String {
    let mut out = String::with_capacity(unit.len());
    for c in unit.chars() {
        if is_word(c) {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Kind::{Counter, Gauge, Other};
    use super::*;

    #[test]
    fn names_are_those_that_prometheus_writes() {
        for (name, unit, kind, expected) in [
            ("http.server.request.duration", "s", Other, "http_server_request_duration_seconds"),
            ("system.io", "By", Counter, "system_io_bytes_total"),
            ("system.io", "foo/bar", Counter, "system_io_foo_per_bar_total"),
            ("network.transmitted", "By/s", Gauge, "network_transmitted_bytes_per_second"),
            (
                "network_transmitted_bytes_per_second",
                "By/s",
                Gauge,
                "network_transmitted_bytes_per_second_per_second",
            ),
            ("requests", "{request}", Counter, "requests_total"),
            ("requests", "{request}/s", Gauge, "requests_per_second"),
            ("requests_total", "", Counter, "requests_total"),
            ("total.things", "", Counter, "things_total"),
            ("total", "", Counter, "total"),
            ("total", "", Gauge, "total"),
            ("ratio.of.things", "1", Gauge, "of_things_ratio"),
            ("things", "1", Gauge, "things_ratio"),
            ("things", "1", Counter, "things_total"),
            ("things", "1", Other, "things"),
            ("wait.us", "us", Other, "wait_us_microseconds"),
            ("polls", "1/min", Gauge, "polls_per_min"),
            ("polls", "1/m", Gauge, "polls_per_minute"),
            ("area", "m^2", Gauge, "area_m_2"),
            ("foo__bar..baz", "", Gauge, "foo_bar_baz"),
            ("_foo.bar_", "", Gauge, "foo_bar"),
            ("métrique", "", Gauge, "m_trique"),
            ("x", "{x}", Gauge, "x"),
            ("x", "By{net}", Gauge, "x"),
            ("x", "By/{net}", Gauge, "x_bytes"),
            ("x", "kBy", Gauge, "x_kilobytes"),
            ("x", "KBy", Gauge, "x_kilobytes"),
            ("x", " By ", Gauge, "x_bytes"),
            ("x", "%", Gauge, "x_percent"),
            ("x", "Cel", Gauge, "x_celsius"),
            ("3.14.digits", "", Gauge, "_3_14_digits"),
            ("process_start_time_seconds", "s", Gauge, "process_start_time_seconds"),
            ("seconds.waited", "s", Gauge, "seconds_waited"),
            ("job:rate:sum", "", Gauge, "job:rate:sum"),
            ("x", "$/GiB", Gauge, "x_per_GiB"),
            ("x", "/", Gauge, "x"),
            ("x", "s/%", Gauge, "x_seconds"),
            ("日本", "By", Gauge, "bytes"),
        ] {
            assert_eq!(metric_name(name, unit, kind).as_deref(), Some(expected), "{name} [{unit}]");
        }
    }

    #[test]
    fn a_name_of_which_nothing_can_be_written_is_none() {
        for (name, unit) in [("", ""), ("日本", ""), ("___", ""), ("..", "{x}")] {
            assert_eq!(metric_name(name, unit, Other), None, "{name} [{unit}]");
        }
    }

    #[test]
    fn units_of_metadata_are_words() {
        for (unit, expected) in [
            ("s", "seconds"),
            ("By/s", "bytes_per_second"),
            ("1", ""),
            ("", ""),
            ("{request}", ""),
            ("{request}/s", "per_second"),
            ("m^2", "m_2"),
            ("%", "percent"),
        ] {
            assert_eq!(unit_name(unit), expected, "{unit}");
        }
    }
}
