//! A chunk of any bytes in any encoding: never a panic, and never more samples, counts and bounds than it has bits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidelight_agent::store::chunk::decode;
use sidelight_agent::store::Samples;

fuzz_target!(|input: &[u8]| {
    let Some((&encoding, bytes)) = input.split_first() else { return };
    let mut samples = Samples::default();
    let _cut_short = decode(encoding % 7, bytes, &mut samples);
    let buckets = samples.points.histograms.iter();
    let buckets = buckets.map(|(_, of)| of.positive.0.len() + of.negative.0.len() + 1);
    let classics = &samples.classics;
    let found = samples.points.floats.len()
        + buckets.sum::<usize>()
        + classics.rows.len()
        + classics.cumulative.len()
        + classics.bounds.iter().map(|bounds| bounds.len()).sum::<usize>();
    assert!(found <= 8 * bytes.len(), "{found} of {} bytes", bytes.len());
});
