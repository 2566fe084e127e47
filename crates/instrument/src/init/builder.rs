//! What an application says about itself, resolved with the environment, and the start.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::{KeyValue, Value, global};
use opentelemetry_otlp::LogExporter;
use opentelemetry_sdk::Resource;

use super::broken::Breaks;
use super::connector::Hurry;
use super::console::Console;
use super::delivery::{Delivery, Destination};
use super::direct::{Deliver, Direct};
use super::endpoint::Endpoint;
use super::env::{self, Environment, Exporter};
use super::error::StartError;
use super::filter::Filter;
use super::gate::Gate;
use super::io::IoThread;
use super::otlp::Wanted;
use super::outage::Ledger;
use super::propagators::composite;
use super::providers::{self, Providers, queue_length};
use super::resource::{Identity, detect};
use super::signal::Signal;
use super::sketches::{self, Sketches};
use super::subscriber;
use super::telemetry::{Claim, Telemetry, TelemetryParts};
use crate::logs::LogFormat;
use crate::meter;

/// Of metrics; the specification's 60 s would let alerts sleep.
const METRIC_INTERVAL: Duration = Duration::from_secs(10);

/// For everything together.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Begins the description of a service; [`start`](Init::start) ends it.
///
/// ```no_run
/// let telemetry = sidelight::init("checkout").version("1.4.2").start()?;
/// # drop(telemetry);
/// # Ok::<(), sidelight::init::StartError>(())
/// ```
pub fn init(service_name: impl Into<String>) -> Init {
    Init {
        identity: Identity { name: service_name.into(), ..Identity::default() },
        logs: LogFormat::default(),
        filter: None,
        endpoint: None,
        deliver: None,
        metric_interval: None,
        shutdown_timeout: SHUTDOWN_TIMEOUT,
        subscriber: true,
        context_activation: false,
        panic_hook: true,
        local: false,
    }
}

/// A description of a service. See the [module](self) for what the environment adds.
///
/// ```no_run
/// use sidelight::logs::LogFormat;
/// use std::time::Duration;
///
/// let telemetry = sidelight::init("checkout")
///     .version(env!("CARGO_PKG_VERSION"))
///     .environment("production")
///     .attribute("service.namespace", "shop")
///     .endpoint("http://agent:4317")
///     .logs(LogFormat::Json)
///     .filter("info,checkout=debug")
///     .metric_interval(Duration::from_secs(5))
///     .shutdown_timeout(Duration::from_secs(2))
///     .start()?;
/// # drop(telemetry);
/// # Ok::<(), sidelight::init::StartError>(())
/// ```
#[must_use = "nothing happens before .start()"]
pub struct Init {
    pub(super) identity: Identity,
    pub(super) logs: LogFormat,
    pub(super) filter: Option<String>,
    endpoint: Option<String>,
    deliver: Option<Arc<dyn Deliver>>,
    metric_interval: Option<Duration>,
    shutdown_timeout: Duration,
    subscriber: bool,
    context_activation: bool,
    panic_hook: bool,
    local: bool,
}

