//! An alert as receivers get it: external labels added, texts bounded, times as RFC 3339. Pure.
//!
//! Values come from telemetry: they are sent as they are, in JSON, but no longer than a limit. Names, their number and all
//! together are bounded too, so that an alert has at most some 200 KiB whatever its rule does with its labels. Where there are
//! too many, those stay that alerts are known and grouped by.
//!
//! Source: Alertmanager 0.28, `api/v2/openapi.yaml` (`postableAlert`) and `template/template.go` (`Data`, `Alert`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Pairs, State, fingerprint};
use crate::time::{UnixNano, rfc3339};

/// Labels or annotations of one alert.
const PAIRS_MAX: usize = 64;
/// Bytes of a label's value.
const LABEL_BYTES_MAX: usize = 1 << 10;
/// Bytes of all labels.
const LABELS_BYTES_MAX: usize = 64 << 10;
/// Labels that are cut off last.
const LABELS_FIRST: [&str; 3] = ["alertname", "service_name", "severity"];
/// Bytes of an annotation.
const ANNOTATION_BYTES_MAX: usize = 8 << 10;
/// Bytes of all annotations.
const ANNOTATIONS_BYTES_MAX: usize = 128 << 10;
/// Bytes of a link.
const URL_BYTES_MAX: usize = 4 << 10;

/// What Go writes for no time at all, which receivers of webhooks know as "not over".
pub(super) const NEVER: &str = "0001-01-01T00:00:00Z";

/// An alert ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    /// The alert's own fingerprint, which names it here.
    pub(super) id: u64,
    /// That of the labels sent, which names it elsewhere.
    pub(super) fingerprint: u64,
    pub(super) labels: Pairs,
    pub(super) annotations: Pairs,
    pub(super) value: f64,
    pub(super) starts_at: UnixNano,
    /// When it was over.
    pub(super) resolved_at: Option<UnixNano>,
    /// When whoever hears no more of it may hold it for over.
    pub(super) valid_until: UnixNano,
    /// How long that was when it was sent.
    pub(super) valid_for: Duration,
    pub(super) generator_url: String,
}

impl Message {
    /// The message for a firing or resolved alert; `None` for a pending one, of which nobody is told.
    pub(super) fn of(alert: &Alert, external: &[(String, String)], now: UnixNano) -> Option<Self> {
        (alert.state != State::Pending).then(|| Self::shown(alert, external, now))
    }

    /// An alert in any state as it would be sent: what is shown of it, and what silences match.
    pub(super) fn shown(alert: &Alert, external: &[(String, String)], now: UnixNano) -> Self {
        let over = alert.state == State::Inactive;
        let resolved_at = over.then(|| alert.resolved_at.unwrap_or(now));
        let mut labels = bounded(&alert.labels, LABEL_BYTES_MAX, LABELS_BYTES_MAX);
        for (name, value) in external {
            if let Err(at) = labels.binary_search_by(|(own, _)| own.cmp(name)) {
                labels.insert(at, (name.clone(), value.clone()));
            }
        }
        let valid_until = alert.valid_until.unwrap_or_else(|| now.after(VALID));
        Self {
            id: alert.fingerprint,
            fingerprint: fingerprint(&labels),
            labels,
            annotations: bounded(&alert.annotations, ANNOTATION_BYTES_MAX, ANNOTATIONS_BYTES_MAX),
            value: alert.value,
            starts_at: alert.fired_at.unwrap_or(alert.active_at),
            resolved_at,
            valid_until,
            valid_for: valid_until.since(alert.last_sent_at.unwrap_or(now)),
            generator_url: cut(&alert.generator_url, URL_BYTES_MAX),
        }
    }

    /// As it holds after a restart at `now`: rules get the time that they may need to speak of it again.
    pub(super) fn restored(mut self, now: UnixNano) -> Self {
        if self.is_firing() {
            self.valid_until = now.after(self.valid_for.max(VALID) + RESTART_GRACE);
        }
        self
    }

    pub(super) const fn is_firing(&self) -> bool {
        self.resolved_at.is_none()
    }

    /// The value of a label; empty where it is absent.
    pub(super) fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(own, _)| own == name);
        found.map_or("", |(_, value)| value)
    }

    pub(super) fn status(&self) -> &'static str {
        if self.is_firing() { "firing" } else { "resolved" }
    }

    /// As Alertmanager takes it.
    pub(super) fn postable(&self) -> Postable<'_> {
        Postable {
            labels: Map(&self.labels),
            annotations: Map(&self.annotations),
            starts_at: rfc3339(self.starts_at),
            ends_at: rfc3339(self.resolved_at.unwrap_or(self.valid_until)),
            generator_url: &self.generator_url,
        }
    }
}

