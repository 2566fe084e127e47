//! Metric requests: every series of as many instances as give the wanted number of data points, cumulative,
//! growing from request to request.
//!
//! The time of each point is unique within a run and serves as its id, see [`crate::cli::ids`]. A store keeps
//! milliseconds, and requests that are under way together may arrive in any order: a request is of a fleet of which none
//! is under way and which was not collected in the same millisecond. There are as many fleets as that takes, one at
//! ordinary rates, at most as many as requests that may wait for an answer and can be made within a millisecond.

use bytes::Bytes;
use sidelight_exphist::{Histogram, MAX_BUCKETS};

use super::protobuf::{Attributes, Value, Writer};
use super::shop::{Call, ROUTES, SERVICES, latency, resource};

/// The boundaries that the semantic conventions advise for durations in seconds.
const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const CUMULATIVE: u64 = 2;

/// All series of one run.
#[derive(Debug)]
pub(super) struct Metrics {
    /// When counting began, Unix time in nanoseconds.
    start: u64,
    points: usize,
    fleets: Vec<Fleet>,
    /// The number of the next instance.
    number: u32,
    random: fastrand::Rng,
}

/// Instances that are collected together.
#[derive(Debug)]
struct Fleet {
    instances: Vec<Instance>,
    /// Whether its last request has no answer yet.
    under_way: bool,
    /// The latest time that a point of it has, in milliseconds.
    latest_ms: u64,
}

const NANOS_PER_MS: u64 = 1_000_000;

#[derive(Debug)]
struct Instance {
    service: usize,
    number: u32,
    metrics: Vec<Metric>,
}

#[derive(Debug)]
struct Metric {
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    series: Vec<Series>,
}

#[derive(Debug)]
struct Series {
    attributes: Attributes,
    state: State,
}

#[derive(Debug)]
enum State {
    Counter(u64),
    UpDown(i64),
    Gauge(f64),
    /// Count per bucket, sum, and the median of what is recorded in milliseconds.
    Explicit([u64; SECONDS.len() + 1], f64, f64),
    Exponential(Box<Histogram>, f64),
}

impl Metrics {
    /// Requests of exactly `points` series.
    pub(super) const fn new(points: usize, start: u64, random: fastrand::Rng) -> Self {
        Self { start, points, fleets: Vec::new(), number: 0, random }
    }

    fn add_fleet(&mut self) -> usize {
        let mut instances = Vec::new();
        let mut left = self.points;
        'all: for number in self.number.. {
            self.number = number + 1;
            for service in 0..SERVICES.len() {
                let mut metrics = metrics_of(service);
                for metric in &mut metrics {
                    metric.series.truncate(left);
                    left -= metric.series.len();
                }
                metrics.retain(|metric| !metric.series.is_empty());
                instances.push(Instance { service, number, metrics });
                if left == 0 {
                    break 'all;
                }
            }
        }
        self.fleets.push(Fleet { instances, under_way: false, latest_ms: 0 });
        self.fleets.len() - 1
    }

    /// The next collection of a fleet: every series has moved; times count up from `first_time`. The fleet is under way
    /// until [`Metrics::arrived`] says that it is not.
    pub(super) fn collect(&mut self, first_time: u64) -> (Bytes, usize) {
        let first_ms = first_time / NANOS_PER_MS;
        let rests = |fleet: &Fleet| !fleet.under_way && fleet.latest_ms < first_ms;
        let at = self.fleets.iter().position(rests).unwrap_or_else(|| self.add_fleet());
        let mut writer = Writer::default();
        let mut time = first_time;
        let Self { fleets, random, start, .. } = self;
        let Some(fleet) = fleets.get_mut(at) else { return (Bytes::new(), at) };
        for instance in &mut fleet.instances {
            let Some(service) = SERVICES.get(instance.service) else { continue };
            writer.message(1, |w| {
                w.message(1, |w| w.attributes(1, &resource(service, instance.number)));
                w.message(2, |w| {
                    w.message(1, |w| w.text(1, "shop.metrics"));
                    for metric in &mut instance.metrics {
                        w.message(2, |w| metric.write(w, *start, &mut time, random));
                    }
                });
            });
        }
        fleet.under_way = true;
        fleet.latest_ms = time / NANOS_PER_MS;
        (writer.bytes.into(), at)
    }

    /// Says that nothing of a fleet's last request is to come.
    pub(super) fn arrived(&mut self, fleet: usize) {
        if let Some(fleet) = self.fleets.get_mut(fleet) {
            fleet.under_way = false;
        }
    }
}

