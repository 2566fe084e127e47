//! The table in a checkpoint: every row, so that a restart goes on counting where the journal goes on.
//!
//! ```text
//! version u8 │ started created now expired │ 5 totals │ overflow │ number of rows │ rows, least recently made first
//! measured   calls │ histogram
//! row        labels │ created │ seen │ measured
//! ```

use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;

use hashbrown::HashTable;
use sidelight_exphist::MAX_BUCKETS;

use super::{Measured, Row, Table, Totals};
use crate::aggregate::codec::{Read, put};
use crate::aggregate::config::Config;
use crate::aggregate::key::Labels;
use crate::time::UnixNano;

const VERSION: u8 = 1;

impl Table {
    /// Writes everything.
    pub(in crate::aggregate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        for time in [self.started, self.created, self.now, self.expired] {
            put(out, time.0);
        }
        let Totals { spans, odd_spans, overflow_series, overflow_service, expired } = self.totals;
        for total in [spans, odd_spans, overflow_series, overflow_service, expired] {
            put(out, total);
        }
        self.overflow.encode(out);
        put(out, self.rows.len() as u64);
        for row in &self.rows {
            row.labels.encode(out);
            put(out, row.created.0);
            put(out, row.seen.0);
            row.measured.encode(out);
        }
    }

    /// What [`Table::encode`] wrote; `None` when it cannot be read. Rows past the limits of `config` join the overflow.
    pub(in crate::aggregate) fn decode(config: Config, bytes: &[u8]) -> Option<Self> {
        let mut read = Read(bytes);
        if read.byte()? != VERSION {
            return None;
        }
        let mut table = Self::new(config, UnixNano(read.number()?));
        for time in [&mut table.created, &mut table.now, &mut table.expired] {
            *time = UnixNano(read.number()?);
        }
        let totals = &mut table.totals;
        for total in [
            &mut totals.spans,
            &mut totals.odd_spans,
            &mut totals.overflow_series,
            &mut totals.overflow_service,
            &mut totals.expired,
        ] {
            *total = read.number()?;
        }
        table.overflow = Measured::decode(&mut read)?;
        for _ in 0..read.number()? {
            let labels = Labels::decode(&mut read)?;
            let (created, seen) = (UnixNano(read.number()?), UnixNano(read.number()?));
            let measured = Measured::decode(&mut read)?;
            table.take_back(labels, created, seen, measured);
        }
        Some(table)
    }

    fn take_back(&mut self, labels: Labels, created: UnixNano, seen: UnixNano, measured: Measured) {
        let service = labels.service_bytes();
        let of_service = self.services.get(service).copied().unwrap_or(0);
        if self.rows.len() >= self.config.series_max
            || of_service >= self.config.series_per_service_max
        {
            self.overflow.calls += measured.calls;
            self.overflow.latency.merge(&measured.latency);
            return;
        }
        self.services.insert(service.into(), of_service + 1);
        let mut hasher = self.hasher.build_hasher();
        hasher.write(service);
        let hash = labels.key().hash(hasher);
        let slot = self.rows.len();
        self.rows.push(Row { hash, labels: Arc::new(labels), measured, created, seen });
        let (rows, index): (_, &mut HashTable<usize>) = (&self.rows, &mut self.index);
        index.insert_unique(hash, slot, |&slot| rows.get(slot).map_or(0, |row| row.hash));
    }
}

impl Measured {
    fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.calls);
        self.latency.encode(out);
    }

    fn decode(read: &mut Read<'_>) -> Option<Self> {
        let calls = read.number()?;
        let mut measured = Self { calls, ..Self::default() };
        let kept = read.histogram()?;
        // Merged, so that the limits are those of this version.
        measured.latency = sidelight_exphist::Histogram::new(kept.scale(), MAX_BUCKETS);
        measured.latency.merge(&kept);
        Some(measured)
    }
}
