//! `journal/rejected/`: records that a destination refused, or never took while it took others, kept for people.
//!
//! One file per record, framed so that it can be sent again; `docs/journal-format.md` draws it. Names are
//! sequence numbers. Limits: [`REJECTED_BYTES_MAX`] and [`REJECTED_FILES_MAX`], the oldest go first,
//! counted; beyond 4 MiB 5 % of the disk stay free. What cannot be kept is logged and counted, and
//! holds up nobody.
//! `memory` keeps none. Blocks on disk: never called on a runtime's thread.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::format::{Input, crc32c};
use super::fs::{Fs, FsFile, read_full_at, write_all_at};
use super::{Config, Deps, Durability};
use crate::signal::{Flags, Meta, Record, Signal};
use crate::telemetry::{Counter, desc};
use crate::time::UnixNano;

/// Bytes of files kept.
pub const REJECTED_BYTES_MAX: u64 = 64 << 20;
/// Files kept.
pub const REJECTED_FILES_MAX: usize = 1_000;
/// So many bytes are kept even where less than 5 % of the disk is free: on an almost full one, what was refused is still
/// there to look at.
const REJECTED_BYTES_MIN: u64 = 4 << 20;

/// Where they are kept, below the journal's directory.
pub const REJECTED: &str = "rejected";
pub(super) const REJECTED_VERSION: u16 = 1;
pub(super) const REJECTED_HEADER: usize = 64;
const MAGIC: [u8; 8] = *b"SIDEREJ\0";
/// Bytes of a status that are kept.
const STATUS_MAX: usize = 4096;

/// A record that a destination did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The destination's configured name.
    pub exporter: String,
    /// Its last answer, in words; 4 KiB are kept.
    pub status: String,
    /// The record's sequence.
    pub seq: u64,
    /// When it was given up.
    pub at: UnixNano,
    /// What would have been sent: the record, or the part of it that was rejected; its meta are the
    /// headers that go along.
    pub record: Record,
}

/// A file in `journal/rejected/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedFile {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The destination's configured name.
    pub exporter: String,
    /// Its last answer, in words.
    pub status: String,
    /// What the payload is.
    pub signal: Signal,
    /// The record's sequence.
    pub seq: u64,
    /// Items in the payload.
    pub items: u32,
    /// When it was given up.
    pub at: UnixNano,
    /// The payload's size in bytes.
    pub payload_bytes: u32,
}

impl RejectedFile {
    /// What the API and the commands tell of it.
    #[must_use]
    pub fn document(&self) -> serde_json::Value {
        serde_json::json!({
            "file": self.name,
            "bytes": self.bytes,
            "exporter": self.exporter,
            "signal": self.signal.name(),
            "seq": self.seq,
            "items": self.items,
            "payload_bytes": self.payload_bytes,
            "status": self.status,
            "at_unix_nano": self.at.0,
        })
    }
}

/// The files there are.
#[derive(Debug)]
pub(super) struct Keep {
    fs: Arc<dyn Fs>,
    durability: Durability,
    /// The journal's directory …
    journal: PathBuf,
    /// … and the one below it that they are in.
    directory: PathBuf,
    kept: Counter,
    evicted: Counter,
    not_kept: Counter,
    /// Oldest first.
    files: Mutex<VecDeque<RejectedFile>>,
    /// Held while a file is written.
    writing: Mutex<()>,
}

impl Keep {
    /// What is there is not known before [`Keep::load`].
    pub(super) fn new(config: &Config, deps: &Deps) -> Self {
        let counter = |desc| deps.registry.counter(desc, &[]);
        Self {
            fs: Arc::clone(&deps.fs),
            durability: config.durability,
            journal: config.directory.clone(),
            directory: config.directory.join(REJECTED),
            kept: counter(&desc::JOURNAL_REJECTED_KEPT),
            evicted: counter(&desc::JOURNAL_REJECTED_EVICTED),
            not_kept: counter(&desc::JOURNAL_REJECTED_NOT_KEPT),
            files: Mutex::default(),
            writing: Mutex::default(),
        }
    }

    fn files(&self) -> MutexGuard<'_, VecDeque<RejectedFile>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept, oldest first.
    pub(super) fn list(&self) -> Vec<RejectedFile> {
        self.forget_removed();
        self.files().iter().cloned().collect()
    }

    /// How many are kept as far as is known, and their bytes.
    pub(super) fn kept(&self) -> (usize, u64) {
        let files = self.files();
        (files.len(), files.iter().map(|file| file.bytes).sum())
    }

