//! Who is speaking: the resource of every signal.
//!
//! Read once at the start, from the process, the host, the container's and the pod's environment. What the environment says
//! in `OTEL_RESOURCE_ATTRIBUTES` wins over what is found here, and `OTEL_SERVICE_NAME` over the name in code.
//! Source: OpenTelemetry semantic conventions 1.42, "Resource".

use std::fs;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

use super::env::{Environment, Lookup};

/// What the builder knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) attributes: Vec<KeyValue>,
}

/// Variables that pod specifications fill from the downward API, by common convention, and what they become.
const POD: [(&str, &str); 7] = [
    ("POD_NAME", "k8s.pod.name"),
    ("POD_UID", "k8s.pod.uid"),
    ("POD_NAMESPACE", "k8s.namespace.name"),
    ("NODE_NAME", "k8s.node.name"),
    ("K8S_POD_NAME", "k8s.pod.name"),
    ("K8S_NAMESPACE", "k8s.namespace.name"),
    ("K8S_NODE_NAME", "k8s.node.name"),
];

/// The resource of an instance; `instance` is its random id.
pub(crate) fn detect(
    identity: &Identity,
    instance: String,
    environment: &Environment,
    lookup: Lookup<'_>,
) -> Resource {
    let name = environment.service_name.clone();
    let mut found = vec![
        KeyValue::new("service.name", name.clone().unwrap_or_else(|| identity.name.clone())),
        KeyValue::new("service.instance.id", instance),
        KeyValue::new("process.pid", i64::from(std::process::id())),
        KeyValue::new("process.runtime.name", "rust"),
        KeyValue::new("telemetry.distro.name", "sidelight-instrument"),
        KeyValue::new("telemetry.distro.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("host.arch", architecture()),
        KeyValue::new("os.type", std::env::consts::OS),
    ];
    let mut add = |key: &'static str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            found.push(KeyValue::new(key, value));
        }
    };
    add("service.version", identity.version.clone());
    add("deployment.environment.name", identity.environment.clone());
    add("host.name", host_name(lookup));
    add("process.executable.name", executable());
    add("container.id", container_id());
    for (variable, key) in POD {
        add(key, lookup(variable));
    }
    if lookup("KUBERNETES_SERVICE_HOST").is_some()
        && lookup("POD_NAME").is_none()
        && lookup("K8S_POD_NAME").is_none()
    {
        // A pod's host name is its own name unless the specification says otherwise.
        add("k8s.pod.name", lookup("HOSTNAME"));
    }
    found.extend(identity.attributes.iter().cloned());
    let told = environment.resource.iter().cloned();
    let builder = Resource::builder_empty()
        .with_detector(Box::new(opentelemetry_sdk::resource::TelemetryResourceDetector))
        .with_attributes(found)
        .with_attributes(told.map(|(key, value)| KeyValue::new(key, value)));
    // OTEL_SERVICE_NAME stands above service.name in OTEL_RESOURCE_ATTRIBUTES.
    match name {
        Some(name) => builder.with_service_name(name).build(),
        None => builder.build(),
    }
}

/// The spellings of the conventions.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "x86",
        "arm" => "arm32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

fn host_name(lookup: Lookup<'_>) -> Option<String> {
    let kernel =
        fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    kernel.filter(|name| !name.is_empty()).or_else(|| lookup("HOSTNAME"))
}

fn executable() -> Option<String> {
    std::env::current_exe().ok()?.file_name().map(|name| name.to_string_lossy().into_owned())
}

/// From the control group of version 1, else from the mounts that a container runtime makes.
fn container_id() -> Option<String> {
    let group = fs::read_to_string("/proc/self/cgroup").ok();
    let mounts = || fs::read_to_string("/proc/self/mountinfo").ok();
    group.as_deref().and_then(id_in_groups).or_else(|| mounts().as_deref().and_then(id_in_mounts))
}

fn id_in_groups(text: &str) -> Option<String> {
    text.lines().filter_map(|line| line.rsplit('/').next()).find_map(|last| {
        let last = last.strip_suffix(".scope").unwrap_or(last);
        let id = last.rsplit(['-', ':']).next().unwrap_or(last);
        is_id(id).then(|| id.to_owned())
    })
}

fn id_in_mounts(text: &str) -> Option<String> {
    let host_names = text.lines().filter(|line| line.contains("/etc/hostname"));
    host_names.flat_map(|line| line.split('/')).find(|part| is_id(part)).map(str::to_owned)
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(resource: &Resource, key: &'static str) -> Option<String> {
        resource.get(&opentelemetry::Key::from_static_str(key)).map(|value| value.to_string())
    }

    fn of_checkout(variables: &[(&str, &str)]) -> Resource {
        let identity = Identity {
            name: "checkout".into(),
            version: Some("1.2".into()),
            ..Identity::default()
        };
        detect(&identity, "one".into(), &Environment::of(variables), &|name| {
            variables
                .iter()
                .find(|(variable, _)| *variable == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn says_which_service_instance_process_and_host_it_is() {
        let resource = of_checkout(&[("POD_NAMESPACE", "shop")]);
        assert_eq!(value(&resource, "service.name").as_deref(), Some("checkout"));
        assert_eq!(value(&resource, "service.version").as_deref(), Some("1.2"));
        assert_eq!(value(&resource, "service.instance.id").as_deref(), Some("one"));
        assert_eq!(value(&resource, "process.pid"), Some(std::process::id().to_string()));
        assert_eq!(value(&resource, "k8s.namespace.name").as_deref(), Some("shop"));
        assert_eq!(value(&resource, "telemetry.sdk.language").as_deref(), Some("rust"));
    }

    #[test]
    fn the_name_in_the_environment_wins() {
        let resource = of_checkout(&[("OTEL_SERVICE_NAME", "renamed")]);
        assert_eq!(value(&resource, "service.name").as_deref(), Some("renamed"));
    }

    #[test]
    fn attributes_of_the_environment_are_decoded_and_an_empty_one_replaces_nothing() {
        let told = "service.name=,service.version=2%2B1, team=caf%C3%A9%20north";
        let resource = of_checkout(&[("OTEL_RESOURCE_ATTRIBUTES", told)]);
        assert_eq!(value(&resource, "service.name").as_deref(), Some("checkout"));
        assert_eq!(value(&resource, "service.version").as_deref(), Some("2+1"));
        assert_eq!(value(&resource, "team").as_deref(), Some("café north"));
        let both = [("OTEL_RESOURCE_ATTRIBUTES", "service.name=b"), ("OTEL_SERVICE_NAME", "a")];
        assert_eq!(value(&of_checkout(&both), "service.name").as_deref(), Some("a"));
    }

    #[test]
    fn a_pod_without_the_downward_api_is_named_after_its_host() {
        let resource =
            of_checkout(&[("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("HOSTNAME", "checkout-7d9f")]);
        assert_eq!(value(&resource, "k8s.pod.name").as_deref(), Some("checkout-7d9f"));
    }

    #[test]
    fn a_container_is_found_in_control_groups_and_in_mounts() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let systemd = format!("0::/system.slice/docker-{id}.scope\n");
        let version_1 = format!("12:memory:/kubepods/besteffort/pod1/{id}\n");
        let mounts = format!(
            "1 2 0:3 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 /dev/x rw\n"
        );
        assert_eq!(id_in_groups(&systemd).as_deref(), Some(id));
        assert_eq!(id_in_groups(&version_1).as_deref(), Some(id));
        assert_eq!(id_in_groups("0::/\n"), None);
        assert_eq!(id_in_mounts(&mounts).as_deref(), Some(id));
    }
}
