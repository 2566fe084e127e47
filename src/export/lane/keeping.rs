//! How long a lane waits until what is given up is in `journal/rejected/`. Limit: 10 s from where another lane goes on in its
//! place, as for a write to a file; otherwise as long as it takes.

use std::time::Duration;

use tokio::sync::watch;

use super::Mode;

/// How long a lane that is released waits.
const TIME_MAX: Duration = Duration::from_secs(10);

/// Waits until all are kept, one after the other. Not so where the disk does not answer in time and a reload waits for it.
pub(super) async fn all(
    keeping: Vec<impl Future<Output = ()>>,
    mut mode: watch::Receiver<Mode>,
) -> bool {
    let late = async {
        // Who told is gone: the lane ends, and this with it.
        let _ = mode.wait_for(|mode| *mode == Mode::Release).await;
        tokio::time::sleep(TIME_MAX).await;
    };
    let kept = async {
        for one in keeping {
            one.await;
        }
    };
    tokio::select! {
        biased;
        () = kept => true,
        () = late => false,
    }
}
