//! The directory of unpacked binaries. What lies in it is run, so nobody else may be able to write there.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::{
    account::name_of,
    error::{EmbeddedError, io_error},
};

/// Makes the directory when it is missing, and refuses one that others could have filled.
pub(super) fn prepare(base: &Path) -> Result<(), EmbeddedError> {
    if let Some(parent) = base.parent() {
        fs::create_dir_all(parent).map_err(io_error("create", parent))?;
    }
    match DirBuilder::new().mode(0o755).create(base) {
        // Whatever our umask: the server's user must be able to read what root unpacks.
        Ok(()) => {
            fs::set_permissions(base, Permissions::from_mode(0o755)).map_err(io_error("open up", base))?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io_error("create", base)(error)),
    }
    check(base)
}

/// Whether only we (or root) can have written there.
pub(super) fn check(base: &Path) -> Result<(), EmbeddedError> {
    // The link itself: one in a directory for temporary files may be anybody's.
    let found = base.symlink_metadata().map_err(io_error("look at", base))?;
    let us = uzers::get_effective_uid();
    let reason = if !found.is_dir() {
        "it is not a directory".to_owned()
    } else if found.uid() != us && found.uid() != 0 {
        format!("it belongs to user {}", name_of(found.uid()))
    } else if found.mode() & 0o022 != 0 {
        "others can write there".to_owned()
    } else {
        return Ok(());
    };
    Err(EmbeddedError::UnsafeCache { directory: base.to_path_buf(), reason, user: name_of(us) })
}

/// A directory for something half-made; gone with this value. Whoever makes one holds the lock for it.
pub(super) struct Workshop(PathBuf);

impl Workshop {
    pub(super) fn new(path: PathBuf) -> Result<Self, EmbeddedError> {
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("clear", &path)(error)),
            Ok(()) | Err(_) => {
                DirBuilder::new().mode(0o700).create(&path).map_err(io_error("create", &path))?;
                Ok(Self(path))
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // What stays is cleared by the next attempt.
        let _ = fs::remove_dir_all(&self.0);
    }
}
