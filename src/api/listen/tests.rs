//! Who waits for whom at the admin endpoint.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, mpsc};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::api::tests::{ask, sources};
use crate::store;
use crate::telemetry::Registry;
use crate::time::SystemClock;

/// More than the buffers of a connection hold.
const MUCH: usize = 32 << 20;
const SOON: Duration = Duration::from_secs(20);

fn kept(directory: &std::path::Path) -> store::Store {
    let deps = store::Deps { clock: Arc::new(SystemClock::new()), registry: Registry::default() };
    store::Store::open(store::Config::new(directory.into()), deps).unwrap().0
}

async fn listening(change: impl FnOnce(&mut Config), sources: Sources) -> Api {
    let mut config = Config { endpoint: ([127, 0, 0, 1], 0).into(), ..Config::default() };
    change(&mut config);
    let listener = TcpListener::bind(config.endpoint).await.unwrap();
    serve(listener, config, None, sources).unwrap()
}

/// Asks, and reads no more than the first byte of the answer.
async fn stalled(api: &Api, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(api.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_exact(&mut [0]).await.unwrap();
    stream
}

#[tokio::test]
async fn two_clients_that_do_not_read_hold_up_nobody_whose_reply_is_small() {
    let directory = tempfile::tempdir().unwrap();
    let (mut sources, _control) = sources(Some(kept(directory.path())));
    sources.rejected = Arc::new(|| "x".repeat(MUCH));
    let api = listening(|_| {}, sources).await;
    let path = "/api/sidelight/v1/rejected";
    let held = [stalled(&api, path).await, stalled(&api, path).await];
    assert_eq!(api.shared.large.available_permits(), 0);
    for path in ["/api/sidelight/v1/status", "/api/v1/status/buildinfo", "/api/v1/alerts"] {
        let line = format!("GET {path}");
        let answered = tokio::time::timeout(SOON, ask(&api, &line, "")).await;
        assert_eq!(answered.expect(path).0, 200, "{path}");
    }
    drop(held);
}

#[tokio::test]
async fn four_clients_of_large_replies_that_two_do_not_read_hold_up_nobody_whose_reply_is_small() {
    let directory = tempfile::tempdir().unwrap();
    let (mut sources, _control) = sources(Some(kept(directory.path())));
    sources.rejected = Arc::new(|| "x".repeat(MUCH));
    let api = Arc::new(listening(|_| {}, sources).await);
    let path = "/api/sidelight/v1/rejected";
    let held = [stalled(&api, path).await, stalled(&api, path).await];
    let asked = [(); 2].map(|()| {
        let api = Arc::clone(&api);
        tokio::spawn(async move { ask(&api, &format!("GET {path}"), "").await })
    });
    for path in ["/api/sidelight/v1/status", "/api/v1/status/buildinfo", "/api/v1/alerts"] {
        let line = format!("GET {path}");
        let answered = tokio::time::timeout(SOON, ask(&api, &line, "")).await;
        assert_eq!(answered.expect(path).0, 200, "{path}");
    }
    for asked in asked {
        let (status, _, body) = tokio::time::timeout(SOON, asked).await.unwrap().unwrap();
        assert_eq!(status, 503);
        assert!(String::from_utf8(body).unwrap().contains("\"busy\""));
    }
    assert_eq!(api.shared.replies.available_permits(), REPLIES_MAX);
    drop(held);
}

#[tokio::test]
async fn a_health_check_and_the_list_of_alerts_do_not_wait_for_queries() {
    let directory = tempfile::tempdir().unwrap();
    let (sources, _control) = sources(Some(kept(directory.path())));
    let quick = |config: &mut Config| config.query_timeout = Duration::from_millis(50);
    let api = listening(quick, sources).await;
    let queries = u32::try_from(QUERIES_MAX).unwrap();
    let under_way = api.shared.queries.acquire_many(queries).await.unwrap();
    assert_eq!(ask(&api, "GET /api/v1/query?query=1", "").await.0, 503);
    let rest = ["rules", "alerts", "metadata", "format_query?query=1", "status/buildinfo"];
    for path in rest {
        assert_eq!(ask(&api, &format!("GET /api/v1/{path}"), "").await.0, 200, "{path}");
    }
    drop(under_way);
    assert_eq!(ask(&api, "GET /api/v1/query?query=1", "").await.0, 200);
}

#[tokio::test]
async fn replies_that_need_no_query_are_made_two_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let (mut sources, _control) = sources(Some(kept(directory.path())));
    let (entered, entries) = mpsc::sync_channel(8);
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (opened, at_most) = (Arc::clone(&gate), Arc::clone(&most));
    sources.rules = Arc::new(move || {
        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // The test may be over.
        let _ = entered.send(());
        let open = opened.0.lock().unwrap();
        drop(opened.1.wait_while(open, |open| !*open).unwrap());
        inside.fetch_sub(1, Ordering::SeqCst);
        Vec::new()
    });
    let api = Arc::new(listening(|_| {}, sources).await);
    let asked = (0..8).map(|_| {
        let api = Arc::clone(&api);
        tokio::spawn(async move { ask(&api, "GET /api/v1/rules", "").await.0 })
    });
    let asked: Vec<_> = asked.collect();
    let two = tokio::task::spawn_blocking(move || {
        let two = [entries.recv_timeout(SOON), entries.recv_timeout(SOON)];
        (two, entries)
    });
    let (two, _entries) = two.await.unwrap();
    assert_eq!(two, [Ok(()), Ok(())]);
    // Who is told this came after all of them.
    assert_eq!(ask(&api, "GET /healthz", "").await.0, 200);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    for answer in asked {
        assert_eq!(answer.await.unwrap(), 200);
    }
    assert_eq!(at_most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_expression_is_shown_as_a_tree_up_to_32_kib_and_a_form_taken_up_to_128() {
    let directory = tempfile::tempdir().unwrap();
    let (sources, _control) = sources(Some(kept(directory.path())));
    let api = listening(|_| {}, sources).await;
    for (path, bytes, status, said) in [
        ("parse_query", 32 << 10, 200, "numberLiteral"),
        ("parse_query", (32 << 10) + 1, 400, "it has more than 32768 bytes"),
        ("format_query", (32 << 10) + 1, 400, "it has more than 32768 bytes"),
        ("query", 100 << 10, 200, "scalar"),
        ("query", 128 << 10, 400, "the form cannot be read"),
    ] {
        let form = format!("query={}1", "+".repeat(bytes - 1));
        let head = "content-type: application/x-www-form-urlencoded\r\ncontent-length: ";
        let headers = format!("{head}{}\r\n\r\n{form}", form.len());
        let (got, _, body) = ask(&api, &format!("POST /api/v1/{path}"), &headers).await;
        let body = String::from_utf8(body).unwrap();
        assert_eq!(got, status, "{path} {bytes}: {body}");
        assert!(body.contains(said), "{path} {bytes}: {body}");
    }
}

#[tokio::test]
async fn who_sends_a_form_slowly_makes_room_for_who_comes_new_and_is_told() {
    let (sources, _control) = sources(None);
    let registry = sources.registry.clone();
    let api = listening(|config| config.connections_max = 1, sources).await;
    let mut slow = TcpStream::connect(api.address()).await.unwrap();
    let head = "POST /api/v1/query HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n\
                content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut waited_for = [0; 12];
    slow.read_exact(&mut waited_for).await.unwrap();
    assert_eq!(&waited_for, b"HTTP/1.1 100");
    // Until then it is new, and not slow.
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    served(&api).await;
    let mut told = Vec::new();
    slow.read_to_end(&mut told).await.unwrap();
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(told.contains("HTTP/1.1 503") && told.contains("place was needed"), "{told}");
    assert_eq!(registry.counter(&desc::API_EVICTED_CONNECTIONS, &["slow"]).get(), 1);
}

#[tokio::test]
async fn who_asks_for_what_everybody_may_or_nobody_keeps_no_place_with_it() {
    let (sources, _control) = sources(None);
    let api = listening(|config| config.connections_max = 2, sources).await;
    for path in ["/healthz", "/nothing"] {
        let mut stream = TcpStream::connect(api.address()).await.unwrap();
        tokio::spawn(async move {
            let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
            while stream.write_all(request.as_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(900)).await;
            }
        });
    }
    served(&api).await;
}

/// Comes again and again until it is served.
async fn served(api: &Api) {
    let served = async {
        loop {
            let mut new = TcpStream::connect(api.address()).await.unwrap();
            let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
            let mut answer = Vec::new();
            // Closed on arrival for as long as the others have paid.
            let asked = new.write_all(request).await;
            if asked.is_ok() && new.read_to_end(&mut answer).await.is_ok_and(|bytes| bytes > 0) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let answer = tokio::time::timeout(SOON, served).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}
