//! Alerts over SIGKILL and over reloads: the process is killed between evaluations with alerts in every state, and every
//! state goes on as if nothing had been. A webhook listens.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1 as otlp;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::support::{Agent, free_address, wait_for};

const SOON: Duration = Duration::from_secs(20);
const ALERTS: &str = "/api/v1/alerts";
const OWN_ALERTS: &str = "/api/sidelight/v1/alerts";

/// A rule for each state; each has a switch, a gauge, that makes it there.
const RULES: &str = "
groups:
- name: states
  rules:
  - {record: switches, expr: 'sum by (of) (switch)'}
  - {alert: Pending, expr: 'switch{of=\"pending\"} == 1', for: 1h}
  - {alert: Due, expr: 'switch{of=\"due\"} == 1', for: 12s}
  - {alert: Firing, expr: 'switch{of=\"firing\"} == 1', labels: {severity: page}}
  - {alert: Kept, expr: 'switch{of=\"kept\"} == 1', keep_firing_for: 1h}
  - {alert: Resolved, expr: 'switch{of=\"resolved\"} == 1'}
  - {alert: Late, expr: 'switch{of=\"late\"} == 1', for: 1s}
";

/// An agent with a rule file and a webhook.
struct World {
    directory: tempfile::TempDir,
    config: String,
    grpc: SocketAddr,
    admin: SocketAddr,
    told: Told,
}

/// The alerts of every body that the webhook got, in order.
type Told = Arc<Mutex<Vec<Value>>>;

impl World {
    async fn new(rules: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [grpc, http, admin] = [(); 3].map(|()| free_address());
        let told = Told::default();
        let webhook = webhook(Arc::clone(&told)).await;
        let file = directory.path().join("rules.yaml");
        std::fs::write(&file, rules).unwrap();
        let config = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}}}}}\n\
             journal: {{directory: '{}'}}\nadmin: {{endpoint: '{admin}'}}\ntelemetry: {{logs: {{format: json}}}}\n\
             rules: {{files: ['{}'], builtin: {{enabled: false}}, evaluation_interval: 1s}}\n\
             alerting: {{webhooks: [{{url: 'http://{webhook}/', group_by: [alertname], group_wait: 100ms, group_interval: 1s}}]}}\n",
            directory.path().join("journal").display(),
            file.display()
        );
        Self { directory, config, grpc, admin, told }
    }

    async fn start(&self) -> Agent {
        Agent::start(self.path(), &self.config, self.admin).await
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn rewrite(&self, rules: &str) {
        std::fs::write(self.path().join("rules.yaml"), rules).unwrap();
    }

    /// Turns switches on or off.
    async fn switch(&self, switches: &[(&str, f64)]) {
        let mut client =
            MetricsServiceClient::connect(format!("http://{}", self.grpc)).await.unwrap();
        client.export(request(switches)).await.unwrap();
    }

    /// What the webhook was told of an alert: the status and when it began, each as often as it was told.
    fn told(&self, alertname: &str) -> Vec<(String, String)> {
        let told = self.told.lock().unwrap();
        let of = told.iter().filter(|alert| alert["labels"]["alertname"] == alertname);
        of.map(|alert| (text(&alert["status"]), text(&alert["startsAt"]))).collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn request(switches: &[(&str, f64)]) -> ExportMetricsServiceRequest {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let point = |(of, value): &(&str, f64)| {
        let of = Some(AnyValue { value: Some(Any::StringValue((*of).to_owned())) });
        let attribute = KeyValue { key: "of".to_owned(), value: of, ..KeyValue::default() };
        otlp::NumberDataPoint {
            attributes: vec![attribute],
            time_unix_nano: u64::try_from(now.as_nanos()).unwrap(),
            value: Some(otlp::number_data_point::Value::AsDouble(*value)),
            ..Default::default()
        }
    };
    let data_points = switches.iter().map(point).collect();
    let data = Some(otlp::metric::Data::Gauge(otlp::Gauge { data_points }));
    let metrics = vec![otlp::Metric { name: "switch".to_owned(), data, ..otlp::Metric::default() }];
    let scope_metrics = vec![otlp::ScopeMetrics { metrics, ..Default::default() }];
    let resource_metrics = vec![otlp::ResourceMetrics { scope_metrics, ..Default::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

/// Serves until the test's runtime ends.
async fn webhook(told: Told) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(take(stream, Arc::clone(&told)));
        }
    });
    address
}

/// Takes the requests of one connection.
async fn take(mut stream: TcpStream, told: Told) -> Option<()> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let (_, length) = head.split_once("content-length:")?;
            let length: usize = length.lines().next()?.trim().parse().ok()?;
            if body.len() >= length {
                let body: Value = serde_json::from_str(body.get(..length)?).ok()?;
                told.lock().unwrap().extend(body["alerts"].as_array()?.iter().cloned());
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.ok()?;
                read.clear();
            }
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}

