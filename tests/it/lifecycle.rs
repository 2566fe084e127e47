//! Start, stop, reload, refusal: the agent as its supervisor sees it.

use std::time::Duration;

use super::support::{Agent, free_address, wait_for};

fn config(directory: &std::path::Path, admin: std::net::SocketAddr) -> String {
    let [grpc, http] = [(); 2].map(|()| free_address());
    let journal = directory.join("journal");
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}}}}}\n\
         journal: {{directory: '{}'}}\nadmin: {{endpoint: '{admin}'}}\nshutdown_timeout: 2s\n",
        journal.display()
    )
}

#[tokio::test]
async fn the_process_gives_memory_back_and_may_open_all_files_that_it_may() {
    for (environment, told) in [(&[][..], "10"), (&[("MIMALLOC_PURGE_DELAY", "50")][..], "50")] {
        let directory = tempfile::tempdir().unwrap();
        let admin = free_address();
        let config = config(directory.path(), admin);
        let agent = Agent::start_with(directory.path(), &config, admin, environment).await;
        assert_eq!(agent.environment("MIMALLOC_PURGE_DELAY").as_deref(), Some(told));
        let limits = agent.process_file("limits");
        let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let files: Vec<_> = files.split_whitespace().skip(3).collect();
        assert_eq!(files[0], files[1], "as many files as the hard limit allows");
    }
}

/// A process that ends with the test, however that ends.
struct Ends(std::process::Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is left of the attempt to begin it anew would end it by SIGPIPE when a peer goes.
#[tokio::test]
async fn a_program_whose_file_is_gone_goes_on_as_it_is() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_sidelight"));
    let directory = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
    let admin = free_address();
    std::fs::hard_link(program, directory.path().join("agent")).unwrap();
    std::fs::write(directory.path().join("c.yaml"), config(directory.path(), admin)).unwrap();
    let child = std::process::Command::new("sh")
        .args(["-c", "exec 3<agent; rm agent; exec /proc/self/fd/3 run -c c.yaml"])
        .current_dir(directory.path())
        .env_remove("MIMALLOC_PURGE_DELAY")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let child = Ends(child);
    wait_for("it answers", Duration::from_secs(20), || std::net::TcpStream::connect(admin).ok())
        .await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.0.id())).unwrap();
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    let sigpipe = 1 << (13 - 1);
    assert_ne!((mask("SigIgn:") | mask("SigCgt:")) & sigpipe, 0, "{status}");
}

/// The command line was refused for up to a minute after each change.
#[tokio::test]
async fn a_new_admin_token_is_taken_from_the_first_request_on_and_the_one_before_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let admin = free_address();
    let [token, old] = ["token", "old"].map(|name| directory.path().join(name));
    std::fs::write(&token, "first").unwrap();
    let guarded = format!("admin: {{token_file: '{}', ", token.display());
    let config = config(directory.path(), admin).replace("admin: {", &guarded);
    let _agent = Agent::start(directory.path(), &config, admin).await;
    let ask = |file: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sidelight"));
        command.args(["labels", "--url", &format!("http://{admin}"), "--token-file"]);
        command.arg(file).output().unwrap().status.code()
    };
    for newer in ["second", "third"] {
        assert_eq!(ask(&token), Some(0));
        std::fs::rename(&token, &old).unwrap();
        std::fs::write(&token, newer).unwrap();
        assert_eq!(ask(&token), Some(0), "{newer}");
        assert_eq!(ask(&old), Some(6), "{newer}");
    }
}

#[tokio::test]
async fn sigterm_drains_and_exits_with_zero() {
    let directory = tempfile::tempdir().unwrap();
    let admin = free_address();
    let agent = Agent::start(directory.path(), &config(directory.path(), admin), admin).await;
    agent.signal("TERM");
    assert_eq!(agent.ended(Duration::from_secs(10)).await, Some(0));
}