    /// Forgets files that people sent again or removed.
    pub(super) fn forget_removed(&self) {
        let names = |files: &VecDeque<RejectedFile>| -> BTreeSet<String> {
            files.iter().map(|file| file.name.clone()).collect()
        };
        // One that is written meanwhile is not looked for.
        let mut gone = names(&self.files());
        if gone.is_empty() {
            return;
        }
        match self.fs.list(&self.directory) {
            Ok(there) => there.iter().for_each(|name| _ = gone.remove(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // What cannot be looked at is not known to be gone.
            Err(_) => return,
        }
        self.files().retain(|file| !gone.contains(&file.name));
    }

    /// Whether one more of `bytes` is within the limits.
    fn has_room(&self, bytes: u64) -> bool {
        let (files, kept) = self.kept();
        files < REJECTED_FILES_MAX && kept + bytes <= REJECTED_BYTES_MAX
    }

    /// Finds what earlier runs kept. A directory that cannot be read is as good as an empty one.
    pub(super) fn load(&self) {
        let Self { fs, directory, .. } = self;
        let names = match fs.list(directory) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                tracing::warn!(error = %error, "cannot list the rejected records");
                return;
            }
        };
        let mut found = Vec::new();
        for name in names {
            let path = directory.join(&name);
            if name.ends_with(".tmp") {
                // One that stays is overwritten or tried again at the next start.
                drop(fs.remove(&path));
            } else if name.ends_with(".rejected") {
                let file = fs.open(&path).and_then(|file| describe(&*file, name));
                match file {
                    Ok(file) => found.push(file),
                    Err(error) => {
                        tracing::warn!(error = %error, path = %path.display(), "cannot read a rejected record");
                    }
                }
            }
        }
        found.sort_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
        *self.files() = found.into();
    }

    /// Writes one file. A failure is logged and counted.
    pub(super) fn keep(&self, rejected: &Rejected) {
        if self.durability == Durability::Memory {
            return self.not_kept(1);
        }
        match self.write(rejected) {
            Ok(()) => self.kept.add(1),
            Err(error) => {
                self.not_kept(1);
                let (exporter, seq) = (&rejected.exporter, rejected.seq);
                tracing::warn!(error = %error, exporter, seq, "cannot keep a rejected record");
            }
        }
    }

    /// Counts records that are not kept.
    pub(super) fn not_kept(&self, records: usize) {
        self.not_kept.add(records as u64);
    }

