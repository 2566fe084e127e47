//! The admin endpoint's token: the one that is configured, else one of the agent's own, made at the first start in a file that
//! only its owner reads.

use std::fs;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::user_key;
use crate::api::Token;
use crate::config;
use crate::config::{Config, TokenError};
use crate::telemetry;

const NAME: &str = "admin.token";

/// The token; none where the agent cannot keep one of its own: nobody but loopback is answered then.
///
/// # Errors
/// [`TokenError`]: the one that is configured cannot be used.
pub(super) fn of(config: &Config) -> Result<Option<Token>, TokenError> {
    if config.api.token_file.is_some() {
        return config::admin_token(&config.api);
    }
    let directory = match &config.store {
        Some(store) => &store.directory,
        None => &config.journal.directory,
    };
    let path = directory.join(NAME);
    let token = own(&path).map(|text| Token::from_file(&text));
    Ok(token.map(|token| token.map(|token| token.made_in(path.clone()))).unwrap_or_else(|error| {
        let (file, error) = (path.display(), telemetry::chain(&error));
        tracing::warn!(%file, error, "no token for the admin endpoint: only loopback is answered");
        None
    }))
}

/// What the file at `path` holds, made where there is none.
fn own(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Ok(found) if !found.trim_ascii().is_empty() => return Ok(found),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // A kill may have left an empty one.
        _ => {}
    }
    let secret = [user_key::random()?, user_key::random()?].concat();
    let text: String =
        secret.iter().map(|byte| format!("{byte:02x}")).chain(["\n".into()]).collect();
    let making: PathBuf = path.with_extension("making");
    // What a kill left of an earlier try.
    drop(fs::remove_file(&making));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&making)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&making, path)?;
    Ok(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_only_its_owner_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        let token = own(&path).unwrap();
        assert_eq!(token.len(), 65);
        assert_eq!(own(&path).unwrap(), token);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "\n").unwrap();
        assert_ne!(own(&path).unwrap(), token, "an empty one is no token");
        assert!(own(&directory.path().join("none/x")).is_err());
    }
}
