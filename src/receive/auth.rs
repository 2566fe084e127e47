//! The bearer token: read from a file, read again when the file changes and before another token is refused, compared in
//! constant time.
//!
//! Not all senders get a new token at the moment at which the file does, and what an SDK is refused for want of one it drops. So
//! the token before is taken beside the new one for one more `reload_interval`.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use super::config::Auth;
use super::status::Refusal;
use crate::net::token::{Again, TokenError, read};

/// The token that is asked for at the moment.
pub(super) struct Token {
    pub(super) config: Auth,
    expected: ArcSwap<Expected>,
    /// Held while the file is read, so that what is read later is kept later.
    reading: Mutex<()>,
    again: Again,
    /// There is a new one, which nobody has been told.
    untold: AtomicBool,
}

struct Expected {
    token: Vec<u8>,
    /// The one before, and until when it is taken.
    before: Option<(Vec<u8>, Instant)>,
}

impl Expected {
    fn is(&self, shown: &[u8], now: Instant) -> bool {
        let before = self.before.as_ref().filter(|(_, until)| now < *until);
        let is_before = before.map_or(0.into(), |(token, _)| shown.ct_eq(token));
        (shown.ct_eq(&self.token) | is_before).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Token {
    /// Reads the token for the first time.
    pub(super) fn load(config: Auth) -> Result<Self, TokenError> {
        let token = read(&config.bearer_token_file)?;
        Ok(Self {
            config,
            expected: ArcSwap::from_pointee(Expected { token, before: None }),
            reading: Mutex::default(),
            again: Again::default(),
            untold: AtomicBool::default(),
        })
    }

    /// Reads the token again; the old one stays when that fails. Says whether there is a new one that [`Token::is_new`] did not
    /// tell of.
    pub(super) fn reload(&self) -> Result<bool, TokenError> {
        self.look()?;
        Ok(self.is_new())
    }

    /// Whether there is a new one since the last that was told.
    pub(super) fn is_new(&self) -> bool {
        // Asked for each request: as a rule only a load.
        self.untold.load(Ordering::Relaxed) && self.untold.swap(false, Ordering::Relaxed)
    }

    fn look(&self) -> Result<(), TokenError> {
        let _one_at_a_time = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let token = read(&self.config.bearer_token_file)?;
        let known = self.expected.load();
        if !bool::from(token.ct_eq(&known.token)) {
            let until = Instant::now() + self.config.reload_interval;
            let before = Some((known.token.clone(), until));
            self.expected.store(Expected { token, before }.into());
            self.untold.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether the request shows the token. One that shows another waits until the file has been read again.
    pub(super) async fn check(self: &Arc<Self>, headers: &HeaderMap) -> Result<(), Refusal> {
        let shown = headers.get(AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.as_bytes().split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
        });
        let shown = shown.filter(|shown| !shown.is_empty()).ok_or(Refusal::Unauthenticated)?;
        let is_expected = || self.expected.load().is(shown, Instant::now());
        if is_expected() {
            return Ok(());
        }
        let token = Arc::clone(self);
        // A file that cannot be read is told of by those who read it every `reload_interval`.
        self.again.read(move || drop(token.look())).await;
        if is_expected() { Ok(()) } else { Err(Refusal::Unauthenticated) }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);

    fn token(path: &Path) -> Result<Arc<Token>, TokenError> {
        let auth = Auth { bearer_token_file: path.to_owned(), reload_interval: INTERVAL };
        Token::load(auth).map(Arc::new)
    }

    async fn shows(token: &Arc<Token>, value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        token.check(&headers).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_token_of_the_file_is_let_in_and_a_new_one_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, " s3cret\n").unwrap();
        let token = token(&path).unwrap();
        assert!(shows(&token, "Bearer s3cret").await && shows(&token, "bearer  s3cret").await);
        for wrong in ["Bearer s3cre", "Bearer s3cret2", "Bearer ", "Basic s3cret", "s3cret", ""] {
            assert!(!shows(&token, wrong).await, "{wrong:?}");
        }
        assert!(token.check(&HeaderMap::new()).await.is_err());
        assert!(!token.reload().unwrap());
        std::fs::write(&path, "other").unwrap();
        assert!(token.reload().unwrap());
        assert!(shows(&token, "Bearer other").await);
        std::fs::remove_file(&path).unwrap();
        assert!(token.reload().is_err());
        assert!(shows(&token, "Bearer other").await, "a file that is gone changes nothing");
        tokio::time::advance(INTERVAL).await;
        assert!(!shows(&token, "Bearer s3cret").await && shows(&token, "Bearer other").await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_token_is_taken_at_once_and_the_one_before_for_an_interval_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "first").unwrap();
        let token = token(&path).unwrap();
        std::fs::write(&path, "second").unwrap();
        assert!(shows(&token, "Bearer first").await, "nobody has looked");
        assert!(shows(&token, "Bearer second").await, "nobody who has it waits for the interval");
        assert!(token.is_new() && !token.is_new() && !token.reload().unwrap(), "told once");
        assert!(shows(&token, "Bearer first").await, "not all senders have the new one yet");
        tokio::time::advance(INTERVAL - Duration::from_millis(1)).await;
        assert!(shows(&token, "Bearer first").await);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!shows(&token, "Bearer first").await, "an interval is enough");
        assert!(shows(&token, "Bearer second").await);
        for next in ["third", "fourth"] {
            std::fs::write(&path, next).unwrap();
            assert!(shows(&token, &format!("Bearer {next}")).await);
        }
        assert!(shows(&token, "Bearer third").await);
        assert!(!shows(&token, "Bearer second").await, "only the last one before");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_shows_no_token_has_no_file_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "first").unwrap();
        let token = token(&path).unwrap();
        std::fs::write(&path, "second").unwrap();
        for none in ["", "Bearer ", "Basic second"] {
            assert!(!shows(&token, none).await, "{none:?}");
        }
        assert!(token.check(&HeaderMap::new()).await.is_err());
        assert!(token.expected.load().is(b"first", Instant::now()));
    }

    #[test]
    fn a_token_that_nobody_can_send_is_an_error_and_none_is_ever_printed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for text in ["\n", "two\nlines"] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(token(&path), Err(TokenError::Content(_))), "{text:?}");
        }
        std::fs::write(&path, "s3cret").unwrap();
        assert!(!format!("{:?}", token(&path).unwrap()).contains("s3cret"));
    }
}
