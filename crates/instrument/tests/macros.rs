//! What the attribute macros record, of functions of every shape.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "macros")]

use std::future::Future;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use sidelight::{
    Backoff, Cache, Feature, FeatureKind, Operation, Outcome, Pool, Retry, meter, names,
};

struct Recorded {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
    _installed: meter::Installed,
}

/// One meter for all tests: each has names of its own.
fn recorded() -> &'static Recorded {
    static RECORDED: OnceLock<Recorded> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let exporter = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(exporter.clone()).build();
        let provider =
            SdkMeterProvider::builder().with_view(names::view).with_reader(reader).build();
        let installed = meter::install(provider.meter(names::SCOPE));
        Recorded { provider, exporter, _installed: installed }
    })
}

/// The series of a metric that have an attribute of this value, as the other attributes with the value or count.
fn series(metric: &str, of: &str) -> Vec<String> {
    let recorded = recorded();
    sidelight::observe::refresh();
    recorded.provider.force_flush().unwrap();
    let exported = recorded.exporter.get_finished_metrics().unwrap();
    let mut all = exported.last().map(|last| read(last, metric)).unwrap_or_default();
    all.retain(|(attributes, _)| attributes.iter().any(|(_, value)| value == of));
    let told = all.into_iter().map(|(mut attributes, value)| {
        attributes.retain(|(_, value)| value != of);
        attributes.sort();
        let said: Vec<_> =
            attributes.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{} {value}", said.join(","))
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    told
}

type Series = (Vec<(String, String)>, u64);

fn read(exported: &ResourceMetrics, name: &str) -> Vec<Series> {
    let metrics = exported.scope_metrics().flat_map(|scope| scope.metrics());
    let Some(metric) = metrics.into_iter().find(|metric| metric.name() == name) else {
        return Vec::new();
    };
    let attributes = |all: &mut dyn Iterator<Item = &opentelemetry::KeyValue>| {
        all.map(|of| (of.key.to_string(), of.value.to_string())).collect()
    };
    match metric.data() {
        AggregatedMetrics::F64(MetricData::Histogram(of)) => {
            of.data_points().map(|at| (attributes(&mut at.attributes()), at.count())).collect()
        }
        AggregatedMetrics::U64(MetricData::Sum(of)) => {
            of.data_points().map(|at| (attributes(&mut at.attributes()), at.value())).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn operations(of: &str) -> Vec<String> {
    series("sidelight.operation.duration", of)
}

fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

#[derive(Debug, sidelight::ErrorKind)]
enum OrderError {
    SoldOut,
    #[error_kind("number")]
    Parse,
}

impl std::fmt::Display for OrderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no order")
    }
}

impl From<std::num::ParseIntError> for OrderError {
    fn from(_: std::num::ParseIntError) -> Self {
        Self::Parse
    }
}

#[test]
fn a_function_is_an_operation_however_it_ends() {
    #[sidelight::op("sync", err, fields(text, first = ?text.chars().next()))]
    fn parse(text: &str) -> Result<u8, OrderError> {
        if text == "none" {
            return Err(OrderError::SoldOut);
        }
        assert_ne!(text, "panic");
        Ok(text.parse::<u8>()?)
    }
    recorded();
    assert_eq!(parse("7").unwrap(), 7);
    for wrong in ["none", "x"] {
        parse(wrong).unwrap_err();
    }
    std::panic::catch_unwind(|| parse("panic")).unwrap_err();
    let ends = [
        "error.type=number,outcome=error 1",
        "error.type=sold_out,outcome=error 1",
        "outcome=ok 1",
        "outcome=panic 1",
    ];
    assert_eq!(operations("sync"), ends);
}

#[test]
fn a_future_is_an_operation_however_it_ends() {
    #[sidelight::op(name = "async", active, threshold = "1m", slo = "x", span = "direct", fields(order.id = %id, id))]
    async fn place(id: i64, mut notes: Vec<String>) -> Result<usize, OrderError> {
        notes.push(id.to_string());
        match id {
            0 => return Err(OrderError::SoldOut),
            1 => std::future::pending().await,
            2 => panic!("two"),
            _ => {}
        }
        "x".repeat(id as usize).len().to_string().parse::<usize>().map_err(Into::into)
    }
    recorded();
    assert_eq!(finish(place(3, Vec::new())).unwrap(), 3);
    finish(place(0, Vec::new())).unwrap_err();
    let mut waits = Box::pin(place(1, Vec::new()));
    let mut context = Context::from_waker(Waker::noop());
    assert!(waits.as_mut().poll(&mut context).is_pending());
    drop(waits);
    std::panic::catch_unwind(|| finish(place(2, Vec::new()))).unwrap_err();
    drop(place(4, Vec::new()));
    let ends = [
        "error.type=sold_out,outcome=error,sidelight.slo=x 1",
        "outcome=cancelled,sidelight.slo=x 1",
        "outcome=ok,sidelight.slo=x 1",
        "outcome=panic,sidelight.slo=x 1",
    ];
    assert_eq!(operations("async"), ends, "one that was never polled is none");
}

#[test]
fn predicates_say_what_is_an_error() {
    #[sidelight::op("ok if", ok_if = |found: &Option<_>| found.is_some())]
    fn first(all: &[u8]) -> Option<&u8> {
        all.first()
    }
    #[sidelight::op("ok if known", err, ok_if = known_or_fine)]
    async fn known(wrong: &str) -> Result<u8, OrderError> {
        if wrong == "gone" { Err(OrderError::SoldOut) } else { Ok(wrong.parse()?) }
    }
    fn known_or_fine(result: &Result<u8, OrderError>) -> bool {
        !matches!(result, Err(OrderError::Parse))
    }
    #[sidelight::op("error if", span = "direct", error_if = |status| *status >= 500)]
    fn status(status: u16) -> u16 {
        status
    }
    recorded();
    first(&[1]).unwrap();
    assert_eq!(first(&[]), None);
    finish(known("gone")).unwrap_err();
    finish(known("x")).unwrap_err();
    assert_eq!([200, 404, 500].map(status), [200, 404, 500]);
    assert_eq!(operations("ok if"), ["error.type=_OTHER,outcome=error 1", "outcome=ok 1"]);
    assert_eq!(operations("ok if known"), ["error.type=number,outcome=error 1", "outcome=ok 1"]);
    assert_eq!(operations("error if"), ["error.type=_OTHER,outcome=error 1", "outcome=ok 2"]);
}

#[async_trait::async_trait]
trait Shop {
    async fn sell<'a>(&mut self, what: &'a str) -> Result<&'a str, std::io::Error>;
}

#[derive(Default)]
struct Stall {
    sold: Vec<String>,
}

#[async_trait::async_trait]
impl Shop for Stall {
    #[sidelight::op("boxed", span = false)]
    async fn sell<'a>(&mut self, what: &'a str) -> Result<&'a str, std::io::Error> {
        if what.is_empty() {
            Err(std::io::ErrorKind::NotFound)?;
        }
        self.sold.push(what.to_owned());
        Ok(what)
    }
}

