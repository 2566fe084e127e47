//! What is logged and traced: what `RUST_LOG` or code says, less what speaks while records are exported, and always what this
//! crate makes itself.
//!
//! The directives of `EnvFilter` match by plain prefix, so `tower=off` would silence `tower_http`, and `sidelight=info` would
//! wake `sidelight_agent`: what is decided here is decided for whole crates.

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::{EnvFilter, Layer};

use super::env::Lookup;
use super::error::StartError;

/// What speaks while records are exported. What it says at `debug` would be exported in turn, without end.
const EXPORTERS: [&str; 8] = [
    "h2",
    "hyper",
    "hyper_util",
    "tonic",
    "tower",
    "opentelemetry",
    "opentelemetry_sdk",
    "opentelemetry_otlp",
];

/// The target of what this crate makes: spans of requests and calls, entries, warnings.
const OWN: &str = "sidelight";

/// A filter for a whole subscriber.
#[derive(Debug)]
pub(crate) struct Filter {
    directives: EnvFilter,
    /// Those of the exporters that are not named in the directives.
    silent: Vec<&'static str>,
    /// What this crate makes is there at `info`, unless the directives name it or switch everything off.
    own: bool,
}

impl Filter {
    /// `RUST_LOG`, else what code said, else `info`.
    pub(crate) fn read(lookup: Lookup<'_>, code: Option<&str>) -> Result<Self, StartError> {
        let asked = lookup("RUST_LOG").filter(|asked| !asked.trim().is_empty());
        let said = asked.as_deref().or(code).unwrap_or("info");
        let directives = if asked.is_some() {
            // As the filter's own reading of the variable does, what does not parse is left out with a word on it.
            EnvFilter::builder().parse_lossy(said)
        } else {
            EnvFilter::builder().parse(said).map_err(|error| StartError::Filter {
                filter: said.to_owned(),
                reason: error.to_string(),
            })?
        };
        let silent = EXPORTERS.into_iter().filter(|target| !named(said, target)).collect();
        let own = !named(said, OWN) && !said.trim().eq_ignore_ascii_case("off");
        Ok(Self { directives, silent, own })
    }

    /// What is decided here, if it is.
    fn decided(&self, metadata: &Metadata<'_>) -> Option<bool> {
        let target = metadata.target();
        if self.silent.iter().any(|silent| of_crate(target, silent)) {
            return Some(false);
        }
        let own = self.own && *metadata.level() <= Level::INFO && of_crate(target, OWN);
        own.then_some(true)
    }
}

impl<S: Subscriber> Layer<S> for Filter {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        let asked = Layer::<S>::register_callsite(&self.directives, metadata);
        match self.decided(metadata) {
            Some(true) => Interest::always(),
            Some(false) => Interest::never(),
            None => asked,
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.decided(metadata)
            .unwrap_or_else(|| Layer::<S>::enabled(&self.directives, metadata, context))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let least = if self.own { LevelFilter::INFO } else { LevelFilter::OFF };
        Layer::<S>::max_level_hint(&self.directives).map(|hint| hint.max(least))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.directives.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        Layer::<S>::on_record(&self.directives, id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        Layer::<S>::on_enter(&self.directives, id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        Layer::<S>::on_exit(&self.directives, id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        Layer::<S>::on_close(&self.directives, id, context);
    }
}

/// Whether a target is that crate or a module of it.
fn of_crate(target: &str, name: &str) -> bool {
    target.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn named(directives: &str, target: &str) -> bool {
    let names = directives
        .split(',')
        .map(|directive| directive.split(['=', '[']).next().unwrap_or("").trim());
    names.into_iter().any(|name| of_crate(name, target))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// The targets of events and spans that get past a filter.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Seen {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(event.metadata().target().to_owned());
        }

        fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
            self.0.lock().unwrap().push(format!("span {}", attributes.metadata().target()));
        }
    }

    fn seen(asked: Option<&str>, speak: impl FnOnce()) -> Vec<String> {
        let filter = Filter::read(&|_| asked.map(str::to_owned), None).unwrap();
        let seen = Seen::default();
        let subscriber = tracing_subscriber::registry().with(filter).with(seen.clone());
        tracing::subscriber::with_default(subscriber, speak);
        let seen = seen.0.lock().unwrap();
        seen.clone()
    }

    #[test]
    fn a_filter_for_the_application_keeps_what_the_crate_makes() {
        let speak = || {
            drop(tracing::info_span!(target: "sidelight::http", "http server"));
            tracing::warn!(target: "sidelight", "metrics are not delivered");
            tracing::info!(target: "myapp", "ready");
            tracing::info!(target: "other", "chatter");
            tracing::info!(target: "sidelight_agent", "chatter");
            tracing::debug!(target: "sidelight", "chatter");
        };
        let own = ["span sidelight::http", "sidelight"].map(str::to_owned);
        assert_eq!(seen(Some("myapp=info"), speak), [&own[..], &["myapp".to_owned()]].concat());
        assert_eq!(seen(Some("error"), speak), own);
        assert_eq!(seen(Some("off"), speak), Vec::<String>::new());
        assert_eq!(seen(Some("myapp=info,sidelight=warn"), speak), ["sidelight", "myapp"]);
        assert_eq!(seen(Some("myapp=info,sidelight::http=off"), speak), ["myapp"]);
    }

    #[test]
    fn exporters_are_silent_unless_named_and_only_they() {
        let speak = || {
            tracing::error!(target: "tower", "silent");
            tracing::error!(target: "tower::buffer::worker", "silent");
            tracing::error!(target: "hyper::proto", "as asked");
            tracing::error!(target: "tower_http::trace", "a response failed");
            drop(tracing::info_span!(target: "tower_http::trace", "request"));
            tracing::error!(target: "hyperloop", "the application");
            tracing::error!(target: "h2", "silent");
        };
        let others = ["tower_http::trace", "span tower_http::trace", "hyperloop"];
        assert_eq!(seen(None, speak), others);
        let named = seen(Some("info,hyper=trace,tonic::transport=info"), speak);
        assert_eq!(named, [&["hyper::proto"], &others[..]].concat());
    }

    #[test]
    fn a_filter_by_the_fields_of_spans_works() {
        let speak = || {
            tracing::info_span!(target: "myapp", "order", id = 7)
                .in_scope(|| tracing::debug!(target: "myapp", "within"));
            tracing::debug!(target: "myapp", "outside");
        };
        assert_eq!(seen(Some("info,[order{id=7}]=debug"), speak), ["span myapp", "myapp"]);
    }

    #[test]
    fn a_filter_in_code_that_does_not_parse_is_refused() {
        let refused = Filter::read(&|_| None, Some("checkout=loud")).unwrap_err().to_string();
        assert!(refused.contains("checkout=loud"), "{refused}");
    }
}
