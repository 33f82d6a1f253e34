//! What an archive may hold, and what it may not.

use std::os::unix::fs::symlink;

use super::{super::unpack::unpack, *};

const SERVER: [Member<'_>; 2] =
    [Member::File("pg/bin/postgres", 0o755, "a server"), Member::File("pg/bin/initdb", 0o644, "")];

/// Unpacks a server and those members into `top/tree`; the directory around it.
fn unpacked(members: Vec<Member<'_>>) -> (TempDir, Result<(), String>) {
    let top = tempfile::tempdir().unwrap();
    let archive = packed(&SERVER.into_iter().chain(members).collect::<Vec<_>>());
    fs::write(top.path().join("archive"), archive).unwrap();
    let outcome = unpack(&top.path().join("archive"), &top.path().join("tree"));
    (top, outcome)
}

#[test]
fn nothing_gets_out_of_its_tree() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("precious"), "as it was").unwrap();
    let outside_path = outside.path().to_str().unwrap();
    let (absolute, into_outside) = (format!("{outside_path}/new"), format!("{outside_path}/precious"));
    let lies_outside = "which lies outside of it";
    let leads_outside = "leads outside of it";
    let list = |links: &'static str| Member::File("pg/pg-symlinks.json", 0o644, links);
    let refusals = [
        (vec![Member::File("../escaped", 0o644, "x")], lies_outside),
        (vec![Member::File("pg/../../escaped", 0o644, "x")], lies_outside),
        (vec![Member::File(&absolute, 0o644, "x")], lies_outside),
        (vec![Member::Link("../escaped", "pg")], lies_outside),
        (vec![Member::Link("pg/out", outside_path)], leads_outside),
        (vec![Member::Link("pg/out", "../../archive")], leads_outside),
        (vec![Member::HardLink("pg/out", &into_outside)], leads_outside),
        (vec![Member::HardLink("pg/out", "../archive")], leads_outside),
        // Going up from where a link leads is not going up from where the link lies.
        (
            vec![
                Member::Link("pg/bin/deep/low", "../../../pg"),
                Member::Link("out", "pg/bin/deep/low/../../archive"),
            ],
            leads_outside,
        ),
        // A link first, then something to be written through it.
        (vec![Member::Link("pg/out", ".."), Member::File("pg/out/escaped", 0o644, "x")], "File exists"),
        (
            vec![Member::Link("pg/out", "../.."), Member::Link("pg/out/escaped", "pg")],
            "it puts pg/out/escaped behind a link",
        ),
        (vec![Member::File("pg/bin/postgres", 0o755, "another")], "File exists"),
        (vec![Member::Fifo("pg/pipe")], "neither a file, a directory nor a link"),
        (vec![list(r#"[{"source": "bin/postgres", "target": "../../escaped"}]"#)], lies_outside),
        (vec![list(r#"[{"source": "../../archive", "target": "out"}]"#)], lies_outside),
        (vec![list(r#"{"source": 1}"#)], "its pg-symlinks.json is broken"),
    ];
    for (number, (members, expected)) in refusals.into_iter().enumerate() {
        let (top, outcome) = unpacked(members);
        let reason = outcome.expect_err(&format!("case {number}: {expected}"));
        assert!(reason.contains(expected), "case {number}: {reason}");
        let mut left: Vec<_> =
            fs::read_dir(top.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["archive", "tree"], "case {number}");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(into_outside).unwrap(), "as it was");
}

#[test]
fn links_inside_are_kept_and_dead_ones_dropped() {
    let (top, outcome) = unpacked(vec![
        Member::File("pg/lib/libpq.so.5.18", 0o644, "a library"),
        Member::Link("pg/lib/libpq.so", "libpq.so.5"),
        Member::Link("pg/lib/libpq.so.5", "libpq.so.5.18"),
        Member::Link("pg/bin/postmaster", "./postgres"),
        Member::HardLink("pg/bin/other", "pg/bin/postgres"),
        Member::Link("pg/doc", "../../../usr/share/doc/nothing-there"),
    ]);
    outcome.unwrap();
    let read = |name: &str| fs::read_to_string(top.path().join("tree/pg").join(name)).unwrap();
    assert_eq!((read("lib/libpq.so").as_str(), read("bin/postmaster").as_str()), ("a library", "a server"));
    assert_eq!(read("bin/other"), "a server");
    assert!(
        top.path().join("tree/pg/doc").symlink_metadata().is_err(),
        "nobody may make it lead somewhere later"
    );
}

#[test]
fn a_list_of_links_is_followed() {
    // From the list's own directory, or from the one above: packers do either.
    for (list, prefix) in
        [("pg/pg-symlinks.json", "pg/"), ("pg/pg-symlinks.json", ""), ("pg-symlinks.json", "pg/")]
    {
        let links = format!(
            r#"[{{"source": "{prefix}lib/libpq.so.5.18", "target": "{prefix}lib/libpq.so.5"}},
                {{"source": "{prefix}lib/libnot.so.1", "target": "{prefix}lib/libnot.so"}}]"#
        );
        let (top, outcome) = unpacked(vec![
            Member::File("pg/lib/libpq.so.5.18", 0o644, "a library"),
            Member::File(list, 0o644, &links),
        ]);
        outcome.unwrap();
        let library = top.path().join("tree/pg/lib/libpq.so.5");
        assert_eq!(fs::read_link(&library).unwrap(), Path::new("../../pg/lib/libpq.so.5.18"), "{links}");
        assert_eq!(fs::read_to_string(library).unwrap(), "a library");
        assert_eq!(mode(&top.path().join("tree/pg/bin/initdb")), 0o755);
    }
}

#[test]
fn what_is_no_archive_of_a_server_is_refused() {
    let top = tempfile::tempdir().unwrap();
    let refused = |content: &[u8], tree: &str| {
        fs::write(top.path().join("archive"), content).unwrap();
        unpack(&top.path().join("archive"), &top.path().join(tree)).unwrap_err()
    };
    assert!(refused(b"<html>not found</html>", "page").contains("it is not a whole .tar.gz"));
    let whole = packed(&SERVER);
    assert!(refused(&whole[..whole.len() / 2], "half").contains("it is not a whole .tar.gz"));
    let other = packed(&[Member::File("bin/mysqld", 0o755, ""), Member::File("postgres", 0o755, "")]);
    assert_eq!(refused(&other, "other"), "it holds no bin/postgres with a bin/initdb beside it");
    // Nor does one count that lies somewhere else.
    fs::write(top.path().join("postgres"), "").unwrap();
    symlink(top.path(), top.path().join("bin")).unwrap();
    let linked =
        packed(&[Member::Link("bin/postgres", "../../bin/postgres"), Member::File("bin/initdb", 0o755, "")]);
    assert!(refused(&linked, "linked").contains("leads outside of it"));
}
