//! Addresses that are taken and refused, and answers told apart.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A server that answers one request, and what it was asked.
async fn answering(response: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(response.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    (url, asked)
}

fn connection(url: &str) -> Connection {
    Connection { url: Some(url.to_owned()), token_file: None, timeout: Duration::from_secs(10) }
}

#[tokio::test]
async fn an_answer_is_given_with_its_status_and_the_token_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "s3cret\n").unwrap();
    let (url, asked) = answering("HTTP/1.1 503 no\r\ncontent-length: 2\r\n\r\n{}").await;
    let connection = Connection { token_file: Some(file), ..connection(&url) };
    let answer = connection.get("/readyz").await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (503, &b"{}"[..]));
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("GET /readyz HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Bearer s3cret\r\n"), "{asked}");
}

#[tokio::test]
async fn a_token_that_cannot_be_read_matters_only_to_an_agent_that_asks_for_it() {
    let absent = Some(PathBuf::from("/nowhere/token"));
    let (url, _asked) = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let open = Connection { token_file: absent.clone(), ..connection(&url) };
    assert_eq!(open.get("/healthz").await.unwrap().status.as_u16(), 200);
    let (url, _asked) = answering("HTTP/1.1 401 no\r\ncontent-length: 2\r\n\r\n{}").await;
    let guarded = Connection { token_file: absent, ..connection(&url) };
    let failure = guarded.get("/x").await.err().unwrap();
    assert_eq!(failure.exit, Exit::NotAuthorised);
    assert!(failure.why.iter().any(|why| why.contains("/nowhere/token")), "{failure:?}");
}

#[tokio::test]
async fn what_the_agent_calls_a_bad_request_is_a_usage_error_in_its_words() {
    for body in [
        r#"{"status":"error","errorType":"bad_data","error":"no such range"}"#,
        r#"{"error":{"code":"bad_request","message":"no such range"}}"#,
    ] {
        let answer = Answer { status: StatusCode::BAD_REQUEST, body: body.as_bytes().into() };
        let failure = taken(answer).err().unwrap();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.what.ends_with(": no such range"), "{failure:?}");
    }
}

#[test]
fn what_is_not_there_is_told_from_a_port_that_has_no_such_path() {
    for (status, body, helped) in [
        (404, r#"{"error":{"code":"not_found","message":"there is no silence `nope`"}}"#, false),
        (404, r#"{"error":{"code":"not_found","message":"no such path; GET / lists them"}}"#, true),
        (404, r#"{"code":12,"message":"no such path"}"#, true),
        (405, "<html>", true),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let failure = taken(Answer { status, body: body.into() }).err().unwrap();
        assert_eq!(failure.help.as_deref(), helped.then_some(OTHER_PORT), "{body}");
    }
}

#[test]
fn an_address_that_cannot_be_read_is_refused_and_no_other_agent_is_asked() {
    for url in [
        "http://127.0.0.1:99999",
        "http://127.0.0.1:",
        "127.0.0.1:70000",
        "http://127.0.0.1:x",
        "http://[::1]:99999",
        "http://user:pass@127.0.0.1:9464",
        "http://127.0.0.1:9464/other",
        "http://127.0.0.1:9464/?a=b",
        "http://127.0.0.1:9464#a",
    ] {
        let failure = uri(url, "`SIDELIGHT_URL`").unwrap_err();
        assert_eq!(failure.exit, Exit::Usage, "{url}");
        assert!(failure.what.contains("`SIDELIGHT_URL`"), "{failure:?}");
        assert!(!failure.what.contains("pass@"), "{failure:?}");
    }
    for url in ["http://127.0.0.1:9464/", "agent:1", "http://agent", "[::1]:9464"] {
        assert!(uri(url, "`--url`").is_ok(), "{url}");
    }
}

#[test]
fn a_variable_that_is_empty_names_no_agent_and_one_that_names_it_is_said() {
    fn of(typed: Option<&str>, variables: &[(&str, &str)]) -> (String, &'static str) {
        let variable = |name: &str| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| OsString::from(value)).filter(is_set)
        };
        place(typed, variable)
    }
    let configured = (ENDPOINT, "0.0.0.0:7");
    assert_eq!(of(Some("a:1"), &[(URL, "b:2")]), ("a:1".to_owned(), "`--url`"));
    assert_eq!(of(None, &[(URL, "b:2"), configured]), ("b:2".to_owned(), "`SIDELIGHT_URL`"));
    let (url, by) = of(None, &[configured]);
    assert_eq!((&*url, by), ("http://127.0.0.1:7", "`SIDELIGHT__ADMIN__ENDPOINT`"));
    assert_eq!(of(None, &[(URL, ""), configured]).1, "`SIDELIGHT__ADMIN__ENDPOINT`");
    assert_eq!(of(None, &[(URL, "")]).0, "http://127.0.0.1:9464");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_too_large_or_is_no_http_is_not_an_absent_agent() {
    for (answer, exit, words) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", Exit::Unreachable, "broke off"),
        ("", Exit::Unreachable, "broke off"),
        ("SSH-2.0-OpenSSH_9.2\r\n", Exit::Failed, "does not speak HTTP"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n", Exit::Failed, "larger than 64 MiB"),
    ] {
        let (url, _asked) = answering(answer).await;
        let failure = connection(&url).get("/x").await.err().unwrap();
        assert_eq!(failure.exit, exit, "{failure:?}");
        assert!(failure.what.contains(words) && !failure.is_absent, "{failure:?}");
    }
}

#[test]
fn what_listens_everywhere_is_reached_here() {
    for (listens, reached) in [
        ("0.0.0.0:9464", "http://127.0.0.1:9464"),
        ("[::]:9464", "http://[::1]:9464"),
        ("10.0.0.7:9464", "http://10.0.0.7:9464"),
        ("agent:9464", "http://agent:9464"),
    ] {
        assert_eq!(url_of(listens), reached);
    }
}

fn write_as_made(path: &Path, text: &str) {
    drop(std::fs::remove_file(path));
    let mut file = File::options();
    let file = file.write(true).create_new(true).mode(0o600).open(path);
    file.unwrap().write_all(format!("{text}\n").as_bytes()).unwrap();
}

#[test]
fn a_file_that_the_agent_does_not_make_is_not_sent_to_whoever_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.token");
    let token = "0123456789abcdef".repeat(4);
    for (text, sent) in [
        (&*token, true),
        (&*format!("{token}0"), false),
        (&*format!("{token}\n"), false),
        (&token[1..], false),
        (&*format!("s.{}", &token[2..]), false),
    ] {
        write_as_made(&path, text);
        assert_eq!(own_file(&path).is_some(), sent, "{text}");
    }
    write_as_made(&path, &token);
    assert_eq!(own_file(&path), Some(token.clone()));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(own_file(&path), None, "others read it");
    let secret = directory.path().join("secret");
    write_as_made(&secret, &token);
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&secret, &path).unwrap();
    assert_eq!(own_file(&path), None, "a link to another secret");
    std::fs::remove_file(&path).unwrap();
    let user = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, user, 0).unwrap();
    assert_eq!(own_file(&path), None, "a pipe is not waited at");
}

