//! Rule groups and alerts.
//!
//! Source: Prometheus 3.15, "HTTP API", "Rules" and "Alerts".

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sidelight_promql::ast::Matcher;
use sidelight_promql::value::{Number, exponent};

use super::envelope::Success;
use crate::alert::status::{GroupStatus, RuleStatus};
use crate::alert::{Alert, Pairs, fingerprint};
use crate::api::call::Call;
use crate::api::failure::Failure;
use crate::api::params::Params;
use crate::api::reply::Reply;
use crate::time::UnixNano;

/// Before the first evaluation, as Go writes the time that it has none of.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) fn rules(call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(Success::value(&found(call.params, (call.sources.rules)())?).into_reply())
}

fn found(params: &Params, mut groups: Vec<GroupStatus>) -> Result<Value, Failure> {
    let wanted = Wanted::of(params)?;
    groups.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
    let mut shown = Vec::new();
    let mut next = None;
    let mut begun = wanted.page.and_then(|(_, token)| token).is_none();
    for group in &groups {
        begun |= wanted.page.is_some_and(|(_, wanted)| wanted == Some(&token(group)));
        if !begun || !wanted.group(group) {
            continue;
        }
        let rules: Vec<Value> =
            group.rules.iter().filter(|rule| wanted.rule(rule)).map(|r| rule(r, &wanted)).collect();
        if rules.is_empty() {
            continue;
        }
        if wanted.page.is_some_and(|(limit, _)| shown.len() == limit) {
            next = Some(token(group));
            break;
        }
        shown.push(json!({
            "name": group.name,
            "file": group.file,
            "rules": rules,
            "interval": group.interval.as_secs_f64(),
            "limit": group.limit,
            "evaluationTime": group.took.as_secs_f64(),
            "lastEvaluation": time(group.last),
        }));
    }
    if let (false, Some((_, Some(token)))) = (begun, wanted.page) {
        let why = format!("invalid group_next_token '{token}'. were rule groups changed?");
        return Err(Failure::parameter("group_next_token", why));
    }
    let mut data = json!({ "groups": shown });
    if let (Some(next), Some(data)) = (next, data.as_object_mut()) {
        data.insert("groupNextToken".to_owned(), json!(next));
    }
    Ok(data)
}

pub(super) fn alerts(call: &Call<'_>) -> Result<Reply, Failure> {
    let groups = (call.sources.rules)();
    let rules = groups.iter().flat_map(|group| &group.rules);
    let alerts = rules.filter_map(|rule| rule.alerting.as_ref()).flat_map(|rule| &rule.alerts);
    let alerts: Vec<Value> = alerts.map(alert).collect();
    Ok(Success::value(&json!({ "alerts": alerts })).into_reply())
}

/// Which groups and rules are asked for.
struct Wanted<'a> {
    alerting: bool,
    recording: bool,
    without_alerts: bool,
    names: Vec<&'a str>,
    groups: Vec<&'a str>,
    files: Vec<&'a str>,
    selectors: Vec<Vec<Matcher>>,
    /// The most groups, and the first of them.
    page: Option<Page<'a>>,
}

impl<'a> Wanted<'a> {
    fn of(params: &'a Params) -> Result<Self, Failure> {
        let kind = params.first("type").unwrap_or_default().to_ascii_lowercase();
        let (alerting, recording) = match &*kind {
            "" => (true, true),
            "alert" => (true, false),
            "record" => (false, true),
            other => {
                return Err(Failure::parameter(
                    "type",
                    format_args!("not supported value {other:?}"),
                ));
            }
        };
        let without_alerts = match params.first("exclude_alerts") {
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
            Some(other) => {
                let why = format_args!("error converting exclude_alerts: {other:?} is no boolean");
                return Err(Failure::parameter("exclude_alerts", why));
            }
        };
        Ok(Self {
            alerting,
            recording,
            without_alerts,
            names: params.all("rule_name[]").collect(),
            groups: params.all("rule_group[]").collect(),
            files: params.all("file[]").collect(),
            selectors: params.selectors()?,
            page: page(params)?,
        })
    }

    fn group(&self, group: &GroupStatus) -> bool {
        let one_of = |names: &[&str], name: &str| names.is_empty() || names.contains(&name);
        one_of(&self.groups, &group.name) && one_of(&self.files, &group.file)
    }

    fn rule(&self, rule: &RuleStatus) -> bool {
        let kind = if rule.alerting.is_some() { self.alerting } else { self.recording };
        let named = self.names.is_empty() || self.names.contains(&&*rule.name);
        let value = |name: &str| {
            rule.labels.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
        };
        let meets = |matchers: &Vec<Matcher>| matchers.iter().all(|m| m.matches(value(&m.name)));
        kind && named && (self.selectors.is_empty() || self.selectors.iter().any(meets))
    }
}

/// The most groups of an answer, and the token of the first.
type Page<'a> = (usize, Option<&'a str>);

