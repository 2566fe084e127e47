//! The authority of HTTP/2 requests over a Unix socket, made one that hyper takes.
//!
//! A Unix socket has no host. gRPC clients in C++, Python and Java put the socket's path into `:authority` instead, as it is
//! or percent-encoded; h2 takes that for a malformed request and resets the stream, before anybody of ours sees it. So the
//! bytes are looked at on their way: in the header blocks, each byte of a value of `:authority` that no host has becomes a
//! hyphen. The length stays, and with it every frame and the size of each entry of the peer's table.
//!
//! Limit: what is in Huffman's code stays as it is (the clients named send short paths without it).
//! Cost: a step per byte of a header block, nothing for other frames.
//!
//! Source: RFC 9113, 4.1, 6.2 and 6.10; RFC 7541, 5 and 6.

const FRAME_HEADER: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const PRIORITY_BYTES: usize = 5;
/// `:authority` in the static table.
const AUTHORITY: u64 = 1;
/// As clients in C++ and Python spell it.
const NAME: &[u8] = b":authority";

/// Reads along a connection, from behind its preface on.
#[derive(Debug, Default)]
pub(super) struct Mender {
    at: At,
    header: [u8; FRAME_HEADER],
    block: Block,
}

/// Where in a frame the next byte stands.
#[derive(Clone, Copy, Debug)]
enum At {
    /// So much of its header is known.
    Header(usize),
    /// Where the length of the padding stands, in a frame of headers.
    PadLength,
    /// A piece of a header block between bytes of no interest.
    Piece { before: usize, piece: usize, after: usize },
}

impl Default for At {
    fn default() -> Self {
        Self::Header(0)
    }
}

impl Mender {
    /// Looks at the bytes that came next, and mends them in place.
    pub(super) fn mend(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let taken = self.step(bytes).min(bytes.len());
            bytes = bytes.get_mut(taken..).unwrap_or_default();
        }
    }

    /// Takes some of `bytes`, at least one; how many.
    fn step(&mut self, bytes: &mut [u8]) -> usize {
        let first = bytes.first().copied().unwrap_or_default();
        match self.at {
            At::Header(known) => {
                if let Some(slot) = self.header.get_mut(known) {
                    *slot = first;
                }
                self.at =
                    if known + 1 < FRAME_HEADER { At::Header(known + 1) } else { self.begin() };
                1
            }
            At::PadLength => {
                self.at = self.piece(1, first.into());
                1
            }
            At::Piece { before, piece, after } => {
                let skipped = before.min(bytes.len());
                let read = piece.min(bytes.len() - skipped);
                for byte in bytes.iter_mut().skip(skipped).take(read) {
                    self.block.take(byte);
                }
                let rest = after.min(bytes.len() - skipped - read);
                let left = (before - skipped, piece - read, after - rest);
                self.at = At::Piece { before: left.0, piece: left.1, after: left.2 };
                if left == (0, 0, 0) {
                    self.end();
                }
                skipped + read + rest
            }
        }
    }

    /// What follows the header of a frame.
    fn begin(&mut self) -> At {
        let [.., kind, flags, _, _, _, _] = self.header;
        let next = match kind {
            HEADERS if flags & PADDED != 0 && self.length() > 0 => At::PadLength,
            HEADERS | CONTINUATION => self.piece(0, 0),
            _ => At::Piece { before: self.length(), piece: 0, after: 0 },
        };
        if self.length() > 0 { next } else { self.ended() }
    }

    fn length(&self) -> usize {
        let [a, b, c, ..] = self.header;
        usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
    }

    /// A frame of headers of which `read` bytes were read, and which ends with so much padding.
    fn piece(&mut self, read: usize, padding: usize) -> At {
        let [.., kind, flags, _, _, _, _] = self.header;
        let left = self.length() - read;
        let priority = if kind == HEADERS && flags & PRIORITY != 0 { PRIORITY_BYTES } else { 0 };
        let before = priority.min(left);
        let after = padding.min(left - before);
        match left {
            0 => self.ended(),
            _ => At::Piece { before, piece: left - before - after, after },
        }
    }

    fn end(&mut self) {
        self.at = self.ended();
    }

    fn ended(&mut self) -> At {
        let [.., kind, flags, _, _, _, _] = self.header;
        if matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS != 0 {
            self.block = Block::default();
        }
        At::Header(0)
    }
}

/// Where in a header block the next byte stands.
#[derive(Clone, Copy, Debug, Default)]
enum Block {
    #[default]
    Field,
    /// An integer goes on.
    Integer {
        value: u64,
        shift: u32,
        then: Then,
    },
    /// Where the length of the name stands.
    NameLength,
    /// So much of the name is left; whether it is that of the authority so far.
    Name {
        left: u64,
        is: bool,
    },
    /// Where the length of the value stands.
    ValueLength {
        authority: bool,
    },
    Value {
        left: u64,
        mend: bool,
    },
}

/// What an integer is.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// Of no interest, the end of a field.
    Nothing,
    /// The number of the name.
    Name,
    NameLength,
    ValueLength {
        mend: bool,
    },
}

