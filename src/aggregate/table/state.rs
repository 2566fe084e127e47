//! The table in a checkpoint: every row, so that a restart goes on counting where the journal goes on.
//!
//! ```text
//! version u8 │ started created now expired │ 5 totals │ last row, last sum │ dimensions │ overflow
//!   │ graph │ resources │ operations │ http │ rows, least recently made first, each list after its number
//! measured   calls │ histogram                counted    measured │ size │ carry
//! operation  id │ resource │ name │ exceeded │ window │ 2 measured │ since: 0, or 1 │ 2 measured │ exceeded │ satisfied
//!              │ protocol │ satisfied
//! http       id │ resource │ route │ method │ status │ measured │ since: 0, or 1 │ measured
//! row        id │ resource │ labels │ created │ seen │ counted │ view
//! view       0, or 1 │ operation │ http or 0 │ exceeded │ 2 measured │ satisfied
//! ```
//! Resources are named by their place in the list; thresholds are those of the configuration. Of an earlier version, whose
//! series had other labels, only the totals are taken over; so are those of a table with other dimensions, or with
//! resources that differ in nothing but dimensions.

use std::collections::HashMap;
use std::sync::Arc;

use super::exemplars::Exemplars;
use super::views::{Http, HttpKey, Operation, Since, View};
use super::{Counted, Row, Table, Totals};
use crate::aggregate::codec::{Read, put, put_bytes, put_float};
use crate::aggregate::config::Config;
use crate::aggregate::graph::Graph;
use crate::aggregate::key::Labels;
use crate::aggregate::measured::Measured;
use crate::aggregate::operation;
use crate::aggregate::operation::Protocol;
use crate::aggregate::resource::{Resource, Resources};
use crate::time::UnixNano;

const VERSION: u8 = 4;
/// That of a table of services, span names, kinds, statuses, routes and methods.
const WITHOUT_RESOURCES: u8 = 1;

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
        put(out, self.last_row);
        put(out, self.views.next);
        put(out, self.dimensions.keys().count() as u64);
        self.dimensions.keys().for_each(|key| put_bytes(out, key.as_bytes()));
        self.overflow.encode(out);
        let mut graph = Vec::new();
        self.graph.encode(&mut graph);
        put_bytes(out, &graph);
        let resources = self.encode_resources(out);
        let place = |resource| resources.get(&Arc::as_ptr(resource)).copied().unwrap_or(0);
        put(out, self.views.operations.len() as u64);
        for (&id, operation) in &self.views.operations {
            put(out, id);
            put(out, place(&operation.resource));
            operation.encode(out);
            out.push(u8::from(operation.since.is_some()));
            if let Some(since) = &operation.since {
                since.outcomes.iter().for_each(|outcome| outcome.encode(out));
                put(out, since.exceeded);
                put(out, since.satisfied);
            }
            out.push(operation.protocol as u8);
            put(out, operation.satisfied);
        }
        put(out, self.views.http.len() as u64);
        for (&id, http) in &self.views.http {
            put(out, id);
            put(out, place(&http.key.resource));
            for text in [&http.key.route, &http.key.method, &http.key.status] {
                put_bytes(out, text.as_bytes());
            }
            http.measured.encode(out);
            out.push(u8::from(http.since.is_some()));
            http.since.iter().for_each(|since| since.encode(out));
        }
        put(out, self.rows.len() as u64);
        for row in &self.rows {
            put(out, row.id);
            put(out, place(row.labels.resource()));
            row.labels.encode(out);
            put(out, row.created.0);
            put(out, row.seen.0);
            row.counted.encode(out);
            out.push(u8::from(row.view.is_some()));
            row.view.iter().for_each(|view| view.encode(out));
        }
    }

    /// Writes the resources that rows refer to, and says where each is.
    fn encode_resources(&self, out: &mut Vec<u8>) -> HashMap<*const Resource, u64> {
        let (mut places, mut written, mut bytes) = (HashMap::new(), 0, Vec::new());
        for row in &self.rows {
            let resource = row.labels.resource();
            places.entry(Arc::as_ptr(resource)).or_insert_with(|| {
                resource.encode(&mut bytes);
                written += 1;
                written - 1
            });
        }
        put(out, written);
        out.extend_from_slice(&bytes);
        places
    }

    /// What [`Table::encode`] wrote; `None` when it cannot be read. Rows past the limits of `config` join the overflow.
    pub(in crate::aggregate) fn decode(config: Config, bytes: &[u8]) -> Option<Self> {
        let mut read = Read(bytes);
        let version = read.byte()?;
        if !(1..=VERSION).contains(&version) {
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
        // Series that begin again begin after those that were.
        if version == WITHOUT_RESOURCES {
            table.created = table.now;
            return Some(table);
        }
        table.last_row = read.number()?;
        table.views.next = read.number()?;
        let dimensions: Option<Vec<_>> = (0..read.number()?).map(|_| read.text()).collect();
        table.overflow = Counted::decode(&mut read)?;
        table.graph = Graph::decode(table.config.graph, &mut Read(read.bytes()?))?;
        let same = dimensions?.iter().map(String::as_str).eq(table.dimensions.keys());
        if version < VERSION || !same {
            table.created = table.now;
            return Some(table);
        }
        table.decode_rows(&mut read)?;
        Some(table)
    }

    fn decode_rows(&mut self, read: &mut Read<'_>) -> Option<()> {
        let mut resources = Vec::new();
        for _ in 0..read.number()? {
            resources.push(self.resources.intern(Resource::decode(read)?)?);
        }
        if self.resources.len() < resources.len() {
            // They told resources apart by dimensions: some rows have the same labels as others.
            (self.resources, self.created) = (Resources::default(), self.now);
            return Some(());
        }
        let resource = |read: &mut Read<'_>| {
            let at = usize::try_from(read.number()?).ok()?;
            resources.get(at).map(Arc::clone)
        };
        let since = |read: &mut Read<'_>| read.byte().map(|byte| byte > 0);
        for _ in 0..read.number()? {
            let (id, resource) = (read.number()?, resource(read)?);
            let mut operation = Operation::decode(resource, read)?;
            if since(read)? {
                let outcomes = [Measured::decode(read)?, Measured::decode(read)?];
                let (exceeded, satisfied) = (read.number()?, read.number()?);
                operation.since = Some(Box::new(Since { outcomes, exceeded, satisfied }));
            }
            operation.protocol = *Protocol::ALL.get(usize::from(read.byte()?))?;
            operation.satisfied = read.number()?;
            operation.set_threshold(&self.config);
            self.views.put_operation(id, operation);
        }
        for _ in 0..read.number()? {
            let (id, resource) = (read.number()?, resource(read)?);
            let (route, method) = (read.text()?.into(), read.text()?.into());
            let key = HttpKey { resource, route, method, status: read.text()?.into() };
            let measured = Measured::decode(read)?;
            let since = if since(read)? { Some(Box::new(Measured::decode(read)?)) } else { None };
            self.views.put_http(id, Http { key, measured, since });
        }
        for _ in 0..read.number()? {
            let (id, resource) = (read.number()?, resource(read)?);
            let labels = Labels::decode(&resource, read)?;
            let (created, seen) = (UnixNano(read.number()?), UnixNano(read.number()?));
            let counted = Counted::decode(read)?;
            let key = labels.key();
            let failed = operation::failed(key.kind, key.status, key.http_status);
            let view = match read.byte()? {
                0 => None,
                _ => Some(Box::new(self.views.with_threshold(View::decode(failed, read)?))),
            };
            let hash = key.hash(&resource, &self.hasher);
            let exemplars = self.config.exemplars.then(Exemplars::default);
            let labels = Arc::new(labels);
            self.take_back(Row {
                id,
                hash,
                labels,
                counted,
                view,
                exemplars,
                failed,
                created,
                seen,
            });
        }
        self.views.retain(self.rows.iter().filter_map(|row| row.view.as_deref()));
        Some(())
    }

    fn take_back(&mut self, row: Row) {
        let service = row.labels.resource().service();
        let of_service = self.services.get(service).copied().unwrap_or(0);
        if self.rows.len() >= self.config.series_max
            || of_service >= self.config.series_per_service_max
        {
            self.overflow.measured.merge(&row.counted.measured);
            self.overflow.size = self.overflow.size.saturating_add(row.counted.size);
        } else {
            self.push(row);
        }
    }
}

