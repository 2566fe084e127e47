//! Inflating gzip and zstd, bounded while it happens.
//!
//! The output buffer is charged to the request before it grows, and stops at the message limit. What a
//! header claims about the size only decides how soon the buffer is as large as it will be, and
//! never beyond 16 times the input; from 1 MiB on, what is more than that is measured first, beside the workers. Every
//! member of a gzip stream and every frame of a zstd stream is read; the zstd window is at most 8 MiB
//! (RFC 9659).
//!
//! Cost: contexts are kept per thread (about 50 KiB for gzip, 150 KiB and the window for zstd), so a
//! request allocates its output and nothing else.
//!
//! Source: RFC 1952, RFC 8878.

use std::cell::RefCell;

use crc_fast::CrcAlgorithm::Crc32IsoHdlc;
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};
use zstd::zstd_safe;

use super::admission::Admission;
use super::status::Refusal;
use super::workers;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

impl Coding {
    /// What is offered to senders.
    pub(super) const ACCEPTED: &'static str = "gzip, zstd, identity";

    /// Reads a `content-encoding` or `grpc-encoding`; an empty value is identity.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let is = |name: &str| value.eq_ignore_ascii_case(name.as_bytes());
        if value.is_empty() || is("identity") {
            Some(Self::Identity)
        } else if is("gzip") || is("x-gzip") {
            Some(Self::Gzip)
        } else if is("zstd") {
            Some(Self::Zstd)
        } else {
            None
        }
    }
}

/// Largest zstd window that is accepted, as a power of two.
const WINDOW_LOG_MAX: u32 = 23;
/// An output that is so large and has no room is measured before it is held: a bomb never is, and no buffer is copied on
/// its way to the end.
const MEASURED_FROM: usize = 1 << 20;
/// How many times the input a claimed size may be to be believed at once.
const BELIEVED_RATIO: usize = 16;
/// What telemetry compresses to, at least.
const USUAL_RATIO: usize = 4;
/// Decoders are fastest when they need not look out for the end of the buffer.
const SLACK: usize = 320;

/// How large the inflated `input` is, as far as that can be known before: what it claims, within what is believed.
pub(super) fn expected(coding: Coding, input: &[u8]) -> usize {
    let claimed = match coding {
        Coding::Identity => Some(input.len()),
        Coding::Gzip => claimed_by_gzip(input),
        Coding::Zstd => claimed_by_zstd(input),
    };
    let usual = input.len().saturating_mul(USUAL_RATIO);
    claimed.unwrap_or(usual).min(input.len().saturating_mul(BELIEVED_RATIO))
}

