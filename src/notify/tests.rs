//! Notifications against servers that take, refuse, hang, redirect, babble and come back.

use std::sync::Mutex;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::client::Client;
use super::config::{Grouping, Peer};
use super::message::tests::{firing, pairs, resolved};
use super::*;
use crate::alert::State;
use crate::journal;
use crate::net::endpoint::Endpoint;
use crate::net::retry::Schedule;
use crate::net::secret::Secret;
use crate::time::SystemClock;

/// What a server does with a request.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answer(&'static str),
    Hang,
    HangUp,
    /// Takes what it is sent after a while.
    Slow,
    /// An error with a body that never ends.
    Flood,
}

const OK: Does = Does::Answer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
const BUSY: Does = Does::Answer("HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy");

/// A receiver on a port of its own, which keeps what it was sent.
struct Server {
    url: String,
    does: Arc<Mutex<Does>>,
    got: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Server {
    async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let does = Arc::new(Mutex::new(does));
        let got: Arc<Mutex<Vec<_>>> = Arc::default();
        let (what, log) = (Arc::clone(&does), Arc::clone(&got));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&what), Arc::clone(&log)));
            }
        });
        Self { url, does, got }
    }

    fn set(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    fn peer(&self, name: &str) -> Peer {
        let mut peer = Peer::new(name, Endpoint::parse(&self.url, true, 80).unwrap());
        peer.timeout = Duration::from_secs(60);
        peer
    }

    /// The same for one that hangs: whoever answers has all the time that a busy machine takes.
    fn impatient(&self, name: &str) -> Peer {
        Peer { timeout: Duration::from_millis(400), ..self.peer(name) }
    }

    /// `alertname status` of every alert in bodies that were answered, in order.
    fn heard(&self) -> Vec<String> {
        let got = self.got.lock().unwrap();
        let alerts = got.iter().flat_map(|(_, body)| {
            body["alerts"].as_array().unwrap_or(body.as_array().unwrap_or(NONE))
        });
        alerts
            .map(|alert| {
                let status = alert["status"].as_str().unwrap_or("posted");
                format!("{} {status}", alert["labels"]["alertname"].as_str().unwrap())
            })
            .collect()
    }
}

static NONE: &Vec<Value> = &Vec::new();

