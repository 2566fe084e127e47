//! However a program ends, what it recorded arrives: the shutdown matrix.
//!
//! Each row is a process of its own, this program called with `child NAME`, so that ends on the real main thread, panics and
//! signals are real. That is why there is no test harness here; the options `--list` and a filter are understood.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is a test, which the lint only sees with the standard harness"
)]

mod collector;
mod ending;

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use collector::{Arrived, Collector};
use ending::{ENDINGS, Ending, Ends, FIRST_PROCESS, SPANS};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;

/// A row, and how OTLP travels in it.
type Case = (String, &'static Ending, Over);

#[derive(Clone, Copy)]
enum Over {
    Grpc,
    Unix,
    Http,
    Https,
}

#[expect(clippy::print_stdout, reason = "reports as the standard harness does")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, name] = arguments.as_slice()
        && first == "child"
    {
        let ending =
            ENDINGS.iter().find(|ending| ending.name == name).expect("an ending of that name");
        (ending.run)();
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let mut cases = cases();
    if !in_a_namespace().arg("true").status().is_ok_and(|status| status.success()) {
        println!("left out: {FIRST_PROCESS}: there are no namespaces of processes here");
        cases.retain(|(name, ..)| name != FIRST_PROCESS);
    }
    cases.retain(|(name, ..)| filter.is_none_or(|filter| name.contains(filter.as_str())));
    report(&cases, arguments.iter().any(|argument| argument == "--list"))
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        ENDINGS.iter().map(|ending| (ending.name.to_owned(), ending, Over::Grpc)).collect();
    for ending in ENDINGS
        .iter()
        .filter(|ending| matches!(ending.name, "current_thread_drop_in_main" | "no_runtime"))
    {
        cases.push((format!("{}_over_a_unix_socket", ending.name), ending, Over::Unix));
        cases.push((format!("{}_over_http", ending.name), ending, Over::Http));
        cases.push((format!("{}_over_https", ending.name), ending, Over::Https));
    }
    cases
}

#[expect(clippy::print_stdout, reason = "reports as the standard harness does")]
fn report(cases: &[Case], list: bool) -> ExitCode {
    if list {
        cases.iter().for_each(|(name, ..)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", cases.len());
    let mut failed = 0;
    for (name, ending, over) in cases {
        match check(ending, *over) {
            Ok(()) => println!("test {name} ... ok"),
            Err(problems) => {
                failed += 1;
                println!("test {name} ... FAILED\n{}", problems.join("\n"));
            }
        }
    }
    let (verdict, passed) = (if failed == 0 { "ok" } else { "FAILED" }, cases.len() - failed);
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check(ending: &Ending, over: Over) -> Result<(), Vec<String>> {
    let directory = tempfile::tempdir().expect("a directory for a socket or a certificate");
    let authority = directory.path().join("authority.pem");
    let collector = match over {
        Over::Grpc => Collector::grpc(),
        Over::Unix => Collector::unix(&directory.path().join("otlp.sock")),
        Over::Http => Collector::http(),
        Over::Https => Collector::https(&authority),
    };
    let status = run(ending, over, &collector, &authority);
    let mut problems = Vec::new();
    let ended = match ending.ends {
        Ends::Code(code) => status.code() == Some(code),
        Ends::Terminated => status.signal() == Some(15),
    };
    if !ended {
        problems.push(format!("  ended with {status}, not {:?}", ending.ends));
    }
    arrived(&collector.arrived, ending.name.starts_with("panic"), &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn run(ending: &Ending, over: Over, collector: &Collector, authority: &Path) -> ExitStatus {
    let program = std::env::current_exe().expect("this program");
    let mut command = if ending.name == FIRST_PROCESS {
        let mut first = in_a_namespace();
        first.arg(program);
        first
    } else {
        Command::new(program)
    };
    command.args(["child", ending.name]).env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    if matches!(over, Over::Http | Over::Https) {
        command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    }
    if matches!(over, Over::Https) {
        command.env("OTEL_EXPORTER_OTLP_CERTIFICATE", authority);
    }
    let mut child = command.spawn().expect("this program runs");
    if ending.name.starts_with("sigterm") {
        terminate_when_ready(&mut child);
    }
    child.wait().expect("the child ends")
}

/// Runs the program that is added as the first process of a namespace of its own.
fn in_a_namespace() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--pid", "--fork"]).stderr(Stdio::null());
    command
}

fn terminate_when_ready(child: &mut Child) {
    let output = child.stdout.take().expect("a pipe");
    let ready = BufReader::new(output).lines().map_while(Result::ok).any(|line| line == "ready");
    assert!(ready, "the child ended before it was ready");
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.is_ok_and(|status| status.success()), "SIGTERM was not sent");
}

fn arrived(arrived: &Arrived, panicked: bool, problems: &mut Vec<String>) {
    let spans = arrived.spans();
    if spans.len() != SPANS {
        problems.push(format!("  {} of {SPANS} spans arrived", spans.len()));
    }
    let orders: Option<i64> =
        arrived.metrics().iter().rev().find(|metric| metric.name == "orders").map(|metric| {
            let Some(Data::Sum(sum)) = &metric.data else { return 0 };
            sum.data_points
                .iter()
                .map(|point| if let Some(Value::AsInt(value)) = point.value { value } else { 0 })
                .sum()
        });
    if orders != Some(SPANS as i64) {
        problems.push(format!("  the counter arrived as {orders:?}"));
    }
    let logs = arrived.logs();
    let placed =
        logs.iter().find(|log| log.attributes.iter().any(|attribute| attribute.key == "order"));
    match placed {
        None => {
            problems.push(format!("  the log line is not among the {} that arrived", logs.len()))
        }
        Some(log)
            if !spans
                .iter()
                .any(|span| span.span_id == log.span_id && span.trace_id == log.trace_id) =>
        {
            problems.push("  the log line belongs to no span".to_owned());
        }
        Some(_) => {}
    }
    let panics = logs.iter().filter(|log| log.event_name == "panic").count();
    if panics != usize::from(panicked) {
        problems.push(format!("  {panics} panics were logged"));
    }
    let counted = arrived.metrics().iter().any(|metric| metric.name == "sidelight.panics");
    if counted != panicked {
        problems.push(format!("  sidelight.panics arrived: {counted}"));
    }
}
