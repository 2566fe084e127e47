//! Writes metric families as Prometheus text 0.0.4 or OpenMetrics 1.0.
//!
//! One pass, into one string or a pipe; a family is written whole or, when its name or that of a sample it may have was taken
//! before, not at all: readers refuse a whole page for a gauge `x_count` beside a histogram `x`. That is its name in the
//! format: where OpenMetrics calls a gauge and a counter the same, the counter, whose samples have another name, is of no
//! known type.
//! Labels with an empty value are left out: both formats define them as absent.
//!
//! Sources: Prometheus text format 0.0.4, OpenMetrics 1.0.0 (2022-11), RFC 9110 section 12.5.1, Prometheus 3.15 "Content
//! negotiation".

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;

use super::desc::{Desc, Kind};
use super::escaping::{Escaping, is_plain, quoted};
use crate::time::UnixNano;

/// A label's name and value.
pub type Label<'a> = (&'a str, &'a str);

/// How families are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The format that an `Accept` header prefers of those `offered`, text when it names none of them, and how
    /// names are escaped in it. As in Prometheus that is what the range says or, where it says nothing, one that is liked
    /// better: its own scrapes name no scheme beside text, and take the one of OpenMetrics there.
    #[must_use]
    pub fn negotiate(accept: &str, offered: &[Self]) -> (Self, Escaping) {
        let mut ranges: Vec<_> = accept.split(',').map(Range::of).collect();
        ranges.retain(|range| range.quality > 0.0);
        let order = |range: &Range<'_>| (range.quality, !range.media_type.contains('*'));
        ranges.sort_by(|a, b| order(b).partial_cmp(&order(a)).unwrap_or(Ordering::Equal));
        let mut escaping = Escaping::default();
        for range in ranges {
            escaping = range.escaping.unwrap_or(escaping);
            if let Some(format) = range.format().filter(|format| offered.contains(format)) {
                return (format, escaping);
            }
        }
        (Self::Text, escaping)
    }

    /// The `Content-Type` of a response in this format.
    #[must_use]
    pub const fn content_type(self, escaping: Escaping) -> &'static str {
        macro_rules! of {
            ($media_type:literal) => {
                match escaping {
                    Escaping::Utf8 => concat!($media_type, "; escaping=allow-utf-8"),
                    Escaping::Underscores => concat!($media_type, "; escaping=underscores"),
                    Escaping::Dots => concat!($media_type, "; escaping=dots"),
                    Escaping::Values => concat!($media_type, "; escaping=values"),
                }
            };
        }
        match self {
            Self::Text => of!("text/plain; version=0.0.4; charset=utf-8"),
            Self::OpenMetrics => of!("application/openmetrics-text; version=1.0.0; charset=utf-8"),
        }
    }
}

/// One of the media ranges of an `Accept` header.
struct Range<'a> {
    /// In lower case.
    media_type: String,
    version: &'a str,
    quality: f32,
    /// None where there is none that is known.
    escaping: Option<Escaping>,
}

impl<'a> Range<'a> {
    fn of(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut range = Self { media_type, version: "", quality: 1.0, escaping: None };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => range.quality = value.parse().unwrap_or(0.0),
                "version" => range.version = value,
                "escaping" => range.escaping = Escaping::named(value),
                _ => {}
            }
        }
        range
    }

    fn format(&self) -> Option<Format> {
        match (self.media_type.as_str(), self.version) {
            ("application/openmetrics-text", "" | "1.0.0") => Some(Format::OpenMetrics),
            ("text/plain", "" | "0.0.4") | ("text/*" | "*/*", _) => Some(Format::Text),
            _ => None,
        }
    }
}

/// What is handed on at once.
const PIECE_BYTES: usize = 32 << 10;

/// Families being written.
pub struct Exposition {
    format: Format,
    escaping: Escaping,
    /// What is written, or not handed on yet.
    out: String,
    pipe: Option<Box<dyn io::Write + Send>>,
    /// The names of families as they are written, and of samples that they may have.
    taken: BTreeSet<String>,
}

impl Exposition {
    /// An empty exposition whose names every reader knows.
    #[must_use]
    pub fn new(format: Format) -> Self {
        let (escaping, out) = (Escaping::default(), String::with_capacity(16 << 10));
        Self { format, escaping, out, pipe: None, taken: BTreeSet::new() }
    }

