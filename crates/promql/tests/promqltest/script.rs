//! The commands of a test file.

use regex::Regex;
use sidelight_promql::{duration, quote};

use sidelight_promql::notation::{self, Line};

/// A command and the number of its line.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) line: usize,
    pub(crate) action: Action,
}

#[derive(Debug)]
pub(crate) enum Action {
    Clear,
    Load(Load),
    Eval(Box<Eval>),
}

/// Samples to be stored.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Milliseconds between samples; the first is at time 0.
    pub(crate) step: i64,
    /// Whether classic histograms are stored as native ones as well.
    pub(crate) with_nhcb: bool,
    pub(crate) series: Vec<Line>,
}

/// A query and what it is to answer.
#[derive(Debug)]
pub(crate) struct Eval {
    pub(crate) text: String,
    pub(crate) when: When,
    pub(crate) expected: Expected,
}

/// Times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Instant(i64),
    Range(Range),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) step: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) series: Vec<Line>,
    pub(crate) scalar: Option<f64>,
    pub(crate) string: Option<String>,
    /// The times of a range vector that an instant query answers with.
    pub(crate) range_vector: Option<Range>,
    pub(crate) ordered: bool,
    pub(crate) fail: Option<Message>,
    pub(crate) warn: Vec<Message>,
    pub(crate) info: Vec<Message>,
    pub(crate) no_warn: bool,
    pub(crate) no_info: bool,
}

/// What a message is to be.
#[derive(Debug)]
pub(crate) enum Message {
    Any,
    Is(String),
    Matches(Regex),
}

impl Message {
    pub(crate) fn is_met(&self, message: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Is(text) => text == message,
            Self::Matches(regex) => regex.is_match(message),
        }
    }
}

/// Reads a test file.
///
/// # Errors
/// The number of the line, and what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Vec<Command>, (usize, String)> {
    let lines: Vec<&str> = text
        .lines()
        .map(|line| if line.trim().starts_with('#') { "" } else { line.trim() })
        .collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let first = at;
        at += 1;
        if lines[first].is_empty() {
            continue;
        }
        let block = lines[first + 1..].iter().take_while(|line| !line.is_empty());
        let word = lines[first].split_whitespace().next().unwrap_or_default();
        let action = if word == "clear" {
            Action::Clear
        } else if word.starts_with("load") {
            let (load, taken) = load(lines[first], block).map_err(|(n, e)| (first + 1 + n, e))?;
            at += taken;
            Action::Load(load)
        } else if word.starts_with("eval") {
            let (eval, taken) = eval(lines[first], block).map_err(|(n, e)| (first + 1 + n, e))?;
            at += taken;
            Action::Eval(Box::new(eval))
        } else {
            return Err((first + 1, format!("no command: {word}")));
        };
        commands.push(Command { line: first + 1, action });
    }
    Ok(commands)
}

type Failed = (usize, String);

fn load<'a>(
    first: &str,
    block: impl Iterator<Item = &'a &'a str>,
) -> Result<(Load, usize), Failed> {
    let (word, step) = first.split_once(char::is_whitespace).unwrap_or((first, ""));
    let mut load = Load { with_nhcb: word == "load_with_nhcb", ..Load::default() };
    if !matches!(word, "load" | "load_with_nhcb") {
        return Err((0, format!("no command: {word}")));
    }
    load.step = duration::parse(step.trim()).map_err(|error| (0, error))?;
    let mut taken = 0;
    for line in block {
        taken += 1;
        // Start timestamps are not stored.
        if line.split_whitespace().next().is_some_and(|name| name.ends_with("@st")) {
            continue;
        }
        load.series.push(notation::parse(line).map_err(|error| (taken, error))?);
    }
    Ok((load, taken))
}

