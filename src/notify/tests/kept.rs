//! What is kept on disk: the database and its history, and records of the journal.

use super::*;

#[tokio::test]
async fn a_file_that_is_no_database_is_set_aside_and_one_of_a_later_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deeper/notifications.db");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(
        &path,
        "this is not a database at all, and long enough to be read as one".repeat(100),
    )
    .unwrap();
    let config = Config { database: Some(path.clone()), ..Config::default() };
    let (notifier, handle) = start(config.clone()).await;
    assert!(handle.trouble().is_empty(), "{:?}", handle.trouble());
    assert!(path.with_extension("db.corrupt-1").try_exists().unwrap());
    notifier.shutdown(Duration::from_secs(9)).await;
    drop(handle);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let (_notifier, handle) = start(config).await;
    let said = handle.trouble().join(" ");
    assert!(
        said.contains("in memory only")
            && said.contains("belongs to something else, or to another version"),
        "{said}"
    );
    handle.notify(vec![fires("X")]);
    until("kept in memory", || handle.history(std::iter::empty()).unwrap().contains("\"X\"")).await;
}

#[tokio::test]
async fn files_are_for_their_owner_only_and_each_damaged_one_is_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deeper/notifications.db");
    let config = Config { database: Some(path.clone()), ..Config::default() };
    let (notifier, handle) = start(config.clone()).await;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
    notifier.shutdown(Duration::from_secs(9)).await;
    drop(handle);
    for (nth, name) in ["db.corrupt-1", "db.corrupt-2"].into_iter().enumerate() {
        let damaged = format!("{nth}: this is not a database at all").repeat(100);
        std::fs::write(&path, &damaged).unwrap();
        let (notifier, handle) = start(config.clone()).await;
        assert_eq!(std::fs::read_to_string(path.with_extension(name)).unwrap(), damaged);
        notifier.shutdown(Duration::from_secs(9)).await;
        drop(handle);
    }
}