impl Stall {
    #[sidelight::op("method", crate = sidelight)]
    fn last(&mut self) -> Option<&mut String> {
        self.sold.last_mut()
    }

    #[sidelight::op(span = false)]
    async fn named_by_itself<T: Into<String> + Clone>(
        &mut self,
        one: T,
    ) -> impl Iterator<Item = T> {
        self.sold.push(one.clone().into());
        [one].into_iter()
    }

    #[sidelight::op("own kind", span = false, error_type = |error: &String| if error.is_empty() { "empty" } else { "full" })]
    fn refuse(&self) -> Result<(), String> {
        Err(String::new())
    }
}

#[test]
fn methods_and_boxed_futures_are_operations() {
    recorded();
    let mut stall = Stall::default();
    assert_eq!(finish(stall.sell("tea")).unwrap(), "tea");
    finish(stall.sell("")).unwrap_err();
    stall.last().unwrap().push_str("pot");
    assert_eq!(finish(stall.named_by_itself("cup")).count(), 1);
    stall.refuse().unwrap_err();
    assert_eq!(stall.sold, ["teapot", "cup"]);
    assert_eq!(operations("boxed"), ["error.type=not_found,outcome=error 1", "outcome=ok 1"]);
    assert_eq!(operations("method"), ["outcome=ok 1"]);
    assert_eq!(operations("named_by_itself"), ["outcome=ok 1"]);
    assert_eq!(operations("own kind"), ["error.type=empty,outcome=error 1"]);
}

