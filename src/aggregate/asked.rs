//! Which attributes of spans are asked for, and how they are told from all others.
//!
//! Most attributes are asked for by nobody. The length of a key and its first eight bytes give one of 256 buckets; nearly
//! all of those are empty, so a key that nobody asks for costs one multiplication and one look, without a branch for each
//! that is known. Only keys in one bucket are compared.

use super::same::same;

/// What is asked for: texts, then numbers, then what is only looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Route,
    Method,
    RpcMethod,
    RpcService,
    MessagingOperation,
    MessagingDestination,
    Peer,
    HttpStatus,
    GrpcStatus,
    Nothing,
}

pub(super) const TEXTS: usize = Asked::HttpStatus as usize;
pub(super) const NUMBERS: usize = Asked::Nothing as usize - TEXTS;

/// Said by an attribute: the peer is a database.
pub(super) const DATABASE: u8 = 1;
/// Said by an attribute: there is something of a family that few spans say anything of.
pub(super) const FAMILY: u8 = 2;

/// A key that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    key: &'static str,
    pub(super) asked: Asked,
    /// Of several keys that say the same the one with the highest rank counts.
    pub(super) rank: u8,
    pub(super) says: u8,
}

const fn one(key: &'static str, asked: Asked, rank: u8) -> Known {
    Known { key, asked, rank, says: 0 }
}

const fn database(key: &'static str, rank: u8) -> Known {
    Known { key, asked: Asked::Peer, rank, says: DATABASE }
}

const fn family(key: &'static str) -> Known {
    Known { key, asked: Asked::Nothing, rank: 0, says: FAMILY }
}

static KNOWN: [Known; 33] = [
    one("http.route", Asked::Route, 1),
    one("http.request.method", Asked::Method, 2),
    one("http.method", Asked::Method, 1),
    one("http.response.status_code", Asked::HttpStatus, 2),
    one("http.status_code", Asked::HttpStatus, 1),
    one("rpc.method", Asked::RpcMethod, 1),
    one("rpc.service", Asked::RpcService, 1),
    one("rpc.response.status_code", Asked::GrpcStatus, 2),
    one("rpc.grpc.status_code", Asked::GrpcStatus, 1),
    one("messaging.operation.name", Asked::MessagingOperation, 2),
    one("messaging.operation", Asked::MessagingOperation, 1),
    one("messaging.destination.name", Asked::MessagingDestination, 2),
    one("messaging.destination", Asked::MessagingDestination, 1),
    one("service.peer.name", Asked::Peer, 8),
    one("peer.service", Asked::Peer, 7),
    database("db.namespace", 6),
    database("db.name", 5),
    database("db.system.name", 4),
    database("db.system", 3),
    one("server.address", Asked::Peer, 2),
    one("net.peer.name", Asked::Peer, 1),
    family("sidelight.cache.name"),
    family("cache.name"),
    family("http.request.resend_count"),
    family("http.resend_count"),
    family("celery.retries"),
    family("gen_ai.provider.name"),
    family("gen_ai.system"),
    family("gen_ai.request.model"),
    family("gen_ai.usage.input_tokens"),
    family("gen_ai.usage.prompt_tokens"),
    family("gen_ai.usage.output_tokens"),
    family("gen_ai.usage.completion_tokens"),
];

/// Of each bucket the known keys: one more than their first place, and after that of each the next one's; 0 ends them.
static FIRST: [u8; 256] = CHAINS.0;
static NEXT: [u8; KNOWN.len()] = CHAINS.1;

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks it")]
const CHAINS: ([u8; 256], [u8; KNOWN.len()]) = {
    let (mut first, mut next) = ([0; 256], [0; KNOWN.len()]);
    let mut place = 0;
    while place < KNOWN.len() {
        let key = KNOWN[place].key.as_bytes();
        assert!(key.len() >= 7, "a shorter key is followed by the length of its value as well");
        let bucket = bucket(&beginning(key), key.len() as u32) as usize;
        next[place] = first[bucket];
        place += 1;
        first[bucket] = place as u8;
    }
    (first, next)
};

/// The key of an attribute's value.
pub(super) const VALUE: u8 = 2 << 3 | 2;

#[inline(always)]
const fn bucket(beginning: &[u8; 8], len: u32) -> u8 {
    let word = u64::from_le_bytes(*beginning) ^ len as u64;
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// The first eight bytes of an attribute in the usual form whose key is this, of seven bytes at least: behind one of seven
/// comes the key of its value.
const fn beginning(mut key: &[u8]) -> [u8; 8] {
    let mut beginning = [VALUE; 8];
    let mut rest: &mut [u8] = &mut beginning;
    while let (Some((byte, after)), Some((slot, slots))) =
        (key.split_first(), rest.split_first_mut())
    {
        *slot = *byte;
        (key, rest) = (after, slots);
    }
    beginning
}

/// The known keys of a bucket that has some.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain(u8);

/// The keys that may be the one of this length which begins so, with the key of the value behind a short one.
#[inline(always)]
pub(super) fn chain(beginning: &[u8; 8], len: u32) -> Option<Chain> {
    FIRST.get(usize::from(bucket(beginning, len))).filter(|first| **first > 0).copied().map(Chain)
}

/// A key that is known.
pub(super) fn known(key: &[u8]) -> Option<&'static Known> {
    chain(&beginning(key), u32::try_from(key.len()).ok()?)?.find(key)
}

impl Chain {
    #[inline(always)]
    pub(super) fn find(self, key: &[u8]) -> Option<&'static Known> {
        let known = KNOWN.get(usize::from(self.0).checked_sub(1)?)?;
        if same(known.key.as_bytes(), key) { Some(known) } else { self.find_after(key) }
    }

    #[inline(never)]
    fn find_after(self, key: &[u8]) -> Option<&'static Known> {
        let mut place = self.0;
        loop {
            place = *NEXT.get(usize::from(place).checked_sub(1)?)?;
            let known = KNOWN.get(usize::from(place).checked_sub(1)?)?;
            if known.key.as_bytes() == key {
                return Some(known);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_key_is_found_and_no_other_that_begins_so() {
        let found = |key: &str| known(key.as_bytes()).map(|found| found.key);
        for Known { key, .. } in &KNOWN {
            assert_eq!(found(key), Some(*key));
            let other = format!("{}\u{1}", &key[..key.len() - 1]);
            assert_eq!(found(&other), None);
            assert_eq!(found(&key[1..]), None);
        }
        assert_eq!(found(""), None);
    }
}
