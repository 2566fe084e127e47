//! One point to its samples, by kind.
//!
//! | point | sample |
//! |---|---|
//! | gauge, cumulative sum | the value |
//! | delta sum, delta histogram | the total since its start |
//! | explicit bounds | one histogram under its base name |
//! | exponential | one native histogram; of those that rules and views read by bucket, one with explicit bounds as well |
//! | summary | `{quantile}` each, `_sum`, `_count` |
//!
//! A counter or histogram that begins, or begins again, has a zero sample at its start: [`stream`]. A point
//! that says `NO_RECORDED_VALUE` ends its series.

use sidelight_exphist::Histogram;
use sidelight_promql::Histogram as Native;
use sidelight_promql::source::is_stale;
use sidelight_wire::view::metrics::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, SummaryDataPoint,
};

use super::super::classic::Buckets;
use super::super::drops::Reason;
use super::super::form::Form;
use super::super::sink::Sink;
use super::super::stream::{self, Cumulative, Delta, Times};
use super::super::{exemplar, exponential};
use super::{At, Translator, ZERO_BACK_MS_MAX};
use crate::store::{Exemplar as Kept, Kind, Refused};

/// Reused from point to point.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    classic: Buckets,
    zero: Buckets,
    exponential: exponential::Scratch,
}

/// What part of a point a series is: all of it, or one of a summary's.
#[derive(Clone, Debug)]
pub(super) struct Part<'a> {
    pub(super) kind: Kind,
    pub(super) number: u64,
    pub(super) suffix: &'a str,
    pub(super) extra: Option<(&'a str, String)>,
}

impl Part<'_> {
    pub(super) const fn whole(kind: Kind) -> Self {
        Self { kind, number: 0, suffix: "", extra: None }
    }
}

/// Where a zero sample goes before a point, if anywhere.
type Zero = Option<i64>;

const SUM: u64 = u64::MAX - 1;
const COUNT: u64 = u64::MAX - 2;
const BUCKETS: u64 = u64::MAX - 3;

