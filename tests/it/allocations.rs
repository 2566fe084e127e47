//! What spans of known series allocate: once a request, however many it has.

use sidelight_agent::aggregate::{Config, Table};
use sidelight_agent::time::UnixNano;

use crate::receive::traces_bytes;

#[test]
fn spans_of_known_series_are_counted_with_one_allocation_a_request() {
    let request = traces_bytes(50);
    let mut table = Table::new(Config::default(), UnixNano(0));
    table.observe(&request, UnixNano(1));
    let allocated = allocation_counter::measure(|| table.observe(&request, UnixNano(2)));
    assert_eq!(table.totals().spans, 100);
    // One for the spans that are shown together, however many a request has.
    assert!(allocated.count_total <= 1, "{allocated:?}");
}
