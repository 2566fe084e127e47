//! Receivers that are slow, wrong, away or well, each by itself.

use super::*;
use crate::net::secret::Secret;
use crate::notify::client::Client;

#[tokio::test]
async fn a_receiver_that_hangs_delays_no_other() {
    let (hangs, takes, hook) =
        (Server::start(Does::Hang).await, Server::start(OK).await, Server::start(OK).await);
    let hanging_hook = Server::start(Does::Hang).await;
    let (_notifier, handle) = start(config(
        vec![hangs.impatient("hangs"), takes.peer("takes")],
        vec![hanging_hook.impatient("hanging hook"), hook.peer("hook")],
    ))
    .await;
    handle.notify(vec![fires("X")]);
    until("heard", || takes.heard() == ["X posted"] && hook.heard() == ["X firing"]).await;
    handle.notify(vec![ends("X")]);
    until("its end is heard", || hook.heard() == ["X firing", "X resolved"]).await;
    assert_eq!(takes.got.lock().unwrap()[0].0.lines().next(), Some("POST /api/v2/alerts HTTP/1.1"));
    until("said", || handle.trouble().len() == 2).await;
    for said in handle.trouble() {
        assert!(said.contains("no answer within 0.4 s: it accepts connections"), "{said}");
    }
    assert_eq!(receiver(&handle, "takes")["healthy"], true);
    assert_eq!(receiver(&handle, "hangs")["queue"], 1, "the newest of the alert");
}

#[tokio::test]
async fn a_webhook_that_is_slow_delays_no_other_and_is_told_everything_once() {
    let (slow, fast) = (Server::start(Does::Slow).await, Server::start(OK).await);
    let hooks = vec![slow.peer("slow"), fast.peer("fast")];
    let (_notifier, handle) = start(config(Vec::new(), hooks)).await;
    let names: Vec<String> = (10..40).map(|n| format!("A{n}")).collect();
    handle.notify(names.iter().map(|name| fires(name)).collect());
    until("the fast one heard all", || fast.heard().len() == names.len()).await;
    assert!(slow.heard().len() < names.len());
    until("the slow one heard all", || slow.heard().len() == names.len()).await;
    let mut heard = slow.heard();
    heard.sort();
    let expected: Vec<String> = names.iter().map(|name| format!("{name} firing")).collect();
    assert_eq!(heard, expected);
    assert_eq!(receiver(&handle, "slow")["healthy"], true);
}

#[tokio::test]
async fn whatever_a_receiver_does_wrong_is_said_in_words_that_help() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let answer = Does::Answer;
    for (does, url, passes, why) in [
        (
            answer(
                "HTTP/1.1 302 x\r\nlocation: http://other:1/s3cret\r\ncontent-length: 0\r\n\r\n",
            ),
            "",
            false,
            "redirects to http://other:1, which is not followed: set `url` to where it leads",
        ),
        (
            answer("HTTP/1.1 404 x\r\ncontent-length: 0\r\n\r\n"),
            "",
            false,
            "it answered 404; is the path of `url` right?",
        ),
        (
            answer("HTTP/1.1 401 x\r\ncontent-length: 13\r\n\r\n\u{1b}[2J token?\r\n"),
            "",
            false,
            r"it answered 401: \u{1b}[2J token?; give a token with `auth.bearer_token_file`, or `headers`",
        ),
        (
            answer(
                "HTTP/1.1 400 x\r\ncontent-length: 33\r\n\r\n{\"code\":1,\"message\":\"bad label\"}   ",
            ),
            "",
            false,
            "it answered 400: bad label",
        ),
        (BUSY, "", true, "it answered 503: busy"),
        (
            answer("SSH-2.0-OpenSSH_9.6\r\n"),
            "",
            true,
            "its answer cannot be read: is this an HTTP server?",
        ),
        (Does::HangUp, "", true, "it hung up before it answered"),
        (Does::Flood, "", true, "it answered 500: xxx"),
        (Does::Hang, "", true, "no answer within 0.4 s"),
        (OK, "https", true, "the peer does not speak TLS at this port"),
        (OK, "closed", true, "cannot connect: cannot reach 127.0.0.1:"),
    ] {
        let server = Server::start(does).await;
        let url = match url {
            "https" => server.url.replace("http://", "https://"),
            "closed" => format!("http://{closed}"),
            _ => server.url.clone(),
        };
        let hangs = matches!(does, Does::Hang);
        let mut peer = if hangs { server.impatient("it") } else { server.peer("it") };
        peer.endpoint = Endpoint::parse(&url, true, 80).unwrap();
        let error = Client::new(&peer, "").post(&"[]".into(), UnixNano(0)).await.unwrap_err();
        let said = error.say();
        assert!(said.contains(why) && said.len() < 700, "{does:?}: {said}");
        assert!(!said.contains("s3cret"), "{said}");
        assert_eq!(error.passes(), passes, "{said}");
    }
}