impl<Id: Copy + std::fmt::Debug + Eq + std::hash::Hash> Translator<Id> {
    /// Stores a point of a gauge or sum; the time of its sample.
    pub(super) fn number<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        at: &At<'_>,
        form: Form,
        point: &NumberDataPoint<'_>,
    ) -> Result<i64, Reason> {
        let time_ms = at.time(point.time_unix_nano)?;
        if point.value.is_none() && !point.is_stale() {
            return Err(Reason::NoValue);
        }
        let id = self.series(sink, at, point.attributes(), &Part::whole(Kind::Float))?;
        let times = Times { start: point.start_time_unix_nano, time: point.time_unix_nano };
        if point.is_stale() {
            return Ok(end(sink, id, times, time_ms));
        }
        let value = point.value.map_or(f64::NAN, |value| value.as_f64());
        let (zero, value) = match form {
            Form::Sum { monotonic: true, delta: false } => {
                (self.begin(sink, id, at, times, time_ms), value)
            }
            Form::Sum { monotonic, delta: true } => {
                let place = self.place(sink, id, times)?;
                if !value.is_finite() || (monotonic && value < 0.0) {
                    return Err(Reason::DeltaValue);
                }
                let zero = zero_of(sink, id, place, time_ms).filter(|_| monotonic);
                let stream = sink.stream(id);
                // An amount that goes up and down is not gone because nobody changed it.
                if monotonic && place != Delta::Add {
                    stream.total = 0.0;
                }
                stream.total += value;
                let total = stream.total;
                advance(sink, id, times);
                (zero, total)
            }
            _ => (None, value),
        };
        if let Some(zero) = zero {
            let _no_room = sink.append(id, zero, 0.0);
        }
        sink.append(id, time_ms, unmarked(value))?;
        advance(sink, id, times);
        self.exemplars(sink, id, point.exemplars());
        Ok(time_ms)
    }

    /// Stores a histogram with explicit bounds; the time of its sample.
    pub(super) fn histogram<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        at: &At<'_>,
        delta: bool,
        point: &HistogramDataPoint<'_>,
    ) -> Result<i64, Reason> {
        let time_ms = at.time(point.time_unix_nano)?;
        if !point.is_stale() {
            self.scratch.classic.read(point)?;
        }
        let id = self.series(sink, at, point.attributes(), &Part::whole(Kind::Classic))?;
        let times = Times { start: point.start_time_unix_nano, time: point.time_unix_nano };
        if point.is_stale() {
            return Ok(end(sink, id, times, time_ms));
        }
        let zero = if delta {
            let place = self.place(sink, id, times)?;
            let zero = zero_of(sink, id, place, time_ms);
            self.totals.add_classic(id, place, &mut self.scratch.classic)?;
            advance(sink, id, times);
            zero
        } else {
            self.begin(sink, id, at, times, time_ms)
        };
        let stored = put_classic(sink, &mut self.scratch, id, zero, time_ms);
        if stored == Err(Refused::Memory) && !delta && sink.stream(id).last_unix_nano == 0 {
            // It counts on meanwhile: it is not new when there is room for it.
            self.exports.refuse(at.export);
        }
        stored?;
        advance(sink, id, times);
        self.exemplars(sink, id, point.exemplars());
        Ok(time_ms)
    }

    /// Stores an exponential histogram; the time of its sample.
    pub(super) fn exponential<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        at: &At<'_>,
        delta: bool,
        point: &ExponentialHistogramDataPoint<'_>,
    ) -> Result<i64, Reason> {
        let time_ms = at.time(point.time_unix_nano)?;
        let read = match point.is_stale() {
            true => None,
            false => Some(self.scratch.exponential.read(point)?),
        };
        let id = self.series(sink, at, point.attributes(), &Part::whole(Kind::Native))?;
        let times = Times { start: point.start_time_unix_nano, time: point.time_unix_nano };
        let bounds = self.bounds(at);
        let Some(read) = read else {
            if bounds.is_some() {
                self.buckets(sink, at, point, (None, time_ms));
            }
            return Ok(end(sink, id, times, time_ms));
        };
        let seen = |scratch: &mut Scratch, histogram: &Histogram| {
            if let Some(bounds) = bounds {
                scratch.classic.put(histogram, bounds.iter().copied());
            }
            exponential::native(histogram)
        };
        let (zero, value) = if delta {
            let place = self.place(sink, id, times)?;
            let zero = zero_of(sink, id, place, time_ms);
            let value = seen(&mut self.scratch, self.totals.add_exponential(id, place, read)?);
            advance(sink, id, times);
            (zero, value)
        } else {
            (self.begin(sink, id, at, times, time_ms), seen(&mut self.scratch, &read))
        };
        let value = value.ok_or(Reason::HistogramScale)?;
        if let Some(zero) = zero {
            let _no_room = sink.append_native(id, zero, &nothing_of(&value));
        }
        sink.append_native(id, time_ms, &value)?;
        advance(sink, id, times);
        self.exemplars(sink, id, point.exemplars());
        if bounds.is_some() {
            self.buckets(sink, at, point, (zero, time_ms));
        }
        Ok(time_ms)
    }

    /// Stores an exponential histogram by bucket, as it is in the scratch, beside the native one; where there is no room for
    /// that, the native one is all there is.
    fn buckets<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        at: &At<'_>,
        point: &ExponentialHistogramDataPoint<'_>,
        (zero, time_ms): (Zero, i64),
    ) {
        let part = Part { number: BUCKETS, ..Part::whole(Kind::Classic) };
        let _no_room = self.renewing(|this| {
            let id = this.series(sink, at, point.attributes(), &part)?;
            if point.is_stale() {
                sink.stale(id, time_ms);
                return Ok(());
            }
            Ok(put_classic(sink, &mut this.scratch, id, zero, time_ms)?)
        });
    }

    /// Stores a summary; the time of its sink. It is stored when one of its samples is.
    pub(super) fn summary<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        at: &At<'_>,
        point: &SummaryDataPoint<'_>,
    ) -> Result<i64, Reason> {
        let time_ms = at.time(point.time_unix_nano)?;
        let whole = Part::whole(Kind::Float);
        let sum = Part { number: SUM, suffix: "_sum", ..whole.clone() };
        let count = Part { number: COUNT, suffix: "_count", ..whole.clone() };
        #[expect(clippy::cast_precision_loss, reason = "every sample is f64")]
        let totals = [(sum, point.sum), (count, point.count as f64)];
        let quantiles = point.quantile_values().take(QUANTILES_MAX).map(|at_quantile| {
            let number = at_quantile.quantile.to_bits();
            let extra = Some(("quantile", number_text(at_quantile.quantile)));
            (Part { number, extra, ..whole.clone() }, at_quantile.value)
        });
        let mut outcome = Err(Reason::NoValue);
        for (part, value) in totals.into_iter().chain(quantiles) {
            let stored = self.series(sink, at, point.attributes(), &part).and_then(|id| {
                if point.is_stale() {
                    sink.stale(id, time_ms);
                    return Ok(());
                }
                Ok(sink.append(id, time_ms, unmarked(value))?)
            });
            if stored == Err(Reason::Gone) {
                return Err(Reason::Gone);
            }
            outcome = outcome.or(stored.map(|()| time_ms));
        }
        outcome
    }

    /// Stores a point, once more where the series that is remembered of it has left the store.
    pub(super) fn renewing<T: PartialEq>(
        &mut self,
        mut store: impl FnMut(&mut Self) -> Result<T, Reason>,
    ) -> Result<T, Reason> {
        let outcome = store(self);
        if outcome != Err(Reason::Gone) {
            return outcome;
        }
        let before = std::mem::replace(&mut self.renew, true);
        let outcome = store(self);
        self.renew = before;
        outcome
    }

    /// What a cumulative point says about its start: where a zero sample goes.
    fn begin<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        id: Id,
        at: &At<'_>,
        times: Times,
        time_ms: i64,
    ) -> Zero {
        let origin = *sink.stream(id);
        match stream::cumulative(origin, times) {
            Cumulative::Goes => None,
            Cumulative::Overlaps => {
                self.conflicts.add(1);
                None
            }
            Cumulative::Begins(_) if origin.last_unix_nano == 0 && self.has_begun => None,
            Cumulative::Begins(start) if origin.last_unix_nano == 0 => {
                // It was not in the export before: until then it was zero.
                let start = start.max(self.exports.previous(at.export));
                stream::zero_at(start, None, time_ms, ZERO_BACK_MS_MAX)
            }
            Cumulative::Begins(start) => {
                let last = Some(stream::millis(origin.last_unix_nano));
                stream::zero_at(start, last, time_ms, ZERO_BACK_MS_MAX)
            }
        }
    }

    /// Where a delta point belongs, unless nowhere.
    fn place<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        id: Id,
        times: Times,
    ) -> Result<Delta, Reason> {
        match stream::delta(*sink.stream(id), times) {
            Delta::Late => Err(Reason::DeltaLate),
            Delta::Overlap => {
                self.conflicts.add(1);
                Err(Reason::DeltaOverlap)
            }
            place => Ok(place),
        }
    }

    fn exemplars<'a, S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        id: Id,
        exemplars: impl Iterator<Item = Exemplar<'a>>,
    ) {
        for found in exemplars.take(exemplar::PER_POINT_MAX) {
            if let Some((labels, value)) = exemplar::read(&found) {
                self.exemplars.add(1);
                let time_ms = stream::millis(found.time_unix_nano);
                sink.exemplar(id, Kept { time_ms, value, labels });
            }
        }
    }
}

