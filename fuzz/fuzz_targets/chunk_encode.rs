//! Any numbers at any ascending times, and any histograms with explicit bounds: encoded and decoded they are what they were,
//! bit by bit, in chunks within the limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidelight_agent::store::chunk::{Chunk, decode, encode};
use sidelight_agent::store::{Classics, Samples};

fuzz_target!(|input: &[u8]| {
    let Some((&kind, mut bytes)) = input.split_first() else { return };
    let mut written = Samples::default();
    let mut time = i64::from(bytes.first().copied().unwrap_or_default()) << (kind % 56);
    while let Some((sample, rest)) = bytes.split_first_chunk::<10>() {
        bytes = rest;
        let [gap_low, gap_high, number @ ..] = *sample;
        let gap = i64::from(u16::from_le_bytes([gap_low, gap_high])) + 1;
        let Some(next) = time.checked_add(if kind & 1 == 0 { gap } else { gap << (gap % 32) })
        else {
            break;
        };
        time = next;
        let bits = u64::from_le_bytes(number);
        if kind & 2 == 0 {
            // Small numbers are what most samples are.
            let value = if bits & 3 == 0 {
                f64::from_bits(bits)
            } else {
                (bits >> (bits % 60)) as f64 / [1.0, 8.0, 10.0, 1e3][(bits & 3) as usize]
            };
            written.points.floats.push((time, value));
        } else {
            classic(&mut written.classics, time, bits);
        }
    }
    let chunks = encode(&written);
    let mut read = Samples::default();
    for chunk in &chunks {
        decode(chunk.encoding, &chunk.bytes, &mut read).expect("what was encoded");
        let Chunk { start_ms, end_ms, samples, .. } = chunk;
        assert!(start_ms <= end_ms && (1..=120).contains(samples), "{chunk:?}");
    }
    assert_eq!(floats(&read), floats(&written));
    assert_eq!(histograms(&read.classics), histograms(&written.classics));
});

/// Adds a histogram, or the end of the series, made of `bits`.
fn classic(into: &mut Classics, time_ms: i64, bits: u64) {
    let sets: [&[f64]; 4] = [&[], &[1.0], &[-1.5, 0.1, 5e-324], &[0.005, 0.01, 0.1, 1.0, 1e300]];
    let set = sets[(bits & 3) as usize];
    let stale = bits & 0x1c == 0x1c;
    let (bounds, counts) = (into.bounds_index(set), into.cumulative.len() as u32);
    let mut count = 0_u64;
    if !stale {
        for nth in 0..set.len() as u32 {
            count = count.wrapping_add(bits.rotate_left(nth * 9) >> (bits % 64));
            into.cumulative.push(count);
        }
    }
    let sum = (bits & 0x20 == 0).then(|| f64::from_bits(bits.rotate_left(17)));
    let count = count.wrapping_add(bits >> 40);
    into.rows.push(sidelight_agent::store::ClassicRow {
        time_ms,
        bounds,
        counts,
        count,
        sum,
        stale,
    });
}

fn floats(samples: &Samples) -> Vec<(i64, u64)> {
    samples.points.floats.iter().map(|(time, value)| (*time, value.to_bits())).collect()
}

/// Time, and of what is no end its bounds, cumulative counts, sum and count.
#[expect(clippy::type_complexity, reason = "of one use")]
fn histograms(classics: &Classics) -> Vec<(i64, Option<(Vec<u64>, Vec<u64>, Option<u64>, u64)>)> {
    let row = |row: &sidelight_agent::store::ClassicRow| {
        let (bounds, counts) = classics.buckets(row);
        let bounds = bounds.iter().map(|bound| bound.to_bits()).collect();
        let of = (bounds, counts.to_vec(), row.sum.map(f64::to_bits), row.count);
        (row.time_ms, (!row.stale).then_some(of))
    };
    classics.rows.iter().map(row).collect()
}
