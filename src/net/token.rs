//! A bearer token in a file, read again and again, so that a new one is taken up without a restart.

use std::io;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use crate::blocking;

/// Bytes of a token.
const TOKEN_BYTES_MAX: u64 = 64 << 10;
/// Whoever shows a token that is not known has the file read again, all of them together at most so often …
const AGAIN_EVERY: Duration = Duration::from_millis(200);
/// … and waits for it so long at most.
const AGAIN_WAIT: Duration = Duration::from_secs(1);

/// A token that cannot be used. Says nothing of what the file holds.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the token file {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds nothing, or what no header can.
    #[error("the token file {} does not hold one line of text", .0.display())]
    Content(PathBuf),
    /// Its disk does not answer in time.
    #[error("the token file {} could not be read in time", .0.display())]
    Slow(PathBuf),
}

/// The token that a file of these bytes holds: one line that a header can carry, without white space around it.
#[must_use]
pub fn of(bytes: &[u8]) -> Option<&[u8]> {
    let token = bytes.trim_ascii();
    (!token.is_empty() && HeaderValue::from_bytes(token).is_ok()).then_some(token)
}

/// The token in the file at `path`. Blocks on the disk.
///
/// # Errors
/// [`TokenError`].
pub fn read(path: &Path) -> Result<Vec<u8>, TokenError> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path);
    let read = file.and_then(|file| file.take(TOKEN_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|source| TokenError::Read { path: path.to_owned(), source })?;
    of(&bytes).map(<[u8]>::to_vec).ok_or_else(|| TokenError::Content(path.to_owned()))
}

/// A file with the token that is sent, read for every request. One that hangs takes one thread, however often it is asked.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    reading: Arc<Semaphore>,
}

impl TokenFile {
    /// Of the file at `path`, which is not read yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, reading: Arc::new(Semaphore::new(1)) }
    }

    /// The value of `authorization` with the token that is in it now, read off the runtime within `limit`.
    ///
    /// # Errors
    /// [`TokenError`]: say it; the next request reads the file again.
    pub async fn authorization(&self, limit: Duration) -> Result<HeaderValue, TokenError> {
        let read = tokio::time::timeout(limit, self.read());
        let token = read.await.unwrap_or_else(|_| Err(TokenError::Slow(self.path.clone())))?;
        let value = HeaderValue::from_bytes(&[b"Bearer ", &token[..]].concat());
        let mut value = value.map_err(|_| TokenError::Content(self.path.clone()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    async fn read(&self) -> Result<Vec<u8>, TokenError> {
        let turn = Arc::clone(&self.reading).acquire_owned().await.ok();
        let path = self.path.clone();
        blocking::run(move || {
            // Given back when the file is read, also where nobody waits for it any more.
            let _turn = turn;
            read(&path)
        })
        .await
    }
}

/// A token that is asked for, read again before somebody is refused who shows another one: it may be the new one. However many
/// ask, there is one read at a time, for all who came before it began. A disk that hangs takes one thread.
#[derive(Debug, Default)]
pub struct Again {
    /// When the last read began; locked until it is over.
    began: Arc<Mutex<Option<Instant>>>,
}

impl Again {
    /// Completes when a read that began after the call is over, this `read` or another caller's, and after a second in any case.
    /// What was read has to be kept by `read` itself: whoever waits for it may have gone.
    ///
    /// # Cancel safety
    /// A read that has begun goes on.
    pub async fn read(&self, read: impl FnOnce() + Send + 'static) {
        let _slow = tokio::time::timeout(AGAIN_WAIT, self.unless_read(read)).await;
    }

    async fn unless_read(&self, read: impl FnOnce() + Send + 'static) {
        let asked = Instant::now();
        let mut turn = Arc::clone(&self.began).lock_owned().await;
        if let Some(began) = *turn {
            if began > asked {
                return;
            }
            tokio::time::sleep_until(began + AGAIN_EVERY).await;
        }
        *turn = Some(Instant::now());
        let read = move || {
            read();
            // Only now the next one begins, also where nobody waits for this one any more.
            drop(turn);
        };
        blocking::run(read).await;
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Reads, and how many there were.
    fn counted() -> (Arc<AtomicUsize>, impl Fn() + Clone + Send + 'static) {
        let reads = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&reads);
        (reads, move || _ = counted.fetch_add(1, Ordering::SeqCst))
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_wrong_tokens_has_the_file_read_five_times_a_second_for_all_of_them() {
        let (again, (reads, read)) = (Arc::new(Again::default()), counted());
        let began = Instant::now();
        again.read(read.clone()).await;
        assert_eq!((reads.load(Ordering::SeqCst), began.elapsed()), (1, Duration::ZERO), "at once");
        for round in 2..=6 {
            tokio::time::advance(Duration::from_millis(1)).await;
            let flood = (0..1_000).map(|_| {
                let (again, read) = (Arc::clone(&again), read.clone());
                async move { again.read(read).await }
            });
            let flood: tokio::task::JoinSet<()> = flood.collect();
            flood.join_all().await;
            assert_eq!(reads.load(Ordering::SeqCst), round);
        }
        assert_eq!(began.elapsed(), AGAIN_EVERY * 5);
    }

    #[tokio::test]
    async fn a_read_that_hangs_takes_one_thread_and_holds_up_whoever_asks_for_a_second_at_most() {
        let (again, (reads, read)) = (Again::default(), counted());
        let (release, hangs) = std::sync::mpsc::sync_channel::<()>(1);
        let began = Instant::now();
        let hanging = again.read(move || _ = hangs.recv());
        let (first, second) = (hanging, again.read(read.clone()));
        tokio::join!(first, second);
        assert!(began.elapsed() < AGAIN_WAIT * 5);
        assert_eq!(reads.load(Ordering::SeqCst), 0, "not beside the one that hangs");
        release.send(()).unwrap();
        again.read(read).await;
        assert_eq!(reads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn whoever_asks_and_goes_ends_no_read_that_others_wait_for() {
        let (again, (reads, read)) = (Again::default(), counted());
        let (release, waits) = std::sync::mpsc::sync_channel::<()>(1);
        let counting = read.clone();
        let gone = again.read(move || {
            let _released = waits.recv();
            counting();
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), gone).await.is_err());
        release.send(()).unwrap();
        again.read(read).await;
        assert_eq!(reads.load(Ordering::SeqCst), 2, "one that began before does not tell of now");
    }

    #[tokio::test]
    async fn a_file_that_hangs_is_said_and_is_not_read_a_second_time_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let fifo = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(fifo.success());
        let file = TokenFile::new(path.clone());
        let limit = Duration::from_millis(50);
        for _ in 0..3 {
            let error = file.authorization(limit).await.unwrap_err();
            assert!(matches!(error, TokenError::Slow(_)), "{error}");
        }
        // Whoever opens it for reading lets this end; a second reader would take the half of it.
        std::fs::write(&path, "s3cret\n").unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "other\n").unwrap();
        let value = file.authorization(Duration::from_secs(30)).await.unwrap();
        assert_eq!(value.to_str().unwrap(), "Bearer other");
        assert!(!format!("{value:?} {file:?}").contains("other"));
    }
}
