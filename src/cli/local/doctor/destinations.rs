//! Destinations: the name, the connection, the certificate, and an empty request.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::report::Group;
use super::storage;
use crate::config::Config;
use crate::export;
use crate::export::client::{Client, Response, SendError};
use crate::export::config::{ClientConfig, Destination, Protocol, Target};
use crate::export::disposition::Status;
use crate::export::itself;
use crate::export::itself::Listeners;
use crate::export::refused::escaped;
use crate::net::certificate;
use crate::net::connect::{self, ConnectError};
use crate::net::endpoint::Endpoint;
use crate::net::retry::http_date_seconds;
use crate::net::tls::TlsError;
use crate::receive::Bind;
use crate::signal::Signal;
use crate::time::{Clock as _, SystemClock, UnixNano, rfc3339};

/// A certificate that ends sooner is said.
const SOON: Duration = Duration::from_hours(21 * 24);
/// A difference of clocks that hurts nobody: of two looks a network apart, at whole seconds.
const SKEW_SECONDS_MAX: u64 = 5;

pub(super) async fn look(config: &Config, timeout: Duration, group: &mut Group<'_>) {
    if config.export.destinations.is_empty() {
        group.skipped("export", "no exporters: everything stays here");
    }
    let listeners = listeners(config);
    for destination in &config.export.destinations {
        let alone = export::Config { destinations: vec![destination.clone()] };
        let refused = tokio::time::timeout(timeout, itself::refuse(&alone, &listeners)).await;
        if let Ok(Err(error)) = refused {
            let help = option(&destination.name, "endpoint");
            group.failed("loop", error.to_string(), help);
            continue;
        }
        match &destination.target {
            Target::Debug(_) => {
                group.passed("export", format!("{} writes to standard error", destination.name))
            }
            Target::File(file) => {
                let option = format!("exporters.{}.path", destination.name);
                if appendable(&destination.name, &file.path, &option, group) {
                    let parent = file.path.parent().unwrap_or(Path::new("."));
                    storage::writable(&destination.name, parent, &option, group);
                }
            }
            Target::Otlp(client) => {
                let client =
                    ClientConfig { timeout: client.timeout.min(timeout), ..(**client).clone() };
                otlp(destination, &client, group).await;
            }
        }
    }
}

/// Whether what is at `path`, if anything is, can be appended to as the agent does; what is no file is not opened.
fn appendable(name: &str, path: &Path, option: &str, group: &mut Group<'_>) -> bool {
    let shown = path.display();
    let help = format!("set {option} to a file that the agent's user may write");
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            group.failed("export", format!("{name}: {shown} is not a file"), help);
            return false;
        }
        Ok(_) => {}
        // What hides it is said of its directory.
        Err(_) => return true,
    }
    let opened = std::fs::OpenOptions::new().read(true).append(true).open(path);
    if let Err(error) = &opened {
        let text = format!("{name}: this user cannot write to {shown}: {error}");
        group.failed("export", text, help);
    }
    opened.is_ok()
}

/// Where the agent of this configuration would listen.
fn listeners(config: &Config) -> Listeners {
    let mut listeners = Listeners::default();
    for listener in &config.receive.listeners {
        match &listener.bind {
            Bind::Tcp(address) => listeners.tcp.extend(address.parse::<SocketAddr>()),
            Bind::Unix { path, .. } => listeners.unix.push(path.clone()),
        }
    }
    listeners
}

async fn otlp(destination: &Destination, client: &ClientConfig, group: &mut Group<'_>) {
    let name = &destination.name;
    let clock = Arc::new(SystemClock::new());
    let Ok(sender) = Client::new(client, Arc::<SystemClock>::clone(&clock)) else {
        let text = format!("{name}: a header cannot be sent");
        return group.failed("export", text, "see `headers` of this exporter");
    };
    let ask = async |signal: Signal| {
        let began = clock.monotonic();
        // Legal and without effect: a request with nothing in it.
        let sent = sender.send(signal, Vec::new()).await;
        let (took, ended) = (clock.monotonic().saturating_sub(began), clock.unix_nano());
        let (endpoint, own) = client.endpoint_of(signal);
        // Over HTTP half of the mistakes are in the path.
        let path = if client.protocol == Protocol::Http { sender.path_of(signal) } else { "" };
        Asked { signal, endpoint, own, path, sent, took, ended }
    };
    let asked = destination.signals.iter().map(ask);
    let asked = futures_util::future::join_all(asked).await;
    let mut rest: Vec<&Asked<'_>> = asked.iter().collect();
    while let Some(first) = rest.first().copied() {
        let (here, others) = rest.into_iter().partition(|asked| asked.is_at(first.endpoint));
        rest = others;
        server(name, first.endpoint, client, group).await;
        answers(name, &here, group);
    }
}

