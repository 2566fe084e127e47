//! What is in deploy/ fits the agent and the rest of it: dashboards ask for series that there are, manifests for files, ports
//! and names that there are, the systemd unit stays closed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sidelight_agent::config::{self, Inputs};
use sidelight_agent::rules::reads;
use sidelight_agent::{host, telemetry};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(deploy().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every string below `value` that stands under one of `keys`.
fn strings_under(value: &Value, keys: &[&str], found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if keys.contains(&key.as_str()) => found.push(text.clone()),
                    other => strings_under(other, keys, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|v| strings_under(v, keys, found)),
        _ => {}
    }
}

/// The expression as Grafana would send it.
fn filled_in(expression: &str) -> String {
    let label_values =
        expression.strip_prefix("label_values(").and_then(|rest| rest.rsplit_once(','));
    let expression = label_values.map_or(expression, |(selector, _)| selector);
    [("$__rate_interval", "5m"), ("$__range", "1h"), ("$__interval", "1m"), ("$$__tags", "a=\"b\"")]
        .into_iter()
        .chain([("$service", ".*"), ("$instance", ".*")])
        .fold(expression.to_owned(), |text, (variable, value)| text.replace(variable, value))
}

/// Names in the first column of a table of a document.
fn documented(document: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(document);
    let page = std::fs::read_to_string(path).unwrap();
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    page.lines().filter_map(cell).collect()
}

/// Every name that a series of the store can have.
fn known() -> BTreeSet<String> {
    let mut names = documented("signals.md");
    names.extend(documented("metrics.md"));
    for desc in telemetry::desc::all() {
        if desc.kind == telemetry::Kind::Histogram {
            names.extend(["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", desc.name)));
        }
    }
    let rules = yaml("rules/sidelight.yaml");
    let mut recorded = Vec::new();
    rules.iter().for_each(|file| strings_under(file, &["record"], &mut recorded));
    names.extend(recorded);
    let root = host::Root::of_this_machine();
    let mut measured = host::Measured::default();
    for t_ms in [1, 5_001] {
        let samples = measured.take(&root.read(), t_ms).0.into_iter();
        names.extend(samples.map(|sample| sample.labels.metric_name().to_owned()));
    }
    names.insert("ALERTS".to_owned());
    names
}

#[test]
fn every_expression_of_every_dashboard_is_promql_over_series_that_there_are() {
    let known = known();
    let mut seen = 0;
    for entry in std::fs::read_dir(deploy().join("grafana/dashboards")).unwrap() {
        let path = entry.unwrap().path();
        let dashboard: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let mut expressions = Vec::new();
        strings_under(&dashboard, &["expr"], &mut expressions);
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            expressions.extend(variable["query"]["query"].as_str().map(str::to_owned));
        }
        assert!(!expressions.is_empty(), "{}", path.display());
        for expression in &expressions {
            let place = format!("{}: {expression}", path.display());
            let parsed = sidelight_promql::parse(&filled_in(expression));
            let parsed = parsed.unwrap_or_else(|error| panic!("{place}: {error}"));
            let names =
                reads::of(&parsed).unwrap_or_else(|| panic!("{place}: a selector without a name"));
            for name in names {
                assert!(known.contains(&name), "{place}: no series is called {name}");
                seen += 1;
            }
        }
    }
    assert!(seen > 60, "only {seen} names");
}

#[test]
fn a_series_that_nobody_makes_is_found() {
    let parsed = sidelight_promql::parse(&filled_in(
        "rate(sidelight_journal_fsync_total[$__rate_interval])",
    ));
    let names = reads::of(&parsed.unwrap()).unwrap();
    assert!(names.iter().all(|name| !known().contains(name)), "{names:?}");
}

