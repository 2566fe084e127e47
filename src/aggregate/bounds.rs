//! The bounds of the histograms made of spans, in seconds.

/// Tempo's bounds of span metrics: 2 ms × 2^n. Exact, see [`UNIT`](super::measured::UNIT).
pub(super) const CLASSIC: [f64; 14] = [
    0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192,
    16.384,
];

/// The bounds that semantic conventions advise for `http.server.request.duration`. Wrong by at most one bucket of the
/// exponential histogram that the counts come from.
pub(super) const HTTP: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
