//! Request bodies: compressed once, kept for every retry.
//!
//! Contexts are reused (a zstd context is some 500 KiB and slow to make). Compression runs on the lane's
//! own task and yields after every [`STEP_BYTES`], so that it never keeps a worker from its
//! connections for more than about 0.3 ms at level 1, and many times that at high ones. The output is a list of blocks:
//! nothing is copied to grow.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use zstd::stream::raw::{Encoder, InBuffer, Operation, OutBuffer};

use super::config::Compression;

/// Input bytes between two yields.
const STEP_BYTES: usize = 64 << 10;
/// The size of an output block.
const BLOCK_BYTES: usize = 32 << 10;

/// A request body.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Sent one after the other.
    pub chunks: Vec<Bytes>,
    /// Bytes in all chunks.
    pub bytes: usize,
    /// How it is compressed: `gzip`, `zstd` or not.
    pub coding: Option<&'static str>,
}

impl Encoded {
    /// The chunks as they are.
    #[must_use]
    pub fn plain(chunks: Vec<Bytes>) -> Self {
        let bytes = chunks.iter().map(Bytes::len).sum();
        Self { chunks, bytes, coding: None }
    }
}

/// Compresses bodies; contexts go back to the pool after use.
#[derive(Debug)]
pub struct Compressor {
    compression: Compression,
    idle: Arc<Mutex<Vec<Context>>>,
}

impl Compressor {
    /// A compressor that makes contexts when they are first needed.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        Self { compression, idle: Arc::default() }
    }

    /// Whether bodies stay as they are.
    #[must_use]
    pub const fn is_identity(&self) -> bool {
        matches!(self.compression, Compression::None)
    }

    /// Compresses `chunks` into one member or frame.
    ///
    /// # Errors
    /// The codec's own, which does not happen with memory at hand.
    ///
    /// # Cancel safety
    /// A cancelled call loses its context, nothing else.
    pub async fn encode(&self, chunks: Vec<Bytes>) -> io::Result<Encoded> {
        if self.compression == Compression::None {
            return Ok(Encoded::plain(chunks));
        }
        let idle = self.idle().pop();
        let mut context = match idle {
            Some(context) => context,
            None => Context::new(self.compression)?,
        };
        let mut out = Blocks::default();
        let mut since_yield = 0;
        for step in chunks.iter().flat_map(|chunk| chunk.chunks(STEP_BYTES)) {
            context.write(step, &mut out)?;
            since_yield += step.len();
            if since_yield >= STEP_BYTES {
                since_yield = 0;
                tokio::task::yield_now().await;
            }
        }
        context.finish(&mut out)?;
        let coding = Some(context.coding());
        self.idle().push(context);
        let chunks = out.into_chunks();
        Ok(Encoded { coding, ..Encoded::plain(chunks) })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Context>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Context {
    Gzip(Box<flate2::Compress>),
    Zstd(Encoder<'static>),
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.coding())
    }
}

impl Context {
    fn new(compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::Zstd(level) => Self::Zstd(Encoder::new(level)?),
            Compression::Gzip(level) => {
                let level = flate2::Compression::new(level.min(9));
                Self::Gzip(Box::new(flate2::Compress::new_gzip(level, 15)))
            }
            Compression::None => return Err(io::Error::other("nothing to compress with")),
        })
    }

    const fn coding(&self) -> &'static str {
        match self {
            Self::Gzip(_) => "gzip",
            Self::Zstd(_) => "zstd",
        }
    }

    fn write(&mut self, mut input: &[u8], out: &mut Blocks) -> io::Result<()> {
        while !input.is_empty() {
            let room = out.room();
            let (read, written) = match self {
                Self::Gzip(deflate) => {
                    step_gzip(deflate, input, room, flate2::FlushCompress::None)?
                }
                Self::Zstd(encoder) => {
                    let mut src = InBuffer::around(input);
                    let mut dst = OutBuffer::around(room);
                    encoder.run(&mut src, &mut dst)?;
                    (src.pos(), dst.pos())
                }
            };
            out.advance(written);
            input = input.get(read..).unwrap_or_default();
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Blocks) -> io::Result<()> {
        loop {
            let room = out.room();
            let free = room.len();
            let (written, more) = match self {
                Self::Gzip(deflate) => {
                    let (_, written) =
                        step_gzip(deflate, &[], room, flate2::FlushCompress::Finish)?;
                    (written, written == free)
                }
                Self::Zstd(encoder) => {
                    let mut dst = OutBuffer::around(room);
                    let left = encoder.finish(&mut dst, true)?;
                    (dst.pos(), left > 0)
                }
            };
            out.advance(written);
            if !more {
                break;
            }
        }
        match self {
            Self::Gzip(deflate) => deflate.reset(),
            Self::Zstd(encoder) => encoder.reinit()?,
        }
        Ok(())
    }
}

