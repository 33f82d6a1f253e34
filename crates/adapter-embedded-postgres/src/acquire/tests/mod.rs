//! Machines without binaries: a file system, programs, a cache and a site of their own, so that nothing of this machine
//! is looked at or changed.

mod archives;
mod packages;
mod site;
mod trees;

use std::{
    fs,
    future::Future,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{Acquire, Archive, Install};
use crate::{
    binaries::{self, Binaries},
    error::EmbeddedError,
    machine::Machine,
    options::Options,
    place::Place,
};

/// Programs that would mean somebody meddles with the cluster of the package.
const MEDDLERS: [&str; 5] = ["pg_ctlcluster", "pg_createcluster", "pg_dropcluster", "systemctl", "service"];

struct World {
    directory: TempDir,
    machine: Machine,
    options: Options,
}

impl World {
    /// A bare Debian on which we are root.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // The server's user must be able to pass through when we are root.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let path = |name: &str| directory.path().join(name);
        let machine = Machine {
            root: path("root"),
            programs: path("programs").into(),
            we_are_root: true,
            cache: Some(path("cache")),
            patience: Duration::from_mins(1),
        };
        let acquire = Acquire::default();
        let options = Options { acquire, fallback_base: path("fallback"), ..Options::new(path("home")) };
        for made in ["root/etc", "root/usr/lib/postgresql", "programs"] {
            fs::create_dir_all(path(made)).unwrap();
        }
        let world = Self { machine, options, directory };
        world.release("ID=debian");
        for name in MEDDLERS {
            world.program(
                &format!("programs/{name}"),
                &format!(r#"echo {name} "$@" >>'{}'"#, world.log().display()),
            );
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn release(&self, text: &str) {
        fs::write(self.path("root/etc/os-release"), text).unwrap();
    }

    fn log(&self) -> PathBuf {
        self.path("log")
    }

    /// What was called, a line each.
    fn called(&self) -> Vec<String> {
        fs::read_to_string(self.log()).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// A shell script, written by another process: one that is open for writing here, while another test forks, is busy.
    fn program(&self, name: &str, script: &str) {
        let write = r#"mkdir -p "${1%/*}" && printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod 755 "$1""#;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", write, "sh"]).arg(self.path(name)).arg(script);
        assert!(shell.status().unwrap().success());
    }

    /// A server that knows its version and nothing else.
    fn installed(&self, major: u32) -> PathBuf {
        let directory = format!("root/usr/lib/postgresql/{major}/bin");
        self.program(&format!("{directory}/postgres"), &server_script(major));
        self.program(&format!("{directory}/initdb"), "exit 1");
        self.path(&directory)
    }

    /// A cluster's data, as far as its version goes.
    fn data_of(&self, major: u32) {
        fs::create_dir_all(self.path("home/data")).unwrap();
        fs::write(self.path("home/data/PG_VERSION"), format!("{major}\n")).unwrap();
    }

    fn names(&mut self, source: &str, archive: &[u8]) {
        self.options.acquire.archive = Some(Archive::parse(source, &digest(archive)).unwrap());
    }

    async fn ensure(&self) -> Result<Place, EmbeddedError> {
        super::ensure(&self.machine, &self.options).await
    }

    /// What whoever starts the server finds after that.
    async fn found(&self) -> Result<Binaries, EmbeddedError> {
        let place = self.ensure().await?;
        binaries::find(&self.machine, &self.options, &place)
    }

    /// The files in the cache but for the locks.
    fn cached(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("cache")).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.ends_with(".lock"));
        names.sort();
        names
    }

    /// Waits until so many of our tasks hold a lock file open: one has its turn, the others wait for theirs.
    async fn queueing(&self, lock: &str, count: usize) {
        let lock = self.path("cache").join(lock);
        let is_lock = |file: &fs::DirEntry| fs::read_link(file.path()).is_ok_and(|target| target == lock);
        eventually("all stand in line", || async {
            fs::read_dir("/proc/self/fd").unwrap().flatten().filter(is_lock).count() == count
        })
        .await;
    }
}

fn server_script(major: u32) -> String {
    format!("echo 'postgres (PostgreSQL) {major}.1'")
}

/// One member of an archive.
enum Member<'a> {
    File(&'a str, u32, &'a str),
    Link(&'a str, &'a str),
    HardLink(&'a str, &'a str),
    Fifo(&'a str),
}

/// A `.tar.gz`. Names are written as they are: an honest packer would refuse some of them.
fn packed(members: &[Member<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for member in members {
        let mut header = tar::Header::new_gnu();
        let (name, kind, mode, target, content) = match member {
            Member::File(name, mode, content) => (name, tar::EntryType::Regular, *mode, "", *content),
            Member::Link(name, target) => (name, tar::EntryType::Symlink, 0o777, *target, ""),
            Member::HardLink(name, target) => (name, tar::EntryType::Link, 0o644, *target, ""),
            Member::Fifo(name) => (name, tar::EntryType::Fifo, 0o644, "", ""),
        };
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(u64::try_from(content.len()).unwrap());
        header.set_cksum();
        tar.append(&header, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// A packed server that knows its version and nothing else. Its programs lost their mode on the way, as some packers' do.
fn packed_server(major: u32) -> Vec<u8> {
    let script = format!("#!/bin/sh\n{}\n", server_script(major));
    packed(&[
        Member::File("package/native/bin/postgres", 0o644, &script),
        Member::File("package/native/bin/initdb", 0o644, "#!/bin/sh\n"),
        Member::File("package/native/share/README", 0o600, "for everybody to read"),
    ])
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// Asks again until it is so; fails after half a minute.
async fn eventually<F: Future<Output = bool>>(what: &str, mut question: impl FnMut() -> F) {
    let begun = Instant::now();
    while !question().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "still waiting after 30 s until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn the_texts_of_the_variables_are_understood_or_refused() {
    let digits = "0123456789abcdef".repeat(4);
    let parse = Acquire::parse;
    assert_eq!(parse(None, None, None), Ok(Acquire::default()));
    assert_eq!(parse(Some("never"), None, None).unwrap().install, Install::Never);
    assert_eq!(parse(Some("auto"), None, None).unwrap().install, Install::Auto);
    for source in
        ["https://example.org/pg.tar.gz", "http://127.0.0.1:1/x", "http://[::1]/x", "pg.tgz", "/a/pg.tgz"]
    {
        let archive = parse(None, Some(source), Some(&digits.to_uppercase())).unwrap().archive.unwrap();
        assert_eq!((archive.source().to_string().as_str(), archive.sha256()), (source, digits.as_str()));
    }
    for source in
        ["http://example.org/x", "ftp://example.org/x", "https://user:word@example.org/x", "file:///x"]
    {
        let refused = parse(None, Some(source), Some(&digits)).unwrap_err();
        assert_eq!(refused.len(), 1, "{source}");
        assert!(refused[0].starts_with("GUICHE_POSTGRES_ARCHIVE must be"), "{refused:?}");
    }
    for wrong in ["", "abc", &"g".repeat(64), &"ã".repeat(32)] {
        let refused = parse(None, Some("x"), Some(wrong)).unwrap_err();
        assert_eq!(
            refused,
            ["GUICHE_POSTGRES_ARCHIVE_SHA256 must be 64 hexadecimal digits, as sha256sum prints them"]
        );
    }
    assert_eq!(
        parse(Some("yes"), Some("x"), None).unwrap_err(),
        [
            "GUICHE_EMBEDDED_INSTALL must be one of: auto, never",
            "GUICHE_POSTGRES_ARCHIVE_SHA256 is required beside GUICHE_POSTGRES_ARCHIVE"
        ]
    );
    assert_eq!(
        parse(None, None, Some(&digits)).unwrap_err(),
        ["GUICHE_POSTGRES_ARCHIVE_SHA256 is set, but GUICHE_POSTGRES_ARCHIVE is not"]
    );
}
