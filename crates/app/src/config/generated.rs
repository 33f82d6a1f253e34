//! Secrets that a development server makes for itself, kept in the data directory so that sessions outlive a restart.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use guiche_kernel::Randomness;
use secrecy::zeroize::Zeroizing;

/// The directory of generated secrets.
#[derive(Debug, Clone)]
pub struct GeneratedSecrets {
    directory: PathBuf,
}

/// A generated secret. It does not print.
pub type Secret32 = secrecy::SecretBox<[u8; 32]>;

impl GeneratedSecrets {
    /// The secrets below the given data directory.
    #[must_use]
    pub fn below(data_dir: &Path) -> Self {
        Self { directory: data_dir.join("secrets") }
    }

    /// The secret of that name, made now if there is none yet. When two processes start at once, both get the same.
    ///
    /// # Errors
    /// When the directory or the file cannot be made or read, or the file is not a secret of ours: one line with the
    /// place, what it is for, and the cure.
    pub fn get_or_create(&self, name: &str, randomness: &dyn Randomness) -> io::Result<Secret32> {
        self.find_or_create(name, randomness).map_err(|error| self.explained(name, &error))
    }

    fn find_or_create(&self, name: &str, randomness: &dyn Randomness) -> io::Result<Secret32> {
        let path = self.directory.join(name);
        match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.create(&path, name, randomness)?;
                read(&path)
            }
            other => other,
        }
    }

    fn explained(&self, name: &str, error: &io::Error) -> io::Error {
        let data_dir = self.directory.parent().unwrap_or(&self.directory);
        let shown = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_path_buf());
        let shown = shown.display();
        let line = if error.kind() == io::ErrorKind::InvalidData {
            format!("{shown}/secrets/{name}: {error}; restore the file, or remove it to have a new one made")
        } else if fs::metadata(data_dir).is_ok_and(|found| !found.is_dir()) {
            format!(
                "the data directory {shown}, for generated secrets and the private database, is a file; set \
                 GUICHE_DATA_DIR, or move the file away"
            )
        } else {
            let owner =
                [self.directory.as_path(), data_dir].into_iter().find_map(|path| fs::metadata(path).ok());
            let owner = owner.map(|found| match found.uid() {
                0 => " (which is root)".to_owned(),
                uid => format!(" (user {uid})"),
            });
            format!(
                "the data directory {shown}, for generated secrets and the private database, cannot be used: \
                 {error}; set GUICHE_DATA_DIR, or run as its owner{}",
                owner.unwrap_or_default()
            )
        };
        io::Error::new(error.kind(), line)
    }

    /// Writes the whole file aside and links it into place: a crash leaves no half secret, and whoever comes second
    /// finds the first one's file instead of replacing it.
    fn create(&self, path: &Path, name: &str, randomness: &dyn Randomness) -> io::Result<()> {
        // Only the last folder is closed: the embedded server, which may be another user, lives beside it.
        if let Some(parent) = self.directory.parent() {
            fs::create_dir_all(parent)?;
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        fs::set_permissions(&self.directory, fs::Permissions::from_mode(0o700))?;
        let mut bytes = Zeroizing::new([0_u8; 32]);
        randomness.fill(bytes.as_mut());
        let mut suffix = [0_u8; 8];
        randomness.fill(&mut suffix);
        let aside = self.directory.join(format!(".{name}.{}", u64::from_le_bytes(suffix)));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        let written = file.write_all(bytes.as_ref()).and_then(|()| file.sync_all());
        let linked = written.and_then(|()| fs::hard_link(&aside, path));
        fs::remove_file(&aside)?;
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }
}

fn read(path: &Path) -> io::Result<Secret32> {
    let bytes = Zeroizing::new(fs::read(path)?);
    let secret = <[u8; 32]>::try_from(bytes.as_slice())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a generated secret is not 32 bytes long"))?;
    Ok(Secret32::new(Box::new(secret)))
}

