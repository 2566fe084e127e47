//! Which spans are kept: what `OTEL_TRACES_SAMPLER` asks for.

use opentelemetry_sdk::trace::Sampler;

/// Of new traces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sampled {
    All,
    None,
    /// As `OTEL_TRACES_SAMPLER_ARG` says.
    Part,
}

/// What each of the variable's words means: of which traces, and whether a caller's decision goes before.
pub(crate) const SAMPLERS: [(&str, (Sampled, bool)); 6] = [
    ("always_on", (Sampled::All, false)),
    ("always_off", (Sampled::None, false)),
    ("traceidratio", (Sampled::Part, false)),
    ("parentbased_always_on", (Sampled::All, true)),
    ("parentbased_always_off", (Sampled::None, true)),
    ("parentbased_traceidratio", (Sampled::Part, true)),
];

/// A decision about every span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampling {
    pub(crate) sampled: Sampled,
    /// Whether a caller's decision goes before.
    pub(crate) by_parent: bool,
    /// From 0 to 1.
    pub(crate) ratio: f64,
}

impl Sampling {
    pub(crate) fn sampler(self) -> Sampler {
        let own = match self.sampled {
            Sampled::All => Sampler::AlwaysOn,
            Sampled::None => Sampler::AlwaysOff,
            Sampled::Part => Sampler::TraceIdRatioBased(self.ratio),
        };
        if self.by_parent { Sampler::ParentBased(Box::new(own)) } else { own }
    }
}
