//! Files, variables and flags: which of them wins, and what all of them resolve to.

use super::*;
use crate::export::config::Target;
use crate::journal::Durability;
use crate::signal::Signal;

#[test]
fn an_empty_file_is_the_documented_defaults() {
    let loaded = loaded(&[""], &[], &[]);
    let config = &loaded.config;
    let binds: Vec<&Bind> = config.receive.listeners.iter().map(|l| &l.bind).collect();
    assert_eq!(binds, [&Bind::Tcp("127.0.0.1:4317".into()), &Bind::Tcp("127.0.0.1:4318".into())]);
    assert_eq!(config.journal.durability, Durability::Fsync);
    assert_eq!(config.journal.directory.to_str(), Some("/var/lib/sidelight/journal"));
    assert_eq!(config.memory.total, 128 << 20);
    assert!(config.export.destinations.is_empty());
    assert!(loaded.warnings.is_empty() && loaded.origins().is_empty());
    assert_eq!(
        format!("{config:?}"),
        format!("{:?}", crate::config::Config::with_surroundings(&Default::default()))
    );
}

#[test]
fn the_example_file_is_valid() {
    let text = include_str!("../../../docs/config.example.yaml");
    let loaded = loaded(&[text], &[], &[]);
    assert!(loaded.warnings.is_empty());
    let names: Vec<&str> =
        loaded.config.export.destinations.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["otlp_grpc/tempo", "otlp_http/gateway"]);
    let tempo = &loaded.config.export.destinations[0];
    assert!(tempo.signals.contains(Signal::Traces) && !tempo.signals.contains(Signal::Logs));
}

#[test]
fn flags_win_over_variables_over_files_in_order_over_defaults() {
    let files =
        ["journal: {durability: memory, group_window: 1ms}", "journal: {group_window: 2ms}"];
    let variables = [("SIDELIGHT__JOURNAL__GROUP_WINDOW", "3ms"), ("SIDELIGHT_OTHER", "x")];
    let all = loaded(&files, &variables, &["journal.group_window=5ms"]);
    assert_eq!(all.config.journal.group_window.as_millis(), 5);
    assert_eq!(all.config.journal.durability, Durability::Memory);
    assert_eq!(loaded(&files, &variables, &[]).config.journal.group_window.as_millis(), 3);
    assert_eq!(loaded(&files, &[], &[]).config.journal.group_window.as_millis(), 2);
    let origins: Vec<String> =
        all.origins().iter().map(|o| format!("{} = {} ({})", o.key, o.value, o.place)).collect();
    assert_eq!(
        origins,
        ["journal.durability = memory (config.yaml:1:23)", "journal.group_window = 5ms (--set)"]
    );
}

#[test]
fn lists_and_mappings_can_be_given_as_flags() {
    let set = [
        "exporters.otlp_http/b.endpoint=http://b:4318",
        "exporters.otlp_http/b.signals=[traces, logs]",
        "exporters.otlp_http/b.headers={a: x}",
    ];
    let loaded = loaded(&[], &[], &set);
    let it = &loaded.config.export.destinations[0];
    assert_eq!(it.signals.iter().count(), 2);
    let Target::Otlp(client) = &it.target else { panic!() };
    assert_eq!(client.headers[0].1.expose(), "x");
}

#[test]
fn an_address_in_brackets_is_a_value_and_no_list() {
    let variables = [
        ("SIDELIGHT__ADMIN__ENDPOINT", "[::1]:22464"),
        ("SIDELIGHT__EXPORTERS__OTLP_GRPC__ENDPOINT", "[fd00::7]:4317"),
    ];
    let set =
        ["receivers.otlp.protocols.grpc.endpoint=[::1]:0", "exporters.debug/b.signals=[logs]"];
    let config = loaded(&[], &variables, &set).config;
    assert_eq!(config.api.endpoint.to_string(), "[::1]:22464");
    assert_eq!(config.receive.listeners[0].bind, Bind::Tcp("[::1]:0".into()));
    let of = |name: &str| config.export.destinations.iter().find(|it| it.name == name).unwrap();
    let Target::Otlp(client) = &of("otlp_grpc").target else { panic!() };
    assert_eq!(client.endpoint.to_string(), "https://[fd00::7]:4317");
    assert_eq!(of("debug/b").signals.iter().count(), 1);
    let text = "admin: {endpoint: '[${env:POD_IP}]:9464'}";
    let config = loaded(&[text], &[("POD_IP", "fd00::7")], &[]).config;
    assert_eq!(config.api.endpoint.to_string(), "[fd00::7]:9464");
}

#[test]
fn a_variable_in_a_file_is_a_value_and_never_yaml() {
    let text = "admin: {endpoint: '${env:HOST:-127.0.0.1}:${env:PORT}'}\n\
                exporters: {otlp_http: {endpoint: 'http://b', headers: {a: '${env:EVIL}', b: $$x}}}\n\
                receivers: {otlp: {auth: {bearer_token_file: '${env:NONE:-}'}}}\n";
    let loaded = loaded(&[text], &[("PORT", "9999"), ("EVIL", "{x: [1")], &[]);
    assert_eq!(loaded.config.api.endpoint, ([127, 0, 0, 1], 9999).into());
    let Target::Otlp(client) = &loaded.config.export.destinations[0].target else { panic!() };
    let values: Vec<&str> = client.headers.iter().map(|(_, v)| v.expose()).collect();
    assert_eq!(values, ["{x: [1", "$x"]);
    assert!(loaded.config.receive.listeners[0].auth.is_none());
}

#[test]
fn a_reload_knows_what_needs_a_restart() {
    let old = loaded(&["shutdown_timeout: 1s"], &[], &[]);
    let text = "shutdown_timeout: 2s\njournal: {durability: os}\nexporters: {debug: }";
    assert_eq!(old.needs_restart(&loaded(&[text], &[], &[])), ["journal.durability"]);
    assert!(old.needs_restart(&old).is_empty());
}

#[test]
fn a_pipe_is_read_once_and_is_the_same_at_a_reload() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, "journal: {durability: os}").unwrap()
    });
    let recipe = crate::config::Recipe::new(&[pipe], Vec::new()).unwrap();
    writer.join().unwrap();
    for _ in 0..2 {
        assert_eq!(recipe.load().unwrap().config.journal.durability, Durability::Os);
    }
}

#[test]
fn a_journal_in_memory_has_receivers_take_what_fits_into_it() {
    let largest = |text: &str| {
        let config = loaded(&[text], &[], &[]).config.clone();
        config.receive.listeners[0].message_bytes_max
    };
    assert_eq!(largest(""), 32 << 20);
    assert_eq!(largest("journal: {durability: memory}"), (16 << 20) - 4096);
}
