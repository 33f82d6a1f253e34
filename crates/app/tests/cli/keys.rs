//! `guiche keys`: what is in use is told, and a rotation reaches everything, whatever happens meanwhile.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use guiche_adapter_crypto::{KeyRing, SealingKey};
use guiche_app::system::OsRandomness;
use guiche_kernel::{Sealed, SecretVault};
use guiche_webhooks::EndpointId;
use secrecy::{ExposeSecret as _, SecretBox};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::database::{Database, world_on};
use crate::world::{Ended, World, eventually};

fn bytes(id: &str) -> [u8; 32] {
    let mut bytes = [7; 32];
    bytes.iter_mut().zip(id.bytes()).for_each(|(byte, of_id)| *byte = of_id);
    bytes
}

fn ring(ids: &[&str]) -> KeyRing {
    let key = |id: &&str| {
        let secret = Arc::new(SecretBox::new(Box::new(bytes(id))));
        SealingKey { id: (*id).to_owned(), secret }
    };
    KeyRing::try_new(ids.iter().map(key).collect(), Arc::new(OsRandomness)).unwrap()
}

/// Gives the world a ring of these keys.
pub(crate) fn give(world: &mut World, ids: &[&str]) {
    let keys = ids.iter().map(|id| format!("{id}:{}", STANDARD.encode(bytes(id))));
    world.set("SERVICE_ENCRYPTION_KEYS", &keys.collect::<Vec<_>>().join(","));
}

