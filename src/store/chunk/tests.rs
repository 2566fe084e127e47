use std::sync::Arc;

use proptest::prelude::*;
use sidelight_promql::Histogram;
use sidelight_promql::histogram::{Buckets, ResetHint};
use sidelight_promql::source::STALE_BITS;

use super::*;
use crate::store::Kind;
use crate::store::samples::Samples;

fn decoded(chunks: &[Chunk]) -> Samples {
    let mut samples = Samples::default();
    for chunk in chunks {
        decode(chunk.encoding, &chunk.bytes, &mut samples).unwrap();
    }
    samples
}

fn floats(values: &[f64]) -> Vec<Chunk> {
    let mut samples = Samples::default();
    samples.points.floats = times(values.len()).zip(values.iter().copied()).collect();
    encode(&samples)
}

fn times(n: usize) -> impl Iterator<Item = i64> {
    (0..n as i64).map(|i| 1_700_000_000_000 + i * 15_000)
}

fn bits(floats: &[(i64, f64)]) -> Vec<(i64, u64)> {
    floats.iter().map(|&(time, value)| (time, value.to_bits())).collect()
}

/// Numbers of every nature, so that a chunk changes its mind.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (-1000_i64..1000).prop_map(|n| n as f64),
        4 => (any::<i64>(), 0_u32..64).prop_map(|(n, shift)| (n >> shift) as f64),
        4 => (-100_000_i64..100_000, 0_i32..8).prop_map(|(n, places)| n as f64 / 10_f64.powi(places)),
        2 => any::<u64>().prop_map(f64::from_bits),
        1 => prop::sample::select(vec![
            f64::from_bits(STALE_BITS), f64::from_bits(0x7ff8_dead_beef_0001), f64::NAN, -0.0,
            f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, 5e-324,
            9_007_199_254_740_991.0, 9_007_199_254_740_992.0, -9_007_199_254_740_993.0,
        ]),
    ]
}

fn sequence() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let interval = prop_oneof![8 => 14_990_i64..15_010, 1 => 1_i64..10_000_000, 1 => 1_i64..2];
    (any::<i32>(), prop::collection::vec((interval, number()), 0..400)).prop_map(|(start, all)| {
        let mut time = i64::from(start) * 1_000;
        let sample = |(interval, value)| {
            time += interval;
            (time, value)
        };
        all.into_iter().map(sample).collect()
    })
}

proptest! {
    #[test]
    fn any_bits_of_any_numbers_come_back(written in sequence()) {
        let mut samples = Samples::default();
        samples.points.floats.clone_from(&written);
        let chunks = encode(&samples);
        prop_assert_eq!(bits(&decoded(&chunks).points.floats), bits(&written));
        let mut at = 0;
        for chunk in &chunks {
            let of = &written[at..at + usize::from(chunk.samples)];
            prop_assert_eq!((chunk.start_ms, chunk.end_ms), (of[0].0, of[of.len() - 1].0));
            prop_assert!(chunk.samples <= 120 && chunk.bytes.len() <= 512 + 2 + 2 * 18 + 2_000);
            at += of.len();
        }
    }

    #[test]
    fn any_bytes_are_samples_or_corrupt(encoding in 0_u8..8, bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut samples = Samples::default();
        let _either = decode(encoding, &bytes, &mut samples);
        prop_assert!(samples.points.floats.len() <= usize::from(u16::MAX));
    }

    #[test]
    fn native_histograms_come_back(written in prop::collection::vec(native(), 1..200)) {
        let mut samples = Samples::default();
        samples.points.histograms = times(written.len()).zip(written).collect();
        let back = decoded(&encode(&samples)).points.histograms;
        prop_assert_eq!(back.len(), samples.points.histograms.len());
        for (read, wrote) in back.iter().zip(&samples.points.histograms) {
            prop_assert_eq!(read.0, wrote.0);
            prop_assert_eq!(&read.1, &wrote.1);
        }
    }

    #[test]
    fn classic_histograms_come_back(written in prop::collection::vec(classic(), 1..200)) {
        let mut open = None;
        let mut sealed = Vec::new();
        for (time, (bounds, counts, sum, count)) in times(written.len()).zip(&written) {
            let histogram = Classic { bounds, counts, sum: *sum, count: *count };
            put(time, &Sample::Classic(&histogram), None, &mut open, &mut sealed);
        }
        sealed.extend(open.map(|open| open.seal()));
        let read = decoded(&sealed).classics;
        prop_assert_eq!(read.rows.len(), written.len());
        for ((row, wrote), time) in read.rows.iter().zip(&written).zip(times(written.len())) {
            let (bounds, cumulative) = read.buckets(row);
            let mut total = 0_u64;
            let sums: Vec<u64> = wrote.1.iter().map(|n| { total = total.wrapping_add(*n); total }).collect();
            prop_assert_eq!(bounds, &wrote.0[..]);
            prop_assert_eq!(cumulative, &sums[..sums.len() - 1]);
            prop_assert_eq!((row.time_ms, row.count, row.stale), (time, wrote.3, false));
            prop_assert_eq!(row.sum.map(f64::to_bits), wrote.2.map(f64::to_bits));
        }
    }
}

