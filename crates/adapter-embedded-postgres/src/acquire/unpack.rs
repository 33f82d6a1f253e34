//! Unpacks an archive of server binaries so that nothing in it can reach out of its own tree.
//!
//! Links are made last, when nothing is written any more: so nothing is ever written through one. Then each is followed,
//! as the kernel would, and must end inside of the tree.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, Permissions},
    io::{self, BufReader, Read as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink},
    path::{Component, Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

/// What an honest archive never unpacks to (bytes, entries): a small file can hold a very long row of zeros.
const LARGEST_TREE: u64 = 4 * 1024 * 1024 * 1024;
const MOST_ENTRIES: usize = 100_000;
/// Links of which some packers keep a list, because their format has none: `[{"source": …, "target": …}]`.
const LIST_OF_LINKS: &str = "pg-symlinks.json";

/// Unpacks the file `packed` into the new directory `tree`, or tells why not.
pub(super) fn unpack(packed: &Path, tree: &Path) -> Result<(), String> {
    let file = File::open(packed).map_err(|error| error.to_string())?;
    let unpacked = MultiGzDecoder::new(BufReader::new(file)).take(LARGEST_TREE);
    let mut links = BTreeMap::new();
    make_directory(tree)?;
    for (count, entry) in tar::Archive::new(unpacked).entries().map_err(broken)?.enumerate() {
        if count >= MOST_ENTRIES {
            return Err(format!("it has more than {MOST_ENTRIES} entries"));
        }
        place(entry.map_err(broken)?, tree, &mut links)?;
    }
    for directory in server_directories(tree) {
        make_runnable(&directory)?;
    }
    for list in find(tree, &|path| path.ends_with(LIST_OF_LINKS)) {
        read_list(&list, tree, &mut links)?;
    }
    make_links(tree, &links)?;
    open_up(tree)?;
    if server_directories(tree).is_empty() {
        return Err("it holds no bin/postgres with a bin/initdb beside it".to_owned());
    }
    Ok(())
}

/// Every `bin` in which there is a server.
pub(super) fn server_directories(tree: &Path) -> Vec<PathBuf> {
    let is_server = |path: &Path| path.ends_with("bin/postgres") && path.with_file_name("initdb").is_file();
    find(tree, &is_server).into_iter().filter_map(|path| path.parent().map(Path::to_path_buf)).collect()
}

/// One entry of the archive: a file or a directory is made, a link is noted.
fn place(
    mut entry: tar::Entry<'_, impl io::Read>,
    tree: &Path,
    links: &mut BTreeMap<PathBuf, PathBuf>,
) -> Result<(), String> {
    let named = entry.path().map_err(broken)?.into_owned();
    let name =
        inside(&named).ok_or_else(|| format!("it names {}, which lies outside of it", named.display()))?;
    let path = tree.join(&name);
    let kind = entry.header().entry_type();
    if kind.is_dir() {
        return make_directory(&path);
    }
    if kind.is_symlink() || kind.is_hard_link() {
        let target = entry.link_name().map_err(broken)?.unwrap_or_default().into_owned();
        // A hard link names its target from the tree's top. As a symbolic one it is checked with the rest.
        let target = if kind.is_hard_link() { from(&name, &target) } else { target };
        return note(name, target, links);
    }
    if kind.is_pax_global_extensions() {
        return Ok(());
    }
    if !kind.is_file() {
        return Err(format!("it holds {}, which is neither a file, a directory nor a link", name.display()));
    }
    let executable = entry.header().mode().map_err(broken)? & 0o111 != 0;
    let told = |error: io::Error| format!("{}: {error}", name.display());
    path.parent().map_or(Ok(()), make_directory)?;
    // Never over another one: an archive that holds a file twice is not one that we understand.
    let mut file = File::create_new(&path).map_err(told)?;
    io::copy(&mut entry, &mut file).map_err(told)?;
    file.set_permissions(Permissions::from_mode(if executable { 0o755 } else { 0o644 })).map_err(told)
}

fn note(name: PathBuf, target: PathBuf, links: &mut BTreeMap<PathBuf, PathBuf>) -> Result<(), String> {
    if target.is_absolute() {
        return Err(format!("its link {} leads outside of it", name.display()));
    }
    links.insert(name, target);
    Ok(())
}

/// The path without its `.`s, when it goes nowhere but down.
fn inside(path: &Path) -> Option<PathBuf> {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .try_fold(PathBuf::new(), |path, part| matches!(part, Component::Normal(_)).then(|| path.join(part)))
}

/// `target`, a path from the tree's top, as the link `name` must spell it.
fn from(name: &Path, target: &Path) -> PathBuf {
    let up: PathBuf = name.components().skip(1).map(|_| "..").collect();
    up.join(target)
}

/// Adds the links of a list. Its paths begin at the list's directory, or at the one above.
fn read_list(list: &Path, tree: &Path, links: &mut BTreeMap<PathBuf, PathBuf>) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Listed {
        source: PathBuf,
        target: PathBuf,
    }
    let text = fs::read(list).map_err(|error| error.to_string())?;
    let listed: Vec<Listed> =
        serde_json::from_slice(&text).map_err(|error| format!("its {LIST_OF_LINKS} is broken: {error}"))?;
    let bases: Vec<&Path> =
        list.ancestors().skip(1).take(2).filter_map(|base| base.strip_prefix(tree).ok()).collect();
    for link in listed {
        let (Some(source), Some(target)) = (inside(&link.source), inside(&link.target)) else {
            return Err(format!(
                "its {LIST_OF_LINKS} names {}, which lies outside of it",
                link.target.display()
            ));
        };
        // A list may be longer than what was packed.
        if let Some(base) = bases.iter().find(|base| tree.join(base).join(&source).exists()) {
            let name = base.join(target);
            note(name.clone(), from(&name, &base.join(source)), links)?;
        }
    }
    Ok(())
}

