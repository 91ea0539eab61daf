//! A private file that is made once, whoever comes first: keys and authorities that several processes share by a path.

use std::{
    fs,
    io::{Error, ErrorKind, Result, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::SystemTime,
};

/// Puts `bytes` into `path` (mode 0600) unless a file is there, and gives what is there then.
///
/// Written whole under another name and linked into place: nobody reads half of it, and of several that come at once all
/// get the first one's. Where the file system has no links, the last one's stays.
pub fn keep_first(path: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = path.file_name().ok_or_else(|| Error::from(ErrorKind::InvalidInput))?.to_string_lossy();
    // Processes in containers may have the same number and share a volume.
    let moment = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    let own = format!(".{name}-{}-{}-{moment}", std::process::id(), COUNT.fetch_add(1, Relaxed));
    let fresh = path.with_file_name(own);
    let placed = place(&fresh, path, bytes);
    // Gone already when it was renamed, and not there when it could not be made.
    let removed = fs::remove_file(&fresh).or_else(|error| match error.kind() {
        ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    });
    placed.and(removed)?;
    fs::read(path)
}

fn place(fresh: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    match fs::hard_link(fresh, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            fs::rename(fresh, path)
        }
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, sync::Barrier, thread};

    use super::*;

    #[test]
    fn all_that_come_at_once_get_the_first_ones() {
        for _ in 0..50 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("key");
            let barrier = Barrier::new(8);
            let one = |number: u8| {
                barrier.wait();
                keep_first(&path, &[number; 4096]).unwrap()
            };
            let kept: Vec<Vec<u8>> = thread::scope(|scope| {
                let all: Vec<_> = (0..8).map(|number| scope.spawn(move || one(number))).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect()
            });
            assert!(kept.iter().all(|bytes| *bytes == kept[0] && bytes.len() == 4096));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(keep_first(&folder.path().join("none/key"), b"x").unwrap_err().kind(), ErrorKind::NotFound);
        assert!(keep_first(Path::new("/"), b"x").is_err());
    }
}
