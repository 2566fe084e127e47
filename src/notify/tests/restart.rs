//! Starts and reloads: everybody is told what is still to be told, and nothing twice.

use super::*;

fn silence(name: &str) -> String {
    format!(
        r#"{{"matchers":[{{"name":"alertname","value":"{name}"}}],"endsAt":"2100-01-01T00:00:00Z"}}"#
    )
}

/// Starts with a file of a later version, so that what is kept is in memory.
async fn start_in_memory(path: &std::path::Path) -> (Notifier, Handle) {
    let later = rusqlite::Connection::open(path).unwrap();
    later.execute_batch("CREATE TABLE t (x); PRAGMA user_version = 99").unwrap();
    let database = Some(path.to_owned());
    start(Config { database, ..config(vec![], vec![]) }).await
}

#[tokio::test]
async fn a_restart_tells_what_was_not_told_and_nothing_twice() {
    let (manager, hook) = (Server::start(OK).await, Server::start(OK).await);
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(vec![manager.peer("am")], vec![hook.peer("hook")]);
    config.database = Some(directory.path().join("notifications.db"));
    let (notifier, handle) = start(config.clone()).await;
    handle.notify(vec![fires("Told")]);
    until("told", || manager.heard().len() == 1 && hook.heard().len() == 1).await;
    let rows = |handle: &Handle, what: &str, outcome: &str| {
        let history = handle.history([("what", what)].into_iter()).unwrap();
        history.matches(outcome).count()
    };
    until("kept", || rows(&handle, "deliveries", "\"outcome\":\"ok\"") == 2).await;
    manager.set(Does::Hang);
    hook.set(Does::Hang);
    handle.notify(vec![fires("Queued")]);
    until("kept", || rows(&handle, "transitions", "\"state\":\"firing\"") == 2).await;
    let silence =
        br#"{"matchers": [{"name": "alertname", "value": "Other"}], "durationSeconds": 60}"#;
    handle.add_silence(silence).unwrap();
    // What is on its way is read by servers that do not answer, and by none that does later.
    until("hung", || [&manager, &hook].iter().all(|of| of.hung.load(Ordering::Relaxed) > 0)).await;
    // As SIGKILL would: no task gets to say anything more.
    drop((notifier, handle));

    manager.set(OK);
    hook.set(OK);
    let (_notifier, handle) = start(config).await;
    until("told", || {
        manager.heard() == ["Told posted", "Queued posted"]
            && hook.heard() == ["Told firing", "Queued firing"]
    })
    .await;
    assert!(handle.silences().contains("\"Other\""), "{}", handle.silences());
    // Rules say again what still fires; the webhook knows.
    handle.notify(vec![fires("Told"), fires("Queued")]);
    handle.notify(vec![ends("Told")]);
    until("its end is told", || hook.heard() == ["Told firing", "Queued firing", "Told resolved"])
        .await;
    until("kept: firing and resolved", || rows(&handle, "transitions", "\"name\":\"Told\"") == 2)
        .await;
}