    fn write(&self, rejected: &Rejected) -> io::Result<()> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Self { fs, directory, .. } = self;
        let bytes = rejected.encode();
        self.make_room(bytes.len() as u64)?;
        let fsync = self.durability == Durability::Fsync;
        fs.create_dir(directory)?;
        if fsync {
            fs.sync_dir(&self.journal)?;
        }
        let name = self.free_name(rejected.seq)?;
        let path = directory.join(&name);
        let temporary = path.with_extension("tmp");
        let write = || {
            let file = fs.create(&temporary)?;
            write_all_at(&*file, &mut [IoSlice::new(&bytes)], 0)?;
            if fsync {
                file.sync()?;
            }
            fs.rename(&temporary, &path)
        };
        write().inspect_err(|_| drop(fs.remove(&temporary)))?;
        if fsync {
            // Without it the name may be gone after the next power failure: the record counts as not kept, and is not.
            fs.sync_dir(directory).inspect_err(|_| drop(fs.remove(&path)))?;
        }
        self.files().push_back(rejected.file(name, bytes.len() as u64));
        Ok(())
    }

    /// Lets the oldest go until `bytes` more fit.
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        if bytes > REJECTED_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if !self.has_room(bytes) {
            self.forget_removed();
        }
        let space = self.fs.space(&self.journal)?;
        let scarce = space.free < bytes.saturating_add(space.total / 20);
        if scarce && self.kept().1.saturating_add(bytes) > REJECTED_BYTES_MIN {
            return Err(io::ErrorKind::StorageFull.into());
        }
        while !self.has_room(bytes) {
            let oldest = self.files().front().map(|file| file.name.clone());
            let Some(oldest) = oldest else { break };
            match self.fs.remove(&self.directory.join(oldest)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {
                    self.files().pop_front();
                    self.evicted.add(1);
                }
            }
        }
        Ok(())
    }

    /// A name for a record of which other parts, or for other destinations, may be kept. Some of them may not have been readable
    /// when the journal was opened.
    fn free_name(&self, seq: u64) -> io::Result<String> {
        const UNREADABLE_MAX: usize = 16;
        for n in 0..=self.kept().0 + UNREADABLE_MAX {
            let name = format!("{seq:020}-{n}.rejected");
            if self.files().iter().any(|file| file.name == name) {
                continue;
            }
            match self.fs.open(&self.directory.join(&name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(name),
                Ok(_) | Err(_) => {}
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

/// A header's fields.
struct Frame {
    signal: Signal,
    items: u32,
    seq: u64,
    at: UnixNano,
    exporter_len: u16,
    status_len: u16,
    meta_len: u16,
    payload_len: u32,
    body_crc: u32,
}

impl Frame {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        if input.array::<8>()? != MAGIC || input.u16()? != REJECTED_VERSION {
            return None;
        }
        let signal = Signal::from_code(input.u8()?)?;
        input.u8()?;
        let (items, seq, at) = (input.u32()?, input.u64()?, UnixNano(input.u64()?));
        let (exporter_len, status_len, meta_len) = (input.u16()?, input.u16()?, input.u16()?);
        input.u16()?;
        let payload_len = input.u32()?;
        input.array::<12>()?;
        let body_crc = input.u32()?;
        (input.u32()? == crc32c(&[bytes.get(..60)?])).then_some(Self {
            signal,
            items,
            seq,
            at,
            exporter_len,
            status_len,
            meta_len,
            payload_len,
            body_crc,
        })
    }
}

impl Rejected {
    /// The file's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let exporter = cut(&self.exporter, STATUS_MAX);
        let status = cut(&self.status, STATUS_MAX);
        let (meta, payload) = (self.record.meta.as_tlv(), &self.record.payload);
        let body = [exporter.as_bytes(), status.as_bytes(), meta, payload];
        let short = |part: &[u8]| u16::try_from(part.len()).unwrap_or(u16::MAX).to_le_bytes();
        let mut out =
            Vec::with_capacity(REJECTED_HEADER + body.iter().map(|p| p.len()).sum::<usize>());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&REJECTED_VERSION.to_le_bytes());
        out.extend_from_slice(&[self.record.signal as u8, 0]);
        out.extend_from_slice(&self.record.items.to_le_bytes());
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.at.0.to_le_bytes());
        out.extend_from_slice(&short(exporter.as_bytes()));
        out.extend_from_slice(&short(status.as_bytes()));
        out.extend_from_slice(&short(meta));
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&[0; 12]);
        out.extend_from_slice(&crc32c(&body).to_le_bytes());
        let crc = crc32c(&[&out]);
        out.extend_from_slice(&crc.to_le_bytes());
        body.iter().for_each(|part| out.extend_from_slice(part));
        out
    }

    /// What a file holds; `None` when it is damaged or of another version.
    #[must_use]
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        let frame = Frame::decode(bytes)?;
        let body = bytes.get(REJECTED_HEADER..)?;
        if crc32c(&[body]) != frame.body_crc {
            return None;
        }
        let mut input = Input(body);
        let exporter = String::from_utf8(input.bytes(frame.exporter_len.into())?.to_vec()).ok()?;
        let status = String::from_utf8(input.bytes(frame.status_len.into())?.to_vec()).ok()?;
        let meta = input.bytes(frame.meta_len.into())?;
        let payload = input.bytes(usize::try_from(frame.payload_len).ok()?)?;
        let record = Record {
            signal: frame.signal,
            items: frame.items,
            flags: Flags::ALONE,
            meta: Meta::from_tlv(Bytes::copy_from_slice(meta)),
            payload: bytes.slice_ref(payload),
        };
        let whole = input.0.is_empty();
        whole.then_some(Self { exporter, status, seq: frame.seq, at: frame.at, record })
    }

    fn file(&self, name: String, bytes: u64) -> RejectedFile {
        RejectedFile {
            name,
            bytes,
            exporter: self.exporter.clone(),
            status: cut(&self.status, STATUS_MAX).to_owned(),
            signal: self.record.signal,
            seq: self.seq,
            items: self.record.items,
            at: self.at,
            payload_bytes: u32::try_from(self.record.payload.len()).unwrap_or(u32::MAX),
        }
    }
}

/// What a file says of itself before its payload.
pub(super) fn describe(file: &dyn FsFile, name: String) -> io::Result<RejectedFile> {
    let damaged =
        || io::Error::new(io::ErrorKind::InvalidData, "it is damaged or of another version");
    let mut head = [0; REJECTED_HEADER];
    read_full_at(file, &mut head, 0)?;
    let frame = Frame::decode(&head).ok_or_else(damaged)?;
    let exporter_len = usize::from(frame.exporter_len);
    let mut words = vec![0; exporter_len + usize::from(frame.status_len)];
    read_full_at(file, &mut words, REJECTED_HEADER as u64)?;
    let (exporter, status) = words.split_at_checked(exporter_len).ok_or_else(damaged)?;
    Ok(RejectedFile {
        name,
        bytes: file.len()?,
        exporter: String::from_utf8_lossy(exporter).into_owned(),
        status: String::from_utf8_lossy(status).into_owned(),
        signal: frame.signal,
        seq: frame.seq,
        items: frame.items,
        at: frame.at,
        payload_bytes: frame.payload_len,
    })
}

/// The beginning of a text, whole characters, at most `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