fn native() -> impl Strategy<Value = Arc<Histogram>> {
    let count = prop_oneof![
        20 => (1_u32..1_000).prop_map(f64::from),
        1 => (1_u32..1_000).prop_map(|n| f64::from(n) / 3.0),
    ];
    let buckets = |count| {
        prop::collection::btree_map(-20..20, count, 0..8)
            .prop_map(|map| Buckets(map.into_iter().collect()))
    };
    let schema = prop_oneof![50 => Just(3), 1 => -4..9];
    (schema, buckets(count.clone()), buckets(count.clone()), count, any::<bool>(), -1e6..1e6)
        .prop_map(|(schema, positive, negative, count, gauge, sum)| {
            let reset_hint = if gauge { ResetHint::Gauge } else { ResetHint::Unknown };
            let (zero_count, zero_threshold) = (count, 1e-128);
            let custom_bounds = None;
            Arc::new(Histogram {
                schema,
                count,
                sum,
                zero_threshold,
                zero_count,
                positive,
                negative,
                custom_bounds,
                reset_hint,
            })
        })
}

fn classic() -> impl Strategy<Value = (Vec<f64>, Vec<u64>, Option<f64>, u64)> {
    let counts = prop::collection::vec(prop_oneof![0_u64..50, any::<u64>()], 4);
    let bounds =
        prop_oneof![10 => Just(vec![0.005, 0.25, 10.0]), 1 => Just(vec![-1.0, 0.1 + 0.2, 1e300])];
    (bounds, counts, prop::option::weighted(0.9, number()), any::<u64>())
}

#[test]
fn a_series_that_ends_and_begins_again_is_the_same_for_every_kind() {
    let bounds = [1.0, 2.0];
    let classic = Classic { bounds: &bounds, counts: &[1, 2, 3], sum: Some(0.5), count: 6 };
    let native = Histogram { count: 3.0, zero_count: 3.0, ..Histogram::default() };
    let ended = [Sample::ended(Kind::Classic), Sample::ended(Kind::Native)];
    for (sample, ended) in [Sample::Classic(&classic), Sample::Native(&native)].iter().zip(&ended) {
        for begin_with_end in [false, true] {
            let (mut open, mut sealed) = (None, Vec::new());
            for (i, time) in times(6).enumerate() {
                let end = (i % 2 == 1) != begin_with_end;
                put(time, if end { ended } else { sample }, None, &mut open, &mut sealed);
            }
            sealed.extend(open.map(|open| open.seal()));
            let read = decoded(&sealed);
            let stale: Vec<bool> = match sample.kind() {
                Kind::Classic => read.classics.rows.iter().map(|row| row.stale).collect(),
                _ => {
                    read.points.histograms.iter().map(|h| h.1.sum.to_bits() == STALE_BITS).collect()
                }
            };
            assert_eq!(stale, [false, true, false, true, false, true].map(|s| s != begin_with_end));
        }
    }
}

/// Bytes of a chunk's worth of `values` at exact intervals, per sample.
fn per_sample(values: &[f64]) -> f64 {
    let chunks = floats(values);
    let bytes: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
    bytes as f64 / values.len() as f64
}

#[test]
fn whole_numbers_take_about_a_byte_and_constants_a_quarter() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut total = 0.0;
    let counter: Vec<f64> = (0..1200)
        .map(|_| {
            total += random.u32(1_400..1_600) as f64;
            total
        })
        .collect();
    assert!(per_sample(&counter) < 1.7, "{}", per_sample(&counter));
    assert!(per_sample(&[42.0; 1200]) < 0.5, "{}", per_sample(&[42.0; 1200]));
    let tenths: Vec<f64> = (0..1200).map(|_| f64::from(random.u32(200..300)) / 10.0).collect();
    assert!(per_sample(&tenths) < 1.6, "{}", per_sample(&tenths));
    let any: Vec<f64> = (0..1200).map(|_| 0.5 + random.f64() / 10.0).collect();
    assert!(per_sample(&any) < 8.0, "{}", per_sample(&any));
}