/// A message as `notifications.db` keeps it.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: u64,
    labels: Pairs,
    annotations: Pairs,
    value: Option<f64>,
    starts_at: u64,
    resolved_at: Option<u64>,
    valid_until: u64,
    /// Nanoseconds.
    #[serde(default)]
    valid_for: u64,
    generator_url: String,
}

impl Message {
    /// As it is kept over a restart.
    pub(super) fn to_json(&self) -> String {
        let kept = Kept {
            id: self.id,
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            value: Some(self.value).filter(|value| value.is_finite()),
            starts_at: self.starts_at.0,
            resolved_at: self.resolved_at.map(|at| at.0),
            valid_until: self.valid_until.0,
            valid_for: u64::try_from(self.valid_for.as_nanos()).unwrap_or(u64::MAX),
            generator_url: self.generator_url.clone(),
        };
        serde_json::to_string(&kept).unwrap_or_default()
    }

    /// One that was kept; `None` where it cannot be read.
    pub(super) fn from_json(text: &str) -> Option<Self> {
        let kept: Kept = serde_json::from_str(text).ok()?;
        Some(Self {
            id: kept.id,
            fingerprint: fingerprint(&kept.labels),
            labels: kept.labels,
            annotations: kept.annotations,
            value: kept.value.unwrap_or(f64::NAN),
            starts_at: UnixNano(kept.starts_at),
            resolved_at: kept.resolved_at.map(UnixNano),
            valid_until: UnixNano(kept.valid_until),
            valid_for: Duration::from_nanos(kept.valid_for),
            generator_url: kept.generator_url,
        })
    }

    /// Labels and annotations as JSON objects.
    pub(super) fn pairs_json(&self) -> (String, String) {
        let object = |pairs: &Pairs| serde_json::to_string(&Map(pairs)).unwrap_or_default();
        (object(&self.labels), object(&self.annotations))
    }
}

/// How long an alert holds that does not say it.
const VALID: Duration = Duration::from_secs(240);
/// How long rules may wait after a start, until what was received before it is replayed.
const RESTART_GRACE: Duration = Duration::from_secs(300);

/// `postableAlert`.
#[derive(Debug, Serialize)]
pub(super) struct Postable<'a> {
    labels: Map<'a>,
    annotations: Map<'a>,
    #[serde(rename = "startsAt")]
    starts_at: String,
    #[serde(rename = "endsAt")]
    ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "str::is_empty")]
    generator_url: &'a str,
}

/// Pairs as a JSON object.
#[derive(Debug)]
pub(super) struct Map<'a>(pub(super) &'a [(String, String)]);

impl Serialize for Map<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Each value no longer than `value_bytes_max`, all together no longer than `bytes_max`, sorted as they were.
fn bounded(pairs: &[(String, String)], value_bytes_max: usize, mut bytes_max: usize) -> Pairs {
    let named = pairs.iter().filter(|(name, _)| !name.is_empty());
    let (first, others): (Vec<_>, Vec<_>) =
        named.partition(|(name, _)| LABELS_FIRST.contains(&&**name));
    let cut = first
        .into_iter()
        .chain(others)
        .take(PAIRS_MAX)
        .map(|(name, value)| (cut(name, LABEL_BYTES_MAX), cut(value, value_bytes_max)));
    let fits = |(name, value): &(String, String)| {
        let left = bytes_max.checked_sub(name.len() + value.len());
        bytes_max = left.unwrap_or(bytes_max);
        left.is_some()
    };
    let mut bounded: Pairs = cut.filter(fits).collect();
    bounded.sort();
    bounded
}

