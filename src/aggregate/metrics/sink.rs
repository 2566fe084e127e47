//! What translation needs of a store. [`Writer`] is it; tests and benches look at what they were given.

use sidelight_promql::Histogram;

use super::drops::Reason;
use crate::store::{
    Classic, Exemplar, Fingerprint, Kind, Metadata, Rank, Refused, SeriesId, Stream, Writer,
};

/// Where samples go.
pub trait Sink {
    /// Names a series.
    type Id: Copy + std::fmt::Debug + Eq + std::hash::Hash;

    /// See [`Writer::set_now`].
    fn set_now(&mut self, received_ms: i64);

    /// See [`Writer::series_of`]; `None` past the limit, counted.
    fn series(&mut self, of: Rank, labels: &[(&str, &str)], kind: Kind) -> Option<Self::Id>;

    /// See [`Writer::fingerprint`].
    fn fingerprint(&self, id: Self::Id) -> Option<u64>;

    /// See [`Writer::by_fingerprint`].
    fn by_fingerprint(&self, fingerprint: u64) -> Option<Self::Id>;

    /// See [`Writer::append`].
    ///
    /// # Errors
    /// Why it is not stored.
    fn append(&mut self, id: Self::Id, time_ms: i64, value: f64) -> Result<(), Refused>;

    /// See [`Writer::append_native`].
    ///
    /// # Errors
    /// Why it is not stored.
    fn append_native(
        &mut self,
        id: Self::Id,
        time_ms: i64,
        value: &Histogram,
    ) -> Result<(), Refused>;

    /// See [`Writer::append_classic`].
    ///
    /// # Errors
    /// Why it is not stored.
    fn append_classic(
        &mut self,
        id: Self::Id,
        time_ms: i64,
        value: &Classic<'_>,
    ) -> Result<(), Refused>;

    /// See [`Writer::stale`].
    fn stale(&mut self, id: Self::Id, time_ms: i64);

    /// See [`Writer::stream`].
    fn stream(&mut self, id: Self::Id) -> &mut Stream;

    /// See [`Writer::describe`].
    fn describe(&mut self, family: &str, metadata: Metadata);

    /// See [`Writer::exemplar`].
    fn exemplar(&mut self, id: Self::Id, exemplar: Exemplar);
}

impl Sink for Writer {
    type Id = SeriesId;

    fn set_now(&mut self, received_ms: i64) {
        Self::set_now(self, received_ms);
    }

    fn series(&mut self, of: Rank, labels: &[(&str, &str)], kind: Kind) -> Option<SeriesId> {
        let id = self.series_of(of, labels, kind);
        if id.is_overflow() {
            // Nobody appends to it, so it is counted here.
            self.past_limit();
            return None;
        }
        Some(id)
    }

    fn fingerprint(&self, id: SeriesId) -> Option<u64> {
        Self::fingerprint(self, id).map(|fingerprint| fingerprint.0)
    }

    fn by_fingerprint(&self, fingerprint: u64) -> Option<SeriesId> {
        Self::by_fingerprint(self, Fingerprint(fingerprint))
    }

    fn append(&mut self, id: SeriesId, time_ms: i64, value: f64) -> Result<(), Refused> {
        Self::append(self, id, time_ms, value)
    }

    fn append_native(
        &mut self,
        id: SeriesId,
        time_ms: i64,
        value: &Histogram,
    ) -> Result<(), Refused> {
        Self::append_native(self, id, time_ms, value)
    }

    fn append_classic(
        &mut self,
        id: SeriesId,
        time_ms: i64,
        value: &Classic<'_>,
    ) -> Result<(), Refused> {
        Self::append_classic(self, id, time_ms, value)
    }

    fn stale(&mut self, id: SeriesId, time_ms: i64) {
        Self::stale(self, id, time_ms);
    }

    fn stream(&mut self, id: SeriesId) -> &mut Stream {
        Self::stream(self, id)
    }

    fn describe(&mut self, family: &str, metadata: Metadata) {
        Self::describe(self, family, metadata);
    }

    fn exemplar(&mut self, id: SeriesId, exemplar: Exemplar) {
        Self::exemplar(self, id, exemplar);
    }
}

impl From<Refused> for Reason {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::OutOfOrder => Self::OutOfOrder,
            Refused::Duplicate => Self::Duplicate,
            Refused::Conflict => Self::Conflict,
            Refused::FarFuture => Self::FarFuture,
            Refused::TooOld => Self::TooOld,
            Refused::Overflow => Self::Overflow,
            Refused::Memory => Self::Memory,
            Refused::Malformed => Self::Malformed,
            Refused::Gone => Self::Gone,
        }
    }
}