impl Then {
    fn of(self, value: u64) -> Block {
        match self {
            Self::Nothing => Block::Field,
            Self::Name if value == 0 => Block::NameLength,
            Self::Name => Block::ValueLength { authority: value == AUTHORITY },
            Self::NameLength if value == 0 => Block::ValueLength { authority: false },
            Self::NameLength => Block::Name { left: value, is: value == NAME.len() as u64 },
            Self::ValueLength { .. } if value == 0 => Block::Field,
            Self::ValueLength { mend } => Block::Value { left: value, mend },
        }
    }

    /// Begins with the integer in the last `bits` of `byte`.
    fn begin(self, byte: u8, bits: u32) -> Block {
        let most = (1_u8 << bits) - 1;
        let value = u64::from(byte & most);
        if value == u64::from(most) {
            Block::Integer { value, shift: 0, then: self }
        } else {
            self.of(value)
        }
    }
}

impl Block {
    fn take(&mut self, byte: &mut u8) {
        *self = match *self {
            Self::Field => match *byte {
                0x80.. => Then::Nothing.begin(*byte, 7),
                0x40.. => Then::Name.begin(*byte, 6),
                0x20.. => Then::Nothing.begin(*byte, 5),
                _ => Then::Name.begin(*byte, 4),
            },
            Self::Integer { value, shift, then } => {
                let more = u64::from(*byte & 0x7f).checked_shl(shift).unwrap_or(0);
                let value = value.saturating_add(more);
                if *byte & 0x80 == 0 {
                    then.of(value)
                } else {
                    Self::Integer { value, shift: shift.saturating_add(7), then }
                }
            }
            Self::NameLength => Then::NameLength.begin(*byte, 7),
            Self::Name { left, is } => {
                let expected =
                    usize::try_from(left).ok().and_then(|left| NAME.iter().nth_back(left - 1));
                let is = is && expected == Some(byte);
                if left == 1 {
                    Self::ValueLength { authority: is }
                } else {
                    Self::Name { left: left - 1, is }
                }
            }
            Self::ValueLength { authority } => {
                let mend = authority && *byte & 0x80 == 0;
                Then::ValueLength { mend }.begin(*byte, 7)
            }
            Self::Value { left, mend } => {
                if mend && !is_of_a_host(*byte) {
                    *byte = b'-';
                }
                if left == 1 { Self::Field } else { Self::Value { left: left - 1, mend } }
            }
        };
    }
}

const fn is_of_a_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn literal(first: u8, value: &[u8]) -> Vec<u8> {
        [&[first, u8::try_from(value.len()).unwrap()], value].concat()
    }

    /// A connection in which a path stands wherever it can.
    fn connection(authority: &[u8], path: &[u8]) -> Vec<u8> {
        let long = [b"/".as_slice(), &[b'a'; 300]].concat();
        // A length of 301: seven bits, then 174 in seven more each.
        let long = [&[0x04, 0x7f, 0xae, 0x01], &*long].concat();
        let block = [
            &[0x83, 0x3f, 0xe1, 0x1f][..],
            &literal(0x41, authority),
            &literal(0x44, path),
            &long,
            &[0x40, 3],
            b"a/b",
            &[3],
            b"c/d",
            &literal(0x01, authority),
            &literal(0x11, authority),
            &[0x40, 10],
            b":authority",
            &literal(0, authority)[1..],
            &[0x40, 10],
            b":authoritz",
            &literal(0, path)[1..],
            &[0xff, 0x01],
        ]
        .concat();
        let (piece, rest) = block.split_at(7);
        let padded = [&[3, 0, 0, 0, 0, 9][..], piece, &[b'/'; 3]].concat();
        [
            frame(4, 0, &[]),
            frame(HEADERS, PADDED | PRIORITY, &padded),
            frame(CONTINUATION, END_HEADERS, rest),
            frame(0, 0, &literal(0x41, b"/data/stays")),
            frame(HEADERS, END_HEADERS | 1, &literal(0x41, authority)),
            frame(HEADERS, END_HEADERS, &[]),
            frame(HEADERS, END_HEADERS, &literal(0x01, authority)),
        ]
        .concat()
    }

    #[test]
    fn a_path_becomes_a_host_wherever_an_authority_stands_however_the_bytes_are_cut() {
        let before = connection(b"/run/x%2Fsl.sock:1", b"/a%2Fservice/Export");
        let expected = connection(b"-run-x-2Fsl.sock:1", b"/a%2Fservice/Export");
        for size in [1, 2, 3, 5, 7, 11, 64, before.len()] {
            let (mut mender, mut bytes) = (Mender::default(), before.clone());
            bytes.chunks_mut(size).for_each(|chunk| mender.mend(chunk));
            assert_eq!(bytes, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_in_huffmans_code_or_no_frame_at_all_passes_as_it_is() {
        let huffman = frame(HEADERS, END_HEADERS, &[0x41, 0x82, b'/', b'%']);
        let mut bytes = huffman.clone();
        Mender::default().mend(&mut bytes);
        assert_eq!(bytes, huffman);
        // Lengths beyond the frame, integers without end, padding longer than what it pads.
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..10_000 {
            let mut bytes: Vec<u8> = (0..random.usize(..60)).map(|_| random.u8(..)).collect();
            let kind = random.choice([0, HEADERS, CONTINUATION]).unwrap();
            bytes.splice(..0, [0, 0, random.u8(..60), kind, random.u8(..)]);
            let mut mender = Mender::default();
            bytes.chunks_mut(9).for_each(|chunk| mender.mend(chunk));
        }
    }
}
