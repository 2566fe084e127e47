//! Silences: what is not told for a while, by matchers on an alert's labels. Pure.
//!
//! A silence holds from its start until its end; all its matchers must match, and a label that an alert does not
//! have is empty. One that would match every alert is refused: at least one matcher must not match the empty value.
//! Limits: 1,000 silences that are not over, 32 matchers each, 1 KiB a text.
//!
//! Source: Alertmanager 0.28, `silence/silence.go` for the rules of validity.

use serde::{Deserialize, Serialize};
use sidelight_promql::ast::{MatchOp, Matcher};

use super::error::SilenceError;
use super::message::Message;
use crate::time::{UnixNano, parse_unix_ms, rfc3339};

/// Silences that are not over.
pub(super) const SILENCES_MAX: usize = 1_000;
const MATCHERS_MAX: usize = 32;
const TEXT_BYTES_MAX: usize = 1 << 10;

/// One silence.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Silence {
    /// 32 hexadecimal digits.
    pub id: String,
    /// All must match.
    pub matchers: Vec<Matcher>,
    /// From when on.
    pub starts_at: UnixNano,
    /// Until when.
    pub ends_at: UnixNano,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

impl Silence {
    /// Whether it holds at `now`.
    pub(super) fn holds(&self, now: UnixNano) -> bool {
        self.starts_at <= now && now < self.ends_at
    }

    /// `pending`, `active` or `expired`.
    pub(super) fn state(&self, now: UnixNano) -> &'static str {
        if now < self.starts_at {
            "pending"
        } else if now < self.ends_at {
            "active"
        } else {
            "expired"
        }
    }

    fn covers(&self, labels: &[(String, String)]) -> bool {
        self.matchers.iter().all(|matcher| {
            let found = labels.iter().find(|(own, _)| *own == matcher.name);
            matcher.matches(found.map_or("", |(_, value)| value))
        })
    }

    /// As the API shows it and files keep it.
    pub(super) fn document(&self, now: UnixNano) -> Document {
        Document {
            id: Some(self.id.clone()),
            matchers: self.matchers.iter().map(Condition::of).collect(),
            starts_at: Some(rfc3339(self.starts_at)),
            ends_at: Some(rfc3339(self.ends_at)),
            duration: None,
            created_by: self.created_by.clone(),
            comment: self.comment.clone(),
            status: Some(self.state(now).to_owned()),
        }
    }
}

/// A silence as JSON, in Alertmanager's names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Document {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    matchers: Vec<Condition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    starts_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    /// Instead of `endsAt`: seconds from the start.
    #[serde(default, rename = "durationSeconds", skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    comment: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<String>,
}

/// A matcher as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Condition {
    name: String,
    value: String,
    #[serde(default)]
    is_regex: bool,
    #[serde(default = "yes")]
    is_equal: bool,
}

const fn yes() -> bool {
    true
}

impl Condition {
    fn of(matcher: &Matcher) -> Self {
        Self {
            name: matcher.name.clone(),
            value: matcher.value.clone(),
            is_regex: matches!(matcher.op, MatchOp::Regex | MatchOp::NotRegex),
            is_equal: matches!(matcher.op, MatchOp::Equal | MatchOp::Regex),
        }
    }

    fn matcher(&self) -> Result<Matcher, SilenceError> {
        let op = match (self.is_regex, self.is_equal) {
            (false, true) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (true, false) => MatchOp::NotRegex,
        };
        if self.name.is_empty() {
            return Err(SilenceError::Invalid("a matcher has no label name".to_owned()));
        }
        Matcher::new(&self.name, op, &self.value).map_err(|error| {
            SilenceError::Invalid(format!("`{}` of `{}`: {error}", self.value, self.name))
        })
    }
}

impl Document {
    /// Reads what someone asks for.
    ///
    /// # Errors
    /// [`SilenceError::Invalid`] says where it is not JSON of a silence.
    pub(super) fn parse(body: &[u8]) -> Result<Self, SilenceError> {
        serde_json::from_slice(body).map_err(|error| SilenceError::Invalid(error.to_string()))
    }