/// The most quantiles of a summary.
const QUANTILES_MAX: usize = 64;

fn zero_of<S: Sink>(sink: &mut S, id: S::Id, place: Delta, time_ms: i64) -> Zero {
    let Delta::Begin(start @ 1..) = place else { return None };
    let last = sink.stream(id).last_unix_nano;
    let last = (last > 0).then_some(stream::millis(last));
    stream::zero_at(start, last, time_ms, ZERO_BACK_MS_MAX)
}

/// Stores the buckets in the scratch, after nothing of them where they begin.
fn put_classic<S: Sink>(
    sink: &mut S,
    scratch: &mut Scratch,
    id: S::Id,
    zero: Zero,
    time_ms: i64,
) -> Result<(), Refused> {
    let Scratch { classic, zero: nothing, .. } = scratch;
    if let Some(zero) = zero {
        nothing.clone_from(classic);
        nothing.clear_counts();
        let _no_room = sink.append_classic(id, zero, &nothing.as_stored());
    }
    sink.append_classic(id, time_ms, &classic.as_stored())
}

/// Takes note of a point.
fn advance<S: Sink>(sink: &mut S, id: S::Id, times: Times) {
    let origin = sink.stream(id);
    if times.start > 0 {
        origin.start_unix_nano = times.start;
    }
    origin.last_unix_nano = origin.last_unix_nano.max(times.time);
}

/// Ends a series.
fn end<S: Sink>(sink: &mut S, id: S::Id, times: Times, time_ms: i64) -> i64 {
    sink.stale(id, time_ms);
    advance(sink, id, times);
    time_ms
}

/// A NaN that a sender chose is not the marker that ends a series.
fn unmarked(value: f64) -> f64 {
    if is_stale(value) { f64::NAN } else { value }
}

/// The same buckets with nothing in them.
fn nothing_of(value: &Native) -> Native {
    Native { schema: value.schema, zero_threshold: value.zero_threshold, ..Native::default() }
}

/// A number as Prometheus writes it in `le` and `quantile`.
fn number_text(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => format!("{value}"),
    }
}
