//! Notices changes of the migrations, and gives the schema a short name: tests clone a template database per schema.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

fn main() {
    let root = Path::new("../..");
    let mut files = vec![root.join("deploy/postgres/roles.sql")];
    collect(&root.join("migrations"), &mut files);
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in &files {
        println!("cargo:rerun-if-changed={}", file.display());
        (file.strip_prefix(root).ok(), fs::read(file).ok()).hash(&mut hasher);
    }
    println!("cargo:rerun-if-changed={}", root.join("migrations").display());
    println!("cargo:rustc-env=GUICHE_SCHEMA_HASH={:016x}", hasher.finish());
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            files.push(path);
        }
    }
}
