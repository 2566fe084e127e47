//! What the environment asks for: the variables of the OpenTelemetry specification that the SDK for Rust does not read, and
//! those it reads but whose bad values it passes over in silence.
//!
//! A bad value is never fatal: it is left out, and one warning names the variable, the value and what would be taken.
//! Source: OpenTelemetry specification 1.57, "Environment Variable Specification" and "OTLP Exporter Configuration".

use std::time::Duration;

use opentelemetry_sdk::metrics::Temporality;

use super::pairs;
use super::sampling::{SAMPLERS, Sampled, Sampling};
use super::signal::{PerSignal, Signal};

/// Reads a variable; a table in tests.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's own variables.
pub(crate) fn process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Where a signal goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Exporter {
    #[default]
    Otlp,
    Console,
    None,
}

/// How OTLP travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    #[default]
    Grpc,
    HttpProtobuf,
}

/// How context travels between services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagator {
    TraceContext,
    Baggage,
}

/// A file, and the variable that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) variable: String,
    pub(crate) path: String,
}

/// PEM files for TLS; the paths as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) authority: Option<Named>,
    /// The client's certificate and its key.
    pub(crate) client: Option<(Named, Named)>,
}

/// Everything that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Environment {
    /// `OTEL_SDK_DISABLED=true`.
    pub(crate) disabled: bool,
    /// `OTEL_SERVICE_NAME`.
    pub(crate) service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    pub(crate) resource: Vec<(String, String)>,
    /// `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG`.
    pub(crate) sampling: Sampling,
    /// `OTEL_PROPAGATORS`, in order.
    pub(crate) propagators: Vec<Propagator>,
    /// `OTEL_{TRACES,METRICS,LOGS}_EXPORTER`.
    pub(crate) exporter: PerSignal<Exporter>,
    /// `OTEL_EXPORTER_OTLP_{TRACES,METRICS,LOGS}_ENDPOINT`, whole; over HTTP used as it stands.
    pub(crate) signal_endpoint: PerSignal<Option<String>>,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`; over HTTP `/v1/traces` and so on are appended.
    pub(crate) endpoint: Option<String>,
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`; `Err` holds the variable and a value that is none of ours.
    pub(crate) protocol: PerSignal<Result<Protocol, (String, String)>>,
    /// `OTEL_EXPORTER_OTLP_INSECURE`, for endpoints without a scheme.
    pub(crate) insecure: PerSignal<Option<bool>>,
    /// `OTEL_EXPORTER_OTLP_CERTIFICATE`, `_CLIENT_CERTIFICATE`, `_CLIENT_KEY`.
    pub(crate) tls: PerSignal<TlsFiles>,
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`.
    pub(crate) timeout: PerSignal<Duration>,
    /// `OTEL_EXPORTER_OTLP_COMPRESSION`.
    pub(crate) gzip: PerSignal<bool>,
    /// `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`.
    pub(crate) temporality: Temporality,
    /// Characters of a span attribute's text that are kept.
    pub(crate) span_value_length: Option<usize>,
    /// Characters of a log attribute's text that are kept.
    pub(crate) log_value_length: Option<usize>,
    /// `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=base2_exponential_bucket_histogram`.
    pub(crate) exponential_histograms: bool,
    /// `OTEL_METRIC_EXPORT_INTERVAL`.
    pub(crate) metric_interval: Option<Duration>,
    /// One line per value that was left out.
    pub(crate) warnings: Vec<String>,
}

/// The SDK's default too.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Read by the SDK, which ignores what is not a whole number, or has a space beside it.
const NUMBERS: [&str; 12] = [
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BLRP_SCHEDULE_DELAY",
    "OTEL_BLRP_MAX_QUEUE_SIZE",
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BLRP_EXPORT_TIMEOUT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_METRIC_EXPORT_TIMEOUT",
];

impl Environment {
    /// Reads all of it.
    pub(crate) fn read(lookup: Lookup<'_>) -> Self {
        let mut reader = Reader { lookup, warnings: Vec::new() };
        for name in NUMBERS {
            reader.whole(name);
        }
        Signal::ALL.into_iter().for_each(|signal| reader.headers(signal));
        if reader.text("OTEL_CONFIG_FILE").is_some() {
            reader.warn("OTEL_CONFIG_FILE is not read: use the other variables, or the builder");
        }
        let both = reader.length("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
        Self {
            disabled: reader.switch("OTEL_SDK_DISABLED").unwrap_or(false),
            service_name: reader.text("OTEL_SERVICE_NAME"),
            resource: reader.resource(),
            sampling: reader.sampling(),
            propagators: reader.propagators(),
            exporter: PerSignal::new(|signal| reader.exporter(signal)),
            signal_endpoint: PerSignal::new(|signal| {
                reader.text(&format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.in_variables()))
            }),
            endpoint: reader.text("OTEL_EXPORTER_OTLP_ENDPOINT"),
            protocol: PerSignal::new(|signal| reader.protocol(signal)),
            insecure: PerSignal::new(|signal| {
                let own = reader
                    .switch(&format!("OTEL_EXPORTER_OTLP_{}_INSECURE", signal.in_variables()));
                own.or_else(|| reader.switch("OTEL_EXPORTER_OTLP_INSECURE"))
            }),
            tls: PerSignal::new(|signal| reader.tls(signal)),
            timeout: PerSignal::new(|signal| {
                let own =
                    reader.period(&format!("OTEL_EXPORTER_OTLP_{}_TIMEOUT", signal.in_variables()));
                own.or_else(|| reader.period("OTEL_EXPORTER_OTLP_TIMEOUT")).unwrap_or(TIMEOUT)
            }),
            gzip: PerSignal::new(|signal| reader.gzip(signal)),
            temporality: reader
                .choice(
                    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
                    &[
                        ("cumulative", Temporality::Cumulative),
                        ("delta", Temporality::Delta),
                        ("lowmemory", Temporality::LowMemory),
                    ],
                )
                .unwrap_or_default(),
            span_value_length: reader.length("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT").or(both),
            log_value_length: reader.length("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT").or(both),
            exponential_histograms: reader
                .choice(
                    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                    &[
                        ("explicit_bucket_histogram", false),
                        ("base2_exponential_bucket_histogram", true),
                    ],
                )
                .unwrap_or(false),
            metric_interval: reader.period("OTEL_METRIC_EXPORT_INTERVAL"),
            warnings: {
                reader.warnings.dedup();
                reader.warnings
            },
        }
    }
}

struct Reader<'a> {
    lookup: Lookup<'a>,
    warnings: Vec<String>,
}

impl Reader<'_> {
    /// An empty variable is an unset one, as the specification says.
    fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn warn(&mut self, warning: impl Into<String>) {
        let warning = warning.into();
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// The variable of the signal before that of all, with its name.
    fn of_signal(&self, signal: Signal, what: &str) -> Option<(String, String)> {
        let names = [
            format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.in_variables()),
            format!("OTEL_EXPORTER_OTLP_{what}"),
        ];
        names.into_iter().find_map(|name| self.text(&name).map(|value| (name, value)))
    }

    fn tls(&mut self, signal: Signal) -> TlsFiles {
        let named =
            |what| self.of_signal(signal, what).map(|(variable, path)| Named { variable, path });
        let authority = named("CERTIFICATE");
        let client = match (named("CLIENT_CERTIFICATE"), named("CLIENT_KEY")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(half), None) | (None, Some(half)) => {
                let variable = half.variable;
                self.warn(format!(
                    "{variable} is left out: a client's certificate and its key come together"
                ));
                None
            }
        };
        TlsFiles { authority, client }
    }

    fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.text(name)?;
        let found = choices.iter().find(|(word, _)| value.eq_ignore_ascii_case(word));
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.warn(format!("{name}={value} is left out: not one of {}", words.join(", ")));
        }
        found.map(|(_, choice)| *choice)
    }

    fn switch(&mut self, name: &str) -> Option<bool> {
        self.choice(name, &[("true", true), ("false", false)])
    }

    fn number(&mut self, name: &str) -> Option<f64> {
        let value = self.text(name)?;
        let number =
            value.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        if number.is_none() {
            self.warn(format!("{name}={value} is left out: not a number of at least 0"));
        }
        number
    }

    /// What reads it neither trims it nor takes a part of it.
    fn whole(&mut self, name: &str) {
        let value = (self.lookup)(name).filter(|value| !value.trim().is_empty());
        if let Some(value) = value.filter(|value| value.parse::<u64>().is_err()) {
            self.warn(format!("{name}={value} is left out: not a whole number of at least 0"));
        }
    }

    /// Milliseconds of which there is at least some: within none nothing would ever be delivered.
    fn period(&mut self, name: &str) -> Option<Duration> {
        let number = self.number(name)?;
        let period = Duration::try_from_secs_f64(number / 1000.0).ok().filter(|of| !of.is_zero());
        if period.is_none() {
            self.warn(format!("{name}={number} is left out: not a number of milliseconds above 0"));
        }
        period
    }

    fn length(&mut self, name: &str) -> Option<usize> {
        let value = self.text(name)?;
        let length = value.parse::<usize>().ok();
        if length.is_none() {
            self.warn(format!("{name}={value} is left out: not a whole number of at least 0"));
        }
        length
    }

    fn resource(&mut self) -> Vec<(String, String)> {
        let Some(list) = self.text("OTEL_RESOURCE_ATTRIBUTES") else { return Vec::new() };
        let (found, bad) = pairs::attributes(&list);
        if !bad.is_empty() {
            self.warn(format!(
                "OTEL_RESOURCE_ATTRIBUTES: {} is left out: not key=value, with `%` and hexadecimal digits for what is not plain",
                bad.join(", ")
            ));
        }
        found
    }

    /// The exporters read them, and pass over what is none.
    fn headers(&mut self, signal: Signal) {
        let Some((name, list)) = self.of_signal(signal, "HEADERS") else { return };
        for number in pairs::bad_headers(&list) {
            self.warn(format!(
                "{name}: header {number} is left out: not name=value, as in Authorization=Bearer%20TOKEN"
            ));
        }
    }

    fn sampling(&mut self) -> Sampling {
        const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
        let asked = self.choice("OTEL_TRACES_SAMPLER", &SAMPLERS);
        let (sampled, by_parent) = asked.unwrap_or((Sampled::All, true));
        let ratio = self.number(ARGUMENT);
        if let Some(ratio) = ratio.filter(|ratio| *ratio > 1.0) {
            self.warn(format!("{ARGUMENT}={ratio} is left out: not a number from 0 to 1"));
        }
        let ratio = ratio.filter(|ratio| *ratio <= 1.0).unwrap_or(1.0);
        Sampling { sampled, by_parent, ratio }
    }

    /// gzip also where zstd is asked for.
    fn gzip(&mut self, signal: Signal) -> bool {
        let names = [
            format!("OTEL_EXPORTER_OTLP_{}_COMPRESSION", signal.in_variables()),
            "OTEL_EXPORTER_OTLP_COMPRESSION".to_owned(),
        ];
        for name in names {
            if self.text(&name).is_some_and(|value| value.eq_ignore_ascii_case("zstd")) {
                self.warn(format!("{name}=zstd: not in this build, which compresses by gzip"));
                return true;
            }
            if let Some(gzip) = self.choice(&name, &[("gzip", true), ("none", false)]) {
                return gzip;
            }
        }
        false
    }

    fn propagators(&mut self) -> Vec<Propagator> {
        let usual = vec![Propagator::TraceContext, Propagator::Baggage];
        let Some(value) = self.text("OTEL_PROPAGATORS") else { return usual };
        let (mut found, mut known) = (Vec::new(), false);
        for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let propagator = match word.to_ascii_lowercase().as_str() {
                "tracecontext" => Propagator::TraceContext,
                "baggage" => Propagator::Baggage,
                "none" => {
                    known = true;
                    continue;
                }
                _ => {
                    self.warn(format!("OTEL_PROPAGATORS: {word} is left out: not one of tracecontext, baggage, none"));
                    continue;
                }
            };
            known = true;
            if !found.contains(&propagator) {
                found.push(propagator);
            }
        }
        if known { found } else { usual }
    }

    /// A list is legal; a signal here has one destination, the first that is known.
    fn exporter(&mut self, signal: Signal) -> Exporter {
        let name = format!("OTEL_{}_EXPORTER", signal.in_variables());
        let Some(value) = self.text(&name) else { return Exporter::Otlp };
        let mut first = None;
        for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let exporter = match word.to_ascii_lowercase().as_str() {
                "otlp" => Exporter::Otlp,
                "console" => Exporter::Console,
                "none" => Exporter::None,
                _ => {
                    self.warn(format!("{name}={word} is left out: not one of otlp, console, none"));
                    continue;
                }
            };
            if first.is_some() {
                self.warn(format!("{name}={value}: only the first is used"));
            }
            first = first.or(Some(exporter));
        }
        first.unwrap_or_default()
    }

    fn protocol(&self, signal: Signal) -> Result<Protocol, (String, String)> {
        match self.of_signal(signal, "PROTOCOL") {
            None => Ok(Protocol::Grpc),
            Some((_, value)) if value.eq_ignore_ascii_case("grpc") => Ok(Protocol::Grpc),
            Some((_, value)) if value.eq_ignore_ascii_case("http/protobuf") => {
                Ok(Protocol::HttpProtobuf)
            }
            Some(other) => Err(other),
        }
    }
}

#[cfg(test)]
impl Environment {
    /// Of these variables alone.
    pub(super) fn of(variables: &[(&str, &str)]) -> Self {
        let value = |name: &str| variables.iter().find(|(variable, _)| *variable == name);
        Self::read(&|name| value(name).map(|(_, value)| (*value).to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_environment_asks_for_everything_over_grpc() {
        let environment = Environment::of(&[]);
        assert!(!environment.disabled);
        assert_eq!(environment.propagators, [Propagator::TraceContext, Propagator::Baggage]);
        for signal in Signal::ALL {
            assert_eq!(*environment.exporter.get(signal), Exporter::Otlp);
            assert_eq!(*environment.protocol.get(signal), Ok(Protocol::Grpc));
            assert_eq!(*environment.timeout.get(signal), TIMEOUT);
        }
        assert!(environment.warnings.is_empty(), "{:?}", environment.warnings);
    }

    #[test]
    fn an_empty_variable_is_an_unset_one() {
        let environment = Environment::of(&[
            ("OTEL_SDK_DISABLED", ""),
            ("OTEL_PROPAGATORS", " "),
            ("OTEL_BSP_MAX_QUEUE_SIZE", ""),
        ]);
        assert_eq!(environment, Environment::of(&[]));
    }

    #[test]
    fn a_bad_value_is_left_out_and_named() {
        let cases = [
            ("OTEL_SDK_DISABLED", "yes"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_PROPAGATORS", "b3"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "10s"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "1.5"),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "8 "),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=,team"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization: Bearer secret"),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "=secret"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
            ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "brotli"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "detla"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1.5"),
            ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "best"),
            ("OTEL_CONFIG_FILE", "otel.yaml"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "client.pem"),
            ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "key.pem"),
        ];
        for (name, value) in cases {
            let mut environment = Environment::of(&[(name, value)]);
            let warnings = std::mem::take(&mut environment.warnings);
            assert_eq!(warnings.len(), 1, "{name}: {warnings:?}");
            assert!(warnings[0].contains(name), "{warnings:?}");
            assert!(!warnings[0].contains("secret"), "{warnings:?}");
            assert_eq!(environment, Environment::of(&[]), "{name}");
        }
    }

    #[test]
    fn words_may_have_capitals_and_spaces_beside_them() {
        let environment = Environment::of(&[
            ("OTEL_TRACES_SAMPLER", "ALWAYS_OFF"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.1 "),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", " GRPC"),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "HTTP/protobuf"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "GZip"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
            ("OTEL_PROPAGATORS", "b3, TraceContext"),
            ("OTEL_METRICS_EXPORTER", "None"),
        ]);
        let sampling = Sampling { sampled: Sampled::None, by_parent: false, ratio: 0.1 };
        assert_eq!(environment.sampling, sampling);
        assert_eq!(environment.protocol.traces, Ok(Protocol::Grpc));
        assert_eq!(environment.protocol.logs, Ok(Protocol::HttpProtobuf));
        assert!(environment.gzip.traces && environment.gzip.logs);
        assert_eq!(environment.temporality, Temporality::Delta);
        assert_eq!(environment.propagators, [Propagator::TraceContext]);
        assert_eq!(environment.exporter.metrics, Exporter::None);
        assert_eq!(environment.warnings.len(), 1, "{:?}", environment.warnings);
    }

    #[test]
    fn no_propagator_is_one_of_the_words() {
        assert_eq!(Environment::of(&[("OTEL_PROPAGATORS", "none")]).propagators, []);
        assert_eq!(Environment::of(&[("OTEL_PROPAGATORS", "b3,none")]).propagators, []);
    }

    #[test]
    fn the_compression_of_a_signal_goes_before_that_of_all() {
        let environment = Environment::of(&[
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
            ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "brotli"),
        ]);
        let gzip = environment.gzip;
        assert_eq!((gzip.traces, gzip.metrics, gzip.logs), (false, true, true));
        assert_eq!(environment.warnings.len(), 2, "{:?}", environment.warnings);
    }

    #[test]
    fn the_variable_of_a_signal_goes_before_that_of_all() {
        let environment = Environment::of(&[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem"),
            ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "other.pem"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "500"),
        ]);
        assert_eq!(environment.protocol.traces, Ok(Protocol::HttpProtobuf));
        assert_eq!(environment.protocol.metrics, Ok(Protocol::Grpc));
        assert_eq!(
            environment.protocol.logs,
            Err(("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL".to_owned(), "http/json".to_owned()))
        );
        let named = |variable: &str, path: &str| {
            Some(Named { variable: variable.to_owned(), path: path.to_owned() })
        };
        let tls = &environment.tls;
        assert_eq!(tls.traces.authority, named("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem"));
        let other = named("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "other.pem");
        assert_eq!(tls.metrics.authority, other);
        assert_eq!(environment.timeout.traces, Duration::from_secs(2));
        assert_eq!(environment.timeout.logs, Duration::from_millis(500));
    }

    #[test]
    fn limits_of_both_kinds_yield_to_the_limit_of_one() {
        let environment = Environment::of(&[
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100"),
            ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "7"),
        ]);
        assert_eq!(
            (environment.span_value_length, environment.log_value_length),
            (Some(7), Some(100))
        );
    }
}