/// A file that is read again and again and does not answer once: a pipe is a token for who checks the configuration, and waits
/// for another writer when the agent starts with it.
#[tokio::test]
async fn a_signal_ends_a_start_that_a_disk_holds_up() {
    for signal in ["TERM", "INT"] {
        for option in [
            "receivers: {otlp: {protocols: {http: {auth: {bearer_token_file: 'PIPE'}}}}}",
            "admin: {token_file: 'PIPE'}",
        ] {
            let directory = tempfile::tempdir().unwrap();
            let [admin, grpc, http] = [(); 3].map(|()| free_address());
            let [pipe, more] = ["token", "more.yaml"].map(|name| directory.path().join(name));
            assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
            std::fs::write(&more, option.replace("PIPE", pipe.to_str().unwrap())).unwrap();
            let config = format!(
                "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}}}}}\n\
                 journal: {{directory: '{}'}}\nadmin: {{endpoint: '{admin}'}}\n",
                directory.path().join("journal").display()
            );
            let arguments = ["-c", more.to_str().unwrap()];
            let agent = Agent::spawn_with(directory.path(), &config, admin, &arguments, &[]);
            let log = agent.log_path();
            let written = tokio::task::spawn_blocking(move || std::fs::write(pipe, "secret\n"));
            tokio::time::timeout(Duration::from_secs(20), written).await.unwrap().unwrap().unwrap();
            // It listens to signals before it binds.
            wait_for("it starts", Duration::from_secs(20), || {
                std::net::TcpStream::connect(grpc).ok()
            })
            .await;
            agent.signal(signal);
            let ended = agent.ended(Duration::from_secs(10)).await;
            let log = std::fs::read_to_string(log).unwrap();
            assert_eq!(ended, Some(0), "{signal}, {option}: {log}");
            assert!(log.contains("before everything runs"), "{signal}, {option}: {log}");
        }
    }
}

/// A request that stays open would hold the drain for the five minutes of the configuration.
#[tokio::test]
async fn a_second_signal_ends_the_drain_at_once() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let directory = tempfile::tempdir().unwrap();
        let (admin, [grpc, http]) = (free_address(), [(); 2].map(|()| free_address()));
        let journal = directory.path().join("journal");
        let config = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}}}}}\n\
             journal: {{directory: '{}'}}\nadmin: {{endpoint: '{admin}'}}\nshutdown_timeout: 5m\n",
            journal.display()
        );
        let agent = Agent::start(directory.path(), &config, admin).await;
        // A connection that keeps its request open: the drain waits for it.
        let mut open = tokio::net::TcpStream::connect(http).await.unwrap();
        let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\
                    content-type: application/x-protobuf\r\nexpect: 100-continue\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut open, head.as_bytes()).await.unwrap();
        // It was begun: the receiver asks for the rest.
        tokio::io::AsyncReadExt::read_u8(&mut open).await.unwrap();
        agent.signal(signal);
        wait_for("the drain has begun", Duration::from_secs(10), || {
            agent.get("/readyz").filter(|(status, _)| *status == 503)
        })
        .await;
        agent.signal(signal);
        assert_eq!(agent.ended(Duration::from_secs(10)).await, Some(code), "{signal}");
    }
}

#[tokio::test]
async fn systemd_is_told_of_every_turn() {
    let directory = tempfile::tempdir().unwrap();
    let admin = free_address();
    let socket = directory.path().join("notify");
    let told = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    told.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let next = || {
        let mut bytes = [0; 1000];
        let length = told.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
    };
    let agent = Agent::start_with(
        directory.path(),
        &config(directory.path(), admin),
        admin,
        &[("NOTIFY_SOCKET", socket.to_str().unwrap()), ("WATCHDOG_USEC", "300000")],
    )
    .await;
    let until = |wanted: &str| loop {
        let message = next();
        if message.starts_with(wanted) {
            return message;
        }
    };
    until("READY=1");
    until("WATCHDOG=1");
    agent.signal("HUP");
    assert!(until("RELOADING=1").contains("MONOTONIC_USEC="));
    until("READY=1");
    agent.signal("TERM");
    until("STOPPING=1");
    assert_eq!(agent.ended(Duration::from_secs(10)).await, Some(0));
}

