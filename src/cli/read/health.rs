//! `sidelight health`: for container health checks where there is no curl.

use http::StatusCode;
use serde_json::Value;

use super::client::{Answer, Connection, OTHER_PORT};
use crate::cli::exit::{Exit, Failure};
use crate::cli::rows;
use crate::cli::terminal::Terminal;
use crate::cli::text::ReportFormat;

/// What is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ask whether it is ready to take data, not only alive.
    #[arg(long)]
    ready: bool,
    /// The format: nothing, or what is wrong, for people on standard error; or the agent's answer on standard output.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: ReportFormat,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn execute(args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let (path, key) = if args.ready { ("/readyz", "ready") } else { ("/healthz", "alive") };
    let answer = args.connection.get(path).await?;
    let (well, document) = told(&answer, key).ok_or_else(|| {
        let (url, status) = (args.connection.url(), answer.status);
        let what = format!("what answers at {url} is not this agent: {status}");
        Failure::new(Exit::Failed, what).help(OTHER_PORT)
    })?;
    match args.output {
        ReportFormat::Json => {
            terminal.data(&format!("{}\n", String::from_utf8_lossy(&answer.body)))?;
        }
        ReportFormat::Text => {
            if let Some(said) = reasons(&answer, key, well, &document) {
                terminal.note(&said);
            }
        }
    }
    Ok(if well { Exit::Ok } else { Exit::Failed })
}

/// Whether it says that it is well, and all that it says; `None` where it is no agent: any web page is answered with 200.
fn told(answer: &Answer, key: &str) -> Option<(bool, Value)> {
    let document: Value = serde_json::from_slice(&answer.body).ok()?;
    let well = document.get(key)?.as_bool()?;
    Some((well && answer.status == StatusCode::OK, document))
}

/// Why it is not well, or what is to be looked at although it is.
fn reasons(answer: &Answer, key: &str, well: bool, document: &Value) -> Option<String> {
    let reasons: Vec<String> = rows::rows(document, "reasons").iter().map(rows::plain).collect();
    match (well, reasons.as_slice()) {
        (true, []) => None,
        (false, []) => Some(format!("not {key}: the agent answered {}", answer.status)),
        (true, _) => Some(format!("{key}, but: {}", reasons.join("; "))),
        (false, _) => Some(format!("not {key}: {}", reasons.join("; "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_page_is_no_healthy_agent() {
        let told = |status: u16, body: &'static str, key| {
            let status = StatusCode::from_u16(status).unwrap();
            told(&Answer { status, body: body.into() }, key).map(|(well, _)| well)
        };
        assert_eq!(told(200, "<html>welcome</html>", "alive"), None);
        assert_eq!(told(200, "{}", "alive"), None);
        assert_eq!(told(404, r#"{"code":12,"message":"no such path"}"#, "alive"), None);
        assert_eq!(told(200, r#"{"alive":true}"#, "alive"), Some(true));
        assert_eq!(told(503, r#"{"ready":false,"reasons":["full"]}"#, "ready"), Some(false));
    }

    #[test]
    fn what_is_wrong_is_said_also_where_it_is_ready() {
        let said = |well, reasons: &[&str]| {
            let answer = Answer { status: StatusCode::OK, body: "".into() };
            let document = serde_json::json!({ "reasons": reasons });
            super::reasons(&answer, "ready", well, &document)
        };
        assert_eq!(said(true, &[]), None);
        assert_eq!(said(true, &["a is away"]).unwrap(), "ready, but: a is away");
        assert_eq!(said(false, &["a", "b"]).unwrap(), "not ready: a; b");
        assert_eq!(said(false, &[]).unwrap(), "not ready: the agent answered 200 OK");
    }
}