async fn serve(
    mut stream: TcpStream,
    does: Arc<Mutex<Does>>,
    got: Arc<Mutex<Vec<(String, Value)>>>,
) {
    while let Some((head, body)) = request(&mut stream).await {
        let does = *does.lock().unwrap();
        match does {
            Does::Answer(answer) => {
                if answer.starts_with("HTTP/1.1 2") {
                    got.lock().unwrap().push((head, serde_json::from_slice(&body).unwrap()));
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            Does::Hang => std::future::pending().await,
            Does::HangUp => return,
            Does::Slow => {
                tokio::time::sleep(Duration::from_millis(40)).await;
                got.lock().unwrap().push((head, serde_json::from_slice(&body).unwrap()));
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
            Does::Flood => {
                let head = "HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n";
                let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
                stream.write_all(head.as_bytes()).await.unwrap();
                while stream.write_all(chunk.as_bytes()).await.is_ok() {}
                return;
            }
        }
    }
}

async fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        // A TLS handshake, answered as if it were a request.
        if bytes.first() == Some(&0x16) {
            return Some((String::new(), b"[]".to_vec()));
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            let (end, length) = (end + 4, length.parse::<usize>().ok()?);
            while bytes.len() < end + length {
                (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
            }
            return Some((head, bytes.split_off(end)));
        }
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    }
}

/// Waits until `holds`, at most ten seconds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

fn webhook(peer: Peer) -> config::Webhook {
    let grouping = Grouping {
        by: vec!["alertname".to_owned()],
        wait: Duration::from_millis(1),
        interval: Duration::from_millis(50),
        ..Grouping::default()
    };
    config::Webhook { peer, grouping, alerts_max: 1_000 }
}

fn config(alertmanagers: Vec<Peer>, webhooks: Vec<Peer>) -> Config {
    let ms = Duration::from_millis;
    let retry = Schedule { initial_interval: ms(20), max_interval: ms(100), ..Schedule::default() };
    let webhooks = webhooks.into_iter().map(webhook).collect();
    Config { alertmanagers, webhooks, retry, ..Config::default() }
}

fn deps() -> Deps {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let registry = Registry::default();
    let given = journal::Deps {
        fs: Arc::new(journal::fs::RealFs),
        clock: Arc::clone(&clock),
        registry: registry.clone(),
    };
    let memory =
        journal::Config { durability: journal::Durability::Memory, ..journal::Config::default() };
    let (journal, _) = Journal::open(memory, Vec::new(), given).unwrap();
    Deps { clock, registry, journal }
}

async fn start(config: Config) -> (Notifier, Handle) {
    let notifier = Notifier::start(config, deps()).await.unwrap();
    let handle = notifier.handle();
    (notifier, handle)
}

/// An alert that fires now, by the clock that notifications have here.
fn fires(name: &str) -> Alert {
    let now = SystemClock::new().unix_nano();
    let valid_until = Some(UnixNano(now.0 + 240_000_000_000));
    Alert { active_at: now, fired_at: Some(now), valid_until, ..firing(&[("alertname", name)]) }
}

fn ends(name: &str) -> Alert {
    let now = SystemClock::new().unix_nano();
    Alert { resolved_at: Some(now), ..resolved(&[("alertname", name)]) }
}

fn receiver(handle: &Handle, name: &str) -> Value {
    let document: Value = serde_json::from_str(&handle.receivers()).unwrap();
    let receivers = document["receivers"].as_array().unwrap();
    receivers.iter().find(|receiver| receiver["name"] == name).unwrap().clone()
}

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
    manager.set(OK);
    hook.set(OK);
    until("told", || manager.heard() == ["X posted"] && hook.heard() == ["X firing"]).await;
    until("well", || handle.trouble().is_empty()).await;
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
async fn a_silenced_alert_is_shown_and_told_only_to_alertmanagers_until_the_silence_ends() {
    let (manager, hook) = (Server::start(OK).await, Server::start(OK).await);
    let (_notifier, handle) =
        start(config(vec![manager.peer("am")], vec![hook.peer("hook")])).await;
    let silence = br#"{"matchers": [{"name": "alertname", "value": "X|Y", "isRegex": true}],
        "durationSeconds": 3600, "createdBy": "test", "comment": "deploy"}"#;
    let made: Value = serde_json::from_str(&handle.add_silence(silence).unwrap()).unwrap();
    let id = made["id"].as_str().unwrap();
    handle.notify(vec![fires("X"), fires("Z")]);
    until("told", || manager.heard() == ["X posted", "Z posted"] && hook.heard() == ["Z firing"])
        .await;
    let shown: Value =
        serde_json::from_str(&handle.alerts(Some(&[fires("X"), fires("Z")]))).unwrap();
    assert_eq!(
        (&shown["alerts"][0]["silencedBy"], &shown["alerts"][1]["silencedBy"]),
        (&id.into(), &Value::Null)
    );
    handle.expire_silence(id).unwrap();
    until("told late", || hook.heard() == ["Z firing", "X firing"]).await;
    assert!(matches!(handle.expire_silence(id), Err(SilenceError::Unknown(_))));
}

#[tokio::test]
async fn a_silence_that_ends_by_itself_lets_alerts_through() {
    let hook = Server::start(OK).await;
    let (_notifier, handle) = start(config(Vec::new(), vec![hook.peer("hook")])).await;
    let silence = br#"{"matchers": [{"name": "alertname", "value": "X"}], "durationSeconds": 1}"#;
    handle.add_silence(silence).unwrap();
    handle.notify(vec![fires("X"), fires("Z")]);
    until("one is told", || hook.heard() == ["Z firing"]).await;
    until("the other too", || hook.heard() == ["Z firing", "X firing"]).await;
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
    assert_eq!(rows(&handle, "transitions", "\"name\":\"Told\""), 2, "firing and resolved");
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
    assert!(path.with_extension("db.corrupt").try_exists().unwrap());
    notifier.shutdown(Duration::from_secs(9)).await;
    drop(handle);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let (_notifier, handle) = start(config).await;
    let said = handle.trouble().join(" ");
    assert!(
        said.contains("in memory only")
            && said.contains("not a database of notifications of this version"),
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
    for (nth, name) in ["db.corrupt", "db.corrupt.2"].into_iter().enumerate() {
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
    assert_eq!(
        notifier.handle().history(std::iter::empty()).unwrap().matches("\"state\"").count(),
        2
    );
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
    task.restore(vec![(UnixNano(0), told)], &[]);
    let running = tokio::spawn(task.run());
    until("told", || !hook.heard().is_empty()).await;
    assert_eq!(hook.heard(), ["X resolved"]);
    let got = hook.got.lock().unwrap()[0].1.clone();
    assert!(got["alerts"][0]["endsAt"].as_str().unwrap().starts_with("2023-11-14T22:13:20"));
    running.abort();
    drop(notifier);
}

#[tokio::test]
async fn an_alert_is_shown_with_the_labels_the_silence_and_the_fingerprint_that_it_is_sent_with() {
    let takes = Server::start(OK).await;
    let external_labels = pairs(&[("cluster", "a")]);
    let (_notifier, handle) =
        start(Config { external_labels, ..config(vec![], vec![takes.peer("hook")]) }).await;
    handle.notify(vec![fires("X")]);
    until("told", || takes.heard() == ["X firing"]).await;
    let sent = takes.got.lock().unwrap()[0].1["alerts"][0].clone();
    let silence = r#"{"matchers": [{"name": "cluster", "value": "a"}], "durationSeconds": 60}"#;
    handle.add_silence(silence.as_bytes()).unwrap();
    let pending = Alert { state: State::Pending, fired_at: None, ..fires("P") };
    for active in [None, Some(&[fires("X"), pending][..])] {
        let shown: Value = serde_json::from_str(&handle.alerts(active)).unwrap();
        let shown = shown["alerts"].as_array().unwrap();
        assert_eq!(shown.len(), active.map_or(1, <[Alert]>::len));
        for (key, of) in [("labels", "labels"), ("fingerprint", "fingerprint")] {
            assert_eq!(shown[0][key], sent[of], "{key}");
        }
        assert!(shown.iter().all(|alert| alert["silencedBy"].is_string()), "{shown:?}");
        assert!(
            active.is_none() || shown[1]["startsAt"].is_null() && shown[1]["state"] == "pending"
        );
    }
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
