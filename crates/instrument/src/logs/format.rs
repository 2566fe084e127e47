//! How a line is written: as text for people, or as one JSON object. Values are written as they are visited, without a copy.
//!
//! Cost: no allocation once the thread's buffer has grown to the length of its lines.

use std::error::Error;
use std::fmt::{self, Debug, Write};
use std::time::SystemTime;

use opentelemetry::trace::SpanContext;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::{chain, timestamp};
use crate::current::RequestId;

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Text { colour: bool },
    Json,
}

/// Who is speaking.
#[derive(Clone, Debug, Default)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
}

/// What stands around an event's own fields.
pub(crate) struct Head<'a> {
    pub(crate) time: SystemTime,
    pub(crate) level: Level,
    pub(crate) target: &'a str,
    pub(crate) span: Option<&'static str>,
    pub(crate) request_id: Option<RequestId>,
    pub(crate) trace: Option<SpanContext>,
}

/// The keys of [`Head`] in JSON.
const RESERVED: [&str; 9] = [
    "timestamp",
    "level",
    "service.name",
    "service.version",
    "target",
    "span",
    "request_id",
    "trace_id",
    "span_id",
];

/// Writes one line, with its end.
pub(crate) fn event(
    line: &mut String,
    style: Style,
    service: &Service,
    head: &Head<'_>,
    event: &Event<'_>,
) {
    // Writing into a string does not fail.
    _ = match style {
        Style::Text { colour } => text_head(line, head, colour),
        Style::Json => json_head(line, service, head),
    };
    event.record(&mut Fields { line, style });
    _ = match style {
        Style::Text { .. } => text_tail(line, head),
        Style::Json => line.write_str("}\n"),
    };
}

fn text_head(line: &mut String, head: &Head<'_>, colour: bool) -> fmt::Result {
    timestamp::write(line, head.time)?;
    let code = match head.level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    };
    if colour {
        write!(line, " \x1b[{code}m{:>5}\x1b[0m \x1b[2m{}\x1b[0m:", head.level, head.target)
    } else {
        write!(line, " {:>5} {}:", head.level, head.target)
    }
}

fn text_tail(line: &mut String, head: &Head<'_>) -> fmt::Result {
    if let Some(span) = head.span {
        write!(line, " span={span}")?;
    }
    if let Some(id) = head.request_id {
        write!(line, " request_id={id}")?;
    }
    if let Some(trace) = &head.trace {
        write!(line, " trace_id={}", trace.trace_id())?;
    }
    line.write_char('\n')
}

fn json_head(line: &mut String, service: &Service, head: &Head<'_>) -> fmt::Result {
    line.write_str("{\"timestamp\":\"")?;
    timestamp::write(line, head.time)?;
    write!(line, "\",\"level\":\"{}\",\"service.name\":", head.level)?;
    quoted(line, &service.name)?;
    if let Some(version) = &service.version {
        line.write_str(",\"service.version\":")?;
        quoted(line, version)?;
    }
    line.write_str(",\"target\":")?;
    quoted(line, head.target)?;
    if let Some(span) = head.span {
        line.write_str(",\"span\":")?;
        quoted(line, span)?;
    }
    if let Some(id) = head.request_id {
        line.write_str(",\"request_id\":")?;
        quoted(line, id.as_str())?;
    }
    if let Some(trace) = &head.trace {
        write!(line, ",\"trace_id\":\"{}\",\"span_id\":\"{}\"", trace.trace_id(), trace.span_id())?;
    }
    Ok(())
}

fn quoted(line: &mut String, text: &str) -> fmt::Result {
    line.write_char('"')?;
    Escaped(line).write_str(text)?;
    line.write_char('"')
}

/// Escapes what is written for a JSON string.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
            let (plain, special) = rest.split_at(at);
            self.0.push_str(plain);
            let mut characters = special.chars();
            match characters.next() {
                Some('"') => self.0.push_str("\\\""),
                Some('\\') => self.0.push_str("\\\\"),
                Some('\n') => self.0.push_str("\\n"),
                Some('\r') => self.0.push_str("\\r"),
                Some('\t') => self.0.push_str("\\t"),
                Some(control) => write!(self.0, "\\u{:04x}", u32::from(control))?,
                None => {}
            }
            rest = characters.as_str();
        }
        self.0.push_str(rest);
        Ok(())
    }
}

/// Writes text into a line of text: a line stays one, and a terminal is told nothing by what is logged.
struct Plain<'a>(&'a mut String);

impl Write for Plain<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '\n' => self.0.push_str("\\n"),
                control if control.is_control() && control != '\t' => {
                    write!(self.0, "{}", control.escape_default())?
                }
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

/// Writes fields as they are visited.
struct Fields<'a> {
    line: &'a mut String,
    style: Style,
}

impl Fields<'_> {
    fn text(&mut self, name: &str, value: &dyn fmt::Display) {
        _ = match self.style {
            Style::Text { .. } if name == "message" => {
                write!(self.line, " ").and_then(|()| self.plain(value))
            }
            Style::Text { .. } => write!(self.line, " {name}=").and_then(|()| self.plain(value)),
            Style::Json => {
                self.key(name);
                self.line.push('"');
                let written = write!(Escaped(self.line), "{value}");
                self.line.push('"');
                written
            }
        };
    }

    fn plain(&mut self, value: &dyn fmt::Display) -> fmt::Result {
        write!(Plain(self.line), "{value}")
    }

    /// A number or a truth value: JSON's own spelling.
    fn bare(&mut self, name: &str, value: &dyn fmt::Display) {
        match self.style {
            Style::Text { .. } => self.text(name, value),
            Style::Json => {
                self.key(name);
                _ = write!(self.line, "{value}");
            }
        }
    }

    fn key(&mut self, name: &str) {
        self.line.push_str(",\"");
        if RESERVED.contains(&name) {
            self.line.push_str("field.");
        }
        _ = Escaped(self.line).write_str(name);
        self.line.push_str("\":");
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.bare(field.name(), &value);
        } else {
            self.text(field.name(), &value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field.name(), &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), &value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.text(field.name(), &chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field.name(), &format_args!("{value:?}"));
    }
}