    /// The same, handed on to `pipe`, which takes everything, as it is written: no more than a sample above 32 KiB is held.
    #[must_use]
    pub fn piped(mut self, pipe: Box<dyn io::Write + Send>) -> Self {
        self.pipe = Some(pipe);
        self
    }

    /// The same with names as `escaping` has them.
    #[must_use]
    pub const fn escaped(mut self, escaping: Escaping) -> Self {
        self.escaping = escaping;
        self
    }

    /// Begins the family of `desc`. Its samples must follow before the next family begins.
    pub fn family(&mut self, desc: &Desc) -> Family<'_> {
        let total = if desc.kind == Kind::Counter { self.total() } else { "" };
        let first = self.take(&format!("{}{total}", desc.name), desc.kind.name());
        debug_assert!(first, "the family {} is written twice", desc.name);
        Family { desc: *desc, exposition: self, head: false, mute: !first }
    }

    /// Begins a family that no [`Desc`] describes, a counter's `name` without `_total`, to be escaped.
    pub const fn foreign<'a>(
        &'a mut self,
        name: &'a str,
        kind: &'a str,
        help: &'a str,
    ) -> Foreign<'a> {
        Foreign { exposition: self, name, kind, help, is_free: None }
    }

    /// The format being written.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// How names are to be escaped.
    #[must_use]
    pub const fn escaping(&self) -> Escaping {
        self.escaping
    }

    /// What text 0.0.4, which names a counter's family as its samples, puts behind its name.
    const fn total(&self) -> &'static str {
        match self.format {
            Format::Text => "_total",
            Format::OpenMetrics => "",
        }
    }

    /// Takes the names that a family of a type has in the format, unless one is taken: its own, and those of its samples.
    fn take(&mut self, name: &str, kind: &str) -> bool {
        let suffixes: &[&str] = match (self.format, kind) {
            (Format::OpenMetrics, "counter") => &["_total", "_created"],
            (Format::OpenMetrics, "histogram") => &["_bucket", "_sum", "_count", "_created"],
            (Format::OpenMetrics, "summary") => &["_sum", "_count", "_created"],
            (Format::Text, "histogram") => &["_bucket", "_sum", "_count"],
            (Format::Text, "summary") => &["_sum", "_count"],
            _ => &[],
        };
        let names = suffixes.iter().chain(&[""]).map(|suffix| format!("{name}{suffix}"));
        let names: Vec<_> = names.collect();
        let free = names.iter().all(|name| !self.taken.contains(name));
        if free {
            self.taken.extend(names);
        }
        free
    }

    /// Writes how a family begins that no [`Desc`] describes; `false` where it, or another with samples of its name, is there
    /// already.
    fn begin(&mut self, name: &str, kind: &str, help: &str) -> bool {
        let is_counter = kind == "counter";
        let total = if is_counter { self.total() } else { "" };
        let (mut name, mut kind) = (format!("{name}{total}"), kind);
        if !self.take(&name, kind) {
            if !is_counter || self.format == Format::Text {
                return false;
            }
            name += "_total";
            kind = "unknown";
            if !self.take(&name, kind) {
                return false;
            }
        }
        let shown = if is_plain(&name, true) { name } else { quoted(&name) };
        if !help.is_empty() {
            put(&mut self.out, format_args!("# HELP {shown} "));
            escape(&mut self.out, help, self.format == Format::OpenMetrics);
            self.out.push('\n');
        }
        put(&mut self.out, format_args!("# TYPE {shown} {kind}\n"));
        true
    }

    /// Hands on what is written, if that is `least` bytes.
    fn hand_on(&mut self, least: usize) {
        let Some(pipe) = &mut self.pipe else { return };
        if self.out.len() >= least {
            // It takes everything.
            let _ = pipe.write_all(self.out.as_bytes());
            self.out.clear();
        }
    }

    /// The finished text; with a pipe that has it.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.hand_on(0);
        self.out
    }
}

impl std::fmt::Debug for Exposition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exposition").field("format", &self.format).finish_non_exhaustive()
    }
}

