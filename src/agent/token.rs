//! The admin endpoint's token: the one that is configured, else one of the agent's own, made at the first start in a file that
//! only its owner reads.
//!
//! It is read again every minute, and when a request shows another one, on a blocking thread. Where that fails the one in
//! memory holds; without any nobody but loopback is answered, and of what is private nobody.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::secret_file;
use crate::api;
use crate::api::Token;
use crate::blocking;
use crate::config;
use crate::config::{Config, TokenError};
use crate::telemetry;

const NAME: &str = "admin.token";

/// Where the token is.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// In the file that is configured.
    Configured(api::Config),
    /// In one of the agent's own.
    Own(PathBuf),
}

/// What there is.
#[derive(Debug)]
pub(super) struct Found {
    token: Token,
    /// The file of it, where others than its owner may read it.
    exposed: Option<PathBuf>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// That of the configuration.
    #[error(transparent)]
    Configured(#[from] TokenError),
    /// That of the agent.
    #[error("cannot keep a token for the admin endpoint in {path}")]
    Own {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Source {
    pub(super) fn of(config: &Config) -> Self {
        if config.api.token_file.is_some() {
            return Self::Configured(config.api.clone());
        }
        let directory = match &config.store {
            Some(store) => &store.directory,
            None => &config.journal.directory,
        };
        Self::Own(directory.join(NAME))
    }

    /// Makes the directory of the agent's own, which nothing else does where no file is kept there. Blocks.
    ///
    /// # Errors
    /// [`Unusable`].
    fn prepare(&self) -> Result<(), Unusable> {
        let Self::Own(path) = self else { return Ok(()) };
        let Some(directory) = path.parent().filter(|path| !path.as_os_str().is_empty()) else {
            return Ok(());
        };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|source| Unusable::Own { path: path.clone(), source })
    }

    /// What reads it for a request that shows another one; what is wrong with it is said by who reads it every minute.
    pub(super) fn reader(self) -> impl Fn() -> Option<Token> {
        move || self.read().ok().flatten().map(|found| found.token)
    }

    /// Reads it; makes that of the agent where there is none. Blocks.
    ///
    /// # Errors
    /// [`Unusable`].
    pub(super) fn read(&self) -> Result<Option<Found>, Unusable> {
        let path = match self {
            Self::Configured(config) => {
                let token = config::admin_token(config)?;
                return Ok(token.map(|token| Found { token, exposed: None }));
            }
            Self::Own(path) => path.clone(),
        };
        match own(&path) {
            Ok((text, exposed)) => Ok(Token::from_file(&text).map(|token| Found {
                token: token.made_in(path.clone()),
                exposed: exposed.then_some(path),
            })),
            Err(source) => Err(Unusable::Own { path, source }),
        }
    }
}

/// The token at the start, and what is wrong with it.
///
/// # Errors
/// [`TokenError`]: the one that is configured cannot be used.
pub(super) async fn at_start(config: &Config) -> Result<(Option<Token>, Trouble), TokenError> {
    let source = Source::of(config);
    let read = move || {
        let mut trouble = Trouble::default();
        trouble.at_start(&source).map(|token| (token, trouble))
    };
    blocking::run(read).await
}

/// What is wrong with the token, so that it is said when that changes and not every minute.
#[derive(Debug, Default)]
pub(super) struct Trouble(Option<String>);

impl Trouble {
    /// The token at the start; none where the agent cannot keep one of its own. A directory that goes later is not made again:
    /// it may come back with the token that clients have.
    ///
    /// # Errors
    /// [`TokenError`]: the one that is configured cannot be used.
    fn at_start(&mut self, source: &Source) -> Result<Option<Token>, TokenError> {
        match source.prepare().and_then(|()| source.read()) {
            Err(Unusable::Configured(error)) => Err(error),
            read => Ok(self.take(read)),
        }
    }

    /// The token that was read; without one that of before holds.
    pub(super) fn take(&mut self, read: Result<Option<Found>, Unusable>) -> Option<Token> {
        let (found, trouble) = match read {
            Ok(found) => {
                let exposed = found.as_ref().and_then(|found| found.exposed.as_deref());
                let trouble = exposed.map(|path| {
                    format!("others can read the admin token in {}: chmod 600", path.display())
                });
                (found, trouble)
            }
            Err(error) => (
                None,
                Some(format!(
                    "{}; one read before holds, without any only loopback is answered",
                    telemetry::chain(&error)
                )),
            ),
        };
        if self.changes(trouble) {
            match &self.0 {
                Some(trouble) => tracing::warn!("{trouble}"),
                None => tracing::info!("the admin token is as it should be again"),
            }
        }
        found.map(|found| found.token)
    }

    fn changes(&mut self, trouble: Option<String>) -> bool {
        let changes = self.0 != trouble;
        self.0 = trouble;
        changes
    }
}

/// What the file at `path` holds, made where there is none, and whether others may read it.
fn own(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    match secret_file::read(path)? {
        // A kill may have left an empty one.
        Some((found, metadata)) if !found.trim_ascii().is_empty() => {
            Ok((found, metadata.permissions().mode() & 0o077 != 0))
        }
        _ => make(path).map(|text| (text, false)),
    }
}

fn make(path: &Path) -> io::Result<Vec<u8>> {
    let secret = secret_file::random::<32>()?;
    let text: String =
        secret.iter().map(|byte| format!("{byte:02x}")).chain(["\n".into()]).collect();
    secret_file::put(path, text.as_bytes())?;
    Ok(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_only_its_owner_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        let (token, exposed) = own(&path).unwrap();
        assert_eq!((token.len(), exposed), (65, false));
        assert_eq!(own(&path).unwrap(), (token.clone(), false));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "\n").unwrap();
        assert_ne!(own(&path).unwrap().0, token, "an empty one is no token");
        assert!(own(&directory.path().join("none/x")).is_err());
        assert!(own(directory.path()).is_err(), "a directory is no token");
    }

    #[test]
    fn a_token_that_cannot_be_read_again_is_no_reason_to_go_on_without_and_is_said_once() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("later"), "no directory yet").unwrap();
        let source = Source::Own(directory.path().join("later/admin.token"));
        let mut trouble = Trouble::default();
        let read = || source.read();
        assert!(matches!(read(), Err(Unusable::Own { .. })));
        assert!(trouble.at_start(&source).unwrap().is_none(), "the agent starts all the same");
        let first = trouble.0.clone();
        assert!(first.as_ref().is_some_and(|text| text.contains("later/admin.token")));
        assert!(!trouble.changes(first), "the same is not said every minute");
        assert!(trouble.take(read()).is_none());
        fs::remove_file(directory.path().join("later")).unwrap();
        assert!(trouble.take(read()).is_none(), "a directory that went is not made again");
        fs::create_dir(directory.path().join("later")).unwrap();
        assert!(trouble.take(read()).is_some());
        assert_eq!(trouble.0, None);
    }

    #[test]
    fn a_token_is_kept_also_where_nobody_else_makes_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let parent = directory.path().join("new/dir");
        let source = Source::Own(parent.join(NAME));
        let mut trouble = Trouble::default();
        assert!(trouble.at_start(&source).unwrap().is_some());
        assert_eq!(trouble.0, None);
        assert_eq!(fs::metadata(parent).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_token_that_others_can_read_is_used_and_said() {
        let directory = tempfile::tempdir().unwrap();
        let source = Source::Own(directory.path().join(NAME));
        let mut trouble = Trouble::default();
        assert!(trouble.at_start(&source).unwrap().is_some());
        let mode = fs::Permissions::from_mode(0o644);
        fs::set_permissions(directory.path().join(NAME), mode).unwrap();
        assert!(trouble.take(source.read()).is_some());
        assert!(trouble.0.as_ref().is_some_and(|text| text.contains("others can read")));
    }
}
