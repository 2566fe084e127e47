//! What the generator shows: progress while it runs, a summary at the end.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::super::terminal::Terminal;
use super::send::{Load, Tally};
use crate::cli::text::ReportFormat;

const QUIET_AT_FIRST: Duration = Duration::from_secs(2);
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// A bar on a terminal, after two seconds; a line every ten seconds elsewhere.
#[derive(Debug)]
pub(super) struct Progress {
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Progress {
    pub(super) fn start(load: &Arc<Load>, terminal: Terminal) -> Self {
        let load = Arc::clone(load);
        let on_screen = std::io::stderr().is_terminal();
        let task = (!terminal.quiet()).then(|| {
            tokio::spawn(async move {
                tokio::join!(refusal(&load, terminal), async {
                    if on_screen { bar(&load).await } else { lines(&load, terminal).await }
                });
            })
        });
        Self { task }
    }

    pub(super) fn finish(self) {
        if let Some(task) = self.task {
            task.abort();
        }
    }
}

/// Clears the bar also when its task is aborted.
struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Why it takes so long is said at once.
async fn refusal(load: &Load, terminal: Terminal) {
    let words = load.first_refusal().await;
    terminal.note(&format!("not taken: {words}; sending it again"));
}

async fn bar(load: &Load) {
    tokio::time::sleep(QUIET_AT_FIRST).await;
    let plan = load.plan();
    let bar = match (plan.count, plan.time) {
        (Some(count), _) => ProgressBar::new(count),
        (None, Some(time)) => ProgressBar::new(milliseconds(time)),
        (None, None) => ProgressBar::new_spinner(),
    };
    let bounded = plan.count.is_some() || plan.time.is_some();
    let template = if bounded { "{bar:32} {percent:>3} %  {msg}" } else { "{spinner}  {msg}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━━╌"));
    }
    let bar = Cleared(bar);
    loop {
        let tally = load.tally();
        let done = if plan.count.is_some() { tally.items } else { milliseconds(load.elapsed()) };
        bar.0.set_position(done);
        bar.0.set_message(line(&tally));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn lines(load: &Load, terminal: Terminal) {
    loop {
        tokio::time::sleep(BETWEEN_LINES).await;
        terminal.note(&format!("{} s: {}", load.elapsed().as_secs(), line(&load.tally())));
    }
}

fn line(tally: &Tally) -> String {
    let mut line = format!("{} items sent, {} acknowledged", tally.items, tally.acknowledged_items);
    let refused: u64 = tally.refused.values().chain(tally.given_up.values()).map(|(_, n)| n).sum();
    let retried: u64 = tally.retried.values().sum();
    for (count, what) in [(refused, "refused"), (retried, "requests sent again")] {
        if count > 0 {
            let _ = write!(line, ", {count} {what}");
        }
    }
    line
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The account, as standard output gets it.
pub(super) fn summary(tally: &Tally, elapsed: Duration, output: ReportFormat) -> String {
    match output {
        ReportFormat::Text => text(tally, elapsed),
        ReportFormat::Json => format!("{:#}\n", json_of(tally, elapsed)),
    }
}

pub(super) fn text(tally: &Tally, elapsed: Duration) -> String {
    let mut out = String::new();
    let seconds = elapsed.as_secs_f64().max(1e-9);
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let per_second = |count: u64| count as f64 / seconds;
    let _ = writeln!(
        out,
        "sent          {} requests, {} items in {seconds:.1} s ({:.0} items/s, {:.1} MB/s uncompressed)",
        tally.requests,
        tally.items,
        per_second(tally.items),
        per_second(tally.bytes) / 1e6,
    );
    let _ = writeln!(
        out,
        "acknowledged  {} requests, {} items",
        tally.acknowledged_requests, tally.acknowledged_items
    );
    if tally.rejected_items > 0 {
        let _ =
            writeln!(out, "rejected      {} items of acknowledged requests", tally.rejected_items);
    }
    for (name, group) in [("refused", &tally.refused), ("given up", &tally.given_up)] {
        for (answer, (requests, items)) in group {
            let _ = writeln!(out, "{name:<13} {requests} requests, {items} items: {answer}");
        }
    }
    for (answer, times) in &tally.retried {
        let _ = writeln!(out, "sent again    {times} times after: {answer}");
    }
    for words in tally.words.values() {
        let _ = writeln!(out, "              for example: {words}");
    }
    if let Some(error) = &tally.ids_error {
        let _ = writeln!(out, "ids           not all written: {error}");
    }
    if let [Some(p50), Some(p99), Some(max)] = quantiles(tally) {
        let _ = writeln!(
            out,
            "latency       p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
            p50 * 1e3,
            p99 * 1e3,
            max * 1e3
        );
    }
    out
}

fn quantiles(tally: &Tally) -> [Option<f64>; 3] {
    [tally.latency.quantile(0.5), tally.latency.quantile(0.99), tally.latency.max()]
}

fn json_of(tally: &Tally, elapsed: Duration) -> serde_json::Value {
    let group = |group: &std::collections::BTreeMap<String, (u64, u64)>| {
        let of = |(answer, (requests, items)): (&String, &(u64, u64))| {
            (answer.clone(), json!({"requests": requests, "items": items}))
        };
        group.iter().map(of).collect::<serde_json::Map<_, _>>()
    };
    let [p50, p99, max] = quantiles(tally);
    json!({
        "schema_version": 1,
        "seconds": elapsed.as_secs_f64(),
        "sent": {"requests": tally.requests, "items": tally.items, "bytes": tally.bytes},
        "acknowledged": {
            "requests": tally.acknowledged_requests,
            "items": tally.acknowledged_items,
            "rejected_items": tally.rejected_items,
        },
        "refused": group(&tally.refused),
        "given_up": group(&tally.given_up),
        "sent_again": tally.retried,
        "latency_seconds": {"p50": p50, "p99": p99, "max": max},
        "ids_error": tally.ids_error,
    })
}
