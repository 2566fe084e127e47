//! Work that may block, on threads for that.
//!
//! A panic is a defect: it goes on in whoever waits for the work. The program has ended by then (`panic = "abort"`); an agent
//! in another's process loses the task that waited.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinError;

/// Does `work` on a thread that may block. For tasks of the runtime alone: where that shuts down before the work has begun,
/// this never completes, and the task is dropped.
///
/// # Panics
/// If `work` does.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match unless_ended(work).await {
        Some(done) => done,
        None => std::future::pending().await,
    }
}

/// The same for whoever outlives the runtime, as a thread that waits by its handle: `None` where that has shut down.
///
/// # Panics
/// If `work` does.
pub async fn unless_ended<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    joined(tokio::task::spawn_blocking(work).await)
}

/// Does `work` at once, while another thread goes on with the runtime's tasks: for what computes for long and must not be cut
/// off where the task that does it is ended. On a runtime of one thread that waits.
pub fn in_place<T>(work: impl FnOnce() -> T) -> T {
    let of_several = |handle: Handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread;
    if Handle::try_current().is_ok_and(of_several) {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

/// What a task gave; `None` where it was ended, or the runtime shuts down.
///
/// # Panics
/// If the task did.
pub fn joined<T>(ended: Result<T, JoinError>) -> Option<T> {
    match ended {
        Ok(done) => Some(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_work_gives_is_what_comes_back() {
        assert_eq!(run(|| 6 * 7).await, 42);
    }

    #[tokio::test]
    #[should_panic(expected = "a defect")]
    async fn a_panic_is_that_of_who_waits() {
        run(|| panic!("a defect")).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_computes_for_long_in_place_holds_up_no_other_task() {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let computing = tokio::spawn(async move {
            let other = tokio::spawn(async move { tell.send(42) });
            let told = in_place(|| told.recv_timeout(std::time::Duration::from_secs(10)));
            other.await.unwrap().unwrap();
            told
        });
        assert_eq!(computing.await.unwrap(), Ok(42));
    }

    #[tokio::test]
    async fn what_computes_in_place_is_done_on_a_runtime_of_one_thread_too() {
        assert_eq!(in_place(|| 6 * 7), 42);
    }

    #[test]
    fn a_thread_that_outlives_the_runtime_is_told() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let handle = runtime.handle().clone();
        assert_eq!(handle.block_on(unless_ended(|| 1)), Some(1));
        runtime.shutdown_background();
        let thread = std::thread::spawn(move || handle.block_on(unless_ended(|| 2)));
        assert_eq!(thread.join().unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_was_ended_gives_nothing() {
        let task = tokio::spawn(std::future::pending::<()>());
        task.abort();
        assert_eq!(joined(task.await), None);
    }
}