/// The inflated `input`.
pub(super) fn inflate(
    coding: Coding,
    input: &[u8],
    admission: &mut Admission<'_>,
) -> Result<Vec<u8>, Refusal> {
    CONTEXTS.with_borrow_mut(|contexts| match coding {
        Coding::Identity => {
            let mut out = Vec::new();
            admission.make_room(&mut out, input.len(), input.len())?;
            out.extend_from_slice(input);
            Ok(out)
        }
        Coding::Gzip => contexts.gunzip(input, admission),
        Coding::Zstd => contexts.unzstd(input, admission),
    })
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

#[derive(Default)]
struct Contexts {
    gzip: Option<Decompress>,
    zstd: Option<Decoder<'static>>,
}

impl Contexts {
    fn gunzip(&mut self, input: &[u8], admission: &mut Admission<'_>) -> Result<Vec<u8>, Refusal> {
        let inflater = self.gzip.get_or_insert_with(|| Decompress::new(false));
        let mut out = Output::new(Coding::Gzip, input, admission)?;
        let mut rest = input;
        loop {
            rest = skip_gzip_header(rest).ok_or_else(|| corrupt("gzip"))?;
            inflater.reset(false);
            let start = out.buffer.len();
            loop {
                let before = inflater.total_in();
                let status = inflater
                    .decompress_vec(rest, &mut out.buffer, FlushDecompress::None)
                    .map_err(|_| corrupt("gzip"))?;
                let read = usize::try_from(inflater.total_in() - before).unwrap_or(usize::MAX);
                rest = rest.get(read..).unwrap_or_default();
                if status == Status::StreamEnd {
                    break;
                }
                let stuck = status == Status::BufError;
                out.go_on(rest.is_empty() || stuck, "gzip")?;
            }
            let (trailer, tail) = rest.split_first_chunk::<8>().ok_or_else(|| corrupt("gzip"))?;
            let member = out.buffer.get(start..).unwrap_or_default();
            #[expect(clippy::cast_possible_truncation, reason = "both are modulo 2^32 (RFC 1952)")]
            let sums = [crc_fast::checksum(Crc32IsoHdlc, member) as u32, member.len() as u32];
            if trailer[..] != sums.map(u32::to_le_bytes).concat()[..] {
                return Err(corrupt("gzip"));
            }
            rest = tail;
            if rest.is_empty() {
                return out.finish();
            }
        }
    }

    fn unzstd(&mut self, input: &[u8], admission: &mut Admission<'_>) -> Result<Vec<u8>, Refusal> {
        let mut decoder = match self.zstd.take() {
            Some(decoder) => decoder,
            None => zstd_decoder().map_err(|error| Refusal::Internal(error.to_string()))?,
        };
        let mut out = Output::new(Coding::Zstd, input, admission)?;
        let mut from = InBuffer::around(input);
        loop {
            let written = out.buffer.len();
            let mut to = OutBuffer::around_pos(&mut out.buffer, written);
            let hint = decoder.run(&mut from, &mut to).map_err(|error| refuse_zstd(&error))?;
            let all_read = from.pos() == input.len();
            if hint == 0 && all_read {
                break;
            }
            if hint != 0 {
                out.go_on(all_read, "zstd")?;
            }
        }
        // One that failed is not worth the question what state it is in.
        decoder.reinit().map_err(|error| Refusal::Internal(error.to_string()))?;
        self.zstd = Some(decoder);
        out.finish()
    }
}

fn zstd_decoder() -> std::io::Result<Decoder<'static>> {
    let mut decoder = Decoder::new()?;
    decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
    Ok(decoder)
}

/// The decoder's errors are known by their names only.
fn refuse_zstd(error: &std::io::Error) -> Refusal {
    const WINDOW_TOO_LARGE: &str = "Frame requires too much memory for decoding";
    if error.to_string() == WINDOW_TOO_LARGE {
        return Refusal::WindowTooLarge { limit: 1 << WINDOW_LOG_MAX };
    }
    corrupt("zstd")
}

fn corrupt(coding: &str) -> Refusal {
    Refusal::malformed(format!("the body is not intact {coding}"))
}

/// The output as it grows.
struct Output<'a, 'b, 'i> {
    coding: Coding,
    input: &'i [u8],
    buffer: Vec<u8>,
    admission: &'a mut Admission<'b>,
    measured: bool,
}

impl<'a, 'b, 'i> Output<'a, 'b, 'i> {
    /// An output for compressed `input`.
    fn new(
        coding: Coding,
        input: &'i [u8],
        admission: &'a mut Admission<'b>,
    ) -> Result<Self, Refusal> {
        // A guess where the size is not said: one that can never be had, or only while nobody else has anything, is cut
        // down, and what is needed is known once that is full.
        let most = admission.attainable() - admission.attainable() / 8;
        let first = expected(coding, input).min(admission.message_bytes_max()) + SLACK;
        let first = first.min(most).max(1);
        let mut buffer = Vec::new();
        admission.make_room(&mut buffer, first, first)?;
        Ok(Self { coding, input, buffer, admission, measured: false })
    }

    /// Called when the decoder stopped before the end: for want of room, or of input.
    fn go_on(&mut self, all_read: bool, coding: &str) -> Result<(), Refusal> {
        self.admission.check_size(self.buffer.len())?;
        if self.buffer.len() == self.buffer.capacity() {
            let (limit, here) = (self.admission.message_bytes_max(), self.buffer.len());
            if self.measured || here < MEASURED_FROM {
                return self.admission.make_room(&mut self.buffer, 1, limit.saturating_add(SLACK));
            }
            self.measured = true;
            // By its end another thread has this one's connections, and has them until the request is examined.
            let measuring = || measure(self.coding, self.input, limit);
            let whole = workers::beside(true, measuring)?.saturating_add(SLACK);
            self.admission.make_room(&mut self.buffer, whole.saturating_sub(here).max(1), whole)
        } else if all_read {
            Err(corrupt(coding))
        } else {
            Ok(())
        }
    }