fn document(agent: &Agent, path: &str) -> Option<Value> {
    let (status, body) = agent.get(path)?;
    assert_eq!(status, 200, "{path}: {body}");
    Some(serde_json::from_str(&body).unwrap())
}

/// Alerts by their names: every field of them.
fn alerts(agent: &Agent, path: &str) -> Option<BTreeMap<String, Value>> {
    let document = document(agent, path)?;
    let alerts = document["data"].get("alerts").unwrap_or(&document["alerts"]).as_array()?.clone();
    let count = alerts.len();
    let by_name: BTreeMap<String, Value> =
        alerts.into_iter().map(|alert| (text(&alert["labels"]["alertname"]), alert)).collect();
    assert_eq!(by_name.len(), count, "an alert is there twice: {document}");
    Some(by_name)
}

/// Both lists, without what time changes by itself: the alert that is due while the test runs.
fn steady(agent: &Agent) -> Option<[BTreeMap<String, Value>; 2]> {
    let mut lists = [alerts(agent, ALERTS)?, alerts(agent, OWN_ALERTS)?];
    for list in &mut lists {
        list.remove("Due");
    }
    Some(lists)
}

fn states(alerts: &BTreeMap<String, Value>) -> Vec<(&str, &str)> {
    alerts.iter().map(|(name, alert)| (&**name, alert["state"].as_str().unwrap())).collect()
}

async fn until_states(agent: &Agent, path: &str, expected: &[(&str, &str)]) {
    let mut last = None;
    wait_for(&format!("{path} says {expected:?}"), SOON, || {
        last = alerts(agent, path);
        last.as_ref().filter(|found| states(found) == expected).map(|_| ())
    })
    .await;
}

fn last_evaluation(agent: &Agent) -> Option<String> {
    let rules = document(agent, "/api/v1/rules")?;
    Some(text(&rules["data"]["groups"].as_array()?.first()?["lastEvaluation"]))
}

/// Waits until the group was evaluated `times` times more.
async fn evaluated(agent: &Agent, times: usize) {
    let mut seen = BTreeSet::new();
    wait_for("the group is evaluated", SOON, || {
        seen.insert(last_evaluation(agent)?);
        (seen.len() > times).then_some(())
    })
    .await;
}

/// When there were samples of a series, in seconds.
fn samples(agent: &Agent, selector: &str) -> Vec<f64> {
    let encoded: String = selector.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answer = document(agent, &format!("/api/v1/query?query={encoded}[5m]")).unwrap();
    let series = answer["data"]["result"].as_array().unwrap();
    let samples = series.iter().flat_map(|one| one["values"].as_array().unwrap());
    samples.map(|sample| sample[0].as_f64().unwrap()).collect()
}