fn page(params: &Params) -> Result<Option<Page<'_>>, Failure> {
    let token = params.first("group_next_token");
    match (params.first("group_limit"), token) {
        (None, None) => Ok(None),
        (None, Some(_)) => {
            let why = "group_limit needs to be present in order to paginate over the groups";
            Err(Failure::parameter("group_next_token", why))
        }
        (Some(limit), token) => match limit.parse::<u32>() {
            Ok(0) => {
                Err(Failure::parameter("group_limit", "group_limit needs to be greater than 0"))
            }
            Ok(limit) => Ok(Some((limit as usize, token))),
            Err(error) => {
                let why = format_args!("group_limit needs to be a valid number: {error}");
                Err(Failure::parameter("group_limit", why))
            }
        },
    }
}

/// Names a group in `group_next_token`.
fn token(group: &GroupStatus) -> String {
    let key = [("file".to_owned(), group.file.clone()), ("name".to_owned(), group.name.clone())];
    format!("{:016x}", fingerprint(&key))
}

fn rule(rule: &RuleStatus, wanted: &Wanted<'_>) -> Value {
    let mut shown = json!({
        "name": rule.name,
        "query": rule.query,
        "labels": map(&rule.labels),
        "health": match (&rule.error, rule.last) {
            (Some(_), _) => "err",
            (None, Some(_)) => "ok",
            (None, None) => "unknown",
        },
        "evaluationTime": rule.took.as_secs_f64(),
        "lastEvaluation": time(rule.last),
        "type": if rule.alerting.is_some() { "alerting" } else { "recording" },
    });
    let Some(fields) = shown.as_object_mut() else { return shown };
    if let Some(error) = &rule.error {
        fields.insert("lastError".to_owned(), json!(error));
    }
    if let Some(alerting) = &rule.alerting {
        let alerts: Value = if wanted.without_alerts {
            Value::Null
        } else {
            alerting.alerts.iter().map(alert).collect()
        };
        // Nobody has looked, and no run before left alerts that say more.
        let unknown = rule.last.is_none() && alerting.alerts.is_empty();
        let state = if unknown { "unknown" } else { alerting.state().name() };
        for (name, value) in [
            ("state", json!(state)),
            ("duration", json!(alerting.hold.as_secs_f64())),
            ("keepFiringFor", json!(alerting.keep_firing_for.as_secs_f64())),
            ("annotations", json!(map(&alerting.annotations))),
            ("alerts", alerts),
        ] {
            fields.insert(name.to_owned(), value);
        }
    }
    shown
}

fn alert(alert: &Alert) -> Value {
    let mut shown = json!({
        "labels": map(&alert.labels),
        "annotations": map(&alert.annotations),
        "state": alert.state.name(),
        "activeAt": time(Some(alert.active_at)),
        "value": scientific(alert.value),
    });
    if let (Some(since), Some(fields)) = (alert.keep_firing_since, shown.as_object_mut()) {
        fields.insert("keepFiringSince".to_owned(), json!(time(Some(since))));
    }
    shown
}

fn map(pairs: &Pairs) -> BTreeMap<&str, &str> {
    pairs.iter().map(|(name, value)| (&**name, &**value)).collect()
}

fn time(time: Option<UnixNano>) -> String {
    time.map_or_else(|| NEVER.to_owned(), UnixNano::rfc3339)
}

