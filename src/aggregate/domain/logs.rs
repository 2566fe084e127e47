//! Log records to counts by severity, and the events among them.

use sidelight_wire::view::logs::{LogRecord, Request};
use sidelight_wire::view::{Text, Value};

use super::Domain;
use super::facts::Facts;
use super::instruments::Instrument;
use super::resources::Found;
use super::spans::{is_event, place};
use crate::signal::SKETCH;

impl<Id: Copy + Eq> Domain<Id> {
    /// Counts the records of a logs request.
    pub(super) fn logs(&mut self, request: &[u8], of_sketches: bool) {
        for resource in Request::new(request).resources() {
            let Some(found) = self.enter(resource.resource()) else { continue };
            for scope in resource.scope_logs() {
                for record in scope.log_records() {
                    if of_sketches {
                        self.sketch(&found, &record);
                    } else {
                        self.log(&found, &record);
                    }
                }
            }
        }
    }

    fn log(&mut self, found: &Found, record: &LogRecord<'_>) {
        let severity = severity(record.severity_number, record.severity_text);
        self.board.add(Instrument::LogRecords, place(found), &[severity], 1.0);
        let name = match record.event_name.as_bytes() {
            // Before events had a field they had an attribute.
            b"" => match record.attributes().get("event.name") {
                Some(Value::String(name)) => name.as_bytes(),
                _ => return,
            },
            name => name,
        };
        if is_event(name) {
            self.event(found, name, &Facts::of(record.attributes()), None);
        }
    }

    fn sketch(&mut self, found: &Found, record: &LogRecord<'_>) {
        let feature = record.attributes().get("feature.name").and_then(Value::text);
        if let (SKETCH, Some(feature), Value::Bytes(bytes)) =
            (record.event_name.as_bytes(), feature, record.body.get())
        {
            let feature = feature.to_string_lossy();
            self.users.merge(&found.target, &feature, bytes, self.now_ms);
        }
    }
}

/// The severity's range as a word.
fn severity(number: i32, text: Text<'_>) -> &'static str {
    match number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => match text.to_string_lossy().to_ascii_lowercase().as_str() {
            "trace" => "trace",
            "debug" => "debug",
            "info" => "info",
            "warn" | "warning" => "warn",
            "error" => "error",
            "fatal" | "critical" => "fatal",
            _ => "unspecified",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_six_words_and_one_for_the_rest() {
        let words = (0..=25).map(|number| severity(number, Text(b""))).collect::<Vec<_>>();
        assert_eq!(
            (words[0], words[1], words[24], words[25]),
            ("unspecified", "trace", "fatal", "unspecified")
        );
        assert_eq!(severity(0, Text(b"WARNING")), "warn");
    }
}
