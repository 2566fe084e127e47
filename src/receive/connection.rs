//! Serving one connection.
use std::sync::Arc;

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::Append;
use super::server::Phase;
use super::service::Service;
use super::stream::Socket;

pub(super) async fn serve<A: Append>(
    socket: Socket,
    tls: Option<TlsAcceptor>,
    service: Arc<Service<A>>,
    phase: watch::Receiver<Phase>,
) {
    let _ = (socket, tls, service, phase);
}