fn make_links(tree: &Path, links: &BTreeMap<PathBuf, PathBuf>) -> Result<(), String> {
    for (name, target) in links {
        if name.ancestors().skip(1).any(|above| links.contains_key(above)) {
            return Err(format!("it puts {} behind a link", name.display()));
        }
        let path = tree.join(name);
        path.parent().map_or(Ok(()), make_directory)?;
        symlink(target, &path).map_err(|error| format!("{}: {error}", name.display()))?;
    }
    let tree = fs::canonicalize(tree).map_err(|error| error.to_string())?;
    for name in links.keys() {
        let path = tree.join(name);
        match fs::canonicalize(&path) {
            Ok(end) if end.starts_with(&tree) => {}
            Ok(_) => return Err(format!("its link {} leads outside of it", name.display())),
            // It leads nowhere, and must not lead anywhere later.
            Err(_) => fs::remove_file(&path).map_err(|error| error.to_string())?,
        }
    }
    Ok(())
}

fn make_directory(path: &Path) -> Result<(), String> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map_err(|error| format!("{}: {error}", path.display()))
}

fn make_runnable(directory: &Path) -> Result<(), String> {
    find(directory, &|path| path.is_file()).iter().try_for_each(|file| set_mode(file, 0o755))
}

/// Whatever our umask: the server's user must be able to read what root unpacks.
fn open_up(directory: &Path) -> Result<(), String> {
    set_mode(directory, 0o755)?;
    let entries = fs::read_dir(directory).map_err(|error| error.to_string())?;
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<(), String> {
    let set = fs::set_permissions(path, Permissions::from_mode(mode));
    set.map_err(|error| format!("{}: {error}", path.display()))
}

/// All files below a directory that are wanted, in a fixed order; links are not followed.
fn find(directory: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<_> = fs::read_dir(directory).into_iter().flatten().flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(find(&path, wanted));
        } else if wanted(&path) {
            found.push(path);
        }
    }
    found
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn broken(error: io::Error) -> String {
    format!("it is not a whole .tar.gz: {error}")
}