/// Writes the samples of one family that no [`Desc`] describes. Nothing is written for a family without samples.
#[derive(Debug)]
pub struct Foreign<'a> {
    exposition: &'a mut Exposition,
    name: &'a str,
    kind: &'a str,
    help: &'a str,
    /// Whether nothing else has its name; `None` until something is written.
    is_free: Option<bool>,
}

impl Foreign<'_> {
    /// Writes a sample as the format has it, without its end.
    pub fn line(&mut self, write: impl FnOnce(&mut String)) {
        let Self { exposition, name, kind, help, is_free } = self;
        if *is_free.get_or_insert_with(|| exposition.begin(name, kind, help)) {
            write(&mut exposition.out);
            exposition.out.push('\n');
            exposition.hand_on(PIECE_BYTES);
        }
    }
}

/// A classic histogram's state, to be written as `_bucket`, `_sum` and `_count`.
#[derive(Clone, Copy, Debug)]
pub struct Buckets<'a> {
    /// Upper bounds, inclusive, ascending, with the cumulative count up to each; `+Inf` is added.
    pub cumulative: &'a [(f64, u64)],
    /// Every observation.
    pub count: u64,
    /// The sum of the observations.
    pub sum: f64,
}

/// Writes the samples of one family. Nothing is written for a family without samples.
#[derive(Debug)]
pub struct Family<'a> {
    desc: Desc,
    exposition: &'a mut Exposition,
    head: bool,
    mute: bool,
}

