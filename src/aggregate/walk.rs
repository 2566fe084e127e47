//! One walk over a traces request, for all who count its spans: each span is read once, where it lies.
//!
//! Spans are shown some at a time, [`TOGETHER`] of a resource: each who counts them finds its code and its tables in the
//! processor's nearest caches for all but the first. Memory: 272 B for each of these.

use sidelight_wire::view::traces::{Request, ResourceSpans};

use super::usual::Fields;

/// So many spans are shown at a time: with their fields they fill a quarter of a first-level cache.
const TOGETHER: usize = 32;

/// A span: its bytes, and the fields that are counted by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span<'r> {
    pub(super) bytes: &'r [u8],
    pub(super) fields: Fields<'r>,
}

/// Someone who counts spans.
pub(super) trait Visit<'r> {
    /// The spans that follow are of this resource.
    fn begin(&mut self, resource: ResourceSpans<'r>);

    /// Spans in their order.
    fn spans(&mut self, spans: &[Span<'r>]);

    /// That was the last span of this resource.
    fn end(&mut self, _resource: ResourceSpans<'r>) {}

    /// That was the last resource of the request.
    fn finish(&mut self) {}
}

impl<'r, A: Visit<'r>, B: Visit<'r>, C: Visit<'r>> Visit<'r> for (A, B, C) {
    fn begin(&mut self, resource: ResourceSpans<'r>) {
        self.0.begin(resource);
        self.1.begin(resource);
        self.2.begin(resource);
    }

    fn spans(&mut self, spans: &[Span<'r>]) {
        self.0.spans(spans);
        self.1.spans(spans);
        self.2.spans(spans);
    }

    fn end(&mut self, resource: ResourceSpans<'r>) {
        self.0.end(resource);
        self.1.end(resource);
        self.2.end(resource);
    }

    fn finish(&mut self) {
        self.0.finish();
        self.1.finish();
        self.2.finish();
    }
}

/// Shows a request to `visit`. Bytes that are not a traces request end it early.
pub(super) fn walk<'r>(request: &'r [u8], visit: &mut impl Visit<'r>) {
    // Each is read into the place of one before.
    let mut places: Vec<Span<'r>> = Vec::with_capacity(TOGETHER);
    for resource in Request::new(request).resources() {
        visit.begin(resource);
        let mut taken = 0;
        for bytes in resource.scope_spans().flat_map(|scope| scope.span_bytes()) {
            if taken == TOGETHER {
                visit.spans(&places);
                taken = 0;
            }
            if taken == places.len() {
                places.push(Span::default());
            }
            if let Some(span) = places.get_mut(taken) {
                span.bytes = bytes;
                span.fields.read(bytes);
                taken += 1;
            }
        }
        visit.spans(places.get(..taken).unwrap_or_default());
        visit.end(resource);
    }
    visit.finish();
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message as _;

    use super::*;

    /// What it was shown, in words.
    #[derive(Default)]
    struct Shown(Vec<String>);

    impl<'r> Visit<'r> for Shown {
        fn begin(&mut self, resource: super::ResourceSpans<'r>) {
            self.0.push(format!("begin {}", resource.scope_spans().count()));
        }

        fn spans(&mut self, spans: &[super::Span<'r>]) {
            assert!(spans.len() <= TOGETHER);
            for span in spans {
                assert_eq!(Fields::of(span.bytes), span.fields);
                self.0.push(String::from_utf8(span.fields.name.to_vec()).unwrap());
            }
        }

        fn end(&mut self, _resource: super::ResourceSpans<'r>) {
            self.0.push("end".to_owned());
        }

        fn finish(&mut self) {
            self.0.push("finish".to_owned());
        }
    }

    #[test]
    fn every_span_is_shown_once_in_its_order_and_within_its_resource() {
        let mut expected = Vec::new();
        // Fewer than are shown at a time, exactly as many, none, and more, over several scopes.
        let resource_spans =
            [&[3, 2][..], &[TOGETHER], &[0], &[TOGETHER, TOGETHER + 1]].map(|of| {
                expected.push(format!("begin {}", of.len()));
                let scope_spans = of.iter().map(|&spans| {
                    let spans = (0..spans).map(|_| {
                        expected.push(format!("span {}", expected.len()));
                        let name = expected.last().cloned().unwrap_or_default();
                        Span { name, ..Span::default() }
                    });
                    ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }
                });
                let scope_spans = scope_spans.collect();
                expected.push("end".to_owned());
                ResourceSpans { scope_spans, ..ResourceSpans::default() }
            });
        expected.push("finish".to_owned());
        let request = ExportTraceServiceRequest { resource_spans: resource_spans.into() };
        let mut shown = Shown::default();
        walk(&request.encode_to_vec(), &mut shown);
        assert_eq!(shown.0, expected);
    }
}