#[tokio::test]
async fn a_second_agent_on_the_same_journal_is_refused_with_its_directory_named() {
    let directory = tempfile::tempdir().unwrap();
    let admin = free_address();
    let first = Agent::start(directory.path(), &config(directory.path(), admin), admin).await;
    let second = Agent::spawn(directory.path(), &config(directory.path(), free_address()), admin);
    let log = second.log_path();
    assert_eq!(second.ended(Duration::from_secs(10)).await, Some(1));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("journal") && log.contains("in use"), "{log}");
    drop(first);
}

#[tokio::test]
async fn an_admin_address_in_use_is_said_before_a_journal_is_touched() {
    let directory = tempfile::tempdir().unwrap();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = taken.local_addr().unwrap();
    let agent = Agent::spawn(directory.path(), &config(directory.path(), admin), admin);
    let log = agent.log_path();
    assert_eq!(agent.ended(Duration::from_secs(20)).await, Some(1));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains(&format!("cannot serve the admin endpoint on {admin}")), "{log}");
    assert!(!directory.path().join("journal").try_exists().unwrap());
}

#[tokio::test]
async fn every_metric_of_exporters_in_the_documentation_is_shown_for_an_exporter() {
    let directory = tempfile::tempdir().unwrap();
    let admin = free_address();
    let config = format!("{}exporters: {{debug: }}\n", config(directory.path(), admin));
    let agent = Agent::start(directory.path(), &config, admin).await;
    let (_, metrics) = agent.get("/metrics").unwrap();
    let rows =
        include_str!("../../docs/metrics.md").lines().filter_map(|row| row.split('`').nth(1));
    let families: Vec<_> = rows.filter(|name| name.contains("_exporter_")).collect();
    assert!(families.len() > 20, "{families:?}");
    for name in families {
        let series = format!("{name}{{exporter=\"debug\"");
        assert!(metrics.lines().any(|line| line.starts_with(&series)), "{name}: {metrics}");
        let kind = format!("# TYPE {name} ");
        assert_eq!(metrics.lines().filter(|line| line.starts_with(&kind)).count(), 1, "{name}");
    }
}

#[tokio::test]
async fn every_admin_document_can_be_read_and_names_no_family_twice() {
    let directory = tempfile::tempdir().unwrap();
    let admin = free_address();
    let agent = Agent::start(directory.path(), &config(directory.path(), admin), admin).await;
    let (status, metrics) = agent.get("/metrics").unwrap();
    assert_eq!(status, 200);
    let mut families: Vec<_> = metrics.lines().filter(|l| l.starts_with("# TYPE")).collect();
    assert!(families.len() > 20, "{metrics}");
    families.sort_unstable();
    let count = families.len();
    families.dedup();
    assert_eq!(families.len(), count);
    for path in ["ledger", "spans", "rejected", "status"] {
        let (status, document) = agent.get(&format!("/api/sidelight/v1/{path}")).unwrap();
        assert_eq!(status, 200, "{path}");
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document["schema_version"], 1, "{path}");
    }
}