/// What one instance of a service measures.
fn metrics_of(service: usize) -> Vec<Metric> {
    let routes = || ROUTES.iter().filter(move |route| route.service == service);
    let of_route = |state: &dyn Fn(f64) -> State| {
        let series = routes().map(|route| Series {
            attributes: vec![
                ("http.request.method", route.method.into()),
                ("http.route", route.route.into()),
                ("http.response.status_code", Value::Int(200)),
            ],
            state: state(route.own_ms),
        });
        series.collect::<Vec<_>>()
    };
    let statements = routes().flat_map(|route| route.calls).filter_map(|call| match call {
        Call::Sql(operation, table, median) => Some(Series {
            attributes: vec![
                ("db.operation.name", (*operation).into()),
                ("db.collection.name", (*table).into()),
            ],
            state: State::Exponential(Box::new(Histogram::new(8, MAX_BUCKETS)), *median),
        }),
        _ => None,
    });
    let single = |state: State| vec![Series { attributes: Vec::new(), state }];
    let metric = |name, unit, description, series| Metric { name, unit, description, series };
    vec![
        metric(
            "http.server.request.duration",
            "s",
            "Duration of HTTP server requests.",
            of_route(&|median| State::Explicit([0; SECONDS.len() + 1], 0.0, median)),
        ),
        metric(
            "db.client.operation.duration",
            "s",
            "Duration of database client operations.",
            statements.collect(),
        ),
        metric("shop.requests", "{request}", "Requests served.", of_route(&|_| State::Counter(0))),
        metric("http.server.active_requests", "{request}", "", single(State::UpDown(2))),
        metric("shop.queue.depth", "{task}", "Tasks that wait.", single(State::Gauge(5.0))),
        metric("process.memory.usage", "By", "Memory in use.", single(State::UpDown(120 << 20))),
        metric("process.cpu.utilization", "1", "", single(State::Gauge(0.2))),
    ]
}

impl Metric {
    fn write(&mut self, w: &mut Writer, start: u64, time: &mut u64, random: &mut fastrand::Rng) {
        w.text(1, self.name);
        if !self.description.is_empty() {
            w.text(2, self.description);
        }
        w.text(3, self.unit);
        let (field, monotonic) = match self.series.first().map(|series| &series.state) {
            Some(State::Counter(_)) => (7, true),
            Some(State::UpDown(_)) => (7, false),
            Some(State::Explicit(..)) => (9, false),
            Some(State::Exponential(..)) => (10, false),
            Some(State::Gauge(_)) | None => (5, false),
        };
        w.message(field, |w| {
            for series in &mut self.series {
                series.state.advance(random);
                w.message(1, |w| series.write(w, start, *time));
                *time += 1;
            }
            if field != 5 {
                w.varint(2, CUMULATIVE);
            }
            if monotonic {
                w.varint(3, 1);
            }
        });
    }
}

impl Series {
    fn write(&self, w: &mut Writer, start: u64, time: u64) {
        if !matches!(self.state, State::Gauge(_)) {
            w.fixed64(2, start);
        }
        w.fixed64(3, time);
        match &self.state {
            State::Counter(value) => w.fixed64(6, *value),
            State::UpDown(value) => w.fixed64(6, value.cast_unsigned()),
            State::Gauge(value) => w.double(4, *value),
            State::Explicit(buckets, sum, _) => {
                w.fixed64(4, buckets.iter().sum());
                w.double(5, *sum);
                w.packed_fixed64(6, buckets.iter().copied());
                w.packed_fixed64(7, SECONDS.iter().map(|bound| bound.to_bits()));
            }
            State::Exponential(histogram, _) => write_exponential(w, histogram),
        }
        let field = match self.state {
            State::Counter(_) | State::UpDown(_) | State::Gauge(_) => 7,
            State::Explicit(..) => 9,
            State::Exponential(..) => 1,
        };
        w.attributes(field, &self.attributes);
    }
}

