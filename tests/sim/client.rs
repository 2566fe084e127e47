//! How a sender reaches the agent: over HTTP on a connection for each request, over gRPC on one that requests share until it
//! breaks, or within its process. Each attempt is one request: nothing is sent again behind the sender's back.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sidelight_agent::export::endpoint::{grpc_path, http_suffix};
use sidelight_agent::receive::Handle;
use sidelight_agent::signal::Signal;
use tokio::io::DuplexStream;
use tokio::task::JoinSet;

use crate::network::Network;

/// The way to the agent. Cloning shares it.
#[derive(Clone)]
pub struct WayIn {
    /// The agent's receiver, while it runs.
    pub receiver: Arc<Mutex<Option<Arc<Handle>>>>,
    pub network: Network,
}

/// Why a request was not acknowledged.
#[derive(Debug)]
pub enum NotTaken {
    /// No agent, no connection or no answer: it may be there or not.
    Lost,
    /// The agent said that it is to be sent again.
    Busy,
    /// The agent said that it never takes it.
    Refused(String),
}

type Shared = http2::SendRequest<Full<Bytes>>;

pub enum Client {
    Within(WayIn),
    Http(WayIn),
    Grpc(WayIn, Mutex<Option<Shared>>),
}

impl Client {
    /// One attempt.
    ///
    /// # Cancel safety
    /// A cancelled call may or may not have been received; [`Client::give_up`] on its connection.
    pub async fn send(&self, signal: Signal, request: Bytes) -> Result<(), NotTaken> {
        match self {
            Self::Within(way) => {
                let within = way.receiver().ok_or(NotTaken::Lost)?.within().expect("it listens");
                within.take(signal, request).await.map_err(|_| NotTaken::Busy)
            }
            Self::Http(way) => {
                let (status, body) = over_http(way, signal, request).await.ok_or(NotTaken::Lost)?;
                match status {
                    200 => Ok(()),
                    503 => Err(NotTaken::Busy),
                    _ => Err(NotTaken::Refused(format!("{status} {body:?}"))),
                }
            }
            Self::Grpc(way, shared) => {
                let answer = over_grpc(way, shared, signal, request).await;
                let status = answer.ok_or(NotTaken::Lost)?;
                match status.get("grpc-status").map(http::HeaderValue::as_bytes) {
                    Some(b"0") => Ok(()),
                    Some(b"14") => Err(NotTaken::Busy),
                    Some(_) => Err(NotTaken::Refused(format!("{status:?}"))),
                    None => Err(NotTaken::Lost),
                }
            }
        }
    }

    /// Takes another connection for the next request.
    pub fn give_up(&self) {
        if let Self::Grpc(_, shared) = self {
            *shared.lock().unwrap() = None;
        }
    }
}

impl WayIn {
    pub fn receiver(&self) -> Option<Arc<Handle>> {
        self.receiver.lock().unwrap().clone()
    }

    async fn connect(&self) -> Option<TokioIo<DuplexStream>> {
        let accept = |stream| self.receiver().map(|receiver| receiver.accept(stream)).is_some();
        self.network.connect(accept).await.ok().map(TokioIo::new)
    }
}

fn post(uri: String, content_type: &str, body: Bytes) -> Request<Full<Bytes>> {
    let request = Request::post(uri).header("content-type", content_type);
    request.header("te", "trailers").header("host", "agent").body(Full::new(body)).unwrap()
}

async fn over_http(way: &WayIn, signal: Signal, request: Bytes) -> Option<(u16, Bytes)> {
    let (mut sender, connection) = http1::handshake(way.connect().await?).await.ok()?;
    let mut carried = JoinSet::new();
    carried.spawn(connection);
    let request = post(format!("/{}", http_suffix(signal)), "application/x-protobuf", request);
    let (status, answer) = answer(sender.send_request(request).await).await?;
    Some((status, answer.to_bytes()))
}

async fn over_grpc(
    way: &WayIn,
    shared: &Mutex<Option<Shared>>,
    signal: Signal,
    request: Bytes,
) -> Option<HeaderMap> {
    let known = shared.lock().unwrap().clone().filter(|sender| !sender.is_closed());
    let mut sender = match known {
        Some(sender) => sender,
        None => {
            let (sender, connection) =
                http2::handshake(TokioExecutor::new(), way.connect().await?).await.ok()?;
            tokio::spawn(connection);
            *shared.lock().unwrap() = Some(sender.clone());
            sender
        }
    };
    sender.ready().await.ok()?;
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(request.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(&request);
    let uri = format!("http://agent{}", grpc_path(signal));
    let response = sender.send_request(post(uri, "application/grpc", framed.into())).await;
    // A refusal has its status in the headers, and there are no trailers.
    let headers = response.as_ref().map(|response| response.headers().clone()).ok()?;
    let (_, answer) = answer(response).await?;
    Some(answer.trailers().cloned().unwrap_or(headers))
}

/// The whole of it, without which nothing is acknowledged.
async fn answer(response: hyper::Result<Response<Incoming>>) -> Option<(u16, Collected<Bytes>)> {
    let (parts, body) = response.ok()?.into_parts();
    Some((parts.status.as_u16(), body.collect().await.ok()?))
}
