//! Exponential histograms that rules read by bucket.

use super::*;

#[test]
fn an_exponential_histogram_that_rules_read_by_bucket_is_stored_by_bucket_as_well() {
    let mut world = World::new();
    let send = |world: &mut World, temporality: i32, point| {
        let data = otlp::ExponentialHistogram {
            data_points: vec![point],
            aggregation_temporality: temporality,
        };
        world.metric("kestrel.connection.duration", "s", Data::ExponentialHistogram(data));
    };
    // 3 of 2 to 4 s, 2 of 16 to 32 s; then one more of each, as a delta.
    send(&mut world, 1, exponential(1_000, 9_000, 0, 1, &[3, 0, 0, 2]));
    send(&mut world, 1, exponential(9_000, 10_000, 0, 1, &[1, 0, 0, 1]));
    let mut gone = exponential(9_000, 11_000, 0, 1, &[]);
    gone.flags = 1;
    send(&mut world, 1, gone);
    world.shows(&expect![[r#"
        kestrel_connection_duration_seconds{job=shop,service_name=shop} Classic (n0 sumSome(0.0) [1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 43200.0] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@1000 (n5 sumSome(1.0) [1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 43200.0] [0, 3, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@9000 (n7 sumSome(2.0) [1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 43200.0] [0, 4, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@10000 stale@11000
        kestrel_connection_duration_seconds{job=shop,service_name=shop} Native (s0 n0 sum0 z0 [])@1000 (s0 n5 sum1 z0 [(2, 3.0), (5, 2.0)])@9000 (s0 n7 sum2 z0 [(2, 4.0), (5, 3.0)])@10000 stale@11000
    "#]]);
}
