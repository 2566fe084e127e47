//! A way in for the fuzz target: what the network decides about a body, without a network.

use bytes::Bytes;
use http_body_util::StreamBody;
use tokio::sync::Semaphore;

use super::admission::Admission;
use super::body::{self, Framing};
use super::config::Timeouts;
use super::inflate::{Coding, inflate};
use crate::memory::InFlight;

/// Reads `frames` as one body and inflates it; the size of what came out, `None` when it is refused.
///
/// # Panics
/// When more was held than twice the limit, or something was held after the end.
pub async fn body(frames: &[&[u8]], grpc: bool, coding: &str, limit: usize) -> Option<usize> {
    let in_flight = InFlight::new(usize::MAX);
    let large = Semaphore::new(1);
    let mut admission = Admission::new(&in_flight, limit, usize::MAX, &large);
    let size = receive(frames, grpc, coding, &mut admission).await;
    let received: usize = frames.iter().map(|frame| frame.len()).sum();
    // The wire, and an output that doubled on its way to the limit, never less than the first step.
    let most = 2 * (received + limit) + (256 << 10);
    assert!(in_flight.used() <= most, "{} held", in_flight.used());
    drop(admission);
    assert_eq!(in_flight.used(), 0);
    size
}

async fn receive(
    frames: &[&[u8]],
    grpc: bool,
    coding: &str,
    admission: &mut Admission<'_>,
) -> Option<usize> {
    let frames: Vec<_> = frames
        .iter()
        .map(|frame| Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::copy_from_slice(frame))))
        .collect();
    let mut stream = StreamBody::new(futures_util::stream::iter(frames));
    let framing = if grpc { Framing::Grpc } else { Framing::Plain { declared: None } };
    let timeout = Timeouts::default().body;
    let message = body::read(&mut stream, framing, timeout, admission).await.ok()?;
    assert!(message.bytes.len() <= admission.message_bytes_max());
    let coding = Coding::parse(coding.as_bytes())?;
    let inflated = inflate(coding, &message.bytes, admission).ok()?;
    assert!(inflated.len() <= admission.message_bytes_max());
    Some(inflated.len())
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn a_seed_of_the_fuzz_target_gets_through() {
        let text = b"hello ".repeat(20);
        let zstd = zstd::bulk::compress(&text, 1).unwrap();
        let length = u32::try_from(zstd.len()).unwrap().to_be_bytes();
        let body = [&[1][..], &length, &zstd].concat();
        let (head, tail) = body.split_at(3);
        assert_eq!(super::body(&[head, tail], true, "zstd", 120).await, Some(120));
        assert_eq!(super::body(&[head, tail], true, "zstd", 119).await, None);
    }
}
