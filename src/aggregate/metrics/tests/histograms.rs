//! Histograms of explicit and of exponential buckets, cumulative and as deltas.

use super::*;

#[test]
fn histograms_are_one_series_each() {
    let mut world = World::new();
    world.metric("cumulative", "s", histogram(2, buckets(1_000, 9_000, &[1, 2, 3], Some(9.5))));
    world.metric("cumulative", "s", histogram(2, buckets(1_000, 10_000, &[1, 3, 3], None)));
    for (start, time) in [(1_000, 9_000), (9_000, 10_000), (9_500, 11_000), (20_000, 30_000)] {
        world.metric("delta", "s", histogram(1, buckets(start, time, &[1, 2, 3], Some(9.5))));
    }
    let mut odd = buckets(30_000, 31_000, &[1, 2, 3], None);
    odd.count = 99;
    world.metric("delta", "s", histogram(1, odd));
    let other = otlp::HistogramDataPoint {
        explicit_bounds: vec![2.0, 5.0],
        ..buckets(30_000, 40_000, &[1, 0, 0], None)
    };
    world.metric("delta", "s", histogram(1, other));
    world.shows(&expect![[r#"
        cumulative_seconds{job=shop,service_name=shop} Classic (n0 sumSome(0.0) [1.0, 5.0] [0, 0, 0])@1000 (n6 sumSome(9.5) [1.0, 5.0] [1, 2, 3])@9000 (n7 sumNone [1.0, 5.0] [1, 3, 3])@10000
        delta_seconds{job=shop,service_name=shop} Classic (n0 sumSome(0.0) [1.0, 5.0] [0, 0, 0])@1000 (n6 sumSome(9.5) [1.0, 5.0] [1, 2, 3])@9000 (n12 sumSome(19.0) [1.0, 5.0] [2, 4, 6])@10000 (n0 sumSome(0.0) [1.0, 5.0] [0, 0, 0])@20000 (n6 sumSome(9.5) [1.0, 5.0] [1, 2, 3])@30000 (n1 sumNone [2.0, 5.0] [1, 0, 0])@40000
        dropped 1 delta_overlap
        dropped 1 histogram_counts
    "#]]);
}

#[test]
fn a_histogram_that_had_no_room_at_first_is_not_new_when_there_is_some() {
    let mut world = World::new();
    for (time, no_room) in [(10_000, true), (20_000, true), (30_000, false)] {
        world.kept.no_room = no_room;
        world.metric("h", "s", histogram(2, buckets(1_000, time, &[1, 2, 3], Some(9.5))));
    }
    // The zero is at the start that it has, not at the export before.
    world.shows(&expect![[r#"
        h_seconds{job=shop,service_name=shop} Classic (n0 sumSome(0.0) [1.0, 5.0] [0, 0, 0])@1000 (n6 sumSome(9.5) [1.0, 5.0] [1, 2, 3])@30000
        dropped 2 memory
    "#]]);
}

#[test]
fn exponential_histograms_are_native_and_their_deltas_merge_across_scales() {
    let mut world = World::new();
    let send = |world: &mut World, name: &str, temporality: i32, point| {
        let data = otlp::ExponentialHistogram {
            data_points: vec![point],
            aggregation_temporality: temporality,
        };
        world.metric(name, "", Data::ExponentialHistogram(data));
    };
    send(&mut world, "cumulative", 2, exponential(1_000, 9_000, 3, 7, &[1, 2]));
    send(&mut world, "cumulative", 2, exponential(1_000, 9_500, -5, 7, &[1, 2]));
    send(&mut world, "delta", 1, exponential(1_000, 9_000, 1, 2, &[1, 2]));
    send(&mut world, "delta", 1, exponential(9_000, 10_000, 0, 1, &[4]));
    send(&mut world, "delta", 1, exponential(9_000, 10_000, 0, 1, &[4]));
    world.shows(&expect![[r#"
        cumulative{job=shop,service_name=shop} Native (s3 n0 sum0 z0 [])@1000 (s3 n3 sum1 z0 [(8, 1.0), (9, 2.0)])@9000
        delta{job=shop,service_name=shop} Native (s1 n0 sum0 z0 [])@1000 (s1 n3 sum1 z0 [(3, 1.0), (4, 2.0)])@9000 (s0 n7 sum2 z0 [(2, 7.0)])@10000
        dropped 1 delta_late
        dropped 1 histogram_scale
    "#]]);
}
