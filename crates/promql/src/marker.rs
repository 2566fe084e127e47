//! NaNs that stand among the values of a series and are none: they say what became of it.

/// The bits of the NaN that says that a series ended here.
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The bits of the NaN that says that there were samples up to here of which only aggregates are kept. A function
/// that reads [every](crate::source::Reads::Every) sample has no answer for a window with one.
pub const LOST_BITS: u64 = 0x7ff0_0000_0000_0003;

/// Whether `value` is the staleness marker.
#[must_use]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}
