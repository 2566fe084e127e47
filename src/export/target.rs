//! What a lane sends to: an OTLP receiver, a file or standard error.

mod debug;
mod file;
mod lines;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub(super) use debug::Debug;
pub(super) use file::File;

use super::batch::Batch;
use super::client::{Client, Response, SendError};
use super::compress::Encoded;
use crate::blocking;
use crate::signal::Signal;

/// How long a file or standard error may take for a batch, as long as a network's answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// A destination, ready to be sent to.
#[derive(Debug)]
pub(super) enum Sink {
    /// Over the network.
    Otlp(Box<Client>),
    /// To standard error.
    Debug(Debug),
    /// To a file, which the lanes of a destination share.
    File(Arc<File>),
}

impl Sink {
    /// Memory that a byte of payload holds until it is settled, in percent: itself and its body.
    pub(super) const fn weight_percent(&self) -> usize {
        match self {
            Self::Otlp(client) => client.weight_percent(),
            Self::Debug(debug) => debug.weight_percent(),
            Self::File(_) => lines::WEIGHT_PERCENT,
        }
    }

    /// Sends `batch`. A body for the network is made once and stays with it; lines are made again.
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
            Self::Debug(debug) => {
                debug.show(signal, payloads(batch), batch.items()).await;
                Ok(Response::default())
            }
            Self::File(file) => {
                let bytes = file.append(signal, payloads(batch)).await?;
                batch.body = Some(Encoded { bytes, ..Encoded::plain(Vec::new()) });
                Ok(Response::default())
            }
        }
    }
}

fn payloads(batch: &Batch) -> Vec<Bytes> {
    batch.pieces.iter().map(|piece| piece.payload.clone()).collect()
}

/// Runs `write` with the writer that `slot` guards, on a thread that may block.
///
/// A write that outlasts [`WRITE_TIMEOUT`] goes on and keeps the writer; the next attempts wait for it on the
/// async side, so that a disk that hangs costs one thread, not one an attempt.
async fn written<W: Send + 'static, T: Send + 'static>(
    slot: &Arc<tokio::sync::Mutex<W>>,
    write: impl FnOnce(&mut W) -> Result<T, SendError> + Send + 'static,
) -> Result<T, SendError> {
    let slot = Arc::clone(slot);
    let written = async {
        let mut writer = slot.lock_owned().await;
        blocking::run(move || write(&mut writer)).await
    };
    let in_time = tokio::time::timeout(WRITE_TIMEOUT, written).await;
    in_time.unwrap_or(Err(SendError::Timeout(WRITE_TIMEOUT)))
}