/// A number as Go's `%e` without a precision writes it: `1e+00`, `1.25e-07`.
fn scientific(value: f64) -> String {
    if !value.is_finite() {
        return Number(value).to_string();
    }
    exponent(&format!("{value:e}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::alert::State;
    use crate::alert::status::AlertingStatus;

    fn pairs(pairs: &[(&str, &str)]) -> Pairs {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn groups() -> Vec<GroupStatus> {
        let at = UnixNano(1_700_000_000_250_000_000);
        let firing = Alert {
            labels: pairs(&[("alertname", "Down"), ("severity", "page")]),
            annotations: pairs(&[("summary", "it is 0.25")]),
            state: State::Firing,
            value: 0.25,
            active_at: at,
            fired_at: Some(at),
            keep_firing_since: Some(at),
            resolved_at: None,
            last_sent_at: None,
            valid_until: None,
            generator_url: String::new(),
            fingerprint: 0,
        };
        let record = RuleStatus {
            name: "job:up:sum".to_owned(),
            query: "sum by (job) (up)".to_owned(),
            labels: Vec::new(),
            error: Some("no".to_owned()),
            took: Duration::from_millis(2),
            last: Some(at),
            alerting: None,
        };
        let alerting = AlertingStatus {
            hold: Duration::from_secs(60),
            keep_firing_for: Duration::ZERO,
            annotations: pairs(&[("summary", "it is {{ $value }}")]),
            alerts: vec![firing],
        };
        let alert = RuleStatus {
            name: "Down".to_owned(),
            labels: pairs(&[("severity", "page")]),
            error: None,
            alerting: Some(alerting),
            ..record.clone()
        };
        let group = |name: &str, rules: Vec<RuleStatus>| GroupStatus {
            name: name.to_owned(),
            file: "a.yaml".to_owned(),
            interval: Duration::from_secs(60),
            limit: 0,
            rules,
            took: Duration::from_millis(5),
            last: None,
        };
        vec![group("b", vec![alert.clone(), record]), group("a", vec![alert])]
    }

    fn asked(query: &str) -> Result<Value, Failure> {
        let params = Params::new(Some(query), b"");
        found(&params, groups())
    }

    fn names(data: &Value) -> Vec<String> {
        let groups = data["groups"].as_array().unwrap();
        let rules = |group: &Value| {
            let names = group["rules"]
                .as_array()
                .unwrap()
                .iter()
                .map(|rule| rule["name"].as_str().unwrap().to_owned());
            format!("{}: {}", group["name"].as_str().unwrap(), names.collect::<Vec<_>>().join(" "))
        };
        groups.iter().map(rules).collect()
    }

    #[test]
    fn a_rule_that_nobody_has_looked_at_is_unknown_and_not_inactive() {
        let mut groups = groups();
        let mut states = |last, alerts: bool| {
            let rule = &mut groups[1].rules[0];
            rule.last = last;
            if !alerts {
                rule.alerting.as_mut().unwrap().alerts.clear();
            }
            let shown = found(&Params::new(None, b""), groups.clone()).unwrap();
            shown["groups"][0]["rules"][0]["state"].as_str().unwrap().to_owned()
        };
        assert_eq!(states(None, true), "firing", "since before the start");
        assert_eq!(states(None, false), "unknown");
        assert_eq!(states(Some(UnixNano(1)), false), "inactive");
    }

    #[test]
    fn groups_are_sorted_and_filtered() {
        assert_eq!(names(&asked("").unwrap()), ["a: Down", "b: Down job:up:sum"]);
        assert_eq!(names(&asked("type=record").unwrap()), ["b: job:up:sum"]);
        assert_eq!(names(&asked("type=alert&rule_group[]=b").unwrap()), ["b: Down"]);
        assert_eq!(names(&asked("rule_name[]=job:up:sum").unwrap()), ["b: job:up:sum"]);
        assert!(names(&asked("file[]=x").unwrap()).is_empty());
        assert_eq!(names(&asked("match[]={severity=\"page\"}").unwrap()), ["a: Down", "b: Down"]);
        assert!(asked("type=x").is_err() && asked("exclude_alerts=x").is_err());
    }

    #[test]
    fn pages_follow_each_other() {
        let first = asked("group_limit=1").unwrap();
        assert_eq!(names(&first), ["a: Down"]);
        let token = first["groupNextToken"].as_str().unwrap();
        let second = asked(&format!("group_limit=1&group_next_token={token}")).unwrap();
        assert_eq!(names(&second), ["b: Down job:up:sum"]);
        assert!(second.get("groupNextToken").is_none());
        for wrong in [
            "group_limit=0",
            "group_limit=x",
            "group_next_token=x",
            "group_limit=1&group_next_token=x",
        ] {
            assert!(asked(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_rule_is_shown_as_prometheus_does() {
        let data = asked("type=alert&rule_group[]=a").unwrap();
        assert_eq!(
            data["groups"][0]["rules"][0],
            json!({
                "state": "firing", "name": "Down", "query": "sum by (job) (up)", "duration": 60.0, "keepFiringFor": 0.0,
                "labels": {"severity": "page"}, "annotations": {"summary": "it is {{ $value }}"},
                "alerts": [{
                    "labels": {"alertname": "Down", "severity": "page"}, "annotations": {"summary": "it is 0.25"},
                    "state": "firing", "activeAt": "2023-11-14T22:13:20.25Z",
                    "keepFiringSince": "2023-11-14T22:13:20.25Z", "value": "2.5e-01"
                }],
                "health": "ok", "evaluationTime": 0.002, "lastEvaluation": "2023-11-14T22:13:20.25Z", "type": "alerting"
            })
        );
        assert_eq!(data["groups"][0]["lastEvaluation"], NEVER);
        assert_eq!(
            asked("exclude_alerts=true").unwrap()["groups"][0]["rules"][0]["alerts"],
            Value::Null
        );
        let failed = asked("type=record").unwrap();
        assert_eq!(failed["groups"][0]["rules"][0]["lastError"], "no");
        assert_eq!(failed["groups"][0]["rules"][0]["health"], "err");
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, expected) in [
            (1.0, "1e+00"),
            (0.25, "2.5e-01"),
            (-1.5e-7, "-1.5e-07"),
            (1e100, "1e+100"),
            (0.0, "0e+00"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(scientific(value), expected);
        }
    }
}