/// One call of deflate: bytes read and written.
fn step_gzip(
    deflate: &mut flate2::Compress,
    input: &[u8],
    room: &mut [u8],
    flush: flate2::FlushCompress,
) -> io::Result<(usize, usize)> {
    let (read, written) = (deflate.total_in(), deflate.total_out());
    deflate.compress(input, room, flush).map_err(io::Error::other)?;
    let moved = |after: u64, before: u64| usize::try_from(after - before).unwrap_or(usize::MAX);
    Ok((moved(deflate.total_in(), read), moved(deflate.total_out(), written)))
}

/// Output in blocks of [`BLOCK_BYTES`].
#[derive(Default)]
struct Blocks {
    full: Vec<Bytes>,
    block: BytesMut,
    used: usize,
}

impl Blocks {
    /// Free bytes to write to; never empty.
    fn room(&mut self) -> &mut [u8] {
        if self.used == self.block.len() {
            let full = std::mem::replace(&mut self.block, BytesMut::zeroed(BLOCK_BYTES));
            if !full.is_empty() {
                self.full.push(full.freeze());
            }
            self.used = 0;
        }
        self.block.get_mut(self.used..).unwrap_or_default()
    }

    fn advance(&mut self, written: usize) {
        self.used += written;
    }

    fn into_chunks(mut self) -> Vec<Bytes> {
        self.block.truncate(self.used);
        if !self.block.is_empty() {
            self.full.push(self.block.freeze());
        }
        self.full
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn inflate(encoded: &Encoded) -> Vec<u8> {
        let all = encoded.chunks.concat();
        assert_eq!(all.len(), encoded.bytes);
        let mut out = Vec::new();
        match encoded.coding {
            Some("gzip") => {
                flate2::read::GzDecoder::new(&all[..]).read_to_end(&mut out).unwrap();
            }
            Some("zstd") => out = zstd::decode_all(&all[..]).unwrap(),
            _ => out = all,
        }
        out
    }

    #[test]
    fn many_small_records_yield_as_often_as_a_large_one() {
        use std::task::{Context, Waker};
        let compressor = Compressor::new(Compression::Gzip(1));
        for chunk in [5 << 10, 1 << 20] {
            let chunks = vec![Bytes::from(vec![0; chunk]); (2 << 20) / chunk];
            let mut encoding = std::pin::pin!(compressor.encode(chunks));
            let mut poll = || encoding.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            let yields = std::iter::from_fn(|| poll().is_pending().then_some(())).count();
            assert!((28..=32).contains(&yields), "{yields} with records of {chunk} bytes");
        }
    }

    #[tokio::test]
    async fn every_codec_gives_back_what_went_in_with_a_reused_context() {
        let noise: Vec<u8> =
            (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let text = Bytes::from("otel ".repeat(40_000));
        for compression in
            [Compression::None, Compression::Gzip(1), Compression::Gzip(9), Compression::Zstd(1)]
        {
            let compressor = Compressor::new(compression);
            for chunks in
                [vec![], vec![Bytes::from_static(b"x")], vec![text.clone(), noise.clone().into()]]
            {
                let encoded = compressor.encode(chunks.clone()).await.unwrap();
                assert_eq!(inflate(&encoded), chunks.concat(), "{compression:?}");
            }
        }
    }
}
