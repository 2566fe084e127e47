//! Long work on bytes, beside the runtime's workers.
//!
//! There are two of them, and each has its connections: who keeps one for long keeps those waiting. To hand them over is not
//! free: short work is done where it is.

use crate::blocking;

/// Does `work`; if it is long, while another thread takes over the connections of this one. On a runtime of one thread, and
/// without one, there is none.
pub(super) fn beside<T>(long: bool, work: impl FnOnce() -> T) -> T {
    if long { blocking::in_place(work) } else { work() }
}
