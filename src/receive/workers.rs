//! Long work on bytes, beside the runtime's workers.
//!
//! There are two of them, and each has its connections: who keeps one for long keeps those waiting. To hand them over is not
//! free: short work is done where it is.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Does `work`; if it is long, while another thread takes over the connections of this one. On a runtime of one thread, and
/// without one, there is none.
pub(super) fn beside<T>(long: bool, work: impl FnOnce() -> T) -> T {
    let workers = || {
        let runtime = Handle::try_current();
        runtime.is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
    };
    if long && workers() {
        return tokio::task::block_in_place(work);
    }
    work()
}