impl Counted {
    fn encode(&self, out: &mut Vec<u8>) {
        self.measured.encode(out);
        put(out, self.size);
        put_float(out, self.carry);
    }

    fn decode(read: &mut Read<'_>) -> Option<Self> {
        let (measured, size, carry) = (Measured::decode(read)?, read.number()?, read.float()?);
        Some(Self { measured, size, carry: if (0.0..1.0).contains(&carry) { carry } else { 0.0 } })
    }
}

impl Operation {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.name.as_bytes());
        put(out, self.exceeded);
        // NaN stands for none.
        let (min, max) = self.window.unwrap_or((f64::NAN, f64::NAN));
        put_float(out, min);
        put_float(out, max);
        self.outcomes.iter().for_each(|outcome| outcome.encode(out));
    }

    fn decode(resource: Arc<Resource>, read: &mut Read<'_>) -> Option<Self> {
        let name = read.text()?.into();
        let exceeded = read.number()?;
        let window = Some((read.float()?, read.float()?)).filter(|(min, max)| min <= max);
        let outcomes = [Measured::decode(read)?, Measured::decode(read)?];
        Some(Self {
            resource,
            name,
            protocol: Protocol::Other,
            threshold_nanos: 0,
            outcomes,
            exceeded,
            satisfied: 0,
            window,
            since: None,
        })
    }
}

impl View {
    fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.operation);
        put(out, self.http.unwrap_or(0));
        put(out, self.exceeded);
        self.fresh.iter().for_each(|fresh| fresh.encode(out));
        put(out, self.satisfied);
    }

    fn decode(failed: bool, read: &mut Read<'_>) -> Option<Self> {
        let operation = read.number()?;
        let http = Some(read.number()?).filter(|&id| id > 0);
        let exceeded = read.number()?;
        let fresh = [Measured::decode(read)?, Measured::decode(read)?];
        let satisfied = read.number()?;
        Some(Self { operation, http, failed, threshold_nanos: 0, fresh, exceeded, satisfied })
    }
}