#[test]
fn panels_of_a_dashboard_do_not_overlap_and_have_ids_of_their_own() {
    for name in ["agent", "services", "signals"] {
        let dashboard: Value =
            serde_json::from_str(&text(&format!("grafana/dashboards/{name}.json"))).unwrap();
        let (mut cells, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: {title}");
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            for x in at("x")..at("x") + at("w") {
                assert!(x < 24, "{name}: {title} is too wide");
                for y in at("y")..at("y") + at("h") {
                    assert!(cells.insert((x, y)), "{name}: {title} overlaps");
                }
            }
        }
    }
}

#[test]
fn grafana_finds_the_data_source_that_the_dashboards_name() {
    let provisioned = yaml("grafana/provisioning/datasources/sidelight.yaml");
    let uid = provisioned[0]["datasources"][0]["uid"].as_str().unwrap();
    for name in ["agent", "services", "signals"] {
        let dashboard: Value =
            serde_json::from_str(&text(&format!("grafana/dashboards/{name}.json"))).unwrap();
        let variable = &dashboard["templating"]["list"][0];
        assert_eq!(
            (&variable["type"], &variable["current"]["value"]),
            (&"datasource".into(), &uid.into())
        );
    }
    let tempo = text("grafana/tempo.yaml");
    let mut queries = Vec::new();
    let parsed: Value = serde_saphyr::from_str(&tempo).unwrap();
    strings_under(&parsed, &["query"], &mut queries);
    assert_eq!(queries.len(), 2);
    for query in queries {
        let names = reads::of(&sidelight_promql::parse(&filled_in(&query)).unwrap()).unwrap();
        assert!(names.is_subset(&known()), "{query}");
    }
}

/// The pod of a manifest.
fn pods() -> Vec<(&'static str, Value)> {
    ["sidecar/patch.yaml", "daemonset/agent.yaml", "gateway/gateway.yaml"]
        .map(|path| {
            (path, yaml(&format!("kubernetes/{path}"))[0]["spec"]["template"]["spec"].clone())
        })
        .into()
}

const PROBES: [&str; 3] = ["startupProbe", "readinessProbe", "livenessProbe"];

/// The agent's container; a sidecar is started before the others.
fn agent_of(pod: &Value) -> &Value {
    &pod.get("initContainers").unwrap_or(&pod["containers"])[0]
}

/// The part of a manifest that is mounted at `directory` of the agent's container.
fn mounted<'a>(path: &str, pod: &'a Value, directory: &str) -> &'a Value {
    let find = |list: &'a Value, key: &str, wanted: &str| {
        list.as_array().unwrap().iter().find(|entry| entry[key] == wanted)
    };
    let mount = find(&agent_of(pod)["volumeMounts"], "mountPath", directory)
        .unwrap_or_else(|| panic!("{path}: nothing is mounted at {directory}"));
    let name = mount["name"].as_str().unwrap();
    find(&pod["volumes"], "name", name).unwrap_or_else(|| panic!("{path}: no volume {name}"))
}

fn directory(file: &str) -> &str {
    file.rsplit_once('/').unwrap().0
}

fn file_name(file: &str) -> &str {
    file.rsplit_once('/').unwrap().1
}

/// What an agent with this configuration runs with, by key: defaults where it says nothing.
fn options(path: &str) -> BTreeMap<String, String> {
    let inputs = Inputs { files: vec![(path.to_owned(), text(path))], ..Inputs::default() };
    let loaded = config::load(&inputs).unwrap_or_else(|error| panic!("{path}: {error}"));
    loaded.effective().into_iter().filter_map(|option| Some((option.key, option.value?))).collect()
}

fn port(address: &str) -> u64 {
    address.rsplit_once(':').unwrap().1.parse().unwrap()
}

