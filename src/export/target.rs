//! What a lane sends to: an OTLP receiver, a file or standard error.

use bytes::Bytes;

use super::batch::Batch;
use super::client::{Client, Response, SendError};
use crate::signal::Signal;

/// A destination, ready to be sent to.
#[derive(Debug)]
pub(super) enum Sink {
    /// Over the network.
    Otlp(Box<Client>),
}

impl Sink {
    /// Memory that a byte of payload holds until it is settled, in percent: itself and its body.
    pub(super) const fn weight_percent(&self) -> usize {
        match self {
            Self::Otlp(client) => client.weight_percent(),
        }
    }

    /// Sends `batch`; its body is made once and stays with it.
    pub(super) async fn send(
        &self,
        signal: Signal,
        batch: &mut Batch,
    ) -> Result<Response, SendError> {
        match self {
            Self::Otlp(client) => {
                let body = match batch.body.take() {
                    Some(body) => body,
                    None => client.encode(signal, payloads(batch)).await?,
                };
                let sent = client.send_encoded(signal, &body, &batch.headers).await;
                batch.body = Some(body);
                sent
            }
        }
    }
}

fn payloads(batch: &Batch) -> Vec<Bytes> {
    batch.pieces.iter().map(|piece| piece.payload.clone()).collect()
}