impl Family<'_> {
    /// Writes a gauge's sample, or a counter's that is not a whole number.
    pub fn value(&mut self, labels: &[Label<'_>], value: f64) {
        let suffix = if self.desc.kind == Kind::Counter { "_total" } else { "" };
        self.sample(suffix, labels, None, |out| write_value(out, value));
    }

    /// Writes a counter's sample and, in OpenMetrics, when it began to count.
    pub fn count(&mut self, labels: &[Label<'_>], count: u64, created: Option<UnixNano>) {
        debug_assert_eq!(self.desc.kind, Kind::Counter, "{}", self.desc.name);
        self.sample("_total", labels, None, |out| put(out, format_args!("{count}")));
        self.created(labels, created);
    }

    /// Writes a whole number as the sample of a counter or a gauge.
    pub fn whole(&mut self, labels: &[Label<'_>], number: u64) {
        let suffix = if self.desc.kind == Kind::Counter { "_total" } else { "" };
        self.sample(suffix, labels, None, |out| put(out, format_args!("{number}")));
    }

    /// Writes a histogram's samples and, in OpenMetrics, when it began to count.
    pub fn histogram(
        &mut self,
        labels: &[Label<'_>],
        buckets: &Buckets<'_>,
        created: Option<UnixNano>,
    ) {
        debug_assert_eq!(self.desc.kind, Kind::Histogram, "{}", self.desc.name);
        let all = [(f64::INFINITY, buckets.count)];
        for &(bound, count) in buckets.cumulative.iter().chain(&all) {
            self.sample("_bucket", labels, Some(bound), |out| put(out, format_args!("{count}")));
        }
        self.sample("_sum", labels, None, |out| write_value(out, buckets.sum));
        self.sample("_count", labels, None, |out| put(out, format_args!("{}", buckets.count)));
        self.created(labels, created);
    }

    /// Text 0.0.4 has no place for it: there it would be a family of its own.
    fn created(&mut self, labels: &[Label<'_>], created: Option<UnixNano>) {
        if let (Some(at), Format::OpenMetrics) = (created, self.exposition.format) {
            self.sample("_created", labels, None, |out| {
                put(out, format_args!("{}.{:09}", at.0 / 1_000_000_000, at.0 % 1_000_000_000));
            });
        }
    }

    fn sample(
        &mut self,
        suffix: &str,
        labels: &[Label<'_>],
        le: Option<f64>,
        value: impl FnOnce(&mut String),
    ) {
        if self.mute {
            return;
        }
        if !std::mem::replace(&mut self.head, true) {
            self.write_head();
        }
        let out = &mut self.exposition.out;
        out.push_str(self.desc.name);
        out.push_str(suffix);
        let mut open = '{';
        for (name, text) in labels.iter().filter(|(_, text)| !text.is_empty()) {
            out.push(std::mem::replace(&mut open, ','));
            out.push_str(name);
            out.push_str("=\"");
            escape(out, text, true);
            out.push('"');
        }
        if let Some(bound) = le {
            out.push(std::mem::replace(&mut open, ','));
            out.push_str("le=\"");
            write_bound(out, bound);
            out.push('"');
        }
        if open == ',' {
            out.push('}');
        }
        out.push(' ');
        value(out);
        out.push('\n');
        self.exposition.hand_on(PIECE_BYTES);
    }

    fn write_head(&mut self) {
        let Desc { name, kind, help, .. } = self.desc;
        let open_metrics = self.exposition.format == Format::OpenMetrics;
        let total = if kind == Kind::Counter && !open_metrics { "_total" } else { "" };
        let out = &mut self.exposition.out;
        put(out, format_args!("# HELP {name}{total} "));
        escape(out, help, open_metrics);
        put(out, format_args!("\n# TYPE {name}{total} {}\n", kind.name()));
        let unit = ["seconds", "bytes", "ratio"].into_iter().find(|unit| {
            name.strip_suffix(unit).is_some_and(|stem| stem.ends_with('_') && stem.len() > 1)
        });
        if let (Some(unit), true) = (unit, open_metrics) {
            put(out, format_args!("# UNIT {name} {unit}\n"));
        }
    }
}

/// Writing to a `String` cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            _ => out.push(c),
        }
    }
}

fn write_value(out: &mut String, value: f64) {
    let plain = value == 0.0 || (1e-5..1e15).contains(&value.abs());
    match value {
        v if v.is_nan() => out.push_str("NaN"),
        v if v.is_infinite() => out.push_str(if v > 0.0 { "+Inf" } else { "-Inf" }),
        v if plain => put(out, format_args!("{v}")),
        v => put(out, format_args!("{v:e}")),
    }
}

/// OpenMetrics wants `1.0`, not `1`, so that bounds compare equal as text.
fn write_bound(out: &mut String, bound: f64) {
    if bound.is_infinite() {
        out.push_str("+Inf");
    } else {
        put(out, format_args!("{bound:?}"));
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    const CALLS: Desc =
        Desc { name: "t_calls", kind: Kind::Counter, help: "A \"test\".", labels: &["a", "b"] };
    const SIZE: Desc = Desc { name: "t_size_bytes", kind: Kind::Gauge, help: "B.", labels: &[] };
    const TIME: Desc =
        Desc { name: "t_time_seconds", kind: Kind::Histogram, help: "C.", labels: &["a"] };
    const NONE: Desc = Desc { name: "t_none", kind: Kind::Gauge, help: "D.", labels: &[] };

    const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
        application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,*/*;q=0.2";

    fn every_kind(format: Format) -> String {
        let mut out = Exposition::new(format);
        let created = Some(UnixNano(1_700_000_000_000_000_007));
        out.family(&CALLS).count(&[("a", "x\\\"\n"), ("b", "")], 3, created);
        out.family(&SIZE).value(&[], 1.5e300);
        let _ = out.family(&NONE);
        let buckets = Buckets { cumulative: &[(0.002, 1), (1.0, 2)], count: 3, sum: 1.25 };
        out.family(&TIME).histogram(&[("a", "x")], &buckets, created);
        out.finish()
    }

    #[test]
    fn a_counter_of_the_agent_is_not_written_again_from_the_store() {
        let mut out = Exposition::new(Format::Text);
        out.family(&crate::telemetry::desc::JOURNAL_FSYNCS).count(&[], 3, None);
        out.foreign("sidelight_journal_fsyncs_total", "unknown", "")
            .line(|out| out.push_str("sidelight_journal_fsyncs_total 2"));
        out.foreign("requests_total", "counter", "").line(|out| out.push_str("requests_total 5"));
        let text = out.finish();
        assert!(!text.contains("sidelight_journal_fsyncs_total 2"), "{text}");
        assert!(text.contains("requests_total 5"), "{text}");
    }

    #[test]
    fn a_counter_of_the_name_of_a_gauge_is_written_beside_it() {
        let both = |format| {
            let mut out = Exposition::new(format);
            out.foreign("queue", "gauge", "").line(|out| out.push_str("queue 2"));
            out.foreign("queue", "counter", "").line(|out| out.push_str("queue_total 3"));
            out.finish()
        };
        let text = "# TYPE queue gauge\nqueue 2\n# TYPE queue_total counter\nqueue_total 3\n";
        assert_eq!(both(Format::Text), text);
        let open = text.replace(" counter", " unknown") + "# EOF\n";
        assert_eq!(both(Format::OpenMetrics), open);
    }

    #[test]
    fn text_is_written_as_0_0_4_says() {
        expect![[r#"
            # HELP t_calls_total A "test".
            # TYPE t_calls_total counter
            t_calls_total{a="x\\\"\n"} 3
            # HELP t_size_bytes B.
            # TYPE t_size_bytes gauge
            t_size_bytes 1.5e300
            # HELP t_time_seconds C.
            # TYPE t_time_seconds histogram
            t_time_seconds_bucket{a="x",le="0.002"} 1
            t_time_seconds_bucket{a="x",le="1.0"} 2
            t_time_seconds_bucket{a="x",le="+Inf"} 3
            t_time_seconds_sum{a="x"} 1.25
            t_time_seconds_count{a="x"} 3
        "#]]
        .assert_eq(&every_kind(Format::Text));
    }

    #[test]
    fn openmetrics_has_units_created_times_and_an_end() {
        expect![[r#"
            # HELP t_calls A \"test\".
            # TYPE t_calls counter
            t_calls_total{a="x\\\"\n"} 3
            t_calls_created{a="x\\\"\n"} 1700000000.000000007
            # HELP t_size_bytes B.
            # TYPE t_size_bytes gauge
            # UNIT t_size_bytes bytes
            t_size_bytes 1.5e300
            # HELP t_time_seconds C.
            # TYPE t_time_seconds histogram
            # UNIT t_time_seconds seconds
            t_time_seconds_bucket{a="x",le="0.002"} 1
            t_time_seconds_bucket{a="x",le="1.0"} 2
            t_time_seconds_bucket{a="x",le="+Inf"} 3
            t_time_seconds_sum{a="x"} 1.25
            t_time_seconds_count{a="x"} 3
            t_time_seconds_created{a="x"} 1700000000.000000007
            # EOF
        "#]]
        .assert_eq(&every_kind(Format::OpenMetrics));
    }

    #[test]
    fn numbers_are_written_so_that_both_formats_read_them_back() {
        let text = |value| {
            let mut out = String::new();
            write_value(&mut out, value);
            out
        };
        let written = [0.0, -0.5, 1e-9, 1e15, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(text);
        assert_eq!(written, ["0", "-0.5", "1e-9", "1e15", "NaN", "+Inf", "-Inf"]);
    }

    #[test]
    fn a_family_named_as_a_part_of_another_is_not_written_beside_it() {
        let beside = |format, first: (&str, &str), second: (&str, &str)| {
            let mut out = Exposition::new(format);
            out.foreign(first.0, first.1, "").line(|out| out.push_str("first 1"));
            out.foreign(second.0, second.1, "").line(|out| out.push_str("second 2"));
            out.finish().contains("second 2")
        };
        let (histogram, summary) = (("h", "histogram"), ("h", "summary"));
        for format in [Format::Text, Format::OpenMetrics] {
            for part in ["h", "h_bucket", "h_count", "h_sum"].map(|name| (name, "gauge")) {
                assert!(!beside(format, histogram, part), "{format:?} {part:?}");
                assert!(!beside(format, part, histogram), "{format:?} {part:?}");
                let of_summary = part.0 != "h_bucket";
                assert_eq!(beside(format, summary, part), !of_summary, "{format:?} {part:?}");
            }
            let created = ("h_created", "gauge");
            assert_eq!(beside(format, histogram, created), format == Format::Text);
            assert!(beside(format, ("h", "gauge"), ("h_count", "gauge")), "{format:?}");
        }
        let mut out = Exposition::new(Format::Text);
        let buckets = Buckets { cumulative: &[], count: 1, sum: 1.0 };
        out.family(&TIME).histogram(&[], &buckets, None);
        out.foreign("t_time_seconds_count", "gauge", "")
            .line(|out| out.push_str("t_time_seconds_count 7"));
        assert!(!out.finish().contains(" 7"), "beside one of the agent's own");
    }

    #[test]
    fn the_preferred_format_is_the_one_of_the_higher_quality() {
        use Format::{OpenMetrics, Text};
        for (accept, format) in [
            ("", Text),
            ("*/*", Text),
            ("text/html, */*;q=0.8", Text),
            (PROMETHEUS_3, OpenMetrics),
            ("application/openmetrics-text", OpenMetrics),
            ("*/*, application/openmetrics-text", OpenMetrics),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"", OpenMetrics),
            ("application/openmetrics-text; version=0.0.1", Text),
            ("application/openmetrics-text;q=0.3, text/plain;q=0.9", Text),
            ("application/openmetrics-text;q=0.3, text/plain;version=2;q=0.9", OpenMetrics),
            ("application/openmetrics-text;q=0", Text),
            ("application/openmetrics-text;q=x, ;;=,", Text),
            ("application/openmetrics-text;q=NaN", Text),
        ] {
            assert_eq!(Format::negotiate(accept, &[Text, OpenMetrics]).0, format, "{accept:?}");
            assert_eq!(Format::negotiate(accept, &[Text]).0, Text, "{accept:?}");
        }
    }

    #[test]
    fn names_are_escaped_to_underscores_unless_another_scheme_is_asked_for_and_it_is_said() {
        use Format::{OpenMetrics, Text};
        for (accept, of_text, of_both) in [
            ("", "underscores", "underscores"),
            ("*/*", "underscores", "underscores"),
            (PROMETHEUS_3, "allow-utf-8", "allow-utf-8"),
            ("text/plain;version=0.0.4;escaping=values", "values", "values"),
            ("text/plain; Escaping=\"dots\"", "dots", "dots"),
            ("text/plain;escaping=else", "underscores", "underscores"),
            ("application/json;escaping=dots", "dots", "dots"),
            ("text/plain;q=0.5;escaping=dots,application/openmetrics-text", "dots", "underscores"),
            ("application/openmetrics-text;escaping=values,text/plain;q=0.5", "values", "values"),
        ] {
            for (offered, expected) in [(&[Text][..], of_text), (&[Text, OpenMetrics], of_both)] {
                let (format, escaping) = Format::negotiate(accept, offered);
                assert_eq!(escaping.name(), expected, "{accept}");
                let said = format.content_type(escaping);
                assert!(said.ends_with(&format!("; charset=utf-8; escaping={expected}")), "{said}");
            }
        }
    }

    #[test]
    fn a_name_that_is_not_escaped_is_quoted_where_its_type_is_said() {
        let mut out = Exposition::new(Format::Text).escaped(Escaping::Utf8);
        out.foreign("a b", "gauge", "H.").line(|out| out.push_str("{\"a b\"} 1"));
        assert_eq!(out.finish(), "# HELP \"a b\" H.\n# TYPE \"a b\" gauge\n{\"a b\"} 1\n");
    }

    #[derive(Clone, Default)]
    struct Pieces(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

    impl io::Write for Pieces {
        fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(String::from_utf8(piece.to_vec()).unwrap());
            Ok(piece.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_page_is_handed_on_as_it_is_written_and_the_same_as_in_one_string() {
        let write = |mut out: Exposition| {
            let mut calls = out.family(&CALLS);
            for nth in 0..3_000 {
                calls.count(&[("a", &format!("{nth}"))], nth, None);
            }
            let mut other = out.foreign("other", "gauge", "");
            for nth in 0..3_000 {
                other.line(|out| put(out, format_args!("other{{a=\"{nth}\"}} 1")));
            }
            out.finish()
        };
        let whole = write(Exposition::new(Format::OpenMetrics));
        let pieces = Pieces::default();
        let rest = write(Exposition::new(Format::OpenMetrics).piped(Box::new(pieces.clone())));
        assert_eq!(rest, "");
        let pieces = pieces.0.lock().unwrap();
        assert_eq!(pieces.concat(), whole);
        let longest = pieces.iter().map(String::len).max().unwrap();
        assert!(pieces.len() > 3 && longest < PIECE_BYTES + 100, "{} {longest}", pieces.len());
    }
}
