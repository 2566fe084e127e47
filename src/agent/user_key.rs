//! The key that names of users are hashed with before anything of them is kept: 16 random bytes in a file that only its
//! owner reads. Whoever has the key can test whether a name was seen; without it sketches say nothing of anyone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

const NAME: &str = "user.key";

/// The key in a directory, made there when there is none.
///
/// # Errors
/// The file can neither be read nor made; go on with a key of this run, and windows over a restart count people twice.
pub(super) fn load(directory: &Path) -> io::Result<[u8; 16]> {
    let path = directory.join(NAME);
    match fs::read(&path).map(<[u8; 16]>::try_from) {
        Ok(Ok(key)) => return Ok(key),
        Ok(Err(_)) => {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "user.key has not 16 bytes"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let key = random()?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(key)
}

/// A key of this run.
pub(super) fn random() -> io::Result<[u8; 16]> {
    let mut key = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let key = load(directory.path()).unwrap();
        assert_eq!(load(directory.path()).unwrap(), key);
        let path = directory.path().join(NAME);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, b"short").unwrap();
        assert!(load(directory.path()).is_err());
    }
}
