//! `sidelight alerts`: what fires, who was told of it, and silences.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value, json};
use sidelight_promql::ast::MatchOp;
use sidelight_promql::parse_selector;

use super::client::{Connection, duration};
use super::watch::Watch;
use crate::cli::exit::{Exit, Failure};
use crate::cli::rows::{Column, Shape, limit, parsed, plain, rows, text};
use crate::cli::terminal::Terminal;
use crate::cli::text::Format;

const ALERTS: &str = "/api/sidelight/v1/alerts";
const HISTORY: &str = "/api/sidelight/v1/alerts/history";
const SILENCES: &str = "/api/sidelight/v1/silences";

/// What is done with alerts.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Alerts that are pending, firing or were over in the last 15 minutes.
    Ls(Ls),
    /// When alerts began and ended, or what became of every notification; the newest first.
    History(History),
    /// What nobody is told of for a while.
    #[command(subcommand)]
    Silence(Silence),
}

/// Silences.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Silence {
    /// Make one: `alerts silence add alertname=HighErrorRate 'route=~"/a.*"' --for 2h --comment deploy`.
    Add(Add),
    /// Those that are not over, and those of the last day.
    Ls(Again),
    /// End one now.
    Expire(Expire),
}

/// Where to ask and how to show it.
#[derive(Debug, clap::Args)]
pub(crate) struct Plain {
    /// The format.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    connection: Connection,
}

/// The same, and whether it is shown again.
#[derive(Debug, clap::Args)]
pub(crate) struct Again {
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    plain: Plain,
}

/// `alerts ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    /// Exit with 1 if an alert fires that no silence covers, unless its severity is `none`, as the Watchdog's is.
    #[arg(long, conflicts_with = "watch")]
    exit_code: bool,
    #[command(flatten)]
    again: Again,
}

/// `alerts history`.
#[derive(Debug, clap::Args)]
pub(crate) struct History {
    /// Results of notifications instead of transitions.
    #[arg(long)]
    deliveries: bool,
    /// Only this alert.
    #[arg(long, conflicts_with = "deliveries")]
    name: Option<String>,
    /// Only alerts of this service.
    #[arg(long, conflicts_with = "deliveries")]
    service: Option<String>,
    /// Only `firing` or `resolved`.
    #[arg(long, conflicts_with = "deliveries")]
    state: Option<String>,
    /// Only this receiver.
    #[arg(long, requires = "deliveries")]
    receiver: Option<String>,
    /// Only what is younger than this.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    since: Option<Duration>,
    /// At most this many.
    #[arg(short = 'n', long, value_name = "ROWS", default_value = "100", value_parser = limit)]
    limit: usize,
    #[command(flatten)]
    again: Again,
}

/// `alerts silence add`.
#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// Conditions on labels, all of which must hold: `name=value`, `!=`, `=~` and `!~` with a regular expression; or a list
    /// of them as PromQL writes it.
    #[arg(required = true, value_name = "MATCHER")]
    matchers: Vec<String>,
    /// How long.
    #[arg(long = "for", value_name = "DURATION", default_value = "1h", value_parser = duration)]
    length: Duration,
    /// Why.
    #[arg(short, long, default_value = "")]
    comment: String,
    /// Who. Default: the user's name.
    #[arg(long, env = "USER", default_value = "")]
    author: String,
    #[command(flatten)]
    plain: Plain,
}

