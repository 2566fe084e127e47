//! OTLP from the agent's own process: no socket and no headers, but the same judgement and the same durability as for any
//! other request.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::Full;
use tokio::io::DuplexStream;
use tokio::sync::watch;

use super::Append;
use super::body::Framing;
use super::connection::{self, Phase};
use super::inflate::Coding;
use super::ingest::{Envelope, Format};
use super::metrics::Transport;
use super::service::Service;
use super::stream::Socket;
use crate::net::places::{Admitted, Places};
use crate::signal::Signal;
use crate::telemetry::otel::INTERNAL_HEADER;

/// Why a request from within was not taken, as a sender over a socket would be told.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotTaken(String);

/// Ends when the request is as durable as promised, or refused.
pub type Taking = Pin<Box<dyn Future<Output = Result<(), NotTaken>> + Send>>;

/// Takes requests from within. Cloning shares it.
#[derive(Clone)]
pub struct Within {
    take: Arc<dyn Fn(Signal, Bytes, HeaderMap) -> Taking + Send + Sync>,
    serve: Arc<dyn Fn(DuplexStream, watch::Receiver<Phase>) + Send + Sync>,
}

impl fmt::Debug for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Within")
    }
}

impl Within {
    pub(super) fn new<A: Append>(service: Arc<Service<A>>, places: Places) -> Self {
        let served = Arc::clone(&service);
        Self {
            take: Arc::new(move |signal, request, headers| {
                Box::pin(take(Arc::clone(&service), signal, request, headers))
            }),
            serve: Arc::new(move |stream, phase| {
                let Some(Admitted { place, .. }) = places.take() else { return };
                let (socket, service) = (Socket::Within(stream), Arc::clone(&served));
                tokio::spawn(async move {
                    connection::serve(socket, None, service, Arc::clone(place.pace()), phase).await;
                    drop(place);
                });
            }),
        }
    }

    /// Serves a connection of a simulated network, as one without TLS.
    pub(super) fn serve(&self, stream: DuplexStream, phase: watch::Receiver<Phase>) {
        (self.serve)(stream, phase);
    }

    /// Takes one request, protobuf and plain. Must be polled in the agent's runtime.
    pub fn take(&self, signal: Signal, request: Bytes) -> Taking {
        (self.take)(signal, request, HeaderMap::new())
    }

    /// Takes a request of logs that holds sketches of users, which stay here.
    pub fn take_sketches(&self, request: Bytes) -> Taking {
        let sketch = (HeaderName::from_static(INTERNAL_HEADER), HeaderValue::from_static("sketch"));
        (self.take)(Signal::Logs, request, HeaderMap::from_iter([sketch]))
    }
}

async fn take<A: Append>(
    service: Arc<Service<A>>,
    signal: Signal,
    request: Bytes,
    headers: HeaderMap,
) -> Result<(), NotTaken> {
    let envelope = Envelope {
        transport: Transport::Process,
        signal,
        framing: Framing::Plain { declared: Some(request.len() as u64) },
        coding: Coding::Identity,
        format: Format::Protobuf,
        headers: &headers,
    };
    let taken = service.ingest(&envelope, &mut Full::new(request)).await;
    taken.map_err(|refused| {
        service.count_refused(Transport::Process, Some(signal), &refused);
        NotTaken(refused.refusal.to_string())
    })
}