#[cfg(test)]
mod tests {
    use guiche_kernel::testing::SeededRandomness;
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn made_once_then_reused_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = GeneratedSecrets::below(dir.path());
        let first = secrets.get_or_create("jwt", &SeededRandomness::new(1)).unwrap();
        let again = secrets.get_or_create("jwt", &SeededRandomness::new(2)).unwrap();
        let other = secrets.get_or_create("stub", &SeededRandomness::new(3)).unwrap();
        assert_eq!(first.expose_secret(), again.expose_secret());
        assert_ne!(first.expose_secret(), other.expose_secret());
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(dir.path().join("secrets")), 0o700);
        assert_eq!(mode(dir.path().join("secrets/jwt")), 0o600);
        assert_eq!(
            fs::read_dir(dir.path().join("secrets")).unwrap().count(),
            2,
            "nothing is left beside them"
        );
    }

    #[test]
    fn the_data_directory_itself_stays_open() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("new");
        GeneratedSecrets::below(&data_dir).get_or_create("jwt", &SeededRandomness::new(1)).unwrap();
        let mode = fs::metadata(&data_dir).unwrap().permissions().mode();
        let usual = dir.path().join("usual");
        fs::create_dir(&usual).unwrap();
        assert_eq!(mode, fs::metadata(usual).unwrap().permissions().mode());
    }

    #[test]
    fn many_at_once_agree() {
        let dir = tempfile::tempdir().unwrap();
        let found: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let start = |seed| {
                let secrets = GeneratedSecrets::below(dir.path());
                scope.spawn(move || {
                    *secrets.get_or_create("jwt", &SeededRandomness::new(seed)).unwrap().expose_secret()
                })
            };
            let threads: Vec<_> = (0..8).map(start).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_damaged_file_is_not_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("secrets")).unwrap();
        fs::write(dir.path().join("secrets/jwt"), b"short").unwrap();
        let error =
            GeneratedSecrets::below(dir.path()).get_or_create("jwt", &SeededRandomness::new(1)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(
            error.to_string().contains("secrets/jwt: a generated secret is not 32 bytes long; "),
            "{error}"
        );
    }

    #[test]
    fn a_file_in_its_place_is_said_with_the_cure() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("data");
        fs::write(&data_dir, b"").unwrap();
        let error =
            GeneratedSecrets::below(&data_dir).get_or_create("jwt", &SeededRandomness::new(1)).unwrap_err();
        let line = error.to_string();
        for part in [data_dir.to_str().unwrap(), "generated secrets", "is a file", "set GUICHE_DATA_DIR"] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }

    #[test]
    fn a_place_where_nothing_can_be_made_is_said_with_the_cure() {
        // Root can write nearly everywhere, and not here.
        let data_dir = Path::new("/proc/guiche-cannot-be-made");
        let error =
            GeneratedSecrets::below(data_dir).get_or_create("jwt", &SeededRandomness::new(1)).unwrap_err();
        let line = error.to_string();
        for part in ["/proc/guiche-cannot-be-made,", "cannot be used: ", "set GUICHE_DATA_DIR, or run as"] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }

    #[test]
    fn a_directory_of_somebody_else_is_said_with_its_owner() {
        let (dir, nobody) = (tempfile::tempdir().unwrap(), 65534);
        let secrets = GeneratedSecrets::below(dir.path());
        secrets.get_or_create("jwt", &SeededRandomness::new(1)).unwrap();
        let owner = fs::metadata(dir.path()).unwrap().uid();
        let line = |owner: &GeneratedSecrets| {
            owner.explained("jwt", &io::ErrorKind::PermissionDenied.into()).to_string()
        };
        let expected = if owner == 0 {
            "its owner (which is root)".to_owned()
        } else {
            format!("its owner (user {owner})")
        };
        assert!(line(&secrets).ends_with(&expected), "{}", line(&secrets));
        if std::os::unix::fs::chown(dir.path().join("secrets"), Some(nobody), None).is_ok() {
            assert!(line(&secrets).ends_with("its owner (user 65534)"), "{}", line(&secrets));
        }
    }
}
