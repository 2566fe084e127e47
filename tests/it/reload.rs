//! SIGHUP: what is valid takes effect, what is not changes nothing, and nothing is lost meanwhile.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use super::support::{Agent, Sink, free_address, wait_for};

const SOON: Duration = Duration::from_secs(20);

struct Setup {
    directory: tempfile::TempDir,
    grpc: SocketAddr,
    http: SocketAddr,
    admin: SocketAddr,
}

impl Setup {
    fn new() -> Self {
        let [grpc, http, admin] = [(); 3].map(|()| free_address());
        Self { directory: tempfile::tempdir().unwrap(), grpc, http, admin }
    }

    fn config(&self, exporters: &str) -> String {
        let Self { grpc, http, admin, .. } = self;
        let journal = self.directory.path().join("journal");
        format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}}}}}\n\
             journal: {{directory: '{}'}}\nadmin: {{endpoint: '{admin}'}}\nshutdown_timeout: 2s\n\
             telemetry: {{logs: {{format: json}}}}\nexporters: {exporters}\n",
            journal.display()
        )
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    async fn start(&self, exporters: &str) -> Agent {
        Agent::start(self.path(), &self.config(exporters), self.admin).await
    }

    fn rewrite(&self, config: &str) {
        std::fs::write(self.path().join("config.yaml"), config).unwrap();
    }

    async fn send(&self, id: u64) {
        let mut client =
            TraceServiceClient::connect(format!("http://{}", self.grpc)).await.unwrap();
        let span = Span {
            trace_id: [id.to_be_bytes(), id.to_be_bytes()].concat(),
            span_id: id.to_be_bytes().to_vec(),
            ..Span::default()
        };
        let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
        let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
        let request = ExportTraceServiceRequest { resource_spans: vec![resource] };
        client.export(request).await.unwrap();
    }
}

async fn received(sink: &Sink, id: u64) {
    let id = id.to_be_bytes().to_vec();
    let what = format!("span {id:?} arrives");
    wait_for(&what, SOON, || sink.spans().contains_key(&id).then_some(())).await;
}

async fn logged(agent: &Agent, text: &str) {
    wait_for(&format!("the log says {text:?}"), SOON, || agent.log().contains(text).then_some(()))
        .await;
}

#[tokio::test]
async fn a_reload_adds_and_removes_destinations_and_keeps_the_others() {
    let setup = Setup::new();
    let [first, second] = [(); 2].map(|()| free_address());
    let (kept, added) = (Sink::default(), Sink::default());
    kept.serve(first).await;
    added.serve(second).await;
    let agent = setup.start(&format!("{{otlp_grpc/a: {{endpoint: 'http://{first}'}}}}")).await;
    setup.send(1).await;
    received(&kept, 1).await;

    setup.rewrite(&setup.config(&format!(
        "{{otlp_grpc/a: {{endpoint: 'http://{first}'}}, otlp_grpc/b: {{endpoint: 'http://{second}'}}}}"
    )));
    agent.signal("HUP");
    logged(&agent, "added otlp_grpc/b:").await;
    setup.send(2).await;
    received(&kept, 2).await;
    received(&added, 2).await;
    assert!(!added.spans().contains_key(&1_u64.to_be_bytes()[..]), "it starts at the end");

    setup.rewrite(&setup.config(&format!("{{otlp_grpc/a: {{endpoint: 'http://{first}'}}}}")));
    agent.signal("HUP");
    logged(&agent, "removed otlp_grpc/b:").await;
    setup.send(3).await;
    received(&kept, 3).await;
}

#[tokio::test]
async fn what_a_reload_cannot_take_up_is_said_each_time_and_not_in_force() {
    let setup = Setup::new();
    let agent = setup.start("{}").await;
    let token = setup.path().join("token");
    std::fs::write(&token, "secret-of-the-admin\n").unwrap();
    let config = setup.config("{}").replace(
        &format!("admin: {{endpoint: '{}'}}", setup.admin),
        &format!("admin: {{endpoint: '{}', token_file: '{}'}}", setup.admin, token.display()),
    );
    assert!(config.contains("token_file"));
    setup.rewrite(&config);
    for _ in 0..2 {
        let (status, said) = agent.post("/-/reload").unwrap();
        assert_eq!(status, 200, "{said}");
        assert!(said.contains("admin.token_file takes effect at the next start"), "{said}");
        assert_eq!(agent.get("/metrics").unwrap().0, 200, "no token is asked for");
    }
}

#[tokio::test]
async fn an_invalid_configuration_is_named_and_changes_nothing() {
    let setup = Setup::new();
    let destination = free_address();
    let sink = Sink::default();
    sink.serve(destination).await;
    let exporters = format!("{{otlp_grpc/a: {{endpoint: 'http://{destination}'}}}}");
    let agent = setup.start(&exporters).await;
    setup.rewrite(&setup.config("{otlp_grpc/a: {endpiont: 'http://127.0.0.1:1'}}"));
    agent.signal("HUP");
    logged(&agent, "endpiont").await;
    logged(&agent, "keeping the old").await;
    setup.send(1).await;
    received(&sink, 1).await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_reload_that_waits_for_a_destination() {
    let setup = Setup::new();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = silent.local_addr().unwrap();
    let exporter = format!("endpoint: 'http://{endpoint}', timeout: 10m");
    let agent = setup.start(&format!("{{otlp_grpc/a: {{{exporter}}}}}")).await;
    setup.send(1).await;
    let _held_open = silent.accept().await.unwrap();
    setup.rewrite(&setup.config(&format!("{{otlp_grpc/a: {{{exporter}, compression: none}}}}")));
    agent.signal("HUP");
    logged(&agent, "reading the configuration again").await;
    agent.signal("TERM");
    assert_eq!(agent.ended(SOON).await, Some(0));
}

#[tokio::test]
async fn a_destination_that_is_the_agent_itself_is_refused_at_start() {
    let setup = Setup::new();
    let exporters =
        format!("{{otlp_grpc/me: {{endpoint: 'http://localhost:{}'}}}}", setup.grpc.port());
    let agent = Agent::spawn(setup.path(), &setup.config(&exporters), setup.admin);
    let log = agent.log_path();
    let code = agent.ended(SOON).await;
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("otlp_grpc/me"), "{log}");
    assert!(matches!(code, Some(1 | 5)), "{code:?}");
}
