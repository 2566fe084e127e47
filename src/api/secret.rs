//! The token that is asked for at the moment, read again before a request is refused that shows another one: it may be the new
//! one. One that was replaced is not taken any more: whoever is refused here asks again, and nothing is lost.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwapOption;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::guard::{self, Access, Refusal, Token};
use crate::net::token::Again;

/// Reads the token, where it can be read. May block.
type Source = Arc<dyn Fn() -> Option<Token> + Send + Sync>;

pub(super) struct Secret {
    held: Arc<Held>,
    source: OnceLock<Source>,
    again: Again,
}

/// The token.
struct Held {
    token: ArcSwapOption<Token>,
    /// How often it was replaced.
    replaced: Mutex<u64>,
}

impl Held {
    fn version(&self) -> u64 {
        *self.replaced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a token that was read after `version` was asked for, unless another was taken since, which may be newer.
    fn replace(&self, version: u64, token: Option<Token>) {
        let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        if *replaced == version {
            *replaced += 1;
            self.token.store(token.map(Arc::new));
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl Secret {
    pub(super) fn new(token: Option<Token>) -> Self {
        let token = ArcSwapOption::new(token.map(Arc::new));
        let held = Arc::new(Held { token, replaced: Mutex::default() });
        Self { held, source: OnceLock::new(), again: Again::default() }
    }

    /// Changes whenever the token is replaced.
    pub(super) fn version(&self) -> u64 {
        self.held.version()
    }

    /// Takes a token that was read after [`Secret::version`] was asked for, unless another was taken since.
    pub(super) fn replace(&self, version: u64, token: Option<Token>) {
        self.held.replace(version, token);
    }

    /// Where it is read again from now on; the first that was said holds.
    pub(super) fn read_with(&self, source: Source) {
        let _said = self.source.set(source);
    }

    /// Admits a request as [`guard::admit`] does, or says why not, with the token that was missing.
    pub(super) async fn admit(
        &self,
        access: Access,
        allowed_hosts: &[String],
        peer: IpAddr,
        headers: &HeaderMap,
    ) -> Result<(), (Refusal, Option<Arc<Token>>)> {
        let judge = || {
            let token = self.held.token.load_full();
            let admitted = guard::admit(access, token.as_deref(), allowed_hosts, peer, headers);
            admitted.map_err(|refusal| (refusal, token))
        };
        let refused = match judge() {
            Err(refused) if refused.0 == Refusal::Token => refused,
            judged => return judged,
        };
        let Some(source) = self.source.get().filter(|_| headers.contains_key(AUTHORIZATION)) else {
            return Err(refused);
        };
        let (source, held) = (Arc::clone(source), Arc::clone(&self.held));
        let read = move || {
            let version = held.version();
            if let Some(newer) = source() {
                held.replace(version, Some(newer));
            }
        };
        self.again.read(read).await;
        judge()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_new_token_is_taken_at_once_and_nothing_is_read_for_whoever_shows_none() {
        let secret = Secret::new(Token::from_file(b"first"));
        let (file, reads) =
            (Arc::new(Mutex::new(Some(&b"first"[..]))), Arc::<AtomicUsize>::default());
        let (read, counted) = (Arc::clone(&file), Arc::clone(&reads));
        let admitted = async |token: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::HOST, "localhost".parse().unwrap());
            if !token.is_empty() {
                headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
            }
            let here = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
            let admitted = secret.admit(Access::Read, &[], here, &headers).await;
            admitted.map_err(|(refusal, _)| refusal)
        };
        assert_eq!(admitted("second").await, Err(Refusal::Token), "nobody said where to read it");
        secret.read_with(Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            read.lock().unwrap().and_then(Token::from_file)
        }));
        *file.lock().unwrap() = Some(b"second");
        assert_eq!(admitted("first").await, Ok(()));
        assert_eq!(admitted("").await, Err(Refusal::Token));
        assert_eq!(reads.load(Ordering::SeqCst), 0);
        assert_eq!(admitted("second").await, Ok(()));
        assert_eq!(admitted("second").await, Ok(()));
        assert_eq!(reads.load(Ordering::SeqCst), 1);
        assert_eq!(admitted("first").await, Err(Refusal::Token), "it was replaced");
        *file.lock().unwrap() = None;
        assert_eq!(admitted("third").await, Err(Refusal::Token));
        assert_eq!(admitted("second").await, Ok(()), "the one that was read before holds");
        let version = secret.version();
        secret.replace(version, Token::from_file(b"fourth"));
        secret.replace(version, Token::from_file(b"second"));
        assert_eq!(admitted("fourth").await, Ok(()));
        assert_eq!(admitted("second").await, Err(Refusal::Token), "it was read before the fourth");
    }
}