impl Init {
    /// The version of the service: `service.version`. Usually `env!("CARGO_PKG_VERSION")`.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.identity.version = Some(version.into());
        self
    }

    /// Where it is deployed, such as `production`: `deployment.environment.name`.
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.identity.environment = Some(name.into());
        self
    }

    /// One more attribute of the resource.
    pub fn attribute(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.identity.attributes.push(KeyValue::new(key, value));
        self
    }

    /// How logs are written to standard output. Default: [`LogFormat::Auto`].
    pub fn logs(mut self, format: LogFormat) -> Self {
        self.logs = format;
        self
    }

    /// What is logged and traced where `RUST_LOG` is not set, in the directives of `tracing-subscriber`'s `EnvFilter`, such
    /// as `info,checkout=debug`. Default: `info`.
    pub fn filter(mut self, directives: impl Into<String>) -> Self {
        self.filter = Some(directives.into());
        self
    }

    /// Where OTLP goes: `http://host:4317`, `https://host:4317`, `unix:///path`.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Hands OTLP requests to `to` instead of sending them.
    ///
    /// ```
    /// use sidelight::init::{Deliver, Delivering, Signal};
    ///
    /// struct Counted(std::sync::mpsc::Sender<usize>);
    ///
    /// impl Deliver for Counted {
    ///     fn deliver(&self, _: Signal, request: Vec<u8>) -> Delivering {
    ///         let sent = self.0.send(request.len()).map_err(Into::into);
    ///         Box::pin(async { sent })
    ///     }
    /// }
    ///
    /// let (sender, bytes) = std::sync::mpsc::channel();
    /// let telemetry = sidelight::init("checkout").local().deliver(Counted(sender)).start()?;
    /// # drop((telemetry, bytes));
    /// # Ok::<(), sidelight::init::StartError>(())
    /// ```
    pub fn deliver(mut self, to: impl Deliver) -> Self {
        self.deliver = Some(Arc::new(to));
        self
    }

    /// Between two exports of metrics; default 10 s.
    pub fn metric_interval(mut self, interval: Duration) -> Self {
        self.metric_interval = Some(interval);
        self
    }

    /// The most that dropping the guard may take; default 5 s.
    pub fn shutdown_timeout(mut self, bound: Duration) -> Self {
        self.shutdown_timeout = bound;
        self
    }

    /// Leaves `tracing`'s subscriber to the application, which adds [`Telemetry::layer`] to its own.
    pub fn without_subscriber(mut self) -> Self {
        self.subscriber = false;
        self
    }

    /// Makes each entered span of `tracing` the current one of OpenTelemetry's own API too, for code that makes spans by
    /// that. Costs about 100 ns each time a span is entered.
    pub fn context_activation(mut self, on: bool) -> Self {
        self.context_activation = on;
        self
    }

    /// Leaves the panic hook alone: panics are neither counted nor flushed.
    pub fn without_panic_hook(mut self) -> Self {
        self.panic_hook = false;
        self
    }

    /// An instance of its own that sets nothing of the process: no handles, no subscriber, no globals, no panic hook. Any
    /// number may exist, beside the one of the process; for tests and plugins.
    ///
    /// ```no_run
    /// use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
    ///
    /// let plugin = sidelight::init("plugin").local().start()?; // handles of the process do not record here
    /// plugin.tracer_provider().tracer("plugin").start("load").end();
    /// plugin.shutdown()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn local(mut self) -> Self {
        self.local = true;
        self
    }

    /// Starts telemetry. Nobody has to listen at the endpoint.
    ///
    /// # Errors
    ///
    /// When the process has telemetry already, when a subscriber is installed already, and when what was asked for cannot be
    /// had: an endpoint, a protocol, a certificate. Nothing is installed then.
    pub fn start(self) -> Result<Telemetry, StartError> {
        self.start_with(&env::process)
    }

    pub(crate) fn start_with(self, lookup: env::Lookup<'_>) -> Result<Telemetry, StartError> {
        let environment = Environment::read(lookup);
        let claim =
            if self.local { None } else { Some(Claim::take().ok_or(StartError::AlreadyInit)?) };
        let filter = Filter::read(lookup, self.filter.as_deref())?;
        if self.subscriber && !self.local {
            subscriber::vacant()?;
        }
        let resource = detect(&self.identity, instance_id(), &environment, lookup);
        let io = IoThread::start().map_err(StartError::Thread)?;
        let (ledger, hurry) = (Arc::<Ledger>::default(), Hurry::default());
        let making = Making {
            init: &self,
            environment: &environment,
            lookup,
            io: &io,
            ledger: &ledger,
            hurry: &hurry,
        };
        let providers = making.providers(&resource)?;
        if environment.disabled {
            // Its spans have no ids then, which others would take for those of a parent that never arrives.
            _ = providers.tracer.shutdown();
        } else if claim.is_some() {
            global::set_tracer_provider(providers.tracer.clone());
        }
        if claim.is_some() {
            global::set_text_map_propagator(composite(&environment.propagators));
            meter::set_unwanted(environment.disabled);
        }
        #[cfg(feature = "process")]
        if claim.is_some() && !environment.disabled {
            crate::process::start();
        }
        let telemetry = Telemetry::new(TelemetryParts {
            providers,
            io,
            ledger,
            claim,
            resource,
            enabled: !environment.disabled,
            shutdown_timeout: self.shutdown_timeout,
            context_activation: self.context_activation,
            log_value_length: environment.log_value_length,
            panic_hook: self.panic_hook && !self.local,
        });
        if self.subscriber && !self.local {
            let (layer, resource) = (telemetry.layer(), telemetry.resource());
            subscriber::install(filter, layer, self.logs, resource)?;
        }
        for warning in &environment.warnings {
            subscriber::warn(warning);
        }
        let dropped = meter::dropped();
        if dropped > 0 && !self.local {
            subscriber::warn(&format!(
                "{dropped} records of handles were dropped before telemetry was started"
            ));
        }
        Ok(telemetry)
    }
}

/// A random id of version 4.
fn instance_id() -> String {
    let random = (fastrand::u128(..) & !(0xf << 76) & !(0xc << 60)) | (0x4 << 76) | (0x8 << 60);
    let hex = format!("{random:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    parts.map(|part| hex.get(part).unwrap_or_default().to_owned()).join("-")
}

/// What the three providers are made of.
struct Making<'a> {
    init: &'a Init,
    environment: &'a Environment,
    lookup: env::Lookup<'a>,
    io: &'a IoThread,
    ledger: &'a Arc<Ledger>,
    hurry: &'a Hurry,
}

