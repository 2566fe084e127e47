//! The admin endpoint's bearer token, from its file.

use std::path::PathBuf;

use crate::api;
use crate::api::Token;

/// The admin token cannot be used; the endpoint is not served without it.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file.
    #[error("cannot read admin.token_file {path}")]
    Read {
        /// As configured.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing in it, and anyone would pass; or what no header can carry, and nobody would.
    #[error(
        "admin.token_file {0} does not hold one line of text: write the token into it, or remove the option"
    )]
    Content(PathBuf),
}

/// Reads the token of `admin.token_file`; `None` when the option is not set.
///
/// # Errors
/// [`TokenError`]: refuse to serve, or keep the token read before.
pub fn admin_token(config: &api::Config) -> Result<Option<Token>, TokenError> {
    let Some(path) = config.token_file.clone() else { return Ok(None) };
    match std::fs::read(&path) {
        Ok(contents) => Token::from_file(&contents).map(Some).ok_or(TokenError::Content(path)),
        Err(source) => Err(TokenError::Read { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_without_one_line_is_an_error_and_no_option_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| api::Config {
            token_file: Some(directory.path().join(name)),
            ..api::Config::default()
        };
        std::fs::write(directory.path().join("empty"), " \n").unwrap();
        std::fs::write(directory.path().join("lines"), "two\nlines").unwrap();
        std::fs::write(directory.path().join("good"), "secret\n").unwrap();
        assert!(matches!(admin_token(&at("missing")), Err(TokenError::Read { .. })));
        for wrong in ["empty", "lines"] {
            assert!(matches!(admin_token(&at(wrong)), Err(TokenError::Content(_))), "{wrong}");
        }
        assert!(admin_token(&at("good")).unwrap().is_some());
        assert!(admin_token(&api::Config::default()).unwrap().is_none());
    }
}
