//! Reading a request's body: one buffer, charged as it fills, within its time.
//!
//! ```text
//! gRPC: compressed u8 │ length u32 BE │ message …     exactly one message
//! HTTP: message …
//! ```
//!
//! A body that comes in one frame is not copied: the message is a slice of what was read from the
//! socket. Further frames are copied once into a buffer that grows with them, to its declared end in one
//! step as soon as an eighth of that is there.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt as _;

use super::admission::Admission;
use super::status::{Busy, Refusal};
use crate::net::places::{BYTES_PER_SECOND_MIN, Evicted};

/// A body may take its timeout and, beyond that, what it needs at [`BYTES_PER_SECOND_MIN`]; looked at after each timeout, or
/// sooner. At this rate while others are refused for it: the largest one has them wait for minutes, not hours.
const LARGE_BYTES_PER_SECOND_MIN: u64 = 64 << 10;
const GRPC_HEADER: usize = 5;
/// A declared length is believed when so many times what came reaches it.
const BELIEVED_RATIO: usize = 8;

/// How the message stands in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Behind a gRPC header.
    Grpc,
    /// Alone. A `content-length` is only ever used to refuse early and to stop growing.
    Plain {
        /// The `content-length`.
        declared: Option<u64>,
    },
}

/// One message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) bytes: Bytes,
    /// The flag of the gRPC header.
    pub(super) compressed: bool,
}

/// Reads the whole body.
pub(super) async fn read<B>(
    body: &mut B,
    framing: Framing,
    timeout: Duration,
    admission: &mut Admission<'_>,
) -> Result<Message, Refusal>
where
    B: Body<Data = Bytes, Error: Error + 'static> + Unpin,
{
    let mut assembly = Assembly::new(framing, admission)?;
    let mut timer = pin!(tokio::time::sleep(timeout));
    let mut seen = 0;
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = &mut timer => {
                let came = assembly.len() - std::mem::replace(&mut seen, assembly.len());
                // What came fast earns no long silence: until it ends, others miss what it holds.
                let large = admission.is_large();
                let rate = if large { LARGE_BYTES_PER_SECOND_MIN } else { BYTES_PER_SECOND_MIN };
                let earned = Duration::from_millis(came as u64 * 1000 / rate);
                if earned.is_zero() {
                    return Err(Refusal::Busy(Busy::BodyTimeout));
                }
                let next = timer.deadline() + earned.min(timeout);
                timer.as_mut().reset(next);
                continue;
            }
        };
        match frame {
            None => return assembly.finish(admission),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    assembly.push(bytes, admission)?;
                }
            }
            Some(Err(error)) => return Err(ended_by(&error)),
        }
    }
}

/// How long a refused sender is listened to.
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// Reads and drops what is left of a body, up to `bytes_max`: larger ones, and slow ones, are left where they are.
///
/// Source: RFC 9112, 9.6.
pub(super) async fn discard<B>(body: &mut B, bytes_max: usize)
where
    B: Body<Data = Bytes, Error: Error + 'static> + Unpin,
{
    let bytes_max = bytes_max as u64;
    if body.size_hint().lower() > bytes_max {
        return;
    }
    let all = async {
        let mut seen = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
            if seen > bytes_max {
                break;
            }
        }
    };
    // The answer goes out either way.
    let _ = tokio::time::timeout(DISCARD_TIME, all).await;
}