impl Making<'_> {
    /// The meter first: the processors of the others count by it what they did.
    fn providers(&self, resource: &Resource) -> Result<Providers, StartError> {
        let interval = self
            .init
            .metric_interval
            .or(self.environment.metric_interval)
            .unwrap_or(METRIC_INTERVAL);
        let spans = queue_length((self.lookup)("OTEL_BSP_MAX_QUEUE_SIZE"));
        let records = queue_length((self.lookup)("OTEL_BLRP_MAX_QUEUE_SIZE"));
        let of_metrics = self.delivery(Signal::Metrics, Gate::new(0), |wanted| wanted.metrics())?;
        let of_spans = self.delivery(Signal::Traces, Gate::new(spans), |wanted| wanted.spans())?;
        let of_logs = self.delivery(Signal::Logs, Gate::new(records), |wanted| wanted.logs())?;
        let meter = providers::meter(
            resource.clone(),
            of_metrics,
            interval,
            self.environment.exponential_histograms,
        );
        if !self.init.local {
            global::set_meter_provider(meter.clone());
        }
        let sampler = self.environment.sampling.sampler();
        let tracer = providers::tracer(resource.clone(), of_spans, spans, sampler);
        let logger = providers::logger(resource.clone(), of_logs, records);
        let observed = !self.init.local && !self.environment.disabled;
        let sketches = self.sketches(resource)?;
        let (turns, hurry) = (Arc::default(), self.hurry.clone());
        Ok(Providers { tracer, meter, logger, observed, sketches, turns, hurry })
    }

    /// Where logs go by OTLP, unless handles record elsewhere.
    fn sketches(
        &self,
        resource: &Resource,
    ) -> Result<Option<Arc<Sketches<Destination<LogExporter>>>>, StartError> {
        let (signal, environment, runtime) = (Signal::Logs, self.environment, self.io.handle());
        let otlp = matches!(environment.exporter.get(signal), Exporter::Otlp);
        if self.init.local || environment.disabled || !otlp {
            return Ok(None);
        }
        if let Some(to) = &self.init.deliver {
            let direct = Destination::Direct(Direct::of_sketches(Arc::clone(to)));
            return Ok(Some(Sketches::start(direct, resource, runtime)));
        }
        let endpoint = Endpoint::resolve(signal, self.init.endpoint.as_deref(), environment)?;
        let (endpoint, hurry, header) = (&endpoint, self.hurry, Some(sketches::HEADER));
        // Nobody asks: what fails is sent again with the next.
        let breaks = &Breaks::default();
        let wanted = Wanted { signal, endpoint, environment, runtime, hurry, breaks, header };
        Ok(Some(Sketches::start(Destination::Otlp(wanted.logs()?), resource, runtime)))
    }

    /// `None` for a signal that goes nowhere.
    fn delivery<O>(
        &self,
        signal: Signal,
        gate: Gate,
        otlp: impl FnOnce(&Wanted<'_>) -> Result<O, StartError>,
    ) -> Result<Option<Delivery<O>>, StartError> {
        if self.environment.disabled {
            return Ok(None);
        }
        let breaks = Breaks::new(*self.environment.timeout.get(signal));
        let (destination, endpoint) =
            match (self.environment.exporter.get(signal), &self.init.deliver) {
                (Exporter::None, _) => return Ok(None),
                (Exporter::Console, _) => (Destination::Console(Console), "the console".to_owned()),
                (Exporter::Otlp, Some(to)) => {
                    (Destination::Direct(Direct::new(Arc::clone(to))), "this process".to_owned())
                }
                (Exporter::Otlp, None) => {
                    let endpoint =
                        Endpoint::resolve(signal, self.init.endpoint.as_deref(), self.environment)?;
                    let (environment, runtime, hurry) =
                        (self.environment, self.io.handle(), self.hurry);
                    let (endpoint, breaks, header) = (&endpoint, &breaks, None);
                    let wanted =
                        Wanted { signal, endpoint, environment, runtime, hurry, breaks, header };
                    (Destination::Otlp(otlp(&wanted)?), endpoint.shown())
                }
            };
        let value_length = self.environment.span_value_length;
        Ok(Some(Delivery {
            destination,
            endpoint,
            breaks,
            ledger: Arc::clone(self.ledger),
            gate: Arc::new(gate),
            value_length,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_id_is_a_random_uuid() {
        let id = instance_id();
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
        assert_ne!(id, instance_id());
    }

    #[test]
    fn the_sampler_is_the_one_that_was_asked_for_however_it_is_written() {
        use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};

        let sampled = |sampler: &str| {
            let asked = |name: &str| match name {
                "OTEL_TRACES_SAMPLER" => Some(sampler.to_owned()),
                "OTEL_TRACES_SAMPLER_ARG" => Some("0.0 ".to_owned()),
                "OTEL_TRACES_EXPORTER" | "OTEL_METRICS_EXPORTER" | "OTEL_LOGS_EXPORTER" => {
                    Some("none".to_owned())
                }
                _ => None,
            };
            let telemetry = init("sampled").local().start_with(&asked).unwrap();
            let tracer = telemetry.tracer_provider().tracer("sampled");
            tracer.start("work").span_context().is_sampled()
        };
        for none in [
            "ALWAYS_OFF",
            " always_off",
            "ParentBased_Always_Off",
            "traceidratio",
            "parentbased_traceidratio",
        ] {
            assert!(!sampled(none), "{none}");
        }
        assert!(sampled("always_on") && sampled("parentbased_always_on") && sampled("sometimes"));
    }
}