#[tokio::test]
async fn credentials_are_sent_and_shown_nowhere() {
    let server = Server::start(OK).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "s3cret-token\n").unwrap();
    let mut peer = server.peer("hook");
    peer.endpoint = Endpoint::parse(&format!("{}/s3cret-path", server.url), true, 80).unwrap();
    peer.query = Secret::new("?key=s3cret-query");
    peer.headers.push(("x-key".to_owned(), Secret::new("s3cret-header")));
    peer.bearer_token_file = Some(file.clone());
    let (_notifier, handle) = start(config(Vec::new(), vec![peer.clone()])).await;
    handle.notify(vec![fires("X")]);
    until("heard", || !server.heard().is_empty()).await;
    let head = server.got.lock().unwrap()[0].0.clone();
    assert!(head.starts_with("POST /s3cret-path?key=s3cret-query HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: Bearer s3cret-token"), "{head}");
    assert!(head.contains("x-key: s3cret-header"), "{head}");
    // A token that cannot be read is said, not sent.
    std::fs::remove_file(file).unwrap();
    handle.notify(vec![ends("X")]);
    until("said", || !handle.trouble().is_empty()).await;
    let history = handle.history([("what", "deliveries")].into_iter()).unwrap();
    let shown = format!("{} {} {history} {peer:?}", handle.receivers(), handle.alerts(None));
    assert!(shown.contains("cannot read the token file"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn what_is_refused_for_a_while_is_told_in_the_end() {
    let (manager, hook) = (Server::start(BUSY).await, Server::start(BUSY).await);
    let (_notifier, handle) =
        start(config(vec![manager.peer("am")], vec![hook.peer("hook")])).await;
    handle.notify(vec![fires("X")]);
    until("failing", || handle.trouble().len() == 2).await;
    let registry = handle.shared_registry().clone();
    let since = |name| registry.gauge(&desc::NOTIFICATIONS_FAILING_SINCE, &[name]).get();
    assert!(since("am") > 1e9 && since("hook") > 1e9);
    manager.set(OK);
    hook.set(OK);
    until("told", || manager.heard() == ["X posted"] && hook.heard() == ["X firing"]).await;
    until("well", || handle.trouble().is_empty()).await;
    assert_eq!((since("am"), since("hook")), (0.0, 0.0));
    let outcomes = || {
        let history = handle.history([("what", "deliveries"), ("receiver", "hook")].into_iter());
        let history: Value = serde_json::from_str(&history.unwrap()).unwrap();
        let rows = history["rows"].as_array().unwrap().clone();
        rows.iter().map(|row| row["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    until("kept", || outcomes() == ["ok", "failed"]).await;
}

#[tokio::test]
async fn thousands_of_alerts_at_once_arrive_in_batches_and_what_is_too_much_is_counted() {
    let (manager, hook) = (Server::start(OK).await, Server::start(OK).await);
    let mut config = config(vec![manager.peer("am")], vec![hook.peer("hook")]);
    config.alerts_max = 3_000;
    let notifier = Notifier::start(config, deps()).await.unwrap();
    let handle = notifier.handle();
    let alerts = (0..5_000).map(|n| Alert {
        labels: pairs(&[("alertname", "X"), ("n", &n.to_string())]),
        fingerprint: n,
        ..fires("X")
    });
    handle.notify(alerts.collect());
    until("all there is room for", || manager.heard().len() == 3_000).await;
    assert!(
        manager.got.lock().unwrap().iter().all(|(_, body)| body.as_array().unwrap().len() <= 256)
    );
    until("told together", || {
        hook.got.lock().unwrap().iter().any(|(_, body)| body["truncatedAlerts"] == 2_000)
    })
    .await;
    let refused = handle.shared_registry().counter(&desc::NOTIFICATIONS_REFUSED, &[]);
    assert_eq!(refused.get(), 2_000);
}

#[tokio::test]
async fn a_batch_that_is_too_large_for_an_alertmanager_is_divided() {
    let manager = Server::start(Does::AtMost(100)).await;
    let (_notifier, handle) = start(config(vec![manager.peer("am")], Vec::new())).await;
    let alerts = (0..300).map(|n| Alert {
        labels: pairs(&[("alertname", "X"), ("n", &n.to_string())]),
        fingerprint: n,
        ..fires("X")
    });
    handle.notify(alerts.collect());
    until("all are heard", || manager.heard().len() == 300).await;
    assert!(handle.trouble().is_empty(), "{:?}", handle.trouble());
    // One that is too large by itself is given up, at once.
    manager.set(Does::AtMost(0));
    handle.notify(vec![fires("Y"), fires("Z")]);
    until("given up", || receiver(&handle, "am")["failed"] == 2).await;
    assert!(handle.trouble()[0].contains("it answered 413"), "{:?}", handle.trouble());
}

#[tokio::test]
async fn a_receiver_that_asks_for_ten_minutes_is_tried_again_before_alerts_end() {
    let busy = "HTTP/1.1 503 x\r\nretry-after: 600\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start(Does::Answer(busy)).await;
    let client = Client::new(&server.peer("it"), "");
    let error = client.post(&"[]".into(), UnixNano(0)).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
}