    /// The silence that is asked for, under `id`.
    ///
    /// # Errors
    /// [`SilenceError::Invalid`] says why it is none.
    pub(super) fn silence(&self, id: String, now: UnixNano) -> Result<Silence, SilenceError> {
        let refuse = |why: &str| Err(SilenceError::Invalid(why.to_owned()));
        let starts_at = match &self.starts_at {
            Some(text) => time("startsAt", text)?,
            None => now,
        };
        let ends_at = match (&self.ends_at, self.duration) {
            (Some(text), None) => time("endsAt", text)?,
            (None, Some(seconds)) if (1.0..=3.2e8).contains(&seconds) => {
                let length = std::time::Duration::from_secs_f64(seconds).as_nanos();
                UnixNano(starts_at.0.saturating_add(u64::try_from(length).unwrap_or(u64::MAX)))
            }
            (None, Some(_)) => return refuse("`durationSeconds` is from one second to ten years"),
            _ => return refuse("a silence has either `endsAt` or `durationSeconds`"),
        };
        if ends_at <= starts_at || ends_at <= now {
            return refuse("a silence ends after it starts, and in the future");
        }
        if self.matchers.is_empty() || self.matchers.len() > MATCHERS_MAX {
            return refuse("a silence has from 1 to 32 matchers");
        }
        let texts = self.matchers.iter().flat_map(|matcher| [&matcher.name, &matcher.value]);
        if texts.chain([&self.created_by, &self.comment]).any(|text| text.len() > TEXT_BYTES_MAX) {
            return refuse("a text of a silence has at most 1024 bytes");
        }
        let matchers: Vec<Matcher> =
            self.matchers.iter().map(Condition::matcher).collect::<Result<_, _>>()?;
        if matchers.iter().all(|matcher| matcher.matches("")) {
            return refuse("this would silence every alert: name a label that must be there");
        }
        let (created_by, comment) = (self.created_by.clone(), self.comment.clone());
        Ok(Silence { id, matchers, starts_at, ends_at, created_by, comment })
    }
}

fn time(name: &str, text: &str) -> Result<UnixNano, SilenceError> {
    let milliseconds = parse_unix_ms(text).and_then(|ms| u64::try_from(ms).ok());
    let nanos = milliseconds.and_then(|ms| ms.checked_mul(1_000_000));
    nanos.map(UnixNano).ok_or_else(|| {
        SilenceError::Invalid(format!("`{name}` is not a time: write RFC 3339 or Unix seconds"))
    })
}

/// Every silence that is not over, and some that are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Silences(pub(super) Vec<Silence>);

impl Silences {
    /// The id of a silence that covers `message` at `now`.
    pub(super) fn covering(&self, message: &Message, now: UnixNano) -> Option<&str> {
        let mut holding = self.0.iter().filter(|silence| silence.holds(now));
        holding.find(|silence| silence.covers(&message.labels)).map(|silence| silence.id.as_str())
    }

    /// When one of them starts or ends next.
    pub(super) fn next_change(&self, now: UnixNano) -> Option<UnixNano> {
        let times = self.0.iter().flat_map(|silence| [silence.starts_at, silence.ends_at]);
        times.filter(|at| *at > now).min()
    }

