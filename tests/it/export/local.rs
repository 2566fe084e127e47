//! Lanes to a file and to standard error.

use std::path::Path;

use sidelight_agent::export::config::{DebugConfig, FileConfig};

use super::*;

fn to_file(path: &Path, signals: SignalSet) -> Configured {
    let mut destination = Configured::new("file/test", Target::File(FileConfig::new(path)));
    destination.signals = signals;
    destination.queue.batch.flush_timeout = Duration::from_millis(20);
    destination.retry.policy.initial_interval = Duration::from_millis(10);
    destination.retry.policy.max_interval = Duration::from_millis(50);
    destination
}

fn only_traces() -> SignalSet {
    SignalSet::only(Signal::Traces)
}

/// The lines of a file, each a JSON value.
fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Names of all spans in a file.
fn spans(path: &Path) -> BTreeSet<String> {
    let name = |line: serde_json::Value| {
        line["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"].as_str().unwrap().to_owned()
    };
    lines(path).into_iter().map(name).collect()
}

#[tokio::test]
async fn a_file_has_one_line_per_request_once_it_is_settled() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out/traces.jsonl");
    let pipe = Pipe::start(to_file(&path, only_traces()));
    let names = pipe.append_all(200).await;
    assert_eq!(pipe.settled().await, (200, vec![]));
    assert_eq!((spans(&path), lines(&path).len()), (names, 200));
    assert_eq!(pipe.count("otelcol_exporter_sent_spans"), 200.0);
}

#[tokio::test]
async fn nothing_is_lost_over_the_rotations_that_backups_cover() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let mut config = to_file(&path, only_traces());
    config.queue.batch.max_size = 200;
    let Target::File(file) = &mut config.target else { panic!() };
    (file.max_size, file.max_backups) = (2000, 100);
    let pipe = Pipe::start(config);
    let names = pipe.append_all(200).await;
    assert_eq!(pipe.settled().await, (200, vec![]));
    let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(files.len() > 3, "{files:?}");
    assert_eq!(files.iter().flat_map(|path| spans(path)).collect::<BTreeSet<_>>(), names);
}

#[tokio::test]
async fn a_disk_that_does_not_take_it_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let obstacle = dir.path().join("out");
    std::fs::write(&obstacle, "").unwrap();
    let path = obstacle.join("traces.jsonl");
    let pipe = Pipe::start(to_file(&path, only_traces()));
    let names = pipe.append_all(50).await;
    let handle = pipe.exporters.handle();
    wait_for("the lane backs off", SOON, || {
        matches!(handle.lanes()[0].state, State::BackingOff { failures: 3.., .. }).then_some(())
    })
    .await;
    let message = handle.lanes()[0].last_error.clone().unwrap().message;
    assert!(message.starts_with("cannot write: "), "{message}");
    assert!(message.contains(&path.display().to_string()), "{message}");
    std::fs::remove_file(&obstacle).unwrap();
    assert_eq!(pipe.settled().await, (50, vec![]));
    assert_eq!((spans(&path), lines(&path).len()), (names, 50));
}

#[tokio::test]
async fn the_lanes_of_a_file_share_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.jsonl");
    let pipe = Pipe::start(to_file(&path, SignalSet::ALL));
    for n in 0..40 {
        let signal = Signal::ALL[n % 4];
        let payload = Bytes::from_static(&[0x0a, 0]);
        let (flags, meta) = (Flags::default(), Meta::default());
        pipe.journal.append(Record { signal, items: 1, flags, meta, payload }).await.unwrap();
    }
    wait_for("everything is settled", SOON, || {
        pipe.journal.ledger().readers.iter().all(|r| r.delivered.items == 10).then_some(())
    })
    .await;
    let found = lines(&path);
    for key in ["resourceSpans", "resourceMetrics", "resourceLogs", "resourceProfiles"] {
        assert_eq!(found.iter().filter(|line| line.get(key).is_some()).count(), 10, "{key}");
    }
}

#[tokio::test]
async fn a_reload_goes_on_in_another_file_and_a_shutdown_writes_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let (before, after) = (dir.path().join("before"), dir.path().join("after"));
    let mut pipe = Pipe::start(to_file(&before, only_traces()));
    let mut names = pipe.append_all(20).await;
    pipe.settled().await;
    let config = Config { destinations: vec![to_file(&after, only_traces())] };
    pipe.reload(config).await.unwrap();
    pipe.append("last").await;
    let undelivered = pipe.exporters.shutdown(SOON).await;
    assert_eq!(undelivered.lanes, []);
    assert_eq!(spans(&before), names);
    names = spans(&after);
    assert_eq!(names, set(vec!["last".to_owned()]));
}

#[tokio::test]
async fn a_debug_destination_holds_nothing_back() {
    for detailed in [false, true] {
        let target = Target::Debug(DebugConfig { detailed });
        let mut config = Configured::new("debug", target);
        config.signals = only_traces();
        let pipe = Pipe::start(config);
        pipe.append_all(3).await;
        assert_eq!(pipe.settled().await, (3, vec![]), "{detailed}");
    }
}