#[tokio::test]
async fn check_only_says_of_each_file_what_a_start_does_without_it() {
    for (option, starts) in [
        ("admin: {token_file: /none/token}", false),
        ("receivers: {otlp: {auth: {bearer_token_file: /none/token}}}", false),
        ("receivers: {otlp: {tls: {cert_file: /none/c, key_file: /none/k}}}", false),
        ("receivers: {otlp: {protocols: {http: {auth: {bearer_token_file: /none/token}}}}}", false),
        (
            "receivers: {otlp: {protocols: {http: {enabled: false, tls: {cert_file: /none/c, key_file: /none/k}}}}}",
            true,
        ),
        (
            "exporters: {otlp_grpc: {endpoint: 'https://127.0.0.1:1', tls: {ca_file: /none/ca}}}",
            true,
        ),
        (
            "exporters: {otlp_grpc: {endpoint: 'https://127.0.0.1:1', tls: {cert_file: /none/c, key_file: /none/k}}}",
            true,
        ),
        (
            "exporters: {otlp_http: {endpoint: 'http://127.0.0.1:1', tls: {ca_file: /none/ca}}}",
            true,
        ),
        ("rules: {files: [/none/rules.yaml]}", true),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let admin = free_address();
        let more = directory.path().join("more.yaml");
        std::fs::write(&more, option).unwrap();
        let base = directory.path().join("base.yaml");
        std::fs::write(&base, config(directory.path(), admin)).unwrap();
        let checked = std::process::Command::new(env!("CARGO_BIN_EXE_sidelight"))
            .args(["run", "--check-only", "-c"])
            .arg(&base)
            .arg("-c")
            .arg(&more)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert_eq!(checked.status.code(), Some(if starts { 0 } else { 5 }), "{option}: {said}");
        assert!(said.contains("/none/"), "{option}: {said}");
        let arguments = ["-c", more.to_str().unwrap()];
        let base = config(directory.path(), admin);
        let agent = Agent::spawn_with(directory.path(), &base, admin, &arguments, &[]);
        if starts {
            let ready = || agent.get("/readyz").filter(|(status, _)| *status == 200);
            wait_for(option, Duration::from_secs(20), ready).await;
        } else {
            assert_eq!(agent.ended(Duration::from_secs(20)).await, Some(1), "{option}");
        }
    }
}

#[test]
fn the_file_that_the_surroundings_name_is_the_configuration_where_no_flag_names_one() {
    let directory = tempfile::tempdir().unwrap();
    let [usual, other] = ["usual", "other"].map(|name| {
        let path = directory.path().join(name).with_extension("yaml");
        std::fs::write(&path, format!("journal: {{directory: '/{name}'}}\n")).unwrap();
        path
    });
    let printed = |arguments: &[&str], variable: &std::path::Path| {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_sidelight"))
            .args(["config", "print"])
            .args(arguments)
            .env("SIDELIGHT_CONFIG", variable)
            .current_dir(directory.path())
            .output()
            .unwrap();
        (
            out.status.code(),
            String::from_utf8(out.stdout).unwrap() + &String::from_utf8_lossy(&out.stderr),
        )
    };
    let names = |found: &(Option<i32>, String), name: &str| {
        found.0 == Some(0) && found.1.contains(&format!("directory: /{name}\n"))
    };
    let found = printed(&[], &usual);
    assert!(names(&found, "usual"), "{found:?}");
    let found = printed(&["-c", other.to_str().unwrap()], &usual);
    assert!(names(&found, "other"), "{found:?}");
    let found = printed(&[], std::path::Path::new(""));
    assert!(found.0 == Some(0) && !found.1.contains("/usual"), "{found:?}");
    let found = printed(&[], std::path::Path::new("/none.yaml"));
    assert!(found.0 == Some(5) && found.1.contains("SIDELIGHT_CONFIG names it"), "{found:?}");
}

#[tokio::test]
async fn every_command_that_reads_a_configuration_takes_the_file_that_the_surroundings_name() {
    let directory = tempfile::tempdir().unwrap();
    let admin = free_address();
    let path = directory.path().join("usual.yaml");
    std::fs::write(&path, config(directory.path(), admin)).unwrap();
    let sidelight = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sidelight"));
        command.args(arguments).current_dir(directory.path()).stderr(std::process::Stdio::piped());
        command
    };
    let checked = |usual: &std::path::Path| {
        let mut command = sidelight(&["check", "config"]);
        command.env("SIDELIGHT_CONFIG", usual).status().unwrap().code()
    };
    assert_eq!(checked(&path), Some(0));
    assert_eq!(checked(std::path::Path::new("")), Some(2), "nothing says which one");
    let doctor = sidelight(&["doctor"]).env("SIDELIGHT_CONFIG", &path).output().unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains(&format!("from {}", path.display())), "{said}");
    let mut run = sidelight(&["run"]);
    let agent = Ends(run.env("SIDELIGHT_CONFIG", &path).spawn().unwrap());
    wait_for("the agent of that file", Duration::from_secs(20), || {
        std::net::TcpStream::connect(admin).ok()
    })
    .await;
    drop(agent);
}