    /// How many are not over.
    pub(super) fn current(&self, now: UnixNano) -> usize {
        self.0.iter().filter(|silence| now < silence.ends_at).count()
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::{NOW, SECOND, firing};
    use super::*;

    fn made(json: &str) -> Result<Silence, String> {
        let silence = Document::parse(json.as_bytes())
            .and_then(|document| document.silence("ab".to_owned(), NOW));
        silence.map_err(|error| error.to_string())
    }

    fn message(labels: &[(&str, &str)]) -> Message {
        Message::of(&firing(labels), &[], NOW).unwrap()
    }

    #[test]
    fn every_matcher_has_to_match_and_an_absent_label_is_empty() {
        let silence = made(
            r#"{"matchers": [
                {"name": "alertname", "value": "High.*", "isRegex": true},
                {"name": "route", "value": "/health", "isEqual": false},
                {"name": "env", "value": "prod|", "isRegex": true, "isEqual": true}
            ], "durationSeconds": 60}"#,
        );
        let silences = Silences(vec![silence.unwrap()]);
        let covered = |labels: &[(&str, &str)]| silences.covering(&message(labels), NOW).is_some();
        assert!(covered(&[("alertname", "HighErrorRate")]));
        assert!(covered(&[("alertname", "HighErrorRate"), ("env", "prod"), ("route", "/x")]));
        assert!(!covered(&[("alertname", "HighErrorRate"), ("env", "production")]), "anchored");
        assert!(!covered(&[("alertname", "HighErrorRate"), ("route", "/health")]));
        assert!(!covered(&[("alertname", "LowHigh")]));
    }

    #[test]
    fn a_silence_holds_from_its_start_until_its_end() {
        let silence = made(
            r#"{"matchers": [{"name": "a", "value": "b"}], "startsAt": "2026-11-21T10:01:00Z",
                "endsAt": "2026-11-21T10:02:00Z", "createdBy": "me", "comment": "deploy"}"#,
        );
        let silences = Silences(vec![silence.unwrap()]);
        let at = |seconds: u64| UnixNano(NOW.0 + seconds * SECOND);
        let states = [0, 60, 119, 120].map(|s| silences.0[0].state(at(s)));
        assert_eq!(states, ["pending", "active", "active", "expired"]);
        assert_eq!(silences.next_change(NOW), Some(at(60)));
        assert_eq!(silences.next_change(at(60)), Some(at(120)));
        assert_eq!(silences.next_change(at(120)), None);
        assert_eq!((silences.current(NOW), silences.current(at(120))), (1, 0));
    }

    #[test]
    fn what_is_shown_makes_the_same_silence_again() {
        let silence = made(
            r#"{"matchers": [{"name": "a", "value": "b|c.", "isRegex": true, "isEqual": false},
                {"name": "x", "value": "1"}], "durationSeconds": 90, "comment": "\"quoted\""}"#,
        )
        .unwrap();
        let text = serde_json::to_vec(&silence.document(NOW)).unwrap();
        let again = Document::parse(&text).unwrap().silence("ab".to_owned(), NOW).unwrap();
        assert_eq!(again, silence);
    }

    #[test]
    fn what_is_not_a_silence_is_refused_with_a_reason() {
        let long = "x".repeat(2_000);
        let matcher = r#""matchers": [{"name": "a", "value": "b"}]"#;
        for (json, why) in [
            (format!("{{{matcher}}}"), "either `endsAt` or `durationSeconds`"),
            (format!("{{{matcher}, \"durationSeconds\": 0}}"), "from one second"),
            (format!("{{{matcher}, \"durationSeconds\": 1e300}}"), "from one second"),
            (format!("{{{matcher}, \"endsAt\": \"soon\"}}"), "`endsAt` is not a time"),
            (format!("{{{matcher}, \"endsAt\": \"2020-01-01T00:00:00Z\"}}"), "in the future"),
            (format!("{{{matcher}, \"durationSeconds\": 9, \"comment\": \"{long}\"}}"), "1024"),
            (format!("{{{matcher}, \"duration\": 9}}"), "unknown field `duration`"),
            (r#"{"matchers": [], "durationSeconds": 9}"#.to_owned(), "from 1 to 32"),
            (
                r#"{"matchers": [{"name":"a","value":".*","isRegex":true}], "durationSeconds": 9}"#
                    .to_owned(),
                "would silence every alert",
            ),
            (
                r#"{"matchers": [{"name":"a","value":"(","isRegex":true}], "durationSeconds": 9}"#
                    .to_owned(),
                "`(` of `a`",
            ),
            (
                r#"{"matchers": [{"name":"","value":"x"}], "durationSeconds": 9}"#.to_owned(),
                "no label name",
            ),
            ("[]".to_owned(), "expected"),
            ("{".to_owned(), "EOF"),
        ] {
            let said = made(&json).unwrap_err();
            assert!(said.contains(why), "{json}: {said}");
        }
    }
}