#[tokio::test]
async fn history_is_filtered_paged_and_bounded() {
    let config = Config { history_rows_max: 100, ..Config::default() };
    let (_notifier, handle) = start(config).await;
    let alerts = (0..150).map(|n| Alert {
        labels: pairs(&[
            ("alertname", if n % 2 == 0 { "Even" } else { "Odd" }),
            ("n", &n.to_string()),
        ]),
        fingerprint: n,
        ..fires("X")
    });
    handle.notify(alerts.collect());
    let ask = |parameters: &[(&str, &str)]| -> Value {
        serde_json::from_str(&handle.history(parameters.iter().copied()).unwrap()).unwrap()
    };
    until("kept", || ask(&[("limit", "1000")])["rows"].as_array().unwrap().len() == 150).await;
    let page = ask(&[("name", "Odd"), ("limit", "50")]);
    assert_eq!(page["rows"].as_array().unwrap().len(), 50);
    let next = page["next"].to_string();
    let page = ask(&[("name", "Odd"), ("limit", "50"), ("before", &next)]);
    assert_eq!((page["rows"].as_array().unwrap().len(), &page["next"]), (25, &Value::Null));
    assert_eq!(ask(&[("state", "resolved")])["rows"].as_array().unwrap().len(), 0);
    for (name, value) in
        [("limit", "0"), ("since", "soon"), ("colour", "red"), ("receiver", "x"), ("before", "x")]
    {
        assert!(
            matches!(handle.history([(name, value)].into_iter()), Err(HistoryError::Invalid(_))),
            "{name}"
        );
    }
    handle.purge_at(SystemClock::new().unix_nano());
    assert_eq!(ask(&[("limit", "1000")])["rows"].as_array().unwrap().len(), 100);
    handle.purge_at(UnixNano(u64::MAX / 2));
    assert_eq!(ask(&[])["rows"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_transition_is_a_record_of_the_journal_when_asked_for() {
    let deps = deps();
    let journal = deps.journal.clone();
    let config = Config { otlp: true, ..Config::default() };
    let notifier = Notifier::start(config, deps).await.unwrap();
    let handle = notifier.handle();
    let next = || journal.status().next_seq;
    let before = next();
    handle.notify(vec![fires("X")]);
    until("appended", || next() == before + 1).await;
    // Said again, and pending, it is no transition.
    handle.notify(vec![fires("X"), Alert { state: State::Pending, ..fires("Y") }]);
    handle.notify(vec![ends("X")]);
    until("appended", || next() == before + 2).await;
    let history = || notifier.handle().history(std::iter::empty()).unwrap();
    until("kept", || history().matches("\"state\"").count() == 2).await;
}

#[tokio::test]
async fn a_log_record_that_the_journal_can_never_take_holds_up_no_other() {
    let config = Config { otlp: true, ..Config::default() };
    let notifier = Notifier::start(config, deps_within(128 << 10)).await.unwrap();
    let handle = notifier.handle();
    let annotations = (10..22).map(|n| (format!("n{n}"), "x".repeat(8_000))).collect();
    let large = Alert { annotations, ..fires("Large") };
    handle.notify(vec![fires("A"), large, fires("B")]);
    let registry = handle.shared_registry();
    let sent = registry.counter(&desc::NOTIFICATIONS_SENT, &["otlp"]);
    let dropped = registry.counter(&desc::NOTIFICATIONS_DROPPED, &["otlp", "given_up"]);
    until("all but one made", || (sent.get(), dropped.get()) == (2, 1)).await;
}

/// With log records and the file at `path`; and a journal that takes none of them where it `refuses`.
async fn start_recording(path: &Path, refuses: bool) -> (Notifier, Journal) {
    let deps = deps();
    let journal = deps.journal.clone();
    if refuses {
        journal.close().await;
    }
    let config = Config { otlp: true, database: Some(path.to_owned()), ..Config::default() };
    (Notifier::start(config, deps).await.unwrap(), journal)
}

#[tokio::test]
async fn a_log_record_that_the_journal_did_not_take_before_the_end_is_made_once_after_the_next_start()
 {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notifications.db");
    for other in ["Begins", "Ends"] {
        let (notifier, _journal) = start_recording(&path, true).await;
        notifier.handle().notify(vec![if other == "Begins" { fires("X") } else { ends("X") }]);
        notifier.shutdown(Duration::from_millis(100)).await;
        for (start, made) in [("the next", 1), ("the one after it", 0)] {
            let (notifier, journal) = start_recording(&path, false).await;
            let next = || journal.status().next_seq;
            let before = next();
            until("made", || next() >= before + made).await;
            // What waited is before what comes.
            notifier.handle().notify(vec![fires(&format!("{other} {made}"))]);
            until("appended", || next() > before + made).await;
            notifier.shutdown(Duration::from_secs(9)).await;
            assert_eq!(next(), before + made + 1, "{other}, {start} start");
        }
    }
}

#[tokio::test]
async fn what_was_handed_over_last_before_a_shutdown_is_a_log_record_before_the_journal_closes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notifications.db");
    let (notifier, journal) = start_recording(&path, false).await;
    let before = journal.status().next_seq;
    // No task runs between these two: tests have one thread.
    notifier.handle().notify(vec![fires("X")]);
    notifier.shutdown(Duration::from_secs(9)).await;
    assert_eq!(journal.status().next_seq, before + 1);
}

#[tokio::test]
async fn what_a_receiver_was_told_while_the_disk_refused_is_kept_once_it_takes_again() {
    let hook = Server::start(OK).await;
    let (_notifier, handle) = start(config(vec![], vec![hook.peer("hook")])).await;
    let database = Arc::clone(&handle.shared().database);
    let told = || {
        let told = database.told().unwrap().into_iter();
        told.map(|(_, _, message)| message.label("alertname").to_owned()).collect::<Vec<_>>()
    };
    handle.notify(vec![fires("X")]);
    until("kept", || told() == ["X"]).await;
    let refuses = |refuses: bool| {
        database.lock().pragma_update(None, "query_only", refuses).unwrap();
    };
    refuses(true);
    let lost = handle.shared_registry().counter(&desc::NOTIFICATIONS_HISTORY_LOST, &[]);
    handle.notify(vec![ends("X")]);
    // The transition and the delivery, which is kept after what was told.
    until("refused", || lost.get() >= 2).await;
    assert_eq!(told(), ["X"]);
    refuses(false);
    handle.notify(vec![fires("Y")]);
    until("kept", || told() == ["Y"]).await;
}
