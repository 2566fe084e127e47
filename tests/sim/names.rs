//! The names of what was sent, found in whatever bytes there are: payloads stand in the journal's files as they came, and
//! in compacted ones in zstd frames.

use std::collections::BTreeSet;
use std::io::Read as _;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// `s0-3-0-1-`: sender, burst, request, item. What follows only makes a name longer.
const ID_DASHES: usize = 4;

/// The beginnings of the names in `bytes`, each of one name alone.
pub fn ids_in(bytes: &[u8]) -> BTreeSet<String> {
    let mut ids = plain_ids_in(bytes);
    let starts = bytes.windows(ZSTD_MAGIC.len()).enumerate().filter(|(_, w)| *w == ZSTD_MAGIC);
    for (at, _) in starts {
        let mut frame = Vec::new();
        // Of a torn one, what can be had.
        let decoder = zstd::stream::read::Decoder::new(&bytes[at..]).unwrap().single_frame();
        drop({ decoder }.read_to_end(&mut frame));
        ids.extend(plain_ids_in(&frame));
    }
    ids
}

fn plain_ids_in(bytes: &[u8]) -> BTreeSet<String> {
    bytes.split(|&byte| byte == b's').skip(1).filter_map(id_at).collect()
}

/// The id whose `s` is before `bytes`.
fn id_at(bytes: &[u8]) -> Option<String> {
    let of_id = bytes.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-');
    let dashes = of_id.enumerate().filter(|(_, byte)| **byte == b'-');
    let (end, _) = { dashes }.nth(ID_DASHES - 1)?;
    Some(format!("s{}", std::str::from_utf8(&bytes[..=end]).unwrap()))
}