/// Chunks that are none are the sender's mistake, and who lost its connection's place to another is told to come again;
/// everything else that ends a body early is its connection's, TLS included.
fn ended_by(error: &(dyn Error + 'static)) -> Refusal {
    if Evicted::is_behind(error) {
        return Refusal::Busy(Busy::BodyTimeout);
    }
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let of_tls =
        |cause: &io::Error| cause.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    let malformed = causes
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .find(|cause| matches!(cause.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData))
        .filter(|cause| !of_tls(cause));
    malformed.map_or(Refusal::Disconnected, |cause| {
        Refusal::malformed(format!("the body's transfer coding: {cause}"))
    })
}

/// The bytes so far.
struct Assembly {
    framing: Framing,
    /// All of it, while it is one frame.
    first: Bytes,
    /// All of it, once there were two.
    joined: Vec<u8>,
    /// Where it ends, if somebody said so; the largest it may become otherwise.
    expected: usize,
    /// Whether `expected` comes from a gRPC header.
    header_seen: bool,
}

impl Assembly {
    fn new(framing: Framing, admission: &Admission<'_>) -> Result<Self, Refusal> {
        let expected = match framing {
            Framing::Grpc => admission.message_bytes_max().saturating_add(GRPC_HEADER),
            Framing::Plain { declared: None } => admission.message_bytes_max(),
            Framing::Plain { declared: Some(length) } => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                admission.check_size(length)?;
                length
            }
        };
        Ok(Self { framing, first: Bytes::new(), joined: Vec::new(), expected, header_seen: false })
    }

    fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    fn push(&mut self, frame: Bytes, admission: &mut Admission<'_>) -> Result<(), Refusal> {
        let total = self.len() + frame.len();
        if self.header_seen && total > self.expected {
            return Err(Refusal::malformed("more than one message"));
        }
        if self.framing != Framing::Grpc {
            admission.check_size(total)?;
        }
        if self.len() == 0 {
            admission.charge(frame.len())?;
            self.first = frame;
        } else {
            let believed = self.believed(total);
            if self.joined.is_empty() {
                admission.make_room(&mut self.joined, believed, self.expected)?;
                self.joined.extend_from_slice(&self.first);
                admission.release(self.first.len());
                self.first = Bytes::new();
            }
            let more = believed - self.joined.len();
            admission.make_room(&mut self.joined, more, self.expected)?;
            self.joined.extend_from_slice(&frame);
        }
        if self.framing == Framing::Grpc && !self.header_seen {
            self.read_header(admission)?;
        }
        Ok(())
    }

    /// How much to make room for when `total` bytes are there: all that was declared, once a fair part
    /// of it came, so that a buffer is not copied again and again on its way there.
    fn believed(&self, total: usize) -> usize {
        let declared =
            self.header_seen || matches!(self.framing, Framing::Plain { declared: Some(_) });
        let near = self.expected <= total.saturating_mul(BELIEVED_RATIO);
        if declared && near { self.expected.max(total) } else { total }
    }

    fn read_header(&mut self, admission: &Admission<'_>) -> Result<(), Refusal> {
        let so_far = if self.joined.is_empty() { &self.first[..] } else { &self.joined[..] };
        let Some((&[_, a, b, c, d], _)) = so_far.split_first_chunk::<GRPC_HEADER>() else {
            return Ok(());
        };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        admission.check_size(length)?;
        self.expected = length.saturating_add(GRPC_HEADER);
        self.header_seen = true;
        if so_far.len() > self.expected {
            return Err(Refusal::malformed("more than one message"));
        }
        Ok(())
    }

    fn finish(mut self, admission: &mut Admission<'_>) -> Result<Message, Refusal> {
        admission.trim(&mut self.joined);
        let bytes = if self.joined.is_empty() { self.first } else { self.joined.into() };
        if self.framing != Framing::Grpc {
            return Ok(Message { bytes, compressed: false });
        }
        if !self.header_seen || bytes.len() < self.expected {
            return Err(Refusal::malformed("the message ends early"));
        }
        let compressed = match bytes.first() {
            Some(0) => false,
            Some(1) => true,
            _ => return Err(Refusal::malformed("unknown flags before the message")),
        };
        Ok(Message { bytes: bytes.slice(GRPC_HEADER..), compressed })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::memory::InFlight;

    /// Frames that come one every `every`; the body never ends if `open`.
    struct Frames {
        frames: std::vec::IntoIter<Bytes>,
        every: Duration,
        open: bool,
        wait: Option<Pin<Box<tokio::time::Sleep>>>,
    }

    fn frames(chunks: &[&[u8]]) -> Frames {
        let frames: Vec<_> = chunks.iter().map(|c| Bytes::copy_from_slice(c)).collect();
        Frames { frames: frames.into_iter(), every: Duration::ZERO, open: false, wait: None }
    }

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let this = self.get_mut();
            if !this.every.is_zero() {
                let every = this.every;
                let wait = this.wait.get_or_insert_with(|| Box::pin(tokio::time::sleep(every)));
                std::task::ready!(wait.as_mut().poll(cx));
                this.wait = None;
            }
            match this.frames.next() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None if this.open => Poll::Pending,
                None => Poll::Ready(None),
            }
        }
    }

    async fn read_within(
        body: &mut Frames,
        framing: Framing,
        limit: usize,
    ) -> Result<Message, Refusal> {
        let in_flight = InFlight::new(16 << 20);
        let large = Semaphore::new(1);
        let mut admission = Admission::new(&in_flight, limit, 1 << 20, &large);
        let message = read(body, framing, Duration::from_secs(30), &mut admission).await;
        if let Ok(message) = &message {
            assert!(in_flight.used() >= message.bytes.len(), "charged while held");
        }
        drop(admission);
        assert_eq!(in_flight.used(), 0);
        message
    }

    const PLAIN: Framing = Framing::Plain { declared: None };

    #[tokio::test]
    async fn a_message_is_the_same_however_it_is_cut_into_frames() {
        let whole = b"\0\0\0\0\x0bhello world";
        for cut in 1..whole.len() {
            let (a, b) = whole.split_at(cut);
            let message = read_within(&mut frames(&[a, b]), Framing::Grpc, 11).await.unwrap();
            assert_eq!(&message.bytes[..], b"hello world");
            let message = read_within(&mut frames(&[a, b]), PLAIN, 16).await.unwrap();
            assert_eq!(&message.bytes[..], whole);
        }
        let bytes: Vec<_> = whole.chunks(1).collect();
        let message = read_within(&mut frames(&bytes), Framing::Grpc, 11).await.unwrap();
        assert_eq!(&message.bytes[..], b"hello world");
    }

    #[tokio::test]
    async fn a_single_frame_is_not_copied() {
        let frame = Bytes::from_static(b"\x01\0\0\0\x02hi");
        let mut body = frames(&[]);
        body.frames = vec![frame.clone()].into_iter();
        let message = read_within(&mut body, Framing::Grpc, 10).await.unwrap();
        assert!(message.compressed);
        assert_eq!(message.bytes.as_ptr(), frame[5..].as_ptr());
    }

    #[test]
    fn a_declared_length_is_believed_in_one_step_but_never_eight_times_what_came() {
        let (declared, frame) = (1 << 20, Bytes::from(vec![0; 16 << 10]));
        for framing in [PLAIN, Framing::Plain { declared: Some(declared) }] {
            let in_flight = InFlight::new(1 << 30);
            let large = Semaphore::new(1);
            let mut admission = Admission::new(&in_flight, declared as usize, 1 << 30, &large);
            let mut assembly = Assembly::new(framing, &admission).unwrap();
            let mut capacities = std::collections::BTreeSet::new();
            while (assembly.len() as u64) < declared {
                assembly.push(frame.clone(), &mut admission).unwrap();
                assert!(in_flight.used() <= BELIEVED_RATIO * assembly.len().max(64 << 10));
                capacities.insert(assembly.joined.capacity());
            }
            let steps = if framing == PLAIN { 6 } else { 4 };
            assert_eq!(capacities.len(), steps, "{capacities:?}");
        }
    }

    #[test]
    fn a_message_in_two_frames_holds_no_more_than_its_bytes() {
        let (in_flight, large) = (InFlight::new(1 << 20), Semaphore::new(1));
        let mut admission = Admission::new(&in_flight, 1 << 20, 1 << 20, &large);
        let mut assembly = Assembly::new(PLAIN, &admission).unwrap();
        for frame in ["hello ", "world"] {
            assembly.push(Bytes::from_static(frame.as_bytes()), &mut admission).unwrap();
        }
        let message = assembly.finish(&mut admission).unwrap();
        assert_eq!(in_flight.used(), message.bytes.len());
        assert_eq!(message.bytes.try_into_mut().unwrap().capacity(), 11);
    }

    #[tokio::test]
    async fn broken_grpc_framing_is_malformed() {
        let broken: &[&[&[u8]]] = &[
            &[],
            &[b"\0\0\0"],
            &[b"\0\0\0\0\x03hi"],
            &[b"\0\0\0\0\x02hi", b"x"],
            &[b"\0\0\0\0\x01hi"],
            &[b"\0", b"\0\0\0\x01hi"],
            &[b"\x02\0\0\0\x02hi"],
        ];
        for chunks in broken {
            let result = read_within(&mut frames(chunks), Framing::Grpc, 100).await;
            assert!(matches!(result, Err(Refusal::Malformed { .. })), "{chunks:?}: {result:?}");
        }
    }

    #[tokio::test]
    async fn a_message_above_the_limit_is_refused_as_soon_as_that_is_known() {
        let too_large = Err(Refusal::TooLarge { limit: 4 });
        let mut open = frames(&[b"\0\0\0\0\x05"]);
        open.open = true;
        assert_eq!(read_within(&mut open, Framing::Grpc, 4).await, too_large);
        let mut open = frames(&[b"hel", b"lo"]);
        open.open = true;
        assert_eq!(read_within(&mut open, PLAIN, 4).await, too_large);
        let mut unread = frames(&[]);
        unread.open = true;
        let declared = Framing::Plain { declared: Some(5) };
        assert_eq!(read_within(&mut unread, declared, 4).await, too_large);
        assert!(read_within(&mut frames(&[b"hell"]), PLAIN, 4).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_is_given_up_and_one_that_trickles_fast_enough_is_not() {
        let mut stopped = frames(&[b"hello"]);
        stopped.open = true;
        let busy = Err(Refusal::Busy(Busy::BodyTimeout));
        assert_eq!(read_within(&mut stopped, PLAIN, 1 << 20).await, busy);
        let kilobyte = [0; 1 << 10];
        let mut steady = frames(&[&kilobyte[..]; 100]);
        steady.every = Duration::from_secs(1);
        assert_eq!(read_within(&mut steady, PLAIN, 1 << 20).await.unwrap().bytes.len(), 100 << 10);
        let mut slow = frames(&[&kilobyte[..100]; 100]);
        slow.every = Duration::from_secs(1);
        assert_eq!(read_within(&mut slow, PLAIN, 1 << 20).await, busy);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_for_which_others_wait_has_to_come_faster() {
        for (kilobytes, expected) in [(8, false), (128, true)] {
            let frame = vec![0; kilobytes << 10];
            let mut body = frames(&vec![&frame[..]; (8 << 20) / frame.len()]);
            body.every = Duration::from_secs(1);
            let began = tokio::time::Instant::now();
            let read = read_within(&mut body, PLAIN, 8 << 20).await;
            assert_eq!(read.is_ok(), expected, "{kilobytes} KiB/s");
            // Small until 1 MiB is there, here after two minutes.
            assert!(began.elapsed() < Duration::from_secs(200), "{:?}", began.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_came_fast_and_then_stands_still_holds_its_bytes_for_a_minute_at_most() {
        let mut stalled = frames(&[&[0; 200 << 10], &[0; 200 << 10]]);
        stalled.open = true;
        let began = tokio::time::Instant::now();
        let outcome = read_within(&mut stalled, PLAIN, 1 << 20).await;
        assert_eq!(outcome, Err(Refusal::Busy(Busy::BodyTimeout)));
        assert_eq!(began.elapsed(), Duration::from_secs(60));
    }
}
