//! Exponential histograms: checked, brought into Prometheus' scales, and written as native ones. Pure.
//!
//! Scales above 8 are brought down to it by merging buckets; below -4 Prometheus has none. A histogram with more than
//! [`BUCKETS_MAX`] buckets on a side is brought down until it fits. Source: Prometheus native histogram
//! specification 1.0; OpenTelemetry metrics data model, "ExponentialHistogram".

use sidelight_exphist::{Histogram, Parts, PartsError};
use sidelight_promql::Histogram as Native;
use sidelight_wire::view::metrics::ExponentialHistogramDataPoint;

use super::drops::Reason;

/// The most buckets on a side that are kept.
pub const BUCKETS_MAX: u32 = 320;
/// The most that are read: zeros around them cost a sender little.
const READ_MAX: usize = 1 << 14;
/// The lowest scale that Prometheus has.
const SCALE_MIN: i32 = -4;

/// Reused from point to point.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    positive: Vec<u64>,
    negative: Vec<u64>,
}

impl Scratch {
    /// Reads a point.
    ///
    /// # Errors
    /// Why the point is not stored.
    pub fn read(&mut self, point: &ExponentialHistogramDataPoint<'_>) -> Result<Histogram, Reason> {
        let sides =
            [(point.positive(), &mut self.positive), (point.negative(), &mut self.negative)];
        for (buckets, counts) in sides {
            counts.clear();
            counts.extend(buckets.bucket_counts().take(READ_MAX + 1));
            if counts.len() > READ_MAX {
                return Err(Reason::HistogramBounds);
            }
        }
        let parts = Parts {
            scale: point.scale,
            zero_count: point.zero_count,
            zero_threshold: point.zero_threshold,
            positive: (point.positive().offset(), &self.positive),
            negative: (point.negative().offset(), &self.negative),
            count: point.count,
            sum: point.sum,
            min: point.min,
            max: point.max,
        };
        if point.scale < SCALE_MIN {
            return Err(Reason::HistogramScale);
        }
        Histogram::from_parts(&parts, BUCKETS_MAX).map_err(|error| match error {
            PartsError::Count => Reason::HistogramCounts,
            PartsError::Scale | PartsError::Index => Reason::HistogramScale,
            PartsError::ZeroThreshold => Reason::HistogramBounds,
        })
    }
}

/// The same as a native histogram; `None` when its values spread so far that no scale of Prometheus holds
/// them in [`BUCKETS_MAX`] buckets.
#[must_use]
pub fn native(histogram: &Histogram) -> Option<Native> {
    Native::from_exponential(&histogram.to_parts()).ok()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1 as otlp;
    use otlp::exponential_histogram_data_point::Buckets as Side;

    use super::super::tests::exponential_point;
    use super::*;

    fn point(scale: i32, offset: i32, counts: &[u64]) -> otlp::ExponentialHistogramDataPoint {
        otlp::ExponentialHistogramDataPoint {
            scale,
            count: counts.iter().sum(),
            sum: Some(7.0),
            positive: Some(Side { offset, bucket_counts: counts.to_vec() }),
            ..otlp::ExponentialHistogramDataPoint::default()
        }
    }

    fn read(point: &otlp::ExponentialHistogramDataPoint) -> Result<Native, Reason> {
        let histogram = exponential_point(point, |point| Scratch::default().read(&point))?;
        Ok(native(&histogram).unwrap())
    }

    #[test]
    fn indexes_move_up_by_one_and_high_scales_come_down_to_eight() {
        let native = read(&point(3, -2, &[1, 0, 2])).unwrap();
        assert_eq!((native.schema, native.positive.0), (3, vec![(-1, 1.0), (1, 2.0)]));
        assert_eq!((native.count, native.sum, native.zero_threshold), (3.0, 7.0, 1e-128));
        // At scale 20, indexes -1, 0 and 4095 are -1, 0 and 0 at scale 8.
        let mut counts = vec![0; 4_097];
        (counts[0], counts[1], counts[4_096]) = (5, 6, 7);
        let native = read(&point(20, -1, &counts)).unwrap();
        assert_eq!((native.schema, native.positive.0), (8, vec![(0, 5.0), (1, 13.0)]));
    }

    #[test]
    fn the_zero_bucket_and_negative_values_are_kept() {
        let mut given = point(0, 0, &[1]);
        given.negative = Some(Side { offset: 3, bucket_counts: vec![2] });
        (given.zero_count, given.zero_threshold, given.count) = (4, 0.25, 7);
        let native = read(&given).unwrap();
        assert_eq!((native.zero_count, native.zero_threshold), (4.0, 0.25));
        assert_eq!((native.positive.0, native.negative.0), (vec![(1, 1.0)], vec![(4, 2.0)]));
    }

    #[test]
    fn a_point_that_contradicts_itself_is_not_stored() {
        let good = point(0, 0, &[1]);
        let with = |change: fn(&mut otlp::ExponentialHistogramDataPoint)| {
            let mut point = good.clone();
            change(&mut point);
            read(&point).err()
        };
        for (found, expected) in [
            (with(|_| ()), None),
            (with(|p| p.sum = None), None),
            (with(|p| p.count = 2), Some(Reason::HistogramCounts)),
            (with(|p| p.scale = -5), Some(Reason::HistogramScale)),
            (with(|p| p.scale = 21), Some(Reason::HistogramScale)),
            (with(|p| p.zero_threshold = -1.0), Some(Reason::HistogramBounds)),
            (
                with(|p| p.positive.as_mut().unwrap().offset = i32::MAX),
                Some(Reason::HistogramScale),
            ),
            (
                with(|p| p.positive.as_mut().unwrap().bucket_counts = vec![0; READ_MAX + 1]),
                Some(Reason::HistogramBounds),
            ),
        ] {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn many_buckets_are_merged_until_they_fit() {
        let native = read(&point(8, 0, &vec![1; 1_000])).unwrap();
        assert_eq!((native.schema, native.count), (6, 1_000.0));
        assert!(native.positive.0.len() <= BUCKETS_MAX as usize);
    }
}
