//! Base-2 exponential histogram: record, merge, downscale, quantile. No dependencies.
