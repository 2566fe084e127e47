//! Commands that show what an agent keeps: asked of the agent that an address names, and read of its files.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use sidelight_agent::journal::Rejected;
use sidelight_agent::signal::{Flags, Meta, Record, Signal};
use sidelight_agent::time::UnixNano;

use super::support::{Agent, free_address, send_a_log, wait_for};

const NAME: &str = "00000000000000000002-0.rejected";
const LINE: &str =
    r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}"#;

/// An agent in a directory, with a request that a destination rejected before.
struct Place {
    directory: tempfile::TempDir,
    admin: std::net::SocketAddr,
    http: std::net::SocketAddr,
    config: String,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [admin, grpc, http] = [(); 3].map(|()| free_address());
        let config = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}}}}}\n\
             journal: {{directory: '{}'}}\nadmin: {{endpoint: '{admin}'}}\nshutdown_timeout: 2s\n",
            directory.path().join("journal").display()
        );
        Self { directory, admin, http, config }
    }

    fn journal(&self) -> String {
        self.directory.path().join("journal").to_str().unwrap().to_owned()
    }

    fn reject(&self) {
        let kept = Path::new(&self.journal()).join("rejected");
        std::fs::create_dir_all(&kept).unwrap();
        let payload = Bytes::from_static(&[0x0a, 0x00]);
        let (signal, flags, meta) = (Signal::Logs, Flags::default(), Meta::default());
        let record = Record { signal, items: 5, flags, meta, payload };
        let (exporter, status) = ("otlp_http/a".to_owned(), "400: no".to_owned());
        let rejected = Rejected { exporter, status, seq: 2, at: UnixNano(5), record };
        std::fs::write(kept.join(NAME), rejected.encode()).unwrap();
    }

    async fn start(&self) -> Agent {
        Agent::start(self.directory.path(), &self.config, self.admin).await
    }

    /// Runs a command in another directory, where nobody is there to be asked.
    fn run(&self, line: &[&str], environment: &[(&str, &str)]) -> Output {
        let home = tempfile::tempdir().unwrap();
        Command::new(env!("CARGO_BIN_EXE_sidelight"))
            .args(line)
            .current_dir(home.path())
            .env("HOME", home.path())
            .env("XDG_STATE_HOME", home.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs a command that asks the agent that the environment names.
    fn ask(&self, line: &[&str]) -> (Option<i32>, String, String) {
        let url = format!("http://{}", self.admin);
        told(&self.run(line, &[("SIDELIGHT_URL", &url)]))
    }
}

/// Exit code, standard output and standard error.
fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn what_an_agent_keeps_is_asked_of_the_one_that_the_environment_names() {
    let place = Place::new();
    place.reject();
    let agent = place.start().await;
    for _ in 0..3 {
        assert!(send_a_log(place.http));
    }
    let (code, dumped, said) = place.ask(&["journal", "dump", "--signal", "logs"]);
    assert_eq!((code, &*dumped), (Some(0), &*format!("{LINE}\n").repeat(3)), "{said}");
    let (_, two, _) = place.ask(&["journal", "dump", "-n", "2"]);
    assert_eq!(two.lines().count(), 2, "{two}");
    let (_, sheet, _) = place.ask(&["journal", "dump", "-o", "csv"]);
    assert!(
        sheet.starts_with("seq,received_unix_seconds,signal,items,bytes,headers\r\n"),
        "{sheet}"
    );
    assert_eq!(sheet.lines().count(), 4, "{sheet}");

    let (code, listed, said) = place.ask(&["journal", "rejected", "ls", "-o", "json"]);
    let listed = json(&listed);
    assert_eq!((code, &listed["source"]), (Some(0), &"agent".into()), "{said}");
    assert_eq!(listed["kept"][0]["file"], NAME);
    let (_, sheet, _) = place.ask(&["journal", "rejected", "ls", "-o", "csv"]);
    let head = "name,at_unix_seconds,exporter,signal,items,payload_bytes,status\r\n";
    assert!(sheet.starts_with(head), "{sheet}");
    let (code, shown, said) = place.ask(&["journal", "rejected", "show", NAME]);
    assert_eq!((code, &*shown), (Some(0), "{\"resourceLogs\":[{}]}\n"), "{said}");

    for (line, list) in [
        (&["db", "stats", "-o", "json"][..], "files"),
        (&["journal", "stats", "-o", "json"], "readers"),
        (&["journal", "stats", "--segments", "-o", "json"], "segment_list"),
    ] {
        let (code, document, said) = place.ask(line);
        let document = json(&document);
        assert_eq!((code, &document["source"]), (Some(0), &"agent".into()), "{said}");
        assert!(!document[list].as_array().unwrap().is_empty(), "{document}");
    }
    drop(agent);
}

#[tokio::test]
async fn files_are_read_where_they_are_named_or_no_agent_answers_and_none_was_named() {
    let place = Place::new();
    place.reject();
    let agent = place.start().await;
    assert!(send_a_log(place.http));
    let (journal, url) = (place.journal(), format!("http://{}", place.admin));
    let configuration = place.directory.path().join("config.yaml");
    let configuration = configuration.to_str().unwrap();
    // Named files win over an address in the environment, also beside the agent.
    let source = |line: &[&str]| {
        let (code, document, said) = place.ask(line);
        assert_eq!(code, Some(0), "{line:?}: {said}");
        json(&document)["source"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        source(&["journal", "rejected", "ls", "--directory", &journal, "-o", "json"]),
        "files"
    );
    assert_eq!(source(&["db", "stats", "-c", configuration, "-o", "json"]), "files");
    let (code, _, said) = place.ask(&["journal", "dump", "--directory", &journal, "--url", &url]);
    assert_eq!(code, Some(2), "{said}");
    agent.kill();

    for line in [
        &["journal", "dump"][..],
        &["journal", "stats"],
        &["journal", "rejected", "ls"],
        &["journal", "rejected", "show", NAME],
        &["journal", "rejected", "rm", "--all", "--yes"],
        &["db", "stats"],
    ] {
        let (code, out, said) = place.ask(line);
        assert_eq!((code, &*out), (Some(4), ""), "{line:?}: {said}");
        assert!(said.contains("cannot reach the agent"), "{line:?}: {said}");
    }
    let (code, dumped, said) = place.ask(&["journal", "dump", "--directory", &journal]);
    assert_eq!((code, &*dumped), (Some(0), &*format!("{LINE}\n")), "{said}");
    // The agent's own surroundings: nobody listens there, and its configuration names the files.
    let surroundings = [("SIDELIGHT_CONFIG", configuration)];
    let line = &["journal", "dump", "--timeout", "1s"];
    let endpoint = ("SIDELIGHT__ADMIN__ENDPOINT", &*place.admin.to_string());
    let (code, dumped, said) = told(&place.run(line, &[surroundings[0], endpoint]));
    assert_eq!((code, &*dumped), (Some(0), &*format!("{LINE}\n")), "{said}");
    assert!(said.contains(&format!("what the files in {journal} say")), "{said}");
    // One that is slow is there; what removes files removes none that were not named.
    let slow = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let slow = (slow.local_addr().unwrap().to_string(), slow);
    let silent = ("SIDELIGHT__ADMIN__ENDPOINT", &*slow.0);
    let remove = &["journal", "rejected", "rm", "--all", "--yes", "--timeout", "1s"];
    for (line, endpoint, words) in [
        (&line[..], silent, "did not answer within 1s"),
        (&remove[..], silent, "did not answer within 1s"),
        (&remove[..], endpoint, "`--directory`"),
    ] {
        let (code, out, said) = told(&place.run(line, &[surroundings[0], endpoint]));
        assert_eq!((code, &*out), (Some(4), ""), "{line:?}: {said}");
        assert!(said.contains(words), "{line:?}: {said}");
    }
    let kept = Path::new(&journal).join("rejected").join(NAME);
    assert!(kept.try_exists().unwrap());
    let (code, _, said) =
        place.ask(&["journal", "rejected", "rm", "--all", "--yes", "--directory", &journal]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!kept.try_exists().unwrap());
}

#[tokio::test]
async fn all_that_was_rejected_is_removed_only_after_a_yes() {
    let place = Place::new();
    place.reject();
    let agent = place.start().await;
    let kept = Path::new(&place.journal()).join("rejected").join(NAME);
    let (code, _, said) = place.ask(&["journal", "rejected", "rm", "--all"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("remove all 1 rejected requests of the agent at http://"), "{said}");
    assert!(said.contains("--yes") && kept.try_exists().unwrap(), "{said}");
    let (code, _, said) = place.ask(&["journal", "rejected", "rm", "7-0.rejected"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no rejected request `7-0.rejected` is kept"), "{said}");
    let (code, _, said) = place.ask(&["journal", "rejected", "rm", "--all", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!kept.try_exists().unwrap());
    wait_for("the list is empty", Duration::from_secs(20), || {
        let (_, listed, _) = place.ask(&["journal", "rejected", "ls", "-o", "json"]);
        json(&listed)["kept"].as_array()?.is_empty().then_some(())
    })
    .await;
    let (code, _, said) = place.ask(&["journal", "rejected", "rm", "--all"]);
    assert_eq!(code, Some(0), "{said}");
    drop(agent);
}