fn write_exponential(w: &mut Writer, histogram: &Histogram) {
    let parts = histogram.to_parts();
    w.fixed64(4, parts.count);
    w.double(5, parts.sum.unwrap_or(0.0));
    w.zigzag(6, parts.scale.into());
    w.fixed64(7, parts.zero_count);
    let (offset, counts) = parts.positive;
    w.message(8, |w| {
        w.zigzag(1, offset.into());
        w.packed_varint(2, counts.iter().copied());
    });
    w.double(12, parts.min.unwrap_or(0.0));
    w.double(13, parts.max.unwrap_or(0.0));
}

impl State {
    /// What happens between two collections.
    fn advance(&mut self, random: &mut fastrand::Rng) {
        match self {
            Self::Counter(value) => *value += random.u64(..40),
            Self::UpDown(value) => *value = (*value + random.i64(-3..=3)).max(0),
            Self::Gauge(value) => *value = (*value * (0.8 + 0.4 * random.f64())).max(0.01),
            Self::Explicit(buckets, sum, median) => {
                for _ in 0..random.u32(1..6) {
                    let seconds = latency(random, *median).as_secs_f64();
                    let index = SECONDS.partition_point(|bound| *bound < seconds);
                    buckets.get_mut(index).into_iter().for_each(|bucket| *bucket += 1);
                    *sum += seconds;
                }
            }
            Self::Exponential(histogram, median) => {
                for _ in 0..random.u32(1..6) {
                    histogram.record(latency(random, *median).as_secs_f64());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use prost::Message as _;
    use sidelight_wire::{Limits, Signal, validate};

    use super::*;

    #[test]
    fn a_request_has_exactly_the_points_that_were_asked_for() {
        for points in [1, 7, 100, 1_000] {
            let mut metrics = Metrics::new(points, 5, fastrand::Rng::with_seed(1));
            let summary = validate(Signal::Metrics, &metrics.collect(9).0, &Limits::default());
            assert_eq!(summary.unwrap().items as usize, points);
        }
    }

    #[test]
    fn no_series_has_two_points_in_a_millisecond_or_two_requests_under_way() {
        let mut metrics = Metrics::new(60, 5, fastrand::Rng::with_seed(1));
        let of = |time: u64, metrics: &mut Metrics| {
            let (request, fleet) = metrics.collect(time);
            let request = ExportMetricsServiceRequest::decode(request).unwrap();
            let resources = request.resource_metrics.into_iter();
            (fleet, format!("{:?}", resources.map(|of| of.resource).collect::<Vec<_>>()))
        };
        let (a, first) = of(10 * NANOS_PER_MS, &mut metrics);
        metrics.arrived(a);
        // The same millisecond.
        let (b, second) = of(10 * NANOS_PER_MS + 60, &mut metrics);
        assert!(a != b && first != second);
        // `b` is under way.
        let (c, third) = of(11 * NANOS_PER_MS, &mut metrics);
        assert_eq!((c, &third), (a, &first));
        metrics.arrived(b);
        metrics.arrived(c);
        assert_eq!(of(12 * NANOS_PER_MS, &mut metrics).1, first);
    }

    #[test]
    fn histograms_add_up_and_grow() {
        let mut metrics = Metrics::new(60, 5, fastrand::Rng::with_seed(1));
        let mut counts = Vec::new();
        for time in [100, 1_000] {
            let (request, fleet) = metrics.collect(time * NANOS_PER_MS);
            metrics.arrived(fleet);
            let request = ExportMetricsServiceRequest::decode(request).unwrap();
            let all = request.resource_metrics.into_iter().flat_map(|r| r.scope_metrics);
            let mut count = 0;
            for metric in all.flat_map(|s| s.metrics) {
                match metric.data.unwrap() {
                    Data::Histogram(histogram) => {
                        for point in histogram.data_points {
                            assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
                            assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
                            count += point.count;
                        }
                    }
                    Data::ExponentialHistogram(histogram) => {
                        for point in histogram.data_points {
                            let buckets = point.positive.unwrap().bucket_counts;
                            assert_eq!(buckets.iter().sum::<u64>(), point.count);
                            assert!(point.time_unix_nano >= time);
                            count += point.count;
                        }
                    }
                    _ => {}
                }
            }
            counts.push(count);
        }
        assert!(counts[0] > 0 && counts[1] > counts[0], "{counts:?}");
    }
}