/// What became of an empty request.
struct Asked<'a> {
    signal: Signal,
    endpoint: &'a Endpoint,
    /// Whether that is of this signal alone.
    own: bool,
    path: &'a str,
    sent: Result<Response, SendError>,
    took: Duration,
    ended: UnixNano,
}

impl Asked<'_> {
    /// Whether the same server was asked, whatever the path.
    fn is_at(&self, endpoint: &Endpoint) -> bool {
        self.endpoint.address == endpoint.address && self.endpoint.tls == endpoint.tls
    }

    /// The option that names the endpoint.
    fn option(&self) -> String {
        if self.own { format!("{}_endpoint", self.signal) } else { "endpoint".to_owned() }
    }
}

/// The certificate of a server.
async fn server(name: &str, endpoint: &Endpoint, client: &ClientConfig, group: &mut Group<'_>) {
    if !endpoint.tls {
        return;
    }
    let certificate = connect::certificate(endpoint, &client.tls);
    let reached = tokio::time::timeout(client.timeout, certificate).await;
    if let Ok(Ok(Some(certificate))) = reached {
        expiry(name, &certificate, SystemClock::new().unix_nano(), group);
    }
}

/// What one server answered to each signal: those that it took in one row, and a row for each way to fail.
fn answers(name: &str, asked: &[&Asked<'_>], group: &mut Group<'_>) {
    let (taken, refused): (Vec<&Asked<'_>>, Vec<_>) =
        asked.iter().copied().partition(|asked| asked.sent.is_ok());
    let date = |asked: &&Asked<'_>| {
        let date = asked.sent.as_ref().ok()?.date.as_ref()?;
        Some((date.to_str().ok()?.to_owned(), asked.ended))
    };
    if let Some((date, ended)) = taken.iter().find_map(date) {
        skew(name, &date, ended, group);
    }
    if let [first, ..] = taken.as_slice() {
        let to = first.endpoint.authority();
        let took = taken.iter().map(|asked| asked.took).max().unwrap_or_default().as_millis();
        let what = match taken.as_slice() {
            [only] => format!("{to}{} took an empty {} request", only.path, only.signal),
            _ => format!("{to} took empty requests for {}", signals(&taken)),
        };
        let tls = if first.endpoint.tls { "TLS" } else { "plain text" };
        group.passed("export", format!("{name}: {what} in {took} ms ({tls})"));
    }
    let mut rest = refused;
    while let Some(first) = rest.first().copied() {
        let why = first.failure(name, &taken);
        let (alike, others): (Vec<&Asked<'_>>, _) =
            rest.iter().partition(|asked| asked.failure(name, &taken) == why);
        rest = others;
        let Some(Failure { why, help, is_expected }) = why else { continue };
        let to = first.endpoint.authority();
        let paths: Vec<_> = alike.iter().map(|asked| asked.path.to_owned()).collect();
        let of = match &first.sent {
            // What keeps every signal away is of the server, not of a path.
            Err(SendError::Connect(_) | SendError::Token(_)) => String::new(),
            _ if first.path.is_empty() => format!(" ({})", signals(&alike)),
            _ => listed(&paths),
        };
        let text = format!("{name}: {to}{of}: {why}");
        if is_expected {
            group.warning("export", text, help);
        } else {
            group.failed("export", text, help);
        }
    }
}

/// Why a server did not take an empty request.
#[derive(PartialEq)]
struct Failure {
    why: String,
    help: String,
    /// Profiles are new, few servers have a place for them, and exporters send them unless told otherwise.
    is_expected: bool,
}

impl Asked<'_> {
    /// Why it was not taken by a server that took `taken`.
    fn failure(&self, name: &str, taken: &[&Asked<'_>]) -> Option<Failure> {
        let error = self.sent.as_ref().err()?;
        let why = escaped(&error.chain());
        let is_absent = matches!(error, SendError::Answered { status, .. } if is_absent(*status));
        if taken.is_empty() || !is_absent {
            let help = help(name, &self.option(), error);
            return Some(Failure { why, help, is_expected: false });
        }
        let mut help =
            format!("it takes {}: leave others out ({}", signals(taken), option(name, "signals"));
        if !self.path.is_empty() {
            let path = option(name, &format!("{}_endpoint", self.signal));
            help += &format!("), or mend the path ({path}");
        }
        let is_expected = self.signal == Signal::Profiles;
        Some(Failure { why, help: help + ")", is_expected })
    }
}

/// `traces, metrics and logs`.
fn signals(asked: &[&Asked<'_>]) -> String {
    listed(&asked.iter().map(|asked| asked.signal.to_string()).collect::<Vec<_>>())
}

fn listed(words: &[String]) -> String {
    match words {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        _ => words.concat(),
    }
}

/// How long the certificate that a server shows still holds. One that does not hold is shown where none is verified.
pub(super) fn expiry(name: &str, certificate: &[u8], now: UnixNano, group: &mut Group<'_>) {
    let Some((from, until)) = certificate::validity(certificate) else { return };
    let since_1970 = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let (from, until, now) = (since_1970(from), since_1970(until), Duration::from_nanos(now.0));
    let days = |long: Duration| certificate::days(long.as_secs());
    let the = format!("{name}: the server's certificate");
    if now < from {
        let text = format!("{the} is not valid before {}", date(from));
        group.warning("certificate", text, "set this machine's clock, or mend it on that server");
    } else if now > until {
        let (ended, ago) = (date(until), days(now.saturating_sub(until)));
        let text = format!("{the} expired on {ended}, {ago} ago");
        group.warning("certificate", text, "renew it on that server");
    } else if until.saturating_sub(now) < SOON {
        let (ends, left) = (date(until), days(until.saturating_sub(now)));
        let text = format!("{the} is valid until {ends}, {left}");
        group.warning("certificate", text, "renew it on that server");
    } else {
        group.passed("certificate", format!("{the} is valid until {}", date(until)));
    }
}

/// The day, so long after 1970 began.
fn date(since_1970: Duration) -> String {
    let time = rfc3339(UnixNano::default().after(since_1970));
    time.split('T').next().unwrap_or_default().to_owned()
}

/// How far this machine's clock is from that of a server which says its time, to the second.
fn skew(name: &str, date: &str, now: UnixNano, group: &mut Group<'_>) {
    let Some(theirs) = http_date_seconds(date) else { return };
    let ours = now.0 / 1_000_000_000;
    let off = ours.abs_diff(theirs);
    let word = if ours < theirs { "behind" } else { "ahead of" };
    let text = format!("{name}: this machine's clock is {off} s {word} that server's");
    if off > SKEW_SECONDS_MAX {
        group.warning("clock", text, "set the clock of one of them: both should follow NTP");
    } else {
        group.passed("clock", text);
    }
}

/// What to do about a destination that does not take an empty request, at the endpoint that the option `endpoint` names.
fn help(name: &str, endpoint: &str, error: &SendError) -> String {
    let option = |key: &str| option(name, key);
    match error {
        SendError::Connect(ConnectError::Resolve { .. } | ConnectError::NoAddress) => {
            "check the name, and this machine's DNS; in Kubernetes write `service.namespace.svc`"
                .to_owned()
        }
        SendError::Connect(ConnectError::Tls(TlsError::NoAuthorities)) => option("tls.ca_file"),
        SendError::Connect(ConnectError::Tls(TlsError::Expired(_))) => {
            "renew the certificate on that server, or set this machine's clock".to_owned()
        }
        SendError::Connect(ConnectError::Tls(TlsError::NotValidYet(_))) => {
            "set this machine's clock, or wait until that server's certificate begins".to_owned()
        }
        SendError::Connect(ConnectError::Tls(TlsError::Authority)) => {
            "renew it on that server: `openssl req -x509 … -addext basicConstraints=critical,CA:FALSE`"
                .to_owned()
        }
        SendError::Connect(ConnectError::Tls(TlsError::OtherName(_))) => {
            format!(
                "write a name of that certificate in the endpoint, or: {}",
                option("tls.server_name_override")
            )
        }
        SendError::Connect(ConnectError::Tls(_)) => {
            format!(
                "see the server's certificate; {}, or http:// if it speaks plain text",
                option("tls.ca_file")
            )
        }
        SendError::Connect(ConnectError::Reach { .. }) => {
            format!("start the destination, or mend the address: {}", option(endpoint))
        }
        SendError::Timeout(_) => {
            "a firewall may drop it, or the destination is busy: try from another machine"
                .to_owned()
        }
        SendError::Token(_) => format!(
            "write the token into that file, for the agent's user to read: {}",
            option("auth.bearer_token_file")
        ),
        SendError::Answered { status, .. } => answered(*status, name, endpoint),
        SendError::WebPage(_) => format!(
            "a portal or a proxy answers there: check the host, the port and the path: {}",
            option(endpoint)
        ),
        _ => format!(
            "the port may be another protocol's (4317 gRPC, 4318 HTTP): {}",
            option(endpoint)
        ),
    }
}

fn option(name: &str, key: &str) -> String {
    format!("sidelight config explain exporters.{name}.{key}")
}

fn answered(status: Status, name: &str, endpoint: &str) -> String {
    let text = status.to_string();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED"]) {
        format!("it wants a token or another one: {}", option(name, "auth.bearer_token_file"))
    } else if is_absent(status) {
        format!(
            "it does not take OTLP there: check the path and the port (4317 gRPC, 4318 HTTP): {}",
            option(name, endpoint)
        )
    } else {
        "it is reached and refuses: see its own log".to_owned()
    }
}

/// Whether nothing there takes such requests.
fn is_absent(status: Status) -> bool {
    let text = status.to_string();
    ["404", "405", "UNIMPLEMENTED"].iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::super::report::{Check, Report, Verdict};
    use super::*;
    use crate::config::{Inputs, load};

    #[test]
    fn a_clock_that_is_off_by_more_than_seconds_is_said() {
        let mut report = Report::default();
        let group = &mut report.group("destinations");
        // Sun, 06 Nov 1994 08:49:37 GMT is 784111777.
        for second in [784_111_775_u64, 784_111_177, 784_115_377] {
            skew("x", "Sun, 06 Nov 1994 08:49:37 GMT", UnixNano(second * 1_000_000_000), group);
        }
        skew("x", "yesterday", UnixNano(0), group);
        let said: Vec<_> = report.checks.iter().map(|c| (c.verdict, c.text.as_str())).collect();
        assert_eq!(
            said,
            [
                (Verdict::Passed, "x: this machine's clock is 2 s behind that server's"),
                (Verdict::Warning, "x: this machine's clock is 600 s behind that server's"),
                (Verdict::Warning, "x: this machine's clock is 3600 s ahead of that server's"),
            ]
        );
    }

    #[tokio::test]
    async fn a_destination_that_is_not_there_fails_with_what_to_do() {
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = nobody.local_addr().unwrap();
        drop(nobody);
        let text = format!("exporters: {{otlp_grpc/x: {{endpoint: 'http://{address}'}}, debug: }}");
        let files = vec![("config.yaml".to_owned(), text)];
        let loaded = load(&Inputs { files, ..Inputs::default() }).unwrap();
        let mut report = Report::default();
        look(&loaded.config, Duration::from_secs(5), &mut report.group("destinations")).await;
        let verdicts: Vec<_> = report.checks.iter().map(|check| check.verdict).collect();
        assert_eq!(verdicts, [Verdict::Failed, Verdict::Passed], "{report:?}");
        let failed = report.checks.first().unwrap();
        assert!(
            failed.text.contains("otlp_grpc/x") && failed.text.contains("refused"),
            "{failed:?}"
        );
        assert!(failed.help.as_ref().unwrap().contains("exporters.otlp_grpc/x.endpoint"));
    }

    #[tokio::test]
    async fn a_file_that_the_agent_could_not_write_fails_and_its_option_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let found = async |path: &Path| {
            let text = format!("exporters: {{file/x: {{path: '{}'}}}}", path.display());
            let files = vec![("config.yaml".to_owned(), text)];
            let loaded = load(&Inputs { files, ..Inputs::default() }).unwrap();
            let mut report = Report::default();
            look(&loaded.config, Duration::from_secs(5), &mut report.group("destinations")).await;
            report.checks.remove(0)
        };
        for path in [directory.path(), Path::new("/dev/null")] {
            let check = found(path).await;
            assert_eq!(check.verdict, Verdict::Failed, "{check:?}");
            assert!(check.help.unwrap().contains("exporters.file/x.path"));
        }
        let there = directory.path().join("there");
        std::fs::write(&there, "").unwrap();
        for path in [&there, &directory.path().join("missing")] {
            assert_eq!(found(path).await.verdict, Verdict::Passed);
        }
        let check = found(&there.join("below")).await;
        assert!(check.help.unwrap().contains("exporters.file/x.path"));
    }

    #[tokio::test]
    async fn a_destination_that_is_the_agent_itself_fails_as_a_start_would() {
        let text = "receivers: {otlp: {protocols: {grpc: {endpoint: '0.0.0.0:4317'}}}}\n\
                    exporters: {otlp_grpc/x: {endpoint: 'http://localhost:4317'}}";
        let mut config = load(&Inputs {
            files: vec![("c".to_owned(), text.replace("localhost", "backend.example"))],
            ..Inputs::default()
        })
        .unwrap()
        .config;
        // A name that only a resolver knows to be this machine.
        let Some(Target::Otlp(client)) =
            config.export.destinations.first_mut().map(|d| &mut d.target)
        else {
            panic!("{config:?}")
        };
        client.endpoint = Endpoint::parse("http://localhost:4317", true, 4317).unwrap();
        let mut report = Report::default();
        look(&config, Duration::from_secs(5), &mut report.group("destinations")).await;
        let check = report.checks.first().unwrap();
        assert_eq!((check.name, check.verdict), ("loop", Verdict::Failed), "{report:?}");
    }

    #[test]
    fn what_helps_against_a_certificate_is_said_by_what_is_wrong_with_it() {
        use rustls::CertificateError as Wrong;
        let help =
            |tls| help("otlp_grpc/x", "endpoint", &SendError::Connect(ConnectError::Tls(tls)));
        let renew = help(TlsError::Expired(Wrong::Expired));
        assert!(renew.starts_with("renew the certificate"), "{renew}");
        let clock = help(TlsError::NotValidYet(Wrong::NotValidYet));
        assert!(clock.starts_with("set this machine's clock"), "{clock}");
        let name = help(TlsError::OtherName(Wrong::NotValidForName));
        assert!(name.ends_with("exporters.otlp_grpc/x.tls.server_name_override"), "{name}");
        assert!(help(TlsError::UnknownAuthority).contains("tls.ca_file"));
    }

    #[tokio::test]
    async fn a_web_page_in_place_of_a_receiver_fails_and_points_to_the_endpoint() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let portal = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = portal.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = portal.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await.unwrap();
                let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\
                            content-length: 18\r\n\r\n<html>login</html>";
                stream.write_all(page.as_bytes()).await.unwrap();
            }
        });
        let options = format!("endpoint: 'http://{address}', signals: [traces, metrics, logs]");
        let text = format!("exporters: {{otlp_http/x: {{{options}}}}}");
        let files = vec![("config.yaml".to_owned(), text)];
        let loaded = load(&Inputs { files, ..Inputs::default() }).unwrap();
        let mut report = Report::default();
        look(&loaded.config, Duration::from_secs(5), &mut report.group("destinations")).await;
        let check = report.checks.first().unwrap();
        assert_eq!((check.name, check.verdict), ("export", Verdict::Failed), "{report:?}");
        assert_eq!(report.checks.len(), 1, "what is alike is said once: {report:?}");
        let asked =
            format!("{address}/v1/traces, /v1/metrics and /v1/logs: HTTP 200 with a web page");
        assert!(check.text.contains(&asked), "{check:?}");
        let help = check.help.as_ref().unwrap();
        assert!(help.ends_with("explain exporters.otlp_http/x.endpoint"), "{help}");
    }

    /// What is found of an exporter of these options where a server answers 404 on every path that ends with `absent`.
    async fn found(absent: &'static str, options: &str) -> (String, Vec<Check>) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                let line = String::from_utf8_lossy(&request[..read]).into_owned();
                let path = line.split(' ').nth(1).unwrap();
                let status = if path.ends_with(absent) { "404 Not Found" } else { "200 OK" };
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\nconnection: close\r\n\
                     content-length: 0\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let text = format!("exporters: {{otlp_http/x: {{{}}}}}", options.replace("HERE", &address));
        let files = vec![("config.yaml".to_owned(), text)];
        let loaded = load(&Inputs { files, ..Inputs::default() }).unwrap();
        let mut report = Report::default();
        look(&loaded.config, Duration::from_secs(5), &mut report.group("destinations")).await;
        (address, report.checks)
    }

    #[tokio::test]
    async fn every_signal_is_asked_for_and_one_that_is_not_taken_is_named() {
        let three = "endpoint: 'http://HERE', signals: [traces, metrics, logs]";
        let (address, checks) = found("/nowhere", three).await;
        let [all] = checks.as_slice() else { panic!("{checks:?}") };
        let taken = format!("{address} took empty requests for traces, metrics and logs in ");
        assert!(all.verdict == Verdict::Passed && all.text.contains(&taken), "{all:?}");

        let (address, checks) = found("/v1/logs", three).await;
        let [taken, absent] = checks.as_slice() else { panic!("{checks:?}") };
        let text = format!("{address} took empty requests for traces and metrics in ");
        assert!(taken.verdict == Verdict::Passed && taken.text.contains(&text), "{taken:?}");
        let text = format!("{address}/v1/logs: HTTP 404");
        assert!(absent.verdict == Verdict::Failed && absent.text.contains(&text), "{absent:?}");
        let help = absent.help.as_ref().unwrap();
        assert!(help.starts_with("it takes traces and metrics: leave others out"), "{help}");
        assert!(help.contains("exporters.otlp_http/x.logs_endpoint"), "{help}");

        let (_, checks) = found("/v1/logs", "endpoint: 'http://HERE', signals: [traces]").await;
        let [only] = checks.as_slice() else { panic!("{checks:?}") };
        assert!(only.text.contains("/v1/traces took an empty traces request"), "{only:?}");
    }

    #[tokio::test]
    async fn a_server_without_a_place_for_profiles_is_a_warning() {
        let (_, checks) = found("/profiles", "endpoint: 'http://HERE'").await;
        let [taken, absent] = checks.as_slice() else { panic!("{checks:?}") };
        assert!(taken.text.contains("requests for traces, metrics and logs in"), "{taken:?}");
        assert_eq!(absent.verdict, Verdict::Warning, "{absent:?}");
        let (_, checks) = found("", "endpoint: 'http://HERE'").await;
        let [none] = checks.as_slice() else { panic!("{checks:?}") };
        assert!(none.verdict == Verdict::Failed && none.text.contains("/profiles"), "{none:?}");
    }

    #[tokio::test]
    async fn what_helps_against_an_endpoint_of_one_signal_names_that_option() {
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let away = nobody.local_addr().unwrap();
        drop(nobody);
        let options = format!("endpoint: 'http://HERE', logs_endpoint: 'http://{away}/v1/logs'");
        let (_, checks) = found("/nowhere", &options).await;
        let [_, failed] = checks.as_slice() else { panic!("{checks:?}") };
        let text = format!("{away}: cannot connect");
        assert!(failed.verdict == Verdict::Failed && failed.text.contains(&text), "{failed:?}");
        let help = failed.help.as_ref().unwrap();
        assert!(help.ends_with("config explain exporters.otlp_http/x.logs_endpoint"), "{help}");
    }

    #[test]
    fn a_certificate_that_ends_soon_is_a_warning() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2029, 1, 10);
        params.not_after = rcgen::date_time_ymd(2030, 1, 20);
        let certificate = params.self_signed(&key).unwrap();
        let at = |now: &str| {
            let ms = crate::time::parse_unix_ms(now).unwrap();
            let now = UnixNano::default().after(Duration::from_millis(ms.try_into().unwrap()));
            let mut report = Report::default();
            expiry("x", certificate.der(), now, &mut report.group("destinations"));
            report.checks.remove(0)
        };
        assert_eq!(at("2029-06-01T00:00:00Z").verdict, Verdict::Passed);
        let soon = at("2030-01-15T00:00:00Z");
        assert_eq!(soon.verdict, Verdict::Warning);
        assert!(soon.text.ends_with("until 2030-01-20, 5 days"), "{soon:?}");
        let soon = at("2030-01-19T00:00:00Z");
        assert!(soon.text.ends_with("until 2030-01-20, 1 day"), "{soon:?}");
        let over = at("2030-01-20T01:00:00Z");
        assert!(over.text.ends_with("2030-01-20, less than a day ago"), "{over:?}");
        let over = at("2030-02-10T01:00:00Z");
        assert_eq!(over.verdict, Verdict::Warning);
        assert!(over.text.ends_with("certificate expired on 2030-01-20, 21 days ago"), "{over:?}");
        let early = at("2028-12-31T00:00:00Z");
        assert_eq!(early.verdict, Verdict::Warning);
        assert!(early.text.ends_with("certificate is not valid before 2029-01-10"), "{early:?}");
        assert!(early.help.unwrap().contains("clock"));
    }
}