    fn finish(mut self) -> Result<Vec<u8>, Refusal> {
        self.admission.check_size(self.buffer.len())?;
        self.admission.trim(&mut self.buffer);
        Ok(self.buffer)
    }
}

/// How much `input` becomes, at most `limit`: inflated once more, and not held.
fn measure(coding: Coding, input: &[u8], limit: usize) -> Result<usize, Refusal> {
    let mut piece = vec![0; 64 << 10];
    let mut whole = 0_usize;
    let mut count = |more: usize| {
        whole = whole.saturating_add(more);
        if whole > limit { Err(Refusal::TooLarge { limit }) } else { Ok(whole) }
    };
    if coding == Coding::Zstd {
        let mut decoder = zstd_decoder().map_err(|error| Refusal::Internal(error.to_string()))?;
        let mut from = InBuffer::around(input);
        loop {
            let mut to = OutBuffer::around(&mut piece[..]);
            let hint = decoder.run(&mut from, &mut to).map_err(|error| refuse_zstd(&error))?;
            let (more, all_read) = (to.pos(), from.pos() == input.len());
            let whole = count(more)?;
            if all_read && (hint == 0 || more < piece.len()) {
                return Ok(whole);
            }
        }
    }
    let mut inflater = Decompress::new(false);
    let mut rest = input;
    while !rest.is_empty() {
        rest = skip_gzip_header(rest).ok_or_else(|| corrupt("gzip"))?;
        inflater.reset(false);
        loop {
            let (read, written) = (inflater.total_in(), inflater.total_out());
            let status = inflater
                .decompress(rest, &mut piece, FlushDecompress::None)
                .map_err(|_| corrupt("gzip"))?;
            let moved = |from, to: u64| usize::try_from(to - from).unwrap_or(usize::MAX);
            let more = moved(written, inflater.total_out());
            rest = rest.get(moved(read, inflater.total_in())..).unwrap_or_default();
            count(more)?;
            if status == Status::StreamEnd {
                break;
            }
            if status == Status::BufError || (rest.is_empty() && more < piece.len()) {
                return Err(corrupt("gzip"));
            }
        }
        rest = rest.get(8..).ok_or_else(|| corrupt("gzip"))?;
    }
    count(0)
}

/// The size that the last member claims; right when there is one member.
fn claimed_by_gzip(input: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*input.last_chunk::<4>()?)).ok()
}

/// The size that the first frame claims.
fn claimed_by_zstd(input: &[u8]) -> Option<usize> {
    let claimed = zstd_safe::get_frame_content_size(input).ok().flatten();
    claimed.map(|size| usize::try_from(size).unwrap_or(usize::MAX))
}