#[test]
fn an_operation_may_be_a_static_that_others_record_into() {
    static PLACE: Operation = Operation::new("macro static");

    #[sidelight::op(PLACE)]
    fn placed() -> Result<(), OrderError> {
        Ok(())
    }
    #[sidelight::op(PLACE, span = "direct", err)]
    async fn places(fails: bool) -> Result<(), OrderError> {
        if fails { Err(OrderError::SoldOut) } else { Ok(()) }
    }
    recorded();
    placed().unwrap();
    finish(places(false)).unwrap();
    finish(places(true)).unwrap_err();
    PLACE.record(Outcome::Ok, std::time::Duration::from_millis(1));
    let ends = ["error.type=sold_out,outcome=error 1", "outcome=ok 3"];
    assert_eq!(operations("macro static"), ends);
}

#[test]
fn a_lookup_that_was_given_up_is_no_miss() {
    static SLOW: Cache = Cache::new("macro slow");

    #[sidelight::cached_lookup(SLOW)]
    async fn slow() -> Option<u32> {
        std::future::pending().await
    }
    recorded();
    let mut lookup = Box::pin(slow());
    let mut context = Context::from_waker(Waker::noop());
    assert!(lookup.as_mut().poll(&mut context).is_pending());
    drop(lookup);
    let found = ["cache.result=error,cache.type=application 1"];
    assert_eq!(series("sidelight.cache.requests", "macro slow"), found);
}

#[test]
fn lookups_retries_features_and_connections_are_recorded() {
    static USERS: Cache = Cache::new("macro users");
    static STOCK: Retry = Retry::new("macro stock");
    static EXPORT: Feature = Feature::new("macro export", FeatureKind::Api);
    static PEERS: Pool = Pool::new("websocket", "macro peers");
    const QUICK: Backoff = Backoff::new(std::time::Duration::from_millis(1)).retries(2);

    #[sidelight::cached_lookup(USERS)]
    async fn cached(id: u32) -> Result<Option<u32>, OrderError> {
        match id {
            0 => Err(OrderError::SoldOut),
            1 => Ok(None),
            _ => Ok(Some(id)),
        }
    }

    #[sidelight::retry(STOCK, backoff = QUICK, when = |error: &OrderError| matches!(error, OrderError::SoldOut))]
    async fn fetch(
        answers: &std::sync::Mutex<Vec<Result<u8, OrderError>>>,
    ) -> Result<u8, OrderError> {
        let answer = answers.lock().unwrap().pop().unwrap()?;
        Ok(answer)
    }

    #[sidelight::feature(EXPORT, by = user)]
    fn export(user: String) -> Result<String, OrderError> {
        if user.is_empty() { Err(OrderError::SoldOut) } else { Ok(user) }
    }

    #[sidelight::connection(PEERS)]
    async fn serve(fails: bool) -> Result<(), OrderError> {
        if fails { Err(OrderError::Parse) } else { Ok(()) }
    }

    recorded();
    let _ = [0, 1, 2, 3].map(|id| finish(cached(id)).ok());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let answers =
        vec![Ok(7), Err(OrderError::SoldOut), Err(OrderError::Parse), Err(OrderError::SoldOut)];
    let answers = std::sync::Mutex::new(answers);
    runtime.block_on(fetch(&answers)).unwrap_err();
    assert_eq!(runtime.block_on(fetch(&answers)).unwrap(), 7);
    export("ada".to_owned()).unwrap();
    export(String::new()).unwrap_err();
    finish(serve(false)).unwrap();
    finish(serve(true)).unwrap_err();

    let found = [
        "cache.result=error,cache.type=application 1",
        "cache.result=hit,cache.type=application 2",
        "cache.result=miss,cache.type=application 1",
    ];
    assert_eq!(series("sidelight.cache.requests", "macro users"), found);
    let attempts = [
        "attempt.result=permanent 1",
        "attempt.result=retry,reason=sold_out 2",
        "attempt.result=success 1",
    ];
    assert_eq!(series("sidelight.retry.attempts", "macro stock"), attempts);
    let uses = [
        "feature.type=api,outcome=error,usage.pattern=direct 1",
        "feature.type=api,outcome=ok,usage.pattern=direct 1",
    ];
    assert_eq!(series("sidelight.feature.uses", "macro export"), uses);
    let ends = [
        "close.reason=done,connection.type=websocket 1",
        "close.reason=error,connection.type=websocket,error.type=number 1",
    ];
    assert_eq!(series("sidelight.connection.duration", "macro peers"), ends);
}
