//! The agent as a child process, killed when dropped.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::wait_for;

/// An address on 127.0.0.1 that nobody listens on right now.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap()
}

/// A running `sidelight run -c FILE`.
pub struct Agent {
    child: Child,
    admin: SocketAddr,
    stderr: PathBuf,
}

impl Agent {
    /// Starts the binary with `config` (YAML; its admin endpoint must be `admin`), and waits until
    /// it is ready. Files go to `directory`.
    pub async fn start(directory: &Path, config: &str, admin: SocketAddr) -> Self {
        Self::start_with(directory, config, admin, &[]).await
    }

    /// The same, with these environment variables.
    pub async fn start_with(
        directory: &Path,
        config: &str,
        admin: SocketAddr,
        environment: &[(&str, &str)],
    ) -> Self {
        Self::spawn_with(directory, config, admin, &[], environment).ready().await
    }

    /// The same with its standard error there: [`Agent::log`] has nothing of it.
    pub async fn start_onto(
        directory: &Path,
        config: &str,
        admin: SocketAddr,
        stderr: impl Into<Stdio>,
    ) -> Self {
        Self::spawn_onto(directory, config, admin, (&[], &[]), stderr.into()).ready().await
    }

    async fn ready(mut self) -> Self {
        wait_for("the agent is ready", Duration::from_secs(20), || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the agent ended: {ended:?}\n{}", self.log());
            self.get("/readyz").filter(|(status, _)| *status == 200)
        })
        .await;
        self
    }

    /// Starts the binary and does not wait.
    pub fn spawn(directory: &Path, config: &str, admin: SocketAddr) -> Self {
        Self::spawn_with(directory, config, admin, &[], &[])
    }

    /// The same with these arguments and environment variables.
    pub fn spawn_with(
        directory: &Path,
        config: &str,
        admin: SocketAddr,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(log_path(directory));
        let with = (arguments, environment);
        Self::spawn_onto(directory, config, admin, with, log.unwrap().into())
    }

    fn spawn_onto(
        directory: &Path,
        config: &str,
        admin: SocketAddr,
        (arguments, environment): (&[&str], &[(&str, &str)]),
        stderr: Stdio,
    ) -> Self {
        let file = directory.join("config.yaml");
        std::fs::write(&file, config).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_sidelight"))
            .args(["run", "-c"])
            .arg(&file)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        Self { child, admin, stderr: log_path(directory) }
    }

    /// GETs a path of the admin listener: status and body, or `None` when nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        self.ask("GET", path)
    }

    /// POSTs nothing to a path of the admin listener, as [`Agent::get`].
    pub fn post(&self, path: &str) -> Option<(u16, String)> {
        self.ask("POST", path)
    }

    fn ask(&self, method: &str, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect_timeout(&self.admin, Duration::from_secs(1)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let host = self.admin;
        let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{length}Connection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let body = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            dechunk(body)
        } else {
            body.to_owned()
        };
        Some((status, body))
    }

    /// What the agent wrote to standard error so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Where [`Agent::log`] is read from.
    pub fn log_path(&self) -> PathBuf {
        self.stderr.clone()
    }

    /// SIGKILL: the process gets no chance to do anything.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends `signal` (a name as `kill` takes it) and leaves the process running.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// What /proc has of it.
    pub fn process_file(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.child.id());
        String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
    }

    /// A variable of the environment that the process began with.
    pub fn environment(&self, name: &str) -> Option<String> {
        let all = self.process_file("environ");
        let mut pairs = all.split('\0').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(key, value)| (key == name).then(|| value.to_owned()))
    }

    /// Waits for the process to end by itself and gives its exit code.
    pub async fn ended(mut self, deadline: Duration) -> Option<i32> {
        wait_for("the agent ends", deadline, || self.child.try_wait().unwrap()).await.code()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("stderr.log")
}

fn dechunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, tail)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        body.push_str(&tail[..size]);
        rest = tail[size..].trim_start_matches("\r\n");
    }
    body
}
