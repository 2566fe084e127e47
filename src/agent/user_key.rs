//! The key that names of users are hashed with before anything of them is kept: 16 random bytes in a file that only its
//! owner reads. Whoever has the key can test whether a name was seen; without it sketches say nothing of anyone.

use std::io;
use std::path::Path;

use super::secret_file;

const NAME: &str = "user.key";

/// The key in a directory, made there when there is none. Blocks on the disk.
///
/// # Errors
/// The file can neither be read nor made; go on with a key of this run, and windows over a restart count people twice.
pub(super) fn load(directory: &Path) -> io::Result<[u8; 16]> {
    let path = directory.join(NAME);
    match secret_file::read(&path)? {
        // Nothing was hashed with what is not there: a disk that was full may have left an empty one.
        Some((bytes, _)) if !bytes.is_empty() => {
            let wrong = |_| {
                let text = format!("{} has not 16 bytes: remove it", path.display());
                io::Error::new(io::ErrorKind::InvalidData, text)
            };
            return <[u8; 16]>::try_from(bytes).map_err(wrong);
        }
        _ => {}
    }
    let key = secret_file::random()?;
    secret_file::put(&path, &key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let key = load(directory.path()).unwrap();
        assert_eq!(load(directory.path()).unwrap(), key);
        let path = directory.path().join(NAME);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, b"short").unwrap();
        assert!(load(directory.path()).unwrap_err().to_string().contains("user.key"));
        assert!(load(&directory.path().join("none")).is_err());
    }

    #[test]
    fn a_pipe_in_the_place_of_the_key_is_no_key_and_not_waited_at() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join(NAME);
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let place = directory.path().to_owned();
        std::thread::spawn(move || tell.send(load(&place).map_err(|error| error.to_string())));
        let loaded = told.recv_timeout(Duration::from_secs(10)).expect("it waits for no writer");
        assert_eq!(loaded, Err("not a regular file".to_owned()));
    }

    #[test]
    fn an_empty_key_that_a_kill_left_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(NAME), b"").unwrap();
        fs::write(directory.path().join("user.making"), b"half").unwrap();
        let key = load(directory.path()).unwrap();
        assert_ne!(key, [0; 16]);
        assert_eq!(load(directory.path()).unwrap(), key);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