/// `alerts silence expire`.
#[derive(Debug, clap::Args)]
pub(crate) struct Expire {
    /// Ids of silences.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn execute(what: &What, terminal: &Terminal) -> Result<Exit, Failure> {
    match what {
        What::Ls(args) => {
            let mut fires = false;
            let note = |document: &Value| fires = rows(document, "alerts").iter().any(is_loud);
            args.again.show(|| ALERTS.to_owned(), &ALERT_ROWS, terminal, note).await?;
            Ok(if args.exit_code && fires { Exit::Failed } else { Exit::Ok })
        }
        What::History(args) => {
            let shape = if args.deliveries { &DELIVERY_ROWS } else { &TRANSITION_ROWS };
            let note = |document: &Value| {
                if document.get("next").is_some_and(|next| !next.is_null()) {
                    terminal.note("there is more: raise `-n`, or narrow it down");
                }
            };
            args.again.show(|| args.path(), shape, terminal, note).await
        }
        What::Silence(Silence::Ls(args)) => {
            args.show(|| SILENCES.to_owned(), &SILENCE_ROWS, terminal, |_| ()).await
        }
        What::Silence(Silence::Add(args)) => {
            let body = Bytes::from(args.document()?.to_string());
            let connection = &args.plain.connection;
            let made = parsed(&connection.change(Method::POST, SILENCES, body).await?)?;
            if matches!(args.plain.output, Format::Table) {
                terminal.data(&format!("{}\n", text(&made, "id")))?;
            } else {
                terminal.data(&format!("{made}\n"))?;
            }
            Ok(Exit::Ok)
        }
        What::Silence(Silence::Expire(args)) => {
            for id in &args.ids {
                let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
                let path = format!("{SILENCES}/{id}");
                args.connection.change(Method::DELETE, &path, Bytes::new()).await?;
            }
            Ok(Exit::Ok)
        }
    }
}

/// Whether an alert asks for somebody.
fn is_loud(alert: &Value) -> bool {
    text(alert, "state") == "firing"
        && text(alert, "silencedBy").is_empty()
        && label(alert, "severity") != "none"
}

impl Again {
    /// Shows the list at `path`, and tells `note` what it was.
    async fn show(
        &self,
        path: impl Fn() -> String,
        shape: &Shape,
        terminal: &Terminal,
        mut note: impl FnMut(&Value),
    ) -> Result<Exit, Failure> {
        let Plain { output, connection } = &self.plain;
        self.watch
            .repeat(terminal, async || {
                let document = parsed(&connection.document(&path()).await?)?;
                note(&document);
                Ok(shape.shown(&document, *output, terminal))
            })
            .await
    }
}