#[test]
fn the_agents_own_token_is_found_on_this_machine_and_nothing_else_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let found = |url: &str, name: &str, status: u16| {
        let path = directory.path().join(name);
        write_as_made(&path, &"0f".repeat(32));
        let body = serde_json::json!({"error": {"token_file": path}}).to_string();
        let answer = Answer { status: StatusCode::from_u16(status).unwrap(), body: body.into() };
        own_token(&url.parse().unwrap(), &answer).is_some()
    };
    assert!(found("http://127.0.0.1:9464", "admin.token", 401));
    assert!(found("http://localhost:9464", "admin.token", 401));
    assert!(found("http://[::1]:9464", "admin.token", 401));
    assert!(!found("http://10.0.0.7:9464", "admin.token", 401));
    assert!(!found("http://127.0.0.1:9464", "id_rsa", 401));
    assert!(!found("http://127.0.0.1:9464", "admin.token", 403));
}

#[tokio::test]
async fn a_refused_token_an_absent_agent_and_a_bad_address_have_their_exit_codes() {
    let refusal = "HTTP/1.1 401 no\r\ncontent-length: 26\r\n\r\n{\"message\":\"token needed\"}";
    let (url, _asked) = answering(refusal).await;
    let failure = connection(&url).get("/metrics").await.err().unwrap();
    assert_eq!(failure.exit, Exit::NotAuthorised);
    assert!(failure.what.contains("token needed"), "{}", failure.what);
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let failure = connection(&url).get("/healthz").await.err().unwrap();
    assert!(failure.exit == Exit::Unreachable && failure.is_absent, "{failure:?}");
    for url in ["https://127.0.0.1:1", "http://", "ftp://x", "a b"] {
        let failure = connection(url).get("/").await.err().unwrap();
        assert_eq!(failure.exit, Exit::Usage, "{url}");
    }
}

#[tokio::test]
async fn an_agent_that_does_not_answer_in_time_is_unreachable() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let hasty = Connection { timeout: Duration::from_millis(20), ..connection(&url) };
    let failure = hasty.get("/healthz").await.err().unwrap();
    assert!(failure.exit == Exit::Unreachable && !failure.is_absent, "{failure:?}");
}
