//! What a resource becomes: `job`, `instance`, promoted labels, and `target_info`.
//!
//! `job` is `service.namespace/service.name`, or the name alone; `instance` is `service.instance.id`. Other
//! attributes are labels of `target_info`, and of every series when they are promoted. Pure; runs once per
//! resource. Source: OpenTelemetry "Prometheus and OpenMetrics compatibility", "Resource attributes".

use sidelight_wire::view::{Attributes, Resource, Scope, Text};

use super::labels::{ATTRIBUTES_MAX, Invalid, LabelSet, cut, label_name};
use super::value;

const SERVICE_NAME: &str = "service.name";
const SERVICE_NAMESPACE: &str = "service.namespace";
const SERVICE_INSTANCE_ID: &str = "service.instance.id";

/// The name of the series that carries a resource's attributes.
pub const TARGET_INFO: &str = "target_info";

/// Which resource attributes become labels of every series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion(Vec<String>);

impl Default for Promotion {
    /// Few values each beside one application, and what people filter by.
    fn default() -> Self {
        let keys = [
            SERVICE_NAME,
            "service.version",
            "deployment.environment.name",
            "deployment.environment",
            "k8s.*",
        ];
        Self::new(keys.map(str::to_owned))
    }
}

impl Promotion {
    /// Promotes these keys; one that ends in `*` stands for all that begin so.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = String>) -> Self {
        Self(keys.into_iter().collect())
    }

    fn includes(&self, key: &str) -> bool {
        self.0.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => key.starts_with(prefix),
            None => key == pattern,
        })
    }
}

/// What the series of one resource have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    job: Option<String>,
    instance: Option<String>,
    promoted: Vec<(String, String)>,
    scope: Vec<(String, String)>,
}

impl Target {
    /// Of a resource, with values cut to `value_bytes_max`. Attributes past [`ATTRIBUTES_MAX`] are not looked at.
    #[must_use]
    pub fn of(resource: Resource<'_>, promotion: &Promotion, value_bytes_max: usize) -> Self {
        let get = |key| {
            let mut first = resource.attributes().take(ATTRIBUTES_MAX);
            first.find(|attribute| attribute.key == key).map(|found| value::text(found.value))
        };
        let cut = |text| cut(text, value_bytes_max);
        let job = get(SERVICE_NAME).map(|name| match get(SERVICE_NAMESPACE) {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        });
        // An empty one says nothing, so that a point's own stays.
        let job = job.filter(|job| !job.is_empty());
        let mut promoted = Vec::new();
        for attribute in resource.attributes().take(ATTRIBUTES_MAX) {
            let key = attribute.key.to_string_lossy();
            if promotion.includes(&key)
                && let Some(name) = label_name(&key)
            {
                promoted.push((name, cut(value::text(attribute.value))));
            }
        }
        let instance = get(SERVICE_INSTANCE_ID).filter(|id| !id.is_empty()).map(cut);
        Self { job: job.map(cut), instance, promoted, scope: Vec::new() }
    }

    /// The same with the scope's name, version, schema URL and attributes as `otel_scope_*`, unless the scope has
    /// no name.
    #[must_use]
    pub fn with_scope(
        &self,
        scope: Scope<'_>,
        schema_url: Text<'_>,
        value_bytes_max: usize,
    ) -> Self {
        let mut target = self.clone();
        if scope.name().is_empty() {
            return target;
        }
        let labels = &mut target.scope;
        for attribute in scope.attributes().take(ATTRIBUTES_MAX) {
            let key = format!("otel_scope_{}", attribute.key.to_string_lossy());
            if let Some(name) = label_name(&key) {
                labels.push((name, cut(value::text(attribute.value), value_bytes_max)));
            }
        }
        // After the attributes, which must not pass for them.
        let own =
            [("name", scope.name()), ("version", scope.version()), ("schema_url", schema_url)];
        labels.extend(own.map(|(name, value)| {
            let value = value.to_string_lossy().into_owned();
            (format!("otel_scope_{name}"), cut(value, value_bytes_max))
        }));
        target
    }

    /// Of a service, whatever its instances.
    #[must_use]
    pub fn of_service(job: &str, service: &str) -> Self {
        let promoted = vec![("service_name".to_owned(), service.to_owned())];
        Self { job: Some(job.to_owned()), promoted, ..Self::default() }
    }

    /// `job`, or empty.
    #[must_use]
    pub fn job(&self) -> &str {
        self.job.as_deref().unwrap_or_default()
    }

    /// The service's name without its namespace, `unknown_service` where it has none.
    #[must_use]
    pub fn service_name(&self) -> &str {
        let promoted = self.promoted.iter().find(|(name, _)| name == "service_name");
        let name = promoted.map_or_else(|| self.job(), |(_, value)| value.as_str());
        if name.is_empty() { "unknown_service" } else { name }
    }

