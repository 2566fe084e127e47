//! The attribute macros, with what users read of them.

/// Records each call of a function as an [`Operation`](crate::Operation), with a span.
///
/// It sees early `return`, `?`, panics, and futures dropped before their end; works on functions, methods, and methods of
/// `#[async_trait]` (put it on the method). A returned `Err` is an `error` whose kind is told by [`ErrorKind`](crate::ErrorKind),
/// known of the standard library, or the name of its type. The span of one that failed, panicked or was cancelled has the
/// status `Error` and an `error.type`: the kind of the error, `panic` or `cancelled`.
///
/// ```
/// use sidelight::ErrorKind;
///
/// #[derive(Debug, ErrorKind)]
/// enum OrderError {
///     SoldOut,
/// }
///
/// #[sidelight::op(name = "order.place", threshold = "200ms", slo = "api", fields(order.id = %id), active)]
/// async fn place(id: u64) -> Result<u64, OrderError> {
///     if id == 0 {
///         return Err(OrderError::SoldOut);
///     }
///     Ok(id)
/// }
///
/// #[sidelight::op("stock.count", span = false)]
/// fn count(stock: &[u32]) -> u32 {
///     stock.iter().sum()
/// }
/// assert_eq!(count(&[1, 2]), 3);
///
/// #[sidelight::op(ok_if = |name: &Option<_>| name.is_some())]
/// fn first(names: &[String]) -> Option<&String> {
///     names.first()
/// }
/// assert_eq!(first(&[]), None); // an `error`
/// ```
///
/// | argument | meaning |
/// |---|---|
/// | `"name"` or `name = ".."` | of the operation and the span; else that of the function |
/// | `threshold = "200ms"` | longer ones are slow: [`Operation::threshold`](crate::Operation::threshold) |
/// | `slo = ".."` | [`Operation::slo`](crate::Operation::slo) |
/// | `fields(order.id = %id, tenant)` | attributes of the span, as `tracing` writes them |
/// | `err` | logs the error, which must have `Display` |
/// | `active` | counts those in flight |
/// | `detailed = 0.01` | [`Operation::detailed`](crate::Operation::detailed) |
/// | `PLACE` | a static [`Operation`](crate::Operation), which has its own `name`, `threshold`, `slo`, `active` and `detailed` |
/// | `span = ..` | `"tracing"` (the default), [`"direct"`](crate::layer::Span), or `false`: metrics only |
/// | `error_type = path` | a `fn(&E) -> &'static str` that tells the kind of an error |
/// | `ok_if = path` | a `fn(&R) -> bool` of what is returned: whether it is `ok`, be it an `Err` or not |
/// | `error_if = path` | the same, whether it is an `error`; without an `Err` its kind is `_OTHER` |
/// | `crate = path` | where this library is, if not at `::sidelight` |
pub use sidelight_instrument_macros::op;

/// Records each call of a function as a lookup in a [`Cache`](crate::Cache): `Some` is a hit, `None` a miss, `Err` an error.
///
/// ```
/// use sidelight::Cache;
///
/// static USERS: Cache = Cache::new("users");
///
/// #[sidelight::cached_lookup(USERS)]
/// fn cached(id: u32) -> Option<&'static str> {
///     (id == 7).then_some("Ada")
/// }
/// assert_eq!(cached(7), Some("Ada"));
/// ```
pub use sidelight_instrument_macros::cached_lookup;

/// Calls the body of a function again while it fails, with waits between; see [`Retry::run`](crate::Retry::run).
///
/// What the body uses of its arguments it uses by reference. `when` says of an error whether there is a point in another
/// attempt (`bool`, or `Option<&'static str>` for the reason); without it there always is. `backoff` is
/// [`Backoff::default`](crate::Backoff) without it. A function that is not asynchronous blocks its thread while it waits.
///
/// ```
/// use sidelight::{Backoff, Retry};
/// use std::time::Duration;
///
/// static STOCK: Retry = Retry::new("stock.fetch");
/// const QUICK: Backoff = Backoff::new(Duration::from_millis(1)).retries(2);
///
/// #[sidelight::retry(STOCK, backoff = QUICK, when = |error: &&str| *error == "busy")]
/// fn fetch(calls: &std::cell::Cell<u32>) -> Result<u32, &'static str> {
///     calls.set(calls.get() + 1);
///     if calls.get() < 3 { Err("busy") } else { Ok(7) }
/// }
/// assert_eq!(fetch(&std::cell::Cell::new(0)), Ok(7));
/// ```
pub use sidelight_instrument_macros::retry;

/// Records each call of a function as a use of a [`Feature`](crate::Feature).
///
/// ```
/// use sidelight::{Feature, FeatureKind, UsagePattern};
///
/// static EXPORT: Feature = Feature::new("report.export", FeatureKind::Api);
///
/// #[sidelight::feature(EXPORT, by = user, pattern = UsagePattern::Batch)]
/// fn export(user: &str) -> Result<(), std::fmt::Error> {
///     Ok(())
/// }
/// export("ada").unwrap();
/// ```
pub use sidelight_instrument_macros::feature;

/// Takes each call of a function for the life of a connection of a [`Pool`](crate::Pool): opened when it begins, in use,
/// closed when it ends, because of an error if it returns one.
///
/// ```
/// use sidelight::Pool;
///
/// static PEERS: Pool = Pool::new("websocket", "peers");
///
/// #[sidelight::connection(PEERS)]
/// async fn serve(socket: u32) -> std::io::Result<()> {
///     Ok(())
/// }
/// ```
pub use sidelight_instrument_macros::connection;

/// Makes a test of a function, with a [`Capture`](crate::testing::Capture) of what is recorded meanwhile: its argument, by value
/// or by reference, or none. One that is asynchronous runs on a single-threaded runtime of tokio.
///
/// ```
/// use sidelight::testing::Capture;
/// use sidelight::{Backoff, Retry};
///
/// static STOCK: Retry = Retry::new("stock.fetch");
///
/// #[sidelight::test]
/// async fn stock_is_fetched_at_once(captured: &Capture) {
///     let stock = STOCK.run(&Backoff::default(), || async { Ok::<_, std::io::Error>(7) }, |_| None).await;
///     assert_eq!(stock.unwrap(), 7);
///     captured.metric("sidelight.retry.attempts").attr("attempt.result", "success").assert_eq(1);
/// }
/// ```
#[cfg(feature = "testing")]
pub use sidelight_instrument_macros::test;

/// Tells the kinds of an error, for `error.type`: the names of its variants in small letters, or what is said of them.
///
/// ```
/// #[derive(sidelight::ErrorKind)]
/// enum OrderError {
///     SoldOut,
///     #[error_kind("bank")]
///     Refused { by: String },
/// }
/// assert_eq!(sidelight::ErrorKind::error_kind(&OrderError::SoldOut), "sold_out");
/// assert_eq!(sidelight::ErrorKind::error_kind(&OrderError::Refused { by: "x".into() }), "bank");
/// ```
pub use sidelight_instrument_macros::ErrorKind;
