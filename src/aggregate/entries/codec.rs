//! Entries as bytes of the checkpoint.
//!
//! ```text
//! now, last cleanup │ per entry: family u8 │ time, received │ duration + 1, 0 = none │ trace id: 0, or 1 and 16 bytes
//!                              service, name, outcome │ number of attributes × (key, value)
//! ```

use std::time::Duration;

use super::{ATTRIBUTES_MAX, Entry, Family};
use crate::aggregate::codec::{self, Read};
use crate::time::UnixNano;

pub(super) fn put_times(out: &mut Vec<u8>, now: UnixNano, cleaned: UnixNano) {
    codec::put(out, now.0);
    codec::put(out, cleaned.0);
}

pub(super) fn put(out: &mut Vec<u8>, entry: &Entry) {
    out.push(entry.family as u8);
    codec::put(out, entry.time.0);
    codec::put(out, entry.received.0);
    let nanos = |of: Duration| u64::try_from(of.as_nanos()).unwrap_or(u64::MAX - 1);
    codec::put(out, entry.duration.map_or(0, |of| nanos(of) + 1));
    out.push(u8::from(entry.trace_id.is_some()));
    out.extend_from_slice(entry.trace_id.as_ref().map_or(&[][..], |id| &id[..]));
    for text in [&entry.service, &entry.name, &entry.outcome] {
        codec::put_bytes(out, text.as_bytes());
    }
    codec::put(out, entry.attributes.len() as u64);
    for (key, value) in &entry.attributes {
        codec::put_bytes(out, key.as_bytes());
        codec::put_bytes(out, value.as_bytes());
    }
}

/// The times, and every entry up to what cannot be read.
pub(super) fn read(bytes: &[u8]) -> Option<(UnixNano, UnixNano, impl Iterator<Item = Entry>)> {
    let mut read = Read(bytes);
    let (now, cleaned) = (UnixNano(read.number()?), UnixNano(read.number()?));
    Some((now, cleaned, std::iter::from_fn(move || entry(&mut read))))
}

fn entry(read: &mut Read<'_>) -> Option<Entry> {
    let code = read.byte()?;
    let family = Family::ALL.into_iter().find(|family| *family as u8 == code)?;
    let (time, received) = (UnixNano(read.number()?), UnixNano(read.number()?));
    let duration = read.number()?.checked_sub(1).map(Duration::from_nanos);
    let trace_id = match read.byte()? {
        0 => None,
        _ => {
            let (id, rest) = read.0.split_first_chunk::<16>()?;
            read.0 = rest;
            Some(*id)
        }
    };
    let mut text = || Some(String::from_utf8_lossy(read.bytes()?).into_owned());
    let (service, name, outcome) = (text()?, text()?, text()?);
    let count = usize::try_from(read.number()?).ok().filter(|count| *count <= ATTRIBUTES_MAX)?;
    let mut text = || Some(String::from_utf8_lossy(read.bytes()?).into_owned());
    let attributes = (0..count).map(|_| Some((text()?, text()?))).collect::<Option<_>>()?;
    Some(Entry { time, received, family, service, name, duration, outcome, trace_id, attributes })
}