/// Seconds of `ALERTS_FOR_STATE` of an alert: when it was first there.
fn active_at(agent: &Agent, alertname: &str) -> Option<f64> {
    let query = format!("/api/v1/query?query=ALERTS_FOR_STATE%7Balertname%3D%22{alertname}%22%7D");
    let answer = document(agent, &query)?;
    answer["data"]["result"].as_array()?.first()?["value"][1].as_str()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_in_every_state_go_on_after_the_agent_is_killed() {
    let seed = std::env::var("KILL_SEED").map_or(std::process::id().into(), |s| s.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(seed);
    let world = World::new(RULES).await;
    let mut agent = world.start().await;
    let on = ["pending", "due", "firing", "kept", "resolved"].map(|of| (of, 1.0));
    world.switch(&on).await;
    let all = [
        ("Due", "pending"),
        ("Firing", "firing"),
        ("Kept", "firing"),
        ("Pending", "pending"),
        ("Resolved", "firing"),
    ];
    until_states(&agent, ALERTS, &all).await;
    let due_since = text(&alerts(&agent, ALERTS).unwrap()["Due"]["activeAt"]);
    world.switch(&[("kept", 0.0), ("resolved", 0.0)]).await;
    let mut own = all;
    own[4].1 = "resolved";
    until_states(&agent, OWN_ALERTS, &own).await;
    let told = [("Firing", 1), ("Kept", 1), ("Resolved", 2)];
    wait_for("the webhook was told", SOON, || {
        told.iter().all(|(name, times)| world.told(name).len() >= *times).then_some(())
    })
    .await;

    let before = steady(&agent).unwrap();
    assert!(before[0]["Kept"]["keepFiringSince"].is_string(), "{before:?}");
    assert!(before[1]["Resolved"]["endsAt"].is_string(), "{before:?}");
    for round in 0..3 {
        tokio::time::sleep(Duration::from_millis(random.u64(0..1000))).await;
        agent.kill();
        agent = world.start().await;
        assert_eq!(steady(&agent).unwrap(), before, "at the start, round {round}, seed {seed}");
        evaluated(&agent, 2).await;
        assert_eq!(steady(&agent).unwrap(), before, "evaluated, round {round}, seed {seed}");
    }

    until_due(&world, &agent, &due_since).await;
    // One that begins and fires while the agent is killed.
    world.switch(&[("late", 1.0)]).await;
    tokio::time::sleep(Duration::from_millis(random.u64(0..2500))).await;
    agent.kill();
    let agent = world.start().await;
    // Seen once more: what is absent from the start on fires on for minutes.
    evaluated(&agent, 2).await;
    world.switch(&[("firing", 0.0)]).await;
    let over = |name: &str, status: &str| world.told(name).iter().any(|told| told.0 == status);
    wait_for("the webhook hears of the last changes", SOON, || {
        (over("Firing", "resolved") && over("Late", "firing")).then_some(())
    })
    .await;
    evaluated(&agent, 2).await;
    for name in ["Due", "Firing", "Kept", "Resolved", "Late"] {
        let told = world.told(name);
        let begins: BTreeSet<&String> = told.iter().map(|(_, begins)| begins).collect();
        assert_eq!(begins.len(), 1, "{name} began once: {told:?}, seed {seed}");
    }
    assert_eq!(world.told("Pending"), []);
    println!("4 kills (seed {seed}): every alert went on");
}

/// The pending alert fires at the first evaluation that is not before its time, although the agent was killed meanwhile.
async fn until_due(world: &World, agent: &Agent, since: &str) {
    wait_for("the pending alert fires", SOON, || {
        (alerts(agent, ALERTS)?["Due"]["state"] == "firing").then_some(())
    })
    .await;
    assert_eq!(alerts(agent, ALERTS).unwrap()["Due"]["activeAt"], since);
    wait_for("the webhook was told of it", SOON, || world.told("Due").first().cloned()).await;
    let due = wait_for("it is a series", SOON, || active_at(agent, "Due")).await + 12.0;
    let pending = samples(agent, "ALERTS{alertname='Due',alertstate='pending'}");
    let firing = samples(agent, "ALERTS{alertname='Due',alertstate='firing'}");
    assert!(pending.len() > 1 && pending.iter().all(|at| at.floor() < due), "{due}: {pending:?}");
    assert!(!firing.is_empty() && firing.iter().all(|at| at.floor() >= due), "{due}: {firing:?}");
}

#[tokio::test]
async fn a_reload_takes_up_rules_that_are_right_and_tells_what_is_wrong_with_others() {
    let rule = |name: &str| format!("  - {{alert: {name}, expr: 'switch == 1', for: 1h}}\n");
    let file = |rules: &[&str]| {
        let rules: String = rules.iter().map(|name| rule(name)).collect();
        format!("groups:\n- name: g\n  rules:\n{rules}")
    };
    let world = World::new(&file(&["First"])).await;
    let agent = world.start().await;
    world.switch(&[("it", 1.0)]).await;
    until_states(&agent, ALERTS, &[("First", "pending")]).await;
    let first = alerts(&agent, ALERTS).unwrap().remove("First").unwrap();

    world.rewrite(&file(&["First", "Second"]));
    agent.signal("HUP");
    until_states(&agent, ALERTS, &[("First", "pending"), ("Second", "pending")]).await;
    let both = alerts(&agent, ALERTS).unwrap();
    assert_eq!(both["First"], first, "it goes on");

    world.rewrite(&file(&["First", "Third"]).replace("switch == 1", "switch == "));
    let (status, findings) = agent.post("/-/reload").unwrap();
    assert_eq!(status, 422, "{findings}");
    assert!(findings.contains("rules.yaml:4:"), "{findings}");
    evaluated(&agent, 2).await;
    assert_eq!(alerts(&agent, ALERTS).unwrap(), both, "the old rules stay");

    agent.signal("HUP");
    let kept = "keeping the old";
    wait_for("the log says so", SOON, || (agent.log().matches(kept).count() == 2).then_some(()))
        .await;
    evaluated(&agent, 2).await;
    assert_eq!(alerts(&agent, ALERTS).unwrap(), both, "the old rules stay");

    world.rewrite(&file(&["Second", "Third"]));
    let (status, summary) = agent.post("/-/reload").unwrap();
    assert_eq!(status, 200, "{summary}");
    until_states(&agent, ALERTS, &[("Second", "pending"), ("Third", "pending")]).await;
    assert_eq!(alerts(&agent, ALERTS).unwrap()["Second"], both["Second"], "it goes on");
    wait_for("the series of a rule that is gone ends", SOON, || {
        active_at(&agent, "First").is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_reload_takes_up_the_step_of_subqueries_that_name_none() {
    let world = World::new("groups: []\n").await;
    let agent = world.start().await;
    let steps = || {
        let (status, body) =
            agent.get("/api/v1/query?query=count_over_time(vector(1)[1m:])&time=60")?;
        (status == 200).then(|| {
            serde_json::from_str::<Value>(&body).unwrap()["data"]["result"][0]["value"][1].clone()
        })
    };
    assert_eq!(wait_for("there is a store", SOON, steps).await, "60");
    let config = world.config.replace("evaluation_interval: 1s", "evaluation_interval: 15s");
    assert_ne!(config, world.config);
    std::fs::write(world.path().join("config.yaml"), &config).unwrap();
    let (status, summary) = agent.post("/-/reload").unwrap();
    assert_eq!(status, 200, "{summary}");
    assert_eq!(steps().unwrap(), "4");
}

#[test]
fn tests_of_rules_that_no_name_is_found_of_are_no_success() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/rules/tests/routes.yaml");
    let ended = |names: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sidelight"));
        command.args(["test", "rules", "--run", names, file]).output().unwrap().status.code()
    };
    assert_eq!((ended("."), ended("no test is called that")), (Some(0), Some(1)));
}