#[test]
fn a_chunk_is_cut_at_120_samples_512_bytes_or_2_hours() {
    assert_eq!(
        floats(&[1.0; 240]).iter().map(|chunk| chunk.samples).collect::<Vec<_>>(),
        [120, 120]
    );
    let mut random = fastrand::Rng::with_seed(1);
    let wide: Vec<f64> = (0..120).map(|_| f64::from_bits(random.u64(..))).collect();
    let chunks = floats(&wide);
    assert!(chunks.len() > 1 && chunks.iter().all(|chunk| chunk.bytes.len() < 600));
    let mut samples = Samples::default();
    samples.points.floats = (0..10).map(|hour| (hour * 3_600_000, 1.0)).collect();
    assert_eq!(encode(&samples).len(), 5);
}

/// What decoding any bytes gave, in samples, counts and bounds.
fn size_of_any(encoding: u8, bytes: &[u8]) -> usize {
    let mut samples = Samples::default();
    let _cut_short = decode(encoding, bytes, &mut samples);
    let histograms = samples.points.histograms.iter();
    let buckets = histograms.map(|(_, h)| h.positive.0.len() + h.negative.0.len() + 1);
    let bounds: usize = samples.classics.bounds.iter().map(|bounds| bounds.len()).sum();
    samples.points.floats.len()
        + buckets.sum::<usize>()
        + samples.classics.rows.len()
        + samples.classics.cumulative.len()
        + bounds
}

#[test]
fn any_bytes_decode_without_a_panic_into_no_more_than_their_bits() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut seeds: Vec<Chunk> = Vec::new();
    for kind in 0..3 {
        let (mut open, mut sealed) = (None, Vec::new());
        for i in 0..200_u64 {
            let time = i as i64 * 15_000;
            let set = [0.1, 1.0, 10.0];
            let counts = [i, i / 2, 3, random.u64(..9)];
            let classic = Classic { bounds: &set, counts: &counts, sum: Some(i as f64), count: i };
            let native = Histogram {
                count: i as f64,
                sum: 0.5 * i as f64,
                positive: Buckets(vec![(3, i as f64), (9, 1.0 + (i / 7) as f64)]),
                ..Histogram::default()
            };
            let sample = match kind {
                0 => Sample::Float(random.f64()),
                1 => Sample::Native(&native),
                _ if i % 50 == 49 => Sample::ended(Kind::Classic),
                _ => Sample::Classic(&classic),
            };
            put(time, &sample, None, &mut open, &mut sealed);
        }
        seeds.extend(sealed);
    }
    for round in 0..6_000 {
        let mut bytes = if round % 3 == 0 {
            (0..random.usize(..300)).map(|_| random.u8(..)).collect()
        } else {
            seeds[random.usize(..seeds.len())].bytes.to_vec()
        };
        for _ in 0..random.usize(..6) {
            if !bytes.is_empty() {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
        }
        bytes.truncate(random.usize(..=bytes.len()));
        for encoding in 0..7 {
            let found = size_of_any(encoding, &bytes);
            assert!(found <= 8 * bytes.len(), "{found} of {} bytes: {bytes:?}", bytes.len());
        }
    }
}

#[test]
fn ends_of_a_histogram_with_many_bounds_take_no_counts() {
    let mut bits = super::bits::BitWriter::default();
    bits.put_small(60_000);
    for bound in 0..60_000 {
        super::decimal::put_bound(f64::from(bound), &mut bits);
    }
    bits.put_bit(true);
    let mut times = super::time::Times::default();
    for time in 0..60_000 {
        times.put(time, &mut bits);
        bits.put_bit(true);
    }
    let mut bytes = 60_000_u16.to_le_bytes().to_vec();
    bits.copy_to(&mut bytes);
    let mut samples = Samples::default();
    decode(Encoding::Classic as u8, &bytes, &mut samples).unwrap();
    assert_eq!((samples.classics.rows.len(), samples.classics.cumulative.len()), (60_000, 0));
}
