//! Why telemetry did not start, or did not end as asked.

use std::time::Duration;

/// Why [`start`](super::Init::start) refused. Nothing was installed.
///
/// A service that runs without telemetry rather than not at all:
/// ```no_run
/// let telemetry = sidelight::init("checkout").start();
/// if let Err(error) = &telemetry {
///     eprintln!("no telemetry: {error}");
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Telemetry of this process was started before, and its guard is alive.
    #[error(
        "telemetry is started already: keep the guard of the first init, or use .local() for an instance of its own"
    )]
    AlreadyInit,
    /// Telemetry of this process was started and has ended, and the subscriber that it installed cannot be replaced: spans and
    /// log records of `tracing` have nowhere to go. With [`without_subscriber`](super::Init::without_subscriber) handles
    /// record again.
    #[error(
        "telemetry was started and ended before, and its tracing subscriber cannot be replaced: keep one guard for the whole \
         process, or call .without_subscriber() to record metrics again"
    )]
    Ended,
    /// The application installed a subscriber of its own.
    #[error(
        "a tracing subscriber is installed already: call .without_subscriber() and add telemetry.layer() to your own registry"
    )]
    SubscriberInstalled,
    /// An endpoint that is none.
    #[error("endpoint {endpoint:?}: {reason}")]
    Endpoint {
        /// As it was written.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A protocol that this build does not speak.
    #[error("{variable}={value}: not a protocol of this build; it speaks grpc and http/protobuf")]
    Protocol {
        /// Where it was asked for.
        variable: String,
        /// What was asked for.
        value: String,
    },
    /// A certificate or key that could not be used.
    #[error("{variable}={path}")]
    Tls {
        /// The variable that names the file.
        variable: String,
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The exporter of a signal could not be built.
    #[error("exporter of {signal}: {reason}")]
    Exporter {
        /// `traces`, `metrics` or `logs`.
        signal: &'static str,
        /// What the exporter said.
        reason: String,
    },
    /// The thread that does the input and output could not be started.
    #[error("start the thread sidelight-io")]
    Thread(#[source] std::io::Error),
    /// The filter of [`Init::filter`](super::Init::filter) does not parse.
    #[error("filter {filter:?}: {reason}")]
    Filter {
        /// As it was written.
        filter: String,
        /// What the parser said.
        reason: String,
    },
}

/// What a flush or a shutdown did not reach.
///
/// ```no_run
/// use sidelight::init::FlushError;
///
/// # fn example(telemetry: sidelight::Telemetry) {
/// match telemetry.shutdown() {
///     Ok(()) => {}
///     Err(FlushError::Timeout(bound)) => eprintln!("telemetry took longer than {bound:?}"),
///     Err(error) => eprintln!("the last records are lost: {error}"),
/// }
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError {
    /// The bound passed before everything was delivered. After a flush what is left goes on being tried; after the end of
    /// telemetry it is lost.
    #[error("not everything was delivered within {0:?}")]
    Timeout(Duration),
    /// The endpoint refused, or could not be reached.
    #[error("{signals} not delivered: {reason}")]
    NotDelivered {
        /// The signals, separated by commas.
        signals: String,
        /// What the first of them said.
        reason: String,
    },
    /// The process was forked after the start: the threads that deliver are in the parent.
    #[error("telemetry was started in another process: start it after the fork")]
    Forked,
}
