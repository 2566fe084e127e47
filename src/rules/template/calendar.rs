//! Times and durations as Go writes them, and the layouts of its `Format`.
//!
//! Source: the Go package `time`, "Constants" (the reference time Mon Jan 2 15:04:05 2006) and
//! `Duration.String`.

use time::OffsetDateTime;

use super::number::shortest;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The layout of a time that is printed as it is.
const PLAIN: &str = "2006-01-02 15:04:05.999999999 -0700 MST";

/// The elements of a layout, of those that begin alike the longest first.
const ELEMENTS: [&str; 33] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "002",
    "15",
    "-07:00",
    "-0700",
    "-07",
    "Z07:00",
    "Z0700",
    "__2",
    "_2",
    "PM",
    "pm",
    ".000000000",
    ".000000",
    ".000",
    ".999999999",
    ".999999",
    ".999",
    "1",
    "2",
    "3",
    "4",
];

fn utc(milliseconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The time of `milliseconds` since the Unix epoch, in UTC.
pub(super) fn time(milliseconds: i64) -> String {
    layout(milliseconds, PLAIN)
}

/// What a method of Go's `Time` gives as a number, if it is one.
pub(super) fn part(milliseconds: i64, name: &str) -> Option<i64> {
    let at = utc(milliseconds);
    Some(match name {
        "Year" => at.year().into(),
        "Day" => at.day().into(),
        "YearDay" => at.ordinal().into(),
        "Hour" => at.hour().into(),
        "Minute" => at.minute().into(),
        "Second" => at.second().into(),
        "Nanosecond" => at.nanosecond().into(),
        "Unix" => at.unix_timestamp(),
        "UnixMilli" => milliseconds,
        "UnixNano" => milliseconds.saturating_mul(1_000_000),
        _ => return None,
    })
}

/// The name of the month or of the weekday.
pub(super) fn name(milliseconds: i64, name: &str) -> Option<&'static str> {
    let at = utc(milliseconds);
    match name {
        "Month" => MONTHS.get(usize::from(u8::from(at.month())) - 1).copied(),
        "Weekday" => DAYS.get(usize::from(at.weekday().number_days_from_monday())).copied(),
        _ => None,
    }
}

/// The time in a layout that is written as the reference time would be.
pub(super) fn layout(milliseconds: i64, layout: &str) -> String {
    let mut text = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        let element = ELEMENTS.iter().chain(&["5"]).find(|element| rest.starts_with(**element));
        let Some(element) = element else {
            text.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        };
        text += &self::element(milliseconds, element);
        rest = rest.get(element.len()..).unwrap_or_default();
    }
    text
}

fn element(milliseconds: i64, element: &str) -> String {
    let at = utc(milliseconds);
    let (month, day, hour) = (u8::from(at.month()), at.day(), at.hour());
    let twelve = (hour + 11) % 12 + 1;
    let short =
        |name: Option<&'static str>| name.and_then(|name| name.get(..3)).unwrap_or_default();
    match element {
        "January" => name(milliseconds, "Month").unwrap_or_default().to_owned(),
        "Jan" => short(name(milliseconds, "Month")).to_owned(),
        "Monday" => name(milliseconds, "Weekday").unwrap_or_default().to_owned(),
        "Mon" => short(name(milliseconds, "Weekday")).to_owned(),
        "MST" => "UTC".to_owned(),
        "2006" => format!("{:04}", at.year()),
        "06" => format!("{:02}", at.year().rem_euclid(100)),
        "01" => format!("{month:02}"),
        "1" => month.to_string(),
        "02" => format!("{day:02}"),
        "2" => day.to_string(),
        "_2" => format!("{day:2}"),
        "002" => format!("{:03}", at.ordinal()),
        "__2" => format!("{:3}", at.ordinal()),
        "15" => format!("{hour:02}"),
        "03" => format!("{twelve:02}"),
        "3" => twelve.to_string(),
        "04" => format!("{:02}", at.minute()),
        "4" => at.minute().to_string(),
        "05" => format!("{:02}", at.second()),
        "5" => at.second().to_string(),
        "PM" => if hour >= 12 { "PM" } else { "AM" }.to_owned(),
        "pm" => if hour >= 12 { "pm" } else { "am" }.to_owned(),
        "-07:00" => "+00:00".to_owned(),
        "-0700" => "+0000".to_owned(),
        "-07" => "+00".to_owned(),
        "Z07:00" | "Z0700" => "Z".to_owned(),
        fraction => {
            let nanoseconds = format!("{:09}", at.nanosecond());
            let digits = nanoseconds.get(..fraction.len() - 1).unwrap_or_default();
            let kept = match fraction.ends_with('9') {
                true => digits.trim_end_matches('0'),
                false => digits,
            };
            if kept.is_empty() { String::new() } else { format!(".{kept}") }
        }
    }
}

/// A duration: `1h2m3.5s`, `1.5ms`.
pub(super) fn duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let magnitude = nanoseconds.unsigned_abs();
    if magnitude == 0 {
        return "0s".to_owned();
    }
    for (unit, scale) in [("ns", 1), ("µs", 1_000), ("ms", 1_000_000)] {
        if magnitude < scale * 1000 {
            return format!("{sign}{}{unit}", decimal(magnitude, scale));
        }
    }
    let minutes = magnitude / 60_000_000_000;
    let seconds = decimal(magnitude % 60_000_000_000, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `of / scale` without zeros at the end.
fn decimal(of: u64, scale: u64) -> String {
    let width = scale.ilog10() as usize;
    let fraction = format!("{:0width$}", of % scale);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() || width == 0 { "" } else { "." };
    format!("{}{point}{}", of / scale, if width == 0 { "" } else { fraction })
}

/// A number of seconds as people say it: `1d 2h 3m 4s`, `1.5s`, `20ms`.
pub(super) fn humanized(seconds: f64) -> String {
    if seconds == 0.0 || !seconds.is_finite() {
        let unit = if seconds == 0.0 { "s" } else { "" };
        return super::humanize::four(seconds) + unit;
    }
    if seconds.abs() < 1.0 {
        let (value, prefix) = super::humanize::small(seconds);
        return format!("{}{prefix}s", super::humanize::four(value));
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let whole = super::humanize::whole(seconds.abs());
    let (minutes, hours, days) = (whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    let rest = whole % 60;
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", super::humanize::four(seconds.abs())),
        (0, 0, _) => format!("{sign}{minutes}m {rest}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {rest}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {rest}s"),
    }
}

/// What a method of Go's `Duration` gives.
pub(super) fn measure(nanoseconds: i64, name: &str) -> Option<String> {
    #[expect(clippy::cast_precision_loss, reason = "as Go converts it")]
    let float = nanoseconds as f64;
    Some(match name {
        "String" => duration(nanoseconds),
        "Hours" => shortest(float / 3.6e12),
        "Minutes" => shortest(float / 6e10),
        "Seconds" => shortest(float / 1e9),
        "Milliseconds" => (nanoseconds / 1_000_000).to_string(),
        "Microseconds" => (nanoseconds / 1000).to_string(),
        "Nanoseconds" => nanoseconds.to_string(),
        _ => return None,
    })
}