fn add(world: &World) -> EndpointId {
    let added = world.run(&["webhooks", "add", "--url", "https://example.org/hooks"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    added.stdout.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// So many endpoints, whose secrets are their own ids, sealed under the key.
pub(crate) fn fill(database: &Database, under: &str, rows: u128) {
    let vault = ring(&[under]);
    let row = |row| {
        let id = Uuid::from_u128(row);
        let place = EndpointId::new(id).secret_place();
        let sealed = vault.seal(place, &id.as_bytes().to_vec().into()).unwrap();
        format!("('{id}', 'https://example.org/{id}', '', '{}', now())", sealed.as_str())
    };
    let rows: Vec<_> = (1..=rows).map(row).collect();
    let insert = "INSERT INTO webhook_endpoints (id, url, description, secret, created_at) VALUES";
    database.sql(&format!("{insert} {}", rows.join(",")));
}

/// How many secrets a reader with these keys finds; every one of them opens, and is what it was.
fn read_all(database: &Database, keys: &[&str]) -> u64 {
    let vault = ring(keys);
    let rows = database.rows("SELECT id::text, secret FROM webhook_endpoints");
    let open = |(id, sealed): (String, String)| {
        let id: Uuid = id.parse().unwrap();
        let place = EndpointId::new(id).secret_place();
        let opened = vault.open(place, &Sealed::from_text(sealed)).unwrap();
        assert_eq!(opened.expose_secret(), id.as_bytes());
    };
    rows.into_iter().map(open).map(|()| 1).sum()
}

fn under(database: &Database, key: &str) -> i64 {
    database.number(&format!("SELECT count(*) FROM webhook_endpoints WHERE secret LIKE 'v1.{key}.%'"))
}

#[test]
fn a_key_is_replaced_step_by_step_and_each_step_is_told() {
    let database = Database::new();
    let mut world = world_on(&database);
    give(&mut world, &["old"]);
    let empty = world.run(&["keys", "status"]);
    assert_eq!((empty.code, empty.stderr.as_str()), (Some(0), ""), "{empty:?}");
    assert_eq!(
        empty.stdout,
        "nothing is sealed\n\nKEY  IN THE RING  ROWS  MAY BE DROPPED\nold  seals        0     no: it seals\n"
    );
    let endpoint = add(&world).to_string();
    assert_eq!(world.run(&["webhooks", "rotate-secret", &endpoint]).code, Some(0));

    give(&mut world, &["new", "old"]);
    let before = world.run(&["keys", "status"]);
    assert_eq!(
        before.stdout,
        "COLUMN                             SERVICE   KEY  ROWS\n\
        webhook_endpoints.secret           webhooks  old  1\n\
        webhook_endpoints.previous_secret  webhooks  old  1\n\n\
        KEY  IN THE RING  ROWS  MAY BE DROPPED\n\
        new  seals        0     no: it seals\n\
        old  opens        2     no: it is in use; run `guiche keys rotate`\n"
    );
    let rotated = world.run(&["keys", "rotate"]);
    assert_eq!((rotated.code, rotated.stderr.as_str()), (Some(0), ""), "{rotated:?}");
    assert_eq!(
        rotated.stdout,
        "sealed anew under \"new\": 2; changed by somebody else meanwhile: 0; not opened: 0\n\
        may be dropped from SERVICE_ENCRYPTION_KEYS: old\n"
    );
    let status: Value = serde_json::from_str(&world.run(&["keys", "status", "--json"]).stdout).unwrap();
    assert_eq!(
        status["keys"],
        json!([
            {"key": "new", "state": "seals", "rows": 2, "may_be_dropped": false},
            {"key": "old", "state": "opens", "rows": 0, "may_be_dropped": true},
        ])
    );
    assert_eq!((&status["primary"], &status["not_in_the_ring"]), (&json!("new"), &json!([])));

    give(&mut world, &["new"]);
    assert_eq!(world.run(&["keys", "status"]).code, Some(0), "the old one was dropped");
    let server = world.serve();
    server.stop();
}

#[test]
fn a_key_that_is_missing_is_told_before_anything_is_changed() {
    let database = Database::new();
    let mut world = world_on(&database);
    give(&mut world, &["lost"]);
    let lost = add(&world);
    give(&mut world, &["old"]);
    add(&world);
    give(&mut world, &["new", "old"]);
    let status = world.run(&["keys", "status"]);
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(status.stdout.contains("lost  missing      1     it is not there: add it\n"), "{status:?}");
    let told = format!("webhook_endpoints.secret of {lost}: it is sealed under the key \"lost\"\n");
    assert!(status.stderr.starts_with(&told), "{status:?}");
    let rotated = world.run(&["keys", "rotate"]);
    assert_eq!((rotated.code, rotated.stdout.as_str()), (Some(1), ""), "{rotated:?}");
    assert_eq!(
        rotated.stderr,
        "error: values that no key of the ring opens: 1 under the key \"lost\"; add the key to SERVICE_ENCRYPTION_KEYS\n"
    );
    assert_eq!((under(&database, "old"), under(&database, "new")), (1, 0), "nothing was changed");
}

#[test]
fn a_value_that_does_not_open_is_told_and_the_others_are_sealed_anew() {
    let database = Database::new();
    let mut world = world_on(&database);
    fill(&database, "old", 5);
    database.sql(
        "UPDATE webhook_endpoints a SET secret = b.secret FROM webhook_endpoints b
        WHERE a.id = '00000000-0000-0000-0000-000000000002' AND b.id = '00000000-0000-0000-0000-000000000001'",
    );
    give(&mut world, &["new", "old"]);
    let rotated = world.run(&["keys", "rotate", "--batch", "2"]);
    assert_eq!(rotated.code, Some(1), "{rotated:?}");
    let told = "webhook_endpoints.secret of 00000000-0000-0000-0000-000000000002: it does not open with the key \"old\"";
    assert!(rotated.stderr.starts_with(told), "{rotated:?}");
    assert!(
        rotated.stdout.contains("\"new\": 4; changed by somebody else meanwhile: 0; not opened: 1\n"),
        "{rotated:?}"
    );
    assert!(rotated.stdout.ends_with("no key may be dropped; still in use: old\n"), "{rotated:?}");
    assert_eq!((under(&database, "old"), under(&database, "new")), (1, 4));
}

fn begin(world: &World, batch: &str) -> Child {
    let mut command = world.command(&["keys", "rotate", "--batch", batch]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// How many values a rotation says that it sealed anew.
fn resealed(ended: &Ended) -> i64 {
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let (_, rest) = ended.stdout.split_once("\"new\": ").unwrap();
    rest.split(';').next().unwrap().parse().unwrap()
}

/// Begun, killed in the middle, and begun again twice at once, under somebody who reads all the while.
#[test]
fn a_rotation_may_be_killed_and_doubled_and_no_reader_notices() {
    const ROWS: u128 = 3_000;
    let database = Database::new();
    let mut world = world_on(&database);
    fill(&database, "old", ROWS);
    give(&mut world, &["new", "old"]);
    let (over, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                assert_eq!(u128::from(read_all(&database, &["new", "old"])), ROWS);
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut killed = begin(&world, "1");
        eventually("a rotation in its middle", || (under(&database, "new") > 10).then_some(()));
        killed.kill().unwrap();
        killed.wait().unwrap();
        let left = under(&database, "old");
        assert!(left > 0, "it was killed in the middle");
        let seen = reads.load(Ordering::Relaxed);
        let (one, other) = (begin(&world, "7"), begin(&world, "5"));
        let (one, other) = (end(one), end(other));
        // The statement of the killed one may have been under way.
        let both = resealed(&one) + resealed(&other);
        assert!((left - 1..=left).contains(&both), "{left}: {one:?} {other:?}");
        assert!(other.stdout.ends_with("SERVICE_ENCRYPTION_KEYS: old\n"), "{other:?}");
        eventually("a reader that has seen it", || (reads.load(Ordering::Relaxed) > seen).then_some(()));
        over.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    assert_eq!(under(&database, "old"), 0);
    assert_eq!(u128::from(read_all(&database, &["new"])), ROWS, "the old key is not needed any more");
}