/// The ports that an agent listens on, as manifests call them.
fn listeners(options: &BTreeMap<String, String>) -> [(&'static str, u64); 3] {
    [
        ("otlp-grpc", "receivers.otlp.protocols.grpc.endpoint"),
        ("otlp-http", "receivers.otlp.protocols.http.endpoint"),
        ("admin", "admin.endpoint"),
    ]
    .map(|(name, key)| (name, port(&options[key])))
}

/// The program of the image, and the configuration that it looks for.
fn image() -> (String, String) {
    let dockerfile = text("docker/Dockerfile");
    let after = |start: &str| {
        let found = dockerfile.split_once(start).unwrap_or_else(|| panic!("Dockerfile: {start}"));
        found.1.split(['"', ' ', '\n']).next().unwrap().to_owned()
    };
    (after("\nENTRYPOINT [\""), after(" SIDELIGHT_CONFIG="))
}

#[test]
fn an_image_has_its_program_and_its_configuration_where_it_says() {
    let (program, config) = image();
    let [grpc, http, admin] = listeners(&options("docker/config.yaml")).map(|(_, port)| port);
    let dockerfile = text("docker/Dockerfile");
    for part in [
        format!("/release/sidelight /image{program} "),
        format!(" deploy/docker/config.yaml /image{config} "),
        format!(" CMD [\"{program}\", \"health\"]\n"),
        format!("\nEXPOSE {grpc} {http} {admin}\n"),
    ] {
        assert!(dockerfile.contains(&part), "Dockerfile has no `{part}`");
    }
}

#[test]
fn a_pod_has_the_ports_and_the_files_that_its_agent_is_configured_with() {
    let (program, config) = image();
    for (path, pod) in pods() {
        let place = format!("kubernetes/{}", directory(path));
        let options = options(&format!("{place}/config.yaml"));
        let container = agent_of(&pod);
        let ports = container["ports"].as_array().unwrap().iter();
        let ports: Vec<_> = ports
            .map(|port| (port["name"].as_str().unwrap(), port["containerPort"].as_u64().unwrap()))
            .collect();
        assert_eq!(ports, listeners(&options), "{path} against its config.yaml");
        for probe in PROBES.map(|probe| &container[probe]) {
            let exec = &probe["exec"]["command"][0];
            let fits = probe["httpGet"]["port"] == "admin" || *exec == program.as_str();
            assert!(fits, "{path}: {probe} asks neither the port `admin` nor {program}");
        }
        assert_eq!(container["args"], json!(["run", "-c", config]), "{path} against the image");
        let generated = &yaml(&format!("{place}/kustomization.yaml"))[0]["configMapGenerator"][0];
        let map = &mounted(path, &pod, directory(&config))["configMap"]["name"];
        assert_eq!(*map, generated["name"], "{path} against its kustomization");
        assert_eq!(generated["files"], json!([file_name(&config)]), "{path}: {config}");
    }
}

#[test]
fn a_service_of_kubernetes_is_called_what_those_call_it_that_send_to_it() {
    let mut addresses = Vec::new();
    for path in ["kubernetes/daemonset/agent.yaml", "kubernetes/gateway/gateway.yaml"] {
        let documents = yaml(path);
        let service = documents.iter().find(|document| document["kind"] == "Service").unwrap();
        let name = service["metadata"]["name"].as_str().unwrap();
        let mut called = Vec::new();
        documents.iter().for_each(|part| strings_under(part, &["app", "serviceName"], &mut called));
        assert!(called.len() >= 4, "{path}: {called:?}");
        assert!(called.iter().all(|other| other == name), "{path}: {name} against {called:?}");
        let listeners = listeners(&options(&format!("{}/config.yaml", directory(path))));
        for served in service["spec"]["ports"].as_array().unwrap() {
            let target = (served["targetPort"].as_str().unwrap(), served["port"].as_u64().unwrap());
            assert!(listeners.contains(&target), "{path}: {served} against {listeners:?}");
        }
        let kustomization = &yaml(&format!("{}/kustomization.yaml", directory(path)))[0];
        let namespace = kustomization["namespace"].as_str().unwrap();
        addresses.push(format!("http://{name}.{namespace}:{}", listeners[0].1));
    }
    let node = text("kubernetes/daemonset/agent.yaml");
    assert!(node.contains(&format!("# {} is the agent", addresses[0])), "{}", addresses[0]);
    for path in ["kubernetes/sidecar/config.yaml", "kubernetes/daemonset/config.yaml"] {
        assert_eq!(options(path)["exporters.otlp_grpc/gateway.endpoint"], addresses[1], "{path}");
    }
}

#[test]
fn an_agent_in_kubernetes_has_probes_limits_and_no_more_rights_than_it_needs() {
    for (path, pod) in pods() {
        let container = agent_of(&pod);
        if pod.get("initContainers").is_some() {
            assert_eq!(container["restartPolicy"], "Always", "{path}: a sidecar");
        }
        for probe in PROBES {
            assert!(container[probe].is_object(), "{path}: {probe}");
        }
        for probe in ["startupProbe", "livenessProbe"] {
            let asked = container[probe].to_string();
            assert!(!asked.contains("ready"), "{path}: a full disk must not restart it: {asked}");
        }
        assert!(container["resources"]["limits"]["memory"].is_string(), "{path}");
        let context = &container["securityContext"];
        assert_eq!(context["readOnlyRootFilesystem"], true, "{path}");
        assert_eq!(context["allowPrivilegeEscalation"], false, "{path}");
        assert_eq!(context["capabilities"]["drop"][0], "ALL", "{path}");
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        let config = format!("kubernetes/{}/config.yaml", path.split('/').next().unwrap());
        let stop = yaml(&config)[0]["shutdown_timeout"]
            .as_str()
            .unwrap()
            .trim_end_matches('s')
            .parse::<u64>();
        assert!(stop.unwrap() + 5 <= grace, "{path}: the drain must fit into the grace period");
        let claims = "volumeClaimTemplates";
        let named = |key: &str| -> BTreeSet<String> {
            let list = container[key].as_array().or_else(|| pod[key].as_array());
            list.into_iter().flatten().map(|v| v["name"].as_str().unwrap().to_owned()).collect()
        };
        let mut volumes = named("volumes");
        for claim in
            yaml(&format!("kubernetes/{path}"))[0]["spec"][claims].as_array().into_iter().flatten()
        {
            volumes.insert(claim["metadata"]["name"].as_str().unwrap().to_owned());
        }
        assert_eq!(named("volumeMounts"), volumes, "{path}");
    }
}

#[test]
fn every_file_that_a_kustomization_names_is_there() {
    for directory in ["sidecar", "example", "daemonset", "gateway"] {
        let kustomization = &yaml(&format!("kubernetes/{directory}/kustomization.yaml"))[0];
        let mut files = Vec::new();
        strings_under(kustomization, &["path"], &mut files);
        let generated = kustomization["configMapGenerator"].as_array().into_iter().flatten();
        let listed = generated.flat_map(|map| map["files"].as_array().unwrap());
        let lists =
            ["resources", "components"].into_iter().filter_map(|key| kustomization[key].as_array());
        let listed = listed.chain(lists.flatten()).map(|file| file.as_str().unwrap().to_owned());
        files.extend(listed);
        assert!(!files.is_empty(), "{directory}");
        for file in files {
            let path = deploy().join("kubernetes").join(directory).join(&file);
            assert!(std::fs::metadata(path).is_ok(), "{directory}: {file}");
        }
    }
}

/// The exposure that systemd-analyze sees, where it is installed and knows units on disk (systemd 250). What it does not
/// understand of the unit it says with its line, and leaves out.
fn exposure(unit: &Path) -> Option<f64> {
    let mut analyze = Command::new("systemd-analyze");
    analyze.env("LC_ALL", "C").env_remove("SYSTEMD_LOG_LEVEL");
    let out = analyze.args(["security", "--offline=yes", "--no-pager"]).arg(unit).output().ok()?;
    let wrong = String::from_utf8_lossy(&out.stderr);
    if wrong.contains("unrecognized option") {
        return None;
    }
    let left_out = wrong.lines().any(|line| line.contains("sidelight.service:"));
    assert!(out.status.success() && !left_out, "systemd-analyze: {}: {wrong}", out.status);
    let said = String::from_utf8_lossy(&out.stdout);
    let line = said.lines().find(|line| line.contains("Overall exposure level"));
    let exposure = line.and_then(|line| line.rsplit_once(": ")?.1.split(' ').next()?.parse().ok());
    assert!(exposure.is_some(), "systemd-analyze: {said}");
    exposure
}

#[test]
fn the_systemd_unit_leaves_the_agent_little_to_do_harm_with() {
    let unit = text("systemd/sidelight.service");
    for line in [
        "Type=notify",
        "WatchdogSec=30s",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        "MemoryDenyWriteExecute=yes",
        "SystemCallFilter=~@privileged @resources",
        "StateDirectory=sidelight",
        "RestartPreventExitStatus=5",
    ] {
        assert!(unit.lines().any(|l| l == line), "{line}");
    }
    let programs = unit.lines().filter(|line| line.starts_with("Exec"));
    let programs: Vec<_> = programs.filter_map(|line| line.split(['=', ' ']).nth(1)).collect();
    assert_eq!(programs, ["/usr/bin/sidelight", "/bin/sh"], "a minimal system has no others");
    let host_metrics = "ProcSubset=pid hides what host metrics are read from";
    assert!(!unit.lines().any(|line| line.starts_with("ProcSubset=")), "{host_metrics}");
    // Without systemd the directives above are what is held.
    if let Some(exposure) = exposure(&deploy().join("systemd/sidelight.service")) {
        assert!(exposure <= 2.0, "systemd-analyze security: {exposure}");
    }
}

#[test]
fn a_read_only_container_of_compose_takes_its_secrets_from_files() {
    // Compose would write others into the container's root, and refuses where that is read-only.
    let compose = &yaml("docker/compose.yaml")[0];
    let mut seen = 0;
    for (name, service) in compose["services"].as_object().unwrap() {
        let secrets = service["secrets"].as_array().filter(|_| service["read_only"] == true);
        for secret in secrets.into_iter().flatten() {
            let source = &compose["secrets"][secret.as_str().unwrap()];
            assert!(source["file"].is_string(), "{name}: {source}");
            seen += 1;
        }
    }
    assert!(seen > 0, "the agent has its token from a secret");
}

#[test]
fn compose_gives_grafana_and_the_agent_what_they_look_for() {
    let services = &yaml("docker/compose.yaml")[0]["services"];
    let (agent, grafana) = (&services["agent"], &services["grafana"]);
    let provider = &yaml("grafana/provisioning/dashboards/sidelight.yaml")[0]["providers"][0];
    let dashboards = provider["options"]["path"].as_str().unwrap();
    for (source, target) in
        [("provisioning", "/etc/grafana/provisioning"), ("dashboards", dashboards)]
    {
        let volume = Value::from(format!("../grafana/{source}:{target}:ro"));
        let volumes = grafana["volumes"].as_array().unwrap();
        assert!(volumes.contains(&volume), "{volume} is not in {volumes:?}");
    }
    let mut values = Vec::new();
    let data_source = &yaml("grafana/provisioning/datasources/sidelight.yaml")[0];
    strings_under(data_source, &["url", "httpHeaderValue1"], &mut values);
    let asked: BTreeSet<_> =
        values.iter().filter_map(|value| Some(value.split_once('$')?.1)).collect();
    let given = grafana["environment"].as_object().unwrap().keys().map(String::as_str);
    let given: BTreeSet<_> = given.filter(|name| name.starts_with("SIDELIGHT_")).collect();
    assert_eq!(asked, given, "the data source against Grafana's environment");

    let options = options("docker/config.yaml");
    let listeners = listeners(&options).map(|(_, port)| port);
    let url = grafana["environment"]["SIDELIGHT_URL"].as_str().unwrap();
    let host = options["admin.allowed_hosts"].trim_matches(['[', ']']);
    assert_eq!(url, format!("http://{host}:{}", listeners[2]), "against docker/config.yaml");
    let gateway = agent["environment"]["GATEWAY_ENDPOINT"].as_str().unwrap();
    for url in [url, gateway] {
        let host = url.trim_start_matches("http://").split(':').next().unwrap();
        assert!(services[host].is_object(), "{url}: no service of compose is called {host}");
    }
    let published = agent["ports"].as_array().unwrap().iter();
    let published: Vec<_> = published.map(|address| port(address.as_str().unwrap())).collect();
    assert_eq!(published, listeners, "compose.yaml against docker/config.yaml");
    let token = format!("/run/secrets/{}", agent["secrets"][0].as_str().unwrap());
    assert_eq!(agent["environment"]["SIDELIGHT__ADMIN__TOKEN_FILE"], token.as_str());
}

#[test]
fn what_manifests_for_a_namespace_need_before_them_is_in_the_readme() {
    let readme = text("kubernetes/README.md");
    for (path, pod) in pods().iter().filter(|(path, _)| !path.starts_with("sidecar/")) {
        let place = format!("kubernetes/{}", directory(path));
        let kustomization = &yaml(&format!("{place}/kustomization.yaml"))[0];
        let namespace = kustomization["namespace"].as_str().unwrap();
        assert!(readme.contains(&format!("kubectl create namespace {namespace}\n")), "{path}");
        let token = &options(&format!("{place}/config.yaml"))["admin.token_file"];
        let volume = mounted(path, pod, directory(token));
        let (secret, key) = (volume["secret"]["secretName"].as_str(), file_name(token));
        let secret = secret.unwrap_or_else(|| panic!("{path}: {volume} is not a secret"));
        let made = format!("create secret generic {secret} -n {namespace} --from-literal={key}=");
        let manifest = text(&format!("kubernetes/{path}"));
        assert!(readme.contains(&made) && manifest.contains(&made), "{path}, README.md: {made}");
    }
}

/// Whether a pattern of `.dockerignore` takes `path` out of what an image is built from: as far as ours go, with `**` for
/// any directories.
fn left_out(pattern: &str, path: &str) -> bool {
    let Some((before, name)) = pattern.split_once("**/") else {
        return path
            .strip_prefix(pattern)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    };
    path.strip_prefix(before).is_some_and(|rest| rest.split('/').any(|part| part == name))
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn an_image_is_built_from_all_that_the_agent_is_built_from() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignored = std::fs::read_to_string(root.join(".dockerignore")).unwrap();
    let patterns: Vec<_> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(
        left_out("**/target", "src/export/target/file.rs"),
        "the image that could not be built"
    );
    assert!(patterns.iter().any(|pattern| left_out(pattern, "target/release/sidelight")));
    // Cargo reads every member of the workspace, also to build one.
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let members = manifest.split_once("members = [").unwrap().1.split(']').next().unwrap();
    let members = members.split('"').skip(1).step_by(2).map(|member| member.trim_end_matches("/*"));
    let single = ["Cargo.toml", "Cargo.lock", "deploy/docker/config.yaml", "docs/runbooks.md"];
    let mut sources = single.map(|file| root.join(file)).to_vec();
    for directory in members.chain(["src", "proto", "deploy/rules", "benches"]) {
        files(&root.join(directory), &mut sources);
    }
    assert!(sources.contains(&root.join("tests/clients/rust/Cargo.toml")), "a member");
    for source in sources {
        let path = source.strip_prefix(root).unwrap().to_str().unwrap();
        let by = patterns.iter().find(|pattern| left_out(pattern, path));
        assert_eq!(by, None, "{path} is not in the image's context");
    }
}
