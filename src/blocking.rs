//! Work that may block, on threads for that.
//!
//! A panic is a defect: it goes on in whoever waits for the work, and ends the agent. Work that a runtime drops because it
//! shuts down has nobody who waits for it any more.

use tokio::task::JoinError;

/// Does `work` on a thread that may block. Completes when the work is done, and never where the runtime shuts down first.
///
/// # Panics
/// If `work` does.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match joined(tokio::task::spawn_blocking(work).await) {
        Some(done) => done,
        None => std::future::pending().await,
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

    #[tokio::test(start_paused = true)]
    async fn a_task_that_was_ended_gives_nothing() {
        let task = tokio::spawn(std::future::pending::<()>());
        task.abort();
        assert_eq!(joined(task.await), None);
    }
}