fn eval<'a>(
    first: &str,
    block: impl Iterator<Item = &'a &'a str>,
) -> Result<(Eval, usize), Failed> {
    let (word, rest) = first.split_once(char::is_whitespace).unwrap_or((first, ""));
    let (when, text) = when(rest.trim_start()).map_err(|error| (0, error))?;
    let mut expected = Expected::default();
    match word {
        "eval" => {}
        "eval_fail" => expected.fail = Some(Message::Any),
        "eval_warn" => expected.warn.push(Message::Any),
        "eval_info" => expected.info.push(Message::Any),
        "eval_ordered" => expected.ordered = true,
        _ => return Err((0, format!("no command: {word}"))),
    }
    let mut taken = 0;
    for line in block {
        taken += 1;
        let last = expect(line, &mut expected).map_err(|error| (taken, error))?;
        if last {
            break;
        }
    }
    Ok((Eval { text: text.to_owned(), when, expected }, taken))
}

/// Reads `instant at <time> <query>` or `range from <start> to <end> step <step> <query>`.
fn when(text: &str) -> Result<(When, &str), String> {
    let mut rest = text;
    let mut word = || {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = after.trim_start();
        word
    };
    match word() {
        "instant" => {
            named("at", word())?;
            let time = duration::parse(word())?;
            Ok((When::Instant(time), rest))
        }
        "range" => {
            named("from", word())?;
            let start = duration::parse(word())?;
            named("to", word())?;
            let end = duration::parse(word())?;
            named("step", word())?;
            let step = duration::parse(word())?;
            Ok((When::Range(Range { start, end, step }), rest))
        }
        other => Err(format!("a query is instant or range, not {other}")),
    }
}

fn named(wanted: &str, found: &str) -> Result<(), String> {
    if wanted == found { Ok(()) } else { Err(format!("{wanted} is missing before {found}")) }
}

/// Reads a line below a query; whether it is the last.
fn expect(line: &str, to: &mut Expected) -> Result<bool, String> {
    if let Some(times) = line.strip_prefix("expect range vector") {
        let (When::Range(range), "") = when(&format!("range {}", times.trim()))? else {
            return Err(format!("no times of a range vector: {times}"));
        };
        to.range_vector = Some(range);
    } else if let Some(quoted) = line.strip_prefix("expect string ") {
        let unquoted = quote::unquote(quoted.trim()).ok_or(format!("no text: {quoted}"))?;
        to.string = Some(unquoted.text);
    } else if let Some(wanted) = line.strip_prefix("expect ") {
        expect_message(wanted.trim(), to)?;
    } else if let Some(message) = line.strip_prefix("expected_fail_message") {
        to.fail = Some(Message::Is(message.trim().to_owned()));
        return Ok(true);
    } else if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
        to.fail = Some(matches(pattern.trim())?);
        return Ok(true);
    } else if let Ok(scalar) = line.parse() {
        to.scalar = Some(scalar);
        return Ok(true);
    } else {
        to.series.push(notation::parse(line)?);
    }
    Ok(false)
}

fn expect_message(wanted: &str, to: &mut Expected) -> Result<(), String> {
    let (kind, how) = wanted.split_once(char::is_whitespace).unwrap_or((wanted, ""));
    let message = match how.trim().split_once(':') {
        None => Message::Any,
        Some(("msg", text)) => Message::Is(text.trim().to_owned()),
        Some(("regex", pattern)) => matches(pattern.trim())?,
        Some((other, _)) => return Err(format!("a message is msg or regex, not {other}")),
    };
    match kind {
        "fail" => to.fail = Some(message),
        "warn" => to.warn.push(message),
        "info" => to.info.push(message),
        "no_warn" => to.no_warn = true,
        "no_info" => to.no_info = true,
        "ordered" => to.ordered = true,
        other => return Err(format!("nothing can be expected of {other}")),
    }
    Ok(())
}

fn matches(pattern: &str) -> Result<Message, String> {
    Regex::new(pattern).map(Message::Matches).map_err(|error| error.to_string())
}