impl History {
    fn path(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if self.deliveries {
            query.append_pair("what", "deliveries");
        }
        let given = [
            ("name", &self.name),
            ("service", &self.service),
            ("state", &self.state),
            ("receiver", &self.receiver),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        if let Some(since) = self.since {
            use crate::time::Clock as _;
            let now = crate::time::SystemClock::new().unix_nano().as_ms();
            let from = now.saturating_sub(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
            query.append_pair("since", &format!("{}.{:03}", from / 1_000, from % 1_000));
        }
        query.append_pair("limit", &self.limit.to_string());
        format!("{HISTORY}?{}", query.finish())
    }
}

impl Add {
    fn document(&self) -> Result<Value, Failure> {
        let matchers = self.matchers.iter().map(|text| matchers(text));
        let matchers: Vec<Vec<Value>> = matchers.collect::<Result<_, _>>()?;
        Ok(json!({
            "matchers": matchers.concat(),
            "durationSeconds": self.length.as_secs_f64(),
            "createdBy": self.author,
            "comment": self.comment,
        }))
    }
}

/// The conditions of one argument: a list as PromQL writes it, or one condition without quotes around its value.
fn matchers(text: &str) -> Result<Vec<Value>, Failure> {
    let document = |name: &str, op: MatchOp, value: &str| {
        json!({
            "name": name,
            "value": value,
            "isRegex": matches!(op, MatchOp::Regex | MatchOp::NotRegex),
            "isEqual": matches!(op, MatchOp::Equal | MatchOp::Regex),
        })
    };
    let refuse = || {
        let what = format!("`{text}` is not a matcher");
        Failure::new(Exit::Usage, what).help(
            "write `name=value`, or `!=`, `=~`, `!~`; each is an argument of its own, and a value with `,`, quotes or a sign \
             before it stands in quotes",
        )
    };
    let parsed = parse_selector(&format!("{{{text}}}"));
    if let Ok(list) = parsed.as_deref()
        && !list.is_empty()
    {
        return Ok(list.iter().map(|it| document(&it.name, it.op, &it.value)).collect());
    }
    if let Err(error) = &parsed
        && let Some(why) = error.message.strip_prefix("error parsing regexp: ")
    {
        let what = format!("the regular expression in `{text}` is not valid: {why}");
        return Err(Failure::new(Exit::Usage, what));
    }
    let at = text.find(['=', '!']).ok_or_else(refuse)?;
    let (name, rest) = text.split_at(at);
    let signs = [MatchOp::Regex, MatchOp::NotRegex, MatchOp::NotEqual, MatchOp::Equal];
    let sign = signs.into_iter().find(|sign| rest.starts_with(sign.name())).ok_or_else(refuse)?;
    let value = rest.strip_prefix(sign.name()).unwrap_or_default();
    let name = name.trim();
    // What could be meant otherwise is not guessed at: a silence must not cover more than was typed.
    let plain = !value.starts_with(['=', '~', '!']) && !value.contains([',', '"', '\'', '`']);
    if name.is_empty() || name.contains([',', '"', '\'', '`', ' ']) || !plain {
        return Err(refuse());
    }
    Ok(vec![document(name, sign, value)])
}

const ALERT_ROWS: Shape = Shape {
    list: "alerts",
    columns: &[
        Column::text("ALERT", |row| label(row, "alertname")),
        Column::text("STATE", |row| {
            let silenced = !text(row, "silencedBy").is_empty();
            let state = text(row, "state");
            if silenced { format!("{state} (silenced)") } else { state }
        }),
        Column::text("SEVERITY", |row| label(row, "severity")),
        Column::text("SINCE", |row| {
            let started = text(row, "startsAt");
            if started.is_empty() { text(row, "activeAt") } else { started }
        }),
        Column::number("VALUE", |row| text(row, "value")),
        Column::text("LABELS", |row| labels(row, &["alertname", "severity"])),
        Column::text("SUMMARY", |row| {
            row.pointer("/annotations/summary").map_or_else(String::new, plain)
        }),
    ],
    none: "no alert is pending or firing",
};

const TRANSITION_ROWS: Shape = Shape {
    list: "rows",
    columns: &[
        Column::text("AT", |row| text(row, "at")),
        Column::text("ALERT", |row| text(row, "name")),
        Column::text("STATE", |row| text(row, "state")),
        Column::number("VALUE", |row| text(row, "value")),
        Column::text("SILENCED", |row| text(row, "silencedBy")),
        Column::text("LABELS", |row| labels(row, &["alertname"])),
    ],
    none: "no alert fired or was over in this time",
};

const DELIVERY_ROWS: Shape = Shape {
    list: "rows",
    columns: &[
        Column::text("AT", |row| text(row, "at")),
        Column::text("RECEIVER", |row| text(row, "receiver")),
        Column::text("OUTCOME", |row| text(row, "outcome")),
        Column::number("FIRING", |row| text(row, "firing")),
        Column::number("RESOLVED", |row| text(row, "resolved")),
        Column::text("GROUP", |row| text(row, "subject")),
        Column::text("DETAIL", |row| text(row, "detail")),
    ],
    none: "nobody was told of anything in this time",
};

const SILENCE_ROWS: Shape = Shape {
    list: "silences",
    columns: &[
        Column::text("ID", |row| text(row, "id")),
        Column::text("STATE", |row| text(row, "status")),
        Column::text("MATCHERS", |row| {
            let sign = |matcher: &Value| {
                let is = |name: &str| matcher.get(name).and_then(Value::as_bool) == Some(true);
                match (is("isRegex"), is("isEqual")) {
                    (false, true) => "=",
                    (false, false) => "!=",
                    (true, true) => "=~",
                    (true, false) => "!~",
                }
            };
            let shown = rows(row, "matchers").iter().map(|matcher| {
                format!("{}{}{:?}", text(matcher, "name"), sign(matcher), text(matcher, "value"))
            });
            shown.collect::<Vec<_>>().join(" ")
        }),
        Column::text("ENDS", |row| text(row, "endsAt")),
        Column::text("BY", |row| text(row, "createdBy")),
        Column::text("COMMENT", |row| text(row, "comment")),
    ],
    none: "there are no silences",
};

fn label(row: &Value, name: &str) -> String {
    row.get("labels").map_or_else(String::new, |labels| text(labels, name))
}

/// Every label but those that have a column.
fn labels(row: &Value, shown: &[&str]) -> String {
    let none = Map::new();
    let labels = row.get("labels").and_then(Value::as_object).unwrap_or(&none);
    let rest = labels.iter().filter(|(name, _)| !shown.contains(&name.as_str()));
    rest.map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_read_with_and_without_quotes() {
        for (text, name, value, regex, equal) in [
            ("alertname=HighErrorRate", "alertname", "HighErrorRate", false, true),
            ("route!=/a=b", "route", "/a=b", false, false),
            ("a=~b|c.*", "a", "b|c.*", true, true),
            (r#"a!~"x\"y""#, "a", "x\"y", true, false),
            ("a='b c'", "a", "b c", false, true),
            ("a=", "a", "", false, true),
        ] {
            let expected =
                json!({"name": name, "value": value, "isRegex": regex, "isEqual": equal});
            assert_eq!(matchers(text).unwrap(), [expected], "{text}");
        }
        for text in ["alertname", "a!b", "a=\"b", "a='b' or vector(1)", "", ",", "=a", "a b=c"] {
            assert_eq!(
                matchers(text).err().map(|failure| failure.exit),
                Some(Exit::Usage),
                "{text}"
            );
        }
    }

    #[test]
    fn a_regular_expression_that_is_none_is_said_and_why() {
        let failure = matchers(r#"a=~"[""#).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.what.starts_with("the regular expression in"), "{failure:?}");
        assert!(failure.what.contains("unclosed character class"), "{failure:?}");
    }

    #[test]
    fn a_silence_is_never_wider_than_what_was_typed() {
        let both = matchers(r#"alertname="X",severity="critical""#).unwrap();
        let names: Vec<_> = both.iter().map(|matcher| text(matcher, "name")).collect();
        assert_eq!(names, ["alertname", "severity"]);
        for text in ["a==b", "a!==b", "alertname=Y,severity=z", r#"alertname=Y,severity="z""#] {
            assert_eq!(
                matchers(text).err().map(|failure| failure.exit),
                Some(Exit::Usage),
                "{text}"
            );
        }
    }

    #[test]
    fn alerts_that_always_fire_are_not_loud() {
        let alert = |severity: &str, silenced: Option<&str>| {
            let labels = json!({"alertname": "X", "severity": severity});
            json!({"state": "firing", "labels": labels, "silencedBy": silenced})
        };
        assert!(is_loud(&alert("critical", None)) && is_loud(&json!({"state": "firing"})));
        assert!(!is_loud(&alert("critical", Some("ab"))) && !is_loud(&alert("none", None)));
    }

    #[test]
    fn alerts_are_rows_with_what_is_silenced_marked() {
        let document = json!({"alerts": [
            {"state": "firing", "labels": {"alertname": "X", "severity": "critical", "route": "/a\u{1b}[2J"},
             "annotations": {"summary": "it fails"}, "value": 0.25, "startsAt": "2026-11-21T10:00:00.000Z",
             "silencedBy": "ab"},
            {"state": "pending", "labels": {"alertname": "Y"}, "annotations": {}, "value": null,
             "activeAt": "2026-11-21T10:00:00.000Z", "startsAt": null, "silencedBy": null}]});
        let shown = ALERT_ROWS.table(&document);
        expect_test::expect![[r#"
            ALERT  STATE              SEVERITY  SINCE                     VALUE  LABELS        SUMMARY
            X      firing (silenced)  critical  2026-11-21T10:00:00.000Z   0.25  route=/a�[2J  it fails
            Y      pending                      2026-11-21T10:00:00.000Z
        "#]].assert_eq(&shown);
    }
}
