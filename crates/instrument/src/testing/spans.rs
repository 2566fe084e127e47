//! Assertions on spans.

use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::SpanData;

/// The spans of a name that have certain attributes.
///
/// ```
/// let captured = sidelight::testing::capture();
/// tracing::info_span!("order.place").in_scope(|| {
///     tracing::info_span!("stock.reserve", item = "book", error.type = "sold_out").in_scope(|| {});
/// });
/// let reserved = captured.span("stock.reserve").attr("item", "book").child_of("order.place");
/// reserved.assert_count(1);
/// reserved.has_error("sold_out");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a match asserts nothing by itself"]
pub struct SpanMatch {
    name: String,
    all: Vec<SpanData>,
    spans: Vec<SpanData>,
}

impl SpanMatch {
    pub(super) fn new(name: &str, all: Vec<SpanData>) -> Self {
        let spans = all.iter().filter(|span| span.name == name).cloned().collect();
        Self { name: name.to_owned(), all, spans }
    }

    /// Only the spans with this attribute; numbers and truth values as they are printed.
    pub fn attr(mut self, key: &str, value: &str) -> Self {
        self.spans.retain(|span| {
            span.attributes.iter().any(|one| one.key.as_str() == key && one.value.as_str() == value)
        });
        self
    }

    /// Only the spans whose parent has this name.
    pub fn child_of(mut self, parent: &str) -> Self {
        let all = &self.all;
        self.spans.retain(|span| {
            let mut parents =
                all.iter().filter(|one| one.span_context.span_id() == span.parent_span_id);
            parents.any(|one| {
                one.name == parent && one.span_context.trace_id() == span.span_context.trace_id()
            })
        });
        self
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.spans.len()
    }

    /// The spans themselves, in the order in which they ended.
    #[must_use]
    pub fn spans(&self) -> &[SpanData] {
        &self.spans
    }

    /// That there are so many.
    ///
    /// # Panics
    ///
    /// If there are not, with the names of all that ended.
    #[track_caller]
    pub fn assert_count(&self, expected: usize) {
        let count = self.spans.len();
        assert!(
            count == expected,
            "{count} spans {:?}, not {expected}; {}",
            self.name,
            self.ended()
        );
    }

    /// That there is one, and all of them failed with this `error.type` or description.
    ///
    /// # Panics
    ///
    /// If not, with what there is.
    #[track_caller]
    pub fn has_error(&self, error: &str) {
        assert!(!self.spans.is_empty(), "no span {:?}; {}", self.name, self.ended());
        for span in &self.spans {
            let typed = span
                .attributes
                .iter()
                .any(|one| one.key.as_str() == "error.type" && one.value.as_str() == error);
            let described =
                matches!(&span.status, Status::Error { description } if description == error);
            assert!(
                typed || described,
                "{:?} has no error {error:?}: {:?} {:?}",
                self.name,
                span.status,
                span.attributes
            );
        }
    }

    fn ended(&self) -> String {
        let names: Vec<&str> = self.all.iter().map(|span| span.name.as_ref()).collect();
        format!("ended: {}", names.join(", "))
    }
}
