//! The HTTP client of OTLP over HTTP. Requests run on the I/O thread's runtime, whatever thread asks for them.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

/// A client on a runtime.
#[derive(Debug)]
pub(crate) struct OnIoThread {
    client: HyperClient,
    runtime: Handle,
}

impl OnIoThread {
    pub(crate) fn new(runtime: Handle, timeout: Duration) -> Self {
        Self { client: HyperClient::with_default_connector(timeout, None), runtime }
    }
}

#[async_trait]
impl HttpClient for OnIoThread {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}
