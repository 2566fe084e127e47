//! The bearer token: read from a file, read again when the file changes, compared in constant time.

use std::fmt;

use arc_swap::ArcSwap;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq as _;

use super::config::Auth;
use super::status::Refusal;
use crate::net::token::{TokenError, read};

/// The token that is asked for at the moment.
pub(super) struct Token {
    pub(super) config: Auth,
    expected: ArcSwap<Vec<u8>>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Token {
    /// Reads the token for the first time.
    pub(super) fn load(config: Auth) -> Result<Self, TokenError> {
        let expected = ArcSwap::from_pointee(read(&config.bearer_token_file)?);
        Ok(Self { config, expected })
    }

    /// Reads the token again; the old one stays when that fails. Says whether it changed.
    pub(super) fn reload(&self) -> Result<bool, TokenError> {
        let fresh = read(&self.config.bearer_token_file)?;
        let changed = !bool::from(fresh.ct_eq(&self.expected.load()));
        if changed {
            self.expected.store(fresh.into());
        }
        Ok(changed)
    }

    /// Whether the request shows the token.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let shown = headers.get(AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.as_bytes().split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
        });
        match shown {
            Some(shown) if shown.ct_eq(&self.expected.load()).into() => Ok(()),
            _ => Err(Refusal::Unauthenticated),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;

    fn token(path: &Path) -> Result<Token, TokenError> {
        let reload_interval = Duration::from_secs(60);
        Token::load(Auth { bearer_token_file: path.to_owned(), reload_interval })
    }

    fn shows(token: &Token, value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        token.check(&headers).is_ok()
    }

    #[test]
    fn only_the_token_of_the_file_is_let_in_and_a_new_one_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, " s3cret\n").unwrap();
        let token = token(&path).unwrap();
        assert!(shows(&token, "Bearer s3cret") && shows(&token, "bearer  s3cret"));
        for wrong in ["Bearer s3cre", "Bearer s3cret2", "Bearer ", "Basic s3cret", "s3cret", ""] {
            assert!(!shows(&token, wrong), "{wrong:?}");
        }
        assert!(token.check(&HeaderMap::new()).is_err());
        assert!(!token.reload().unwrap());
        std::fs::write(&path, "other").unwrap();
        assert!(token.reload().unwrap());
        assert!(shows(&token, "Bearer other") && !shows(&token, "Bearer s3cret"));
        std::fs::remove_file(&path).unwrap();
        assert!(token.reload().is_err());
        assert!(shows(&token, "Bearer other"), "a file that is gone changes nothing");
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