/// What follows a member's header.
fn skip_gzip_header(input: &[u8]) -> Option<&[u8]> {
    const HEADER_CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    const RESERVED: u8 = 0xe0;
    let (&[0x1f, 0x8b, 8, flags, ..], mut rest) = input.split_first_chunk::<10>()? else {
        return None;
    };
    if flags & RESERVED != 0 {
        return None;
    }
    if flags & EXTRA != 0 {
        let (&length, tail) = rest.split_first_chunk::<2>()?;
        rest = tail.get(u16::from_le_bytes(length).into()..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|&byte| byte == 0)?;
            rest = rest.get(end + 1..)?;
        }
    }
    if flags & HEADER_CRC != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::memory::InFlight;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Inflates under `limit` and returns the most that was charged at once, too.
    fn inflate_within(
        coding: Coding,
        input: &[u8],
        limit: usize,
    ) -> (Result<Vec<u8>, Refusal>, usize) {
        let in_flight = InFlight::new(1 << 30);
        let large = Semaphore::new(1);
        let mut admission = Admission::new(&in_flight, limit, 1 << 30, &large);
        let result = inflate(coding, input, &mut admission);
        let charged = in_flight.used();
        if let Ok(out) = &result {
            assert!(charged >= out.capacity(), "{charged} for {}", out.capacity());
        }
        (result, charged)
    }

    #[test]
    fn every_member_and_every_frame_is_read() {
        let zstd = |bytes| zstd::bulk::compress(bytes, 1).unwrap();
        let both = [gzip(b"hello "), gzip(b""), gzip(b"world")].concat();
        assert_eq!(inflate_within(Coding::Gzip, &both, 100).0.unwrap(), b"hello world");
        let both = [zstd(b"hello "), zstd(b""), zstd(b"world")].concat();
        assert_eq!(inflate_within(Coding::Zstd, &both, 100).0.unwrap(), b"hello world");
    }

    #[test]
    fn a_header_with_every_optional_field_is_skipped() {
        let plain = gzip(b"hello");
        let mut full = vec![0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 3];
        full.extend_from_slice(b"\x03\x00abcname\0comment\0\0\0");
        full.extend_from_slice(&plain[10..]);
        assert_eq!(inflate_within(Coding::Gzip, &full, 100).0.unwrap(), b"hello");
    }

    #[test]
    fn a_bomb_stops_at_the_limit_and_never_holds_more_than_twice_that() {
        let zeros = vec![0; 64 << 20];
        let limit = 1 << 20;
        for (coding, bomb) in
            [(Coding::Gzip, gzip(&zeros)), (Coding::Zstd, zstd::bulk::compress(&zeros, 1).unwrap())]
        {
            let (result, charged) = inflate_within(coding, &bomb, limit);
            assert_eq!(result, Err(Refusal::TooLarge { limit }), "{coding:?}");
            assert!(charged <= 2 * limit, "{coding:?} held {charged}");
        }
    }

    #[test]
    fn a_bomb_is_measured_and_not_held() {
        let zeros = vec![0; 64 << 20];
        let limit = 32 << 20;
        let members = gzip(&zeros[..16 << 20]).repeat(4);
        for (coding, bomb) in [
            (Coding::Gzip, gzip(&zeros)),
            (Coding::Gzip, members),
            (Coding::Zstd, zstd::bulk::compress(&zeros, 1).unwrap()),
        ] {
            let in_flight = InFlight::new(16 << 20);
            let large = Semaphore::new(1);
            let mut admission = Admission::new(&in_flight, limit, 1 << 30, &large);
            let result = inflate(coding, &bomb, &mut admission);
            assert_eq!(result, Err(Refusal::TooLarge { limit }), "{coding:?}");
        }
    }

    #[test]
    fn what_is_large_and_claims_nothing_is_inflated_in_two_steps() {
        let bytes: Vec<u8> = (0..3 << 20_u32).map(|n| (n >> 12) as u8).collect();
        let (one, other) = bytes.split_at(2_900_000);
        let members = [gzip(one), gzip(other)].concat();
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.write_all(&bytes).unwrap();
        for (coding, packed) in [(Coding::Gzip, members), (Coding::Zstd, encoder.finish().unwrap())]
        {
            let (result, charged) = inflate_within(coding, &packed, 64 << 20);
            assert_eq!(result.unwrap(), bytes, "{coding:?}");
            assert!(charged <= bytes.len() + SLACK, "{charged}");
        }
    }

    #[test]
    fn a_guess_that_can_never_be_had_refuses_nothing() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut bytes = Vec::new();
        for _ in 0..330 {
            let piece: Vec<u8> = (0..4096).map(|_| random.u8(..)).collect();
            bytes.extend([&piece[..], &piece].concat());
        }
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.write_all(&bytes).unwrap();
        let packed = encoder.finish().unwrap();
        // Four times its length, as a guess, does not fit beside it; what it becomes does, beside what another holds.
        let (in_flight, large) = (InFlight::new(6 << 20), Semaphore::new(1));
        let mut admission = Admission::new(&in_flight, 4 << 20, 1 << 30, &large);
        admission.charge(packed.len()).unwrap();
        assert!(4 * packed.len() > admission.attainable());
        let mut other = Admission::new(&in_flight, 4 << 20, 1 << 30, &large);
        other.charge(100_000).unwrap();
        assert_eq!(inflate(Coding::Zstd, &packed, &mut admission).unwrap(), bytes);
    }

    #[test]
    fn exactly_the_limit_is_accepted() {
        let bytes = vec![7; 1000];
        for (coding, packed) in
            [(Coding::Gzip, gzip(&bytes)), (Coding::Zstd, zstd::bulk::compress(&bytes, 1).unwrap())]
        {
            assert_eq!(inflate_within(coding, &packed, 1000).0.unwrap(), bytes);
            let refused = inflate_within(coding, &packed, 999).0;
            assert_eq!(refused, Err(Refusal::TooLarge { limit: 999 }), "{coding:?}");
        }
    }

    #[test]
    fn what_is_cut_short_changed_or_followed_by_other_bytes_is_malformed() {
        let bytes: Vec<u8> = (0..2000_u32).flat_map(u32::to_le_bytes).collect();
        let zstd = zstd::bulk::compress(&bytes, 1).unwrap();
        for (coding, packed) in [(Coding::Gzip, gzip(&bytes)), (Coding::Zstd, zstd)] {
            let malformed = |input: &[u8]| {
                let result = inflate_within(coding, input, 1 << 20).0;
                assert!(matches!(result, Err(Refusal::Malformed { .. })), "{coding:?} {result:?}");
            };
            for end in [1, 5, 12, packed.len() / 2, packed.len() - 1] {
                malformed(&packed[..end]);
            }
            malformed(&[&packed[..], b"trailing"].concat());
            malformed(b"{}");
            assert_eq!(inflate_within(coding, &packed, 1 << 20).0.unwrap(), bytes, "still works");
        }
        let mut changed = gzip(&bytes);
        let crc = changed.len() - 8;
        changed[crc] ^= 1;
        let result = inflate_within(Coding::Gzip, &changed, 1 << 20).0;
        assert!(matches!(result, Err(Refusal::Malformed { .. })));
    }

    #[test]
    fn a_window_above_8_mib_is_too_large_rather_than_malformed() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(24).unwrap();
        encoder.write_all(&vec![1; 20 << 20]).unwrap();
        let packed = encoder.finish().unwrap();
        let result = inflate_within(Coding::Zstd, &packed, 64 << 20).0;
        assert_eq!(result, Err(Refusal::WindowTooLarge { limit: 8 << 20 }));
    }

    #[test]
    fn names_of_codings_are_read_as_senders_write_them() {
        for (value, coding) in [
            ("", Some(Coding::Identity)),
            ("identity", Some(Coding::Identity)),
            ("gzip", Some(Coding::Gzip)),
            ("GZip", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            (" zstd ", Some(Coding::Zstd)),
            ("snappy", None),
            ("gzip, gzip", None),
        ] {
            assert_eq!(Coding::parse(value.as_bytes()), coding, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn inflating_undoes_compressing(
            members in prop::collection::vec(prop::collection::vec(0_u8..4, 0..3000), 1..4)
        ) {
            let whole = members.concat();
            let packed: Vec<u8> = members.iter().flat_map(|m| gzip(m)).collect();
            prop_assert_eq!(&inflate_within(Coding::Gzip, &packed, 1 << 20).0.unwrap(), &whole);
            let packed: Vec<u8> =
                members.iter().flat_map(|m| zstd::bulk::compress(m, 1).unwrap()).collect();
            prop_assert_eq!(&inflate_within(Coding::Zstd, &packed, 1 << 20).0.unwrap(), &whole);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = inflate_within(Coding::Gzip, &bytes, 1 << 16);
            let _ = inflate_within(Coding::Zstd, &bytes, 1 << 16);
            let gzip_like = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0][..], &bytes].concat();
            let _ = inflate_within(Coding::Gzip, &gzip_like, 1 << 16);
        }
    }
}
