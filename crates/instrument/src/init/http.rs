//! The HTTP client of OTLP over HTTP. Requests run on the I/O thread's runtime, whatever thread asks for them.

use std::time::Duration;

use async_trait::async_trait;
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

use super::connector::Patient;

/// A client on a runtime; `C` is what connects.
#[derive(Debug)]
pub(crate) struct OnIoThread<C> {
    client: C,
    runtime: Handle,
}

impl OnIoThread<HyperClient<Patient<HttpConnector>>> {
    /// Without TLS.
    pub(crate) fn plain(runtime: Handle, timeout: Duration, by: Patient<HttpConnector>) -> Self {
        Self { client: HyperClient::new(by, timeout, None), runtime }
    }
}

#[cfg(feature = "tls")]
impl OnIoThread<HyperClient<super::tls::Https>> {
    /// By TLS.
    pub(crate) fn encrypted(runtime: Handle, timeout: Duration, by: super::tls::Https) -> Self {
        Self { client: HyperClient::new(by, timeout, None), runtime }
    }
}

#[async_trait]
impl<C: HttpClient + Clone + 'static> HttpClient for OnIoThread<C> {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}