/// At most `bytes_max`, cut between characters, with a sign that it was cut.
pub(super) fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let mut end = bytes_max.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::notify) fn pairs(pairs: &[(&str, &str)]) -> Pairs {
        let mut pairs: Pairs =
            pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        pairs.sort();
        pairs
    }

    pub(in crate::notify) const SECOND: u64 = 1_000_000_000;
    /// 2026-11-21T10:00:00Z.
    pub(in crate::notify) const NOW: UnixNano = UnixNano(1_795_255_200 * SECOND);

    /// An alert that began to fire ten seconds ago.
    pub(in crate::notify) fn firing(labels: &[(&str, &str)]) -> Alert {
        let labels = pairs(labels);
        Alert {
            fingerprint: fingerprint(&labels),
            labels,
            annotations: pairs(&[("summary", "25 % of requests fail")]),
            state: State::Firing,
            value: 0.25,
            active_at: UnixNano(NOW.0 - 10 * SECOND),
            fired_at: Some(UnixNano(NOW.0 - 10 * SECOND)),
            keep_firing_since: None,
            resolved_at: None,
            last_sent_at: None,
            valid_until: Some(UnixNano(NOW.0 + 240 * SECOND)),
            generator_url: "http://agent/graph?g0.expr=up".to_owned(),
        }
    }

    pub(in crate::notify) fn resolved(labels: &[(&str, &str)]) -> Alert {
        let resolved_at = Some(UnixNano(NOW.0 + 30 * SECOND));
        Alert { state: State::Inactive, resolved_at, valid_until: None, ..firing(labels) }
    }

    #[test]
    fn a_message_has_external_labels_that_never_hide_its_own() {
        let external = pairs(&[("cluster", "a"), ("job", "other")]);
        let alert = firing(&[("alertname", "X"), ("job", "shop")]);
        let message = Message::of(&alert, &external, NOW).unwrap();
        assert_eq!(message.labels, pairs(&[("alertname", "X"), ("cluster", "a"), ("job", "shop")]));
        assert_eq!(message.id, alert.fingerprint);
        assert_ne!(message.fingerprint, message.id, "receivers see the labels that are sent");
        let json = serde_json::to_string(&message.postable()).unwrap();
        expect_test::expect![[r#"{"labels":{"alertname":"X","cluster":"a","job":"shop"},"annotations":{"summary":"25 % of requests fail"},"startsAt":"2026-11-21T09:59:50.000Z","endsAt":"2026-11-21T10:04:00.000Z","generatorURL":"http://agent/graph?g0.expr=up"}"#]]
        .assert_eq(&json);
        let over = Message::of(&resolved(&[("alertname", "X")]), &[], NOW).unwrap();
        assert!(
            serde_json::to_string(&over.postable())
                .unwrap()
                .contains(r#""endsAt":"2026-11-21T10:00:30.000Z""#)
        );
    }

    #[test]
    fn a_pending_alert_is_nobodys_business() {
        let alert = Alert { state: State::Pending, ..firing(&[("alertname", "X")]) };
        assert_eq!(Message::of(&alert, &[], NOW), None);
    }

    #[test]
    fn a_restart_gives_an_alert_its_validity_again_and_rules_the_time_to_catch_up() {
        let until = |valid: u64| {
            let valid_until = Some(NOW.after(Duration::from_secs(valid)));
            let alert =
                Alert { last_sent_at: Some(NOW), valid_until, ..firing(&[("alertname", "X")]) };
            let kept = Message::of(&alert, &[], NOW).unwrap().to_json();
            let later = NOW.after(Duration::from_secs(9_000));
            Message::from_json(&kept).unwrap().restored(later).valid_until.since(later).as_secs()
        };
        assert_eq!(until(240), 540);
        assert_eq!(until(60), 540, "no less than the usual");
        assert_eq!(until(2_400), 2_700, "a group of 10 minutes speaks 10 minutes after the start");
        let over = Message::of(&resolved(&[("alertname", "X")]), &[], NOW).unwrap();
        assert_eq!(over.clone().restored(NOW), over);
    }

    #[test]
    fn hostile_labels_stay_json_and_are_bounded() {
        let long = "é".repeat(5_000);
        let hostile = "\"},{\"labels\":{\"alertname\":\"Forged\"}}\u{0}\u{1b}[2J\u{202e}";
        let mut alert = firing(&[("alertname", "X"), ("route", hostile), ("long", &long)]);
        alert.labels.extend((0..1_000).map(|n| (format!("z{n:04}"), "v".to_owned())));
        alert.annotations = (0..64).map(|n| (format!("n{n:02}"), long.clone())).collect();
        let message = Message::of(&alert, &[], NOW).unwrap();
        let json = serde_json::to_string(&message.postable()).unwrap();
        let back: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(back["labels"]["route"], hostile);
        assert_eq!(back["labels"]["alertname"], "X");
        let cut = back["labels"]["long"].as_str().unwrap();
        assert!(cut.len() <= LABEL_BYTES_MAX && cut.ends_with('…'), "{}", cut.len());
        assert_eq!(back["labels"].as_object().unwrap().len(), PAIRS_MAX);
        let annotations = back["annotations"].as_object().unwrap();
        assert!((10..20).contains(&annotations.len()), "{}", annotations.len());
        assert!(json.len() < 200 << 10, "{}", json.len());
    }

    #[test]
    fn an_alert_with_too_many_labels_keeps_its_name_and_severity() {
        let mut alert = firing(&[("alertname", "X"), ("severity", "critical")]);
        alert.labels.extend((0..100).map(|n| (format!("a{n:03}"), "v".to_owned())));
        alert.labels.sort();
        let message = Message::of(&alert, &pairs(&[("cluster", "c")]), NOW).unwrap();
        assert_eq!(message.labels.len(), PAIRS_MAX + 1);
        assert!(message.labels.is_sorted());
        let named = ["alertname", "severity", "cluster"].map(|name| message.label(name));
        assert_eq!(named, ["X", "critical", "c"]);
    }
}