    /// What tells the instance from others.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{}\n{}", self.job(), self.instance.as_deref().unwrap_or_default())
    }

    /// Adds what every series of the resource has.
    pub fn add_to(&self, set: &mut LabelSet) {
        for (name, value) in &self.promoted {
            set.set_absent(name, value);
        }
        self.identify(set);
    }

    /// The labels of a series but for its name. A point's attribute comes before a promoted one; `job` and
    /// `instance` of the resource before those of a point.
    ///
    /// # Errors
    /// [`Invalid`]: drop the point, and count it.
    pub fn labels(
        &self,
        attributes: Attributes<'_>,
        value_bytes_max: usize,
    ) -> Result<LabelSet, Invalid> {
        let mut set = LabelSet::of(attributes, value_bytes_max)?;
        for (name, value) in &self.promoted {
            set.set_absent(name, value);
        }
        for (name, value) in &self.scope {
            set.set(name, value);
        }
        self.identify(&mut set);
        Ok(set)
    }

    fn identify(&self, set: &mut LabelSet) {
        for (name, value) in [("job", &self.job), ("instance", &self.instance)] {
            if let Some(value) = value {
                set.set(name, value);
            }
        }
    }

    /// The labels of the resource's `target_info` but for its name; `None` when it would say nothing: neither job nor
    /// instance, or no attribute besides those that identify. Keys of which nothing can be written are left out.
    #[must_use]
    pub fn info(&self, resource: Resource<'_>, value_bytes_max: usize) -> Option<LabelSet> {
        if self.job.is_none() && self.instance.is_none() {
            return None;
        }
        let identifying = [SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_INSTANCE_ID];
        let writable = resource.attributes().take(ATTRIBUTES_MAX).filter_map(|attribute| {
            let key = attribute.key.to_string_lossy();
            let name = label_name(&key).filter(|_| !identifying.contains(&&*key))?;
            Some((key.into_owned(), name, cut(value::text(attribute.value), value_bytes_max)))
        });
        let mut sorted: Vec<_> = writable.collect();
        if sorted.is_empty() {
            return None;
        }
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut set = LabelSet::default();
        for (_, name, value) in sorted {
            set.join(name, &value);
        }
        self.identify(&mut set);
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::KeyValue;

    use super::super::tests::{point_attributes, scope_of, target_of, text};
    use super::*;

    type Attributes<'a> = &'a [(&'a str, &'a str)];

    fn labels(target: &Target, attributes: &[KeyValue]) -> String {
        let set = point_attributes(attributes, |a| target.labels(a, 100)).unwrap();
        written(&set)
    }

    fn written(set: &LabelSet) -> String {
        let labels = set.as_sorted().into_iter().map(|(name, value)| format!("{name}={value}"));
        labels.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn job_and_instance_come_from_the_resource() {
        let rows: [(Attributes<'_>, &str); 6] = [
            (&[("service.name", "shop")], "job=shop service_name=shop"),
            (
                &[("service.name", "shop"), ("service.namespace", "eu")],
                "job=eu/shop service_name=shop",
            ),
            (&[("service.name", "shop"), ("service.namespace", "")], "job=/shop service_name=shop"),
            (&[("service.instance.id", "i1")], "instance=i1"),
            (&[("service.namespace", "eu")], ""),
            (&[("service.name", "")], ""),
        ];
        for (resource, expected) in rows {
            let target = target_of(resource, |r| Target::of(r, &Promotion::default(), 100));
            assert_eq!(labels(&target, &[]), expected, "{resource:?}");
        }
    }

    #[test]
    fn what_is_promoted_is_a_label_of_every_series_unless_a_point_has_it() {
        let resource = [
            ("service.name", "shop"),
            ("service.version", "1.2"),
            ("deployment.environment.name", "prod"),
            ("k8s.pod.name", "shop-0"),
            ("host.name", "node-7"),
        ];
        let target = target_of(&resource, |r| Target::of(r, &Promotion::default(), 100));
        assert_eq!(
            labels(
                &target,
                &[text("service.version", "mine"), text("job", "x"), text("instance", "p")]
            ),
            "deployment_environment_name=prod instance=p job=shop k8s_pod_name=shop-0 \
             service_name=shop service_version=mine"
        );
        let only = Promotion::new(["host.name".to_owned()]);
        let target = target_of(&resource, |r| Target::of(r, &only, 100));
        assert_eq!(labels(&target, &[]), "host_name=node-7 job=shop");
    }

    #[test]
    fn scope_labels_stand_above_attributes() {
        let target =
            target_of(&[("service.name", "shop")], |r| Target::of(r, &Promotion::new([]), 100));
        let scope = |name: &str| {
            scope_of(name, "2", &[("name", "other"), ("team", "a")], |scope| {
                target.with_scope(scope, Text(b"http://s"), 100)
            })
        };
        assert_eq!(
            labels(&scope("lib"), &[text("otel.scope.team", "mine")]),
            "job=shop otel_scope_name=lib otel_scope_schema_url=http://s otel_scope_team=a \
             otel_scope_version=2"
        );
        assert_eq!(labels(&scope(""), &[]), "job=shop");
    }

    #[test]
    fn target_info_is_written_when_it_says_something() {
        let rows: [(Attributes<'_>, Option<&str>); 5] = [
            (
                &[
                    ("service.name", "shop"),
                    ("service.instance.id", "i"),
                    ("host.name", "n"),
                    ("日本", "x"),
                ],
                Some("host_name=n instance=i job=shop"),
            ),
            (&[("service.name", "shop"), ("service.namespace", "eu")], None),
            (&[("host.name", "n")], None),
            (&[], None),
            (
                &[("service.instance.id", "i"), ("a.b", "1"), ("a_b", "2")],
                Some("a_b=1;2 instance=i"),
            ),
        ];
        for (resource, expected) in rows {
            let found = target_of(resource, |r| {
                Target::of(r, &Promotion::default(), 100).info(r, 100).map(|set| written(&set))
            });
            assert_eq!(found.as_deref(), expected, "{resource:?}");
        }
    }
}
