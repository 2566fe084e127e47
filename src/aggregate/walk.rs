//! One walk over a traces request, for all who count its spans: each span is read once, where it lies.

use sidelight_wire::view::traces::{Request, ResourceSpans};

use super::usual::Fields;

/// Someone who counts spans.
pub(super) trait Visit<'r> {
    /// The spans that follow are of this resource.
    fn begin(&mut self, resource: ResourceSpans<'r>);

    /// A span: its bytes, and the fields that are counted by.
    fn span(&mut self, span: &'r [u8], fields: &Fields<'r>);

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

    #[inline]
    fn span(&mut self, span: &'r [u8], fields: &Fields<'r>) {
        self.0.span(span, fields);
        self.1.span(span, fields);
        self.2.span(span, fields);
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
#[inline]
pub(super) fn walk<'r>(request: &'r [u8], visit: &mut impl Visit<'r>) {
    for resource in Request::new(request).resources() {
        visit.begin(resource);
        for scope in resource.scope_spans() {
            for span in scope.span_bytes() {
                visit.span(span, &Fields::of(span));
            }
        }
        visit.end(resource);
    }
    visit.finish();
}