#[tokio::test]
async fn what_nobody_will_be_told_of_again_is_not_kept() {
    let (manager, hook) = (Server::start(OK).await, Server::start(OK).await);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notifications.db");
    let mut config = config(vec![manager.peer("am")], vec![hook.peer("hook")]);
    config.database = Some(path.clone());
    config.webhooks[0].grouping.send_resolved = false;
    let told = || {
        let connection = rusqlite::Connection::open(&path).unwrap();
        let count = "SELECT COUNT(*) FROM told";
        connection.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let (notifier, handle) = start(config.clone()).await;
    handle.notify(vec![fires("X"), fires("Y")]);
    until("told", || told() == 4).await;
    handle.notify(vec![ends("X")]);
    until("forgotten by both", || told() == 2).await;
    notifier.shutdown(Duration::from_secs(9)).await;

    // One receiver has another name, and of the alert that the other one holds nothing is known.
    config.webhooks[0].peer.name = "renamed".to_owned();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute("DELETE FROM known", []).unwrap();
    let (_notifier, _handle) = start(config).await;
    until("nothing is left", || told() == 0).await;
}

#[tokio::test]
async fn what_was_handed_over_last_before_a_shutdown_is_told_after_the_next_start() {
    let hook = Server::start(OK).await;
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(Vec::new(), vec![hook.peer("hook")]);
    config.database = Some(directory.path().join("notifications.db"));
    let (notifier, handle) = start(config.clone()).await;
    // No task runs between these two: tests have one thread.
    handle.notify(vec![fires("X")]);
    notifier.shutdown(Duration::from_secs(9)).await;
    assert!(hook.heard().is_empty());
    let (_notifier, _handle) = start(config).await;
    until("told", || hook.heard() == ["X firing"]).await;
}

#[tokio::test]
async fn a_reload_takes_up_receivers_and_labels_and_loses_nothing_that_waits_or_is_known() {
    let (stays, away, later) =
        (Server::start(OK).await, Server::start(BUSY).await, Server::start(OK).await);
    let before = config(vec![stays.peer("stays")], vec![away.peer("hook"), away.peer("gone")]);
    let (mut notifier, handle) = start(before).await;
    handle.notify(vec![fires("X")]);
    until("told", || stays.heard() == ["X posted"]).await;
    until("known to wait", || receiver(&handle, "hook")["healthy"] == false).await;

    let mut after = config(vec![stays.peer("stays")], vec![later.peer("hook")]);
    after.external_labels = pairs(&[("cluster", "a")]);
    notifier.reload(after.clone()).await;
    until("what waited is told to the new address", || later.heard() == ["X firing"]).await;
    assert_eq!(stays.heard(), ["X posted"], "nobody is told twice");
    assert_eq!(receiver(&handle, "stays")["sent"], 1, "results go on");
    let document: Value = serde_json::from_str(&handle.receivers()).unwrap();
    assert_eq!(document["receivers"].as_array().unwrap().len(), 2);

    handle.notify(vec![fires("Y")]);
    until("told", || later.heard().contains(&"Y firing".to_owned())).await;
    let got = later.got.lock().unwrap().last().unwrap().1.clone();
    assert_eq!(got["commonLabels"]["cluster"], "a");
    handle.notify(vec![ends("X")]);
    until("its end is told", || later.heard().contains(&"X resolved".to_owned())).await;
    // The same again disturbs nobody.
    notifier.reload(after).await;
    until("all are told", || stays.heard() == ["X posted", "Y posted", "X posted"]).await;
}

#[tokio::test]
async fn a_disk_that_hangs_does_not_hold_up_a_reload_and_all_is_told_again() {
    let hook = Server::start(OK).await;
    let (mut notifier, handle) = start(config(vec![], vec![hook.peer("hook")])).await;
    handle.notify(vec![fires("X"), fires("Y")]);
    until("told", || hook.heard().len() == 2).await;
    handle.notify(vec![ends("X")]);
    until("told", || hook.heard().contains(&"X resolved".to_owned())).await;
    let before = hook.heard().len();

    let database = Arc::clone(&handle.shared().database);
    let (held, holds) = oneshot::channel();
    let (release, released) = std::sync::mpsc::sync_channel::<()>(1);
    let disk = std::thread::spawn(move || {
        let _connection = database.lock();
        held.send(()).unwrap();
        let _ = released.recv();
    });
    holds.await.unwrap();
    let mut after = config(vec![], vec![hook.peer("hook")]);
    after.external_labels = pairs(&[("cluster", "a")]);
    notifier.reload_within(after, Duration::from_millis(20)).await;
    let again = || hook.heard().split_off(before);
    until("what fires is told again", || again().contains(&"Y firing".to_owned())).await;
    until("and what is over", || again().contains(&"X resolved".to_owned())).await;
    drop(release);
    disk.join().unwrap();
}

#[tokio::test]
async fn an_end_that_waited_until_its_alert_was_forgotten_is_told_as_an_end() {
    let hook = Server::start(OK).await;
    let (notifier, handle) = start(config(vec![], vec![])).await;
    let (peer, parts) = (hook.peer("hook"), handle.running().parts.clone());
    let silences = handle.shared().silences.subscribe();
    let mut task = Webhook::new(&webhook(peer), parts, silences);
    let mut told = Message::of(&fires("X"), &[], UnixNano(0)).unwrap();
    told.valid_until = UnixNano(1_700_000_000_000_000_000);
    // Last told so long ago that it would be repeated at once, were it firing.
    task.restore(vec![(UnixNano(0), told)], &Known::new(Vec::new(), &SystemClock::new()));
    let running = tokio::spawn(task.run());
    until("told", || !hook.heard().is_empty()).await;
    assert_eq!(hook.heard(), ["X resolved"]);
    let got = hook.got.lock().unwrap()[0].1.clone();
    assert!(got["alerts"][0]["endsAt"].as_str().unwrap().starts_with("2023-11-14T22:13:20"));
    running.abort();
    drop(notifier);
}

#[tokio::test]
async fn a_file_that_another_process_had_at_the_start_is_taken_up_with_what_both_know() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notifications.db");
    let hook = Server::start(OK).await;
    let config = Config { database: Some(path.clone()), ..config(vec![], vec![hook.peer("hook")]) };
    let (notifier, handle) = start(config.clone()).await;
    handle.add_silence(silence("Before").as_bytes()).unwrap();
    handle.notify(vec![fires("X")]);
    until("told", || hook.heard() == ["X firing"]).await;
    notifier.shutdown(Duration::from_secs(9)).await;
    drop(handle);

    let other = rusqlite::Connection::open(&path).unwrap();
    other.pragma_update(None, "locking_mode", "EXCLUSIVE").unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let (mut notifier, handle) = start(config.clone()).await;
    assert!(notifier.waits_for_disk(), "{:?}", handle.trouble());
    handle.add_silence(silence("Meanwhile").as_bytes()).unwrap();
    drop(other);
    notifier.reopen().await;
    assert!(!notifier.waits_for_disk(), "{:?}", handle.trouble());
    assert_eq!(handle.trouble(), Vec::<String>::new());
    assert!(handle.alerts(None).contains("\"X\""), "{}", handle.alerts(None));
    notifier.shutdown(Duration::from_secs(9)).await;
    let (_notifier, handle) = start(config).await;
    for name in ["Before", "Meanwhile"] {
        assert!(handle.silences().contains(name), "{}", handle.silences());
    }
    assert_eq!(hook.heard(), ["X firing"], "nothing is told twice");
}

