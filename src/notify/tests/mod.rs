//! Notifications against servers that take, refuse, hang, redirect, babble and come back.

mod kept;
mod receivers;
mod restart;
mod silences;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::config::{Grouping, Peer};
use super::message::tests::{firing, pairs, resolved};
use super::*;
use crate::alert::State;
use crate::journal;
use crate::net::endpoint::Endpoint;
use crate::net::retry::Policy;
use crate::time::SystemClock;

/// What a server does with a request.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answer(&'static str),
    Hang,
    HangUp,
    /// Takes what it is sent after a while.
    Slow,
    /// Takes so many alerts at once, and answers 413 to more.
    AtMost(usize),
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
    /// Requests that get no answer.
    hung: Arc<AtomicUsize>,
}

impl Server {
    async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let does = Arc::new(Mutex::new(does));
        let got: Arc<Mutex<Vec<_>>> = Arc::default();
        let hung = Arc::<AtomicUsize>::default();
        let (what, log, hangs) = (Arc::clone(&does), Arc::clone(&got), Arc::clone(&hung));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (what, log) = (Arc::clone(&what), Arc::clone(&log));
                tokio::spawn(serve(stream, what, log, Arc::clone(&hangs)));
            }
        });
        Self { url, does, got, hung }
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
    hung: Arc<AtomicUsize>,
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
            Does::Hang => {
                hung.fetch_add(1, Ordering::Relaxed);
                std::future::pending().await
            }
            Does::HangUp => return,
            Does::Slow => {
                tokio::time::sleep(Duration::from_millis(40)).await;
                got.lock().unwrap().push((head, serde_json::from_slice(&body).unwrap()));
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
            Does::AtMost(max) => {
                let body: Value = serde_json::from_slice(&body).unwrap();
                let takes = body.as_array().unwrap().len() <= max;
                if takes {
                    got.lock().unwrap().push((head, body));
                }
                let status = if takes { "200 OK" } else { "413 Content Too Large" };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
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
    let retry = Policy { initial_interval: ms(20), max_interval: ms(100), ..Policy::default() };
    let webhooks = webhooks.into_iter().map(webhook).collect();
    Config { alertmanagers, webhooks, retry, ..Config::default() }
}

fn deps() -> Deps {
    deps_within(journal::Config::default().memory_size)
}

/// With a journal of so many bytes.
fn deps_within(memory_size: usize) -> Deps {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let registry = Registry::default();
    let given = journal::Deps {
        fs: Arc::new(journal::fs::Roomy),
        clock: Arc::clone(&clock),
        registry: registry.clone(),
    };
    let durability = journal::Durability::Memory;
    let memory = journal::Config { durability, memory_size, ..journal::Config::default() };
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

/// What is logged from here on by this thread.
fn logged() -> (Arc<Mutex<Vec<u8>>>, tracing::subscriber::DefaultGuard) {
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log: Arc<Mutex<Vec<u8>>> = Arc::default();
    let lines = Arc::clone(&log);
    let subscriber =
        tracing_subscriber::fmt().with_writer(move || Lines(Arc::clone(&lines))).finish();
    (log, tracing::subscriber::set_default(subscriber))
}