#[tokio::test]
async fn silences_that_are_made_or_ended_while_the_file_is_taken_up_are_as_they_were_answered() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notifications.db");
    let (_notifier, handle) = start_in_memory(&path).await;
    let made: Value =
        serde_json::from_str(&handle.add_silence(silence("Ended").as_bytes()).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let now = SystemClock::new().unix_nano();
    let found = handle.shared().database.move_to(&path, now).unwrap();
    assert_eq!(found.silences.len(), 1);
    handle.add_silence(silence("Made").as_bytes()).unwrap();
    handle.expire_silence(made["id"].as_str().unwrap()).unwrap();
    handle.take_up(found.silences);
    let shown: Value = serde_json::from_str(&handle.silences()).unwrap();
    let name_and_status = |of: &Value| {
        let name = of["matchers"][0]["value"].as_str().unwrap();
        format!("{name} {}", of["status"].as_str().unwrap())
    };
    let shown: Vec<_> = shown["silences"].as_array().unwrap().iter().map(name_and_status).collect();
    assert_eq!(shown, ["Ended expired", "Made active"]);
}

#[tokio::test]
async fn what_becomes_of_a_file_that_is_tried_again_is_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notifications.db");
    let (log, _logging) = logged();
    let said = |word: &str| String::from_utf8_lossy(&log.lock().unwrap()).matches(word).count();
    let (mut notifier, handle) = start_in_memory(&path).await;
    let never = "mend or move that file";
    assert_eq!(said(never), 1);
    let waits = |why: &str| {
        handle.shared().set_trouble(Some(Trouble { why: why.to_owned(), passes: true }));
    };
    waits("another process has it");
    notifier.reopen().await;
    assert_eq!((notifier.waits_for_disk(), said(never)), (false, 2));
    waits(&handle.trouble().join(""));
    notifier.reopen().await;
    assert_eq!(said(never), 2, "the same is not said at every try");
    std::fs::write(&path, "this is not a database at all".repeat(100)).unwrap();
    waits("another process has it");
    notifier.reopen().await;
    assert_eq!((handle.trouble(), said("set aside")), (Vec::new(), 1));
}
