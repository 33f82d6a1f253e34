//! `guiche lightning`, against providers whose resources are not what the database says.

mod seeds;

use std::process::Stdio;
use std::sync::Arc;

use guiche_adapter_btcpay::fake::{self as btcpay, FakeBtcPay};
use guiche_adapter_voltage::fake::{self as voltage, Change, FakeVoltage, Purse};
use guiche_app::system::SystemClock;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::database::{Database, world_on};
use crate::terminal::Terminal;
use crate::world::{Ended, Server, World, eventually};

const SETUP: &str = "/api/v1/lightning/setup";

/// An office whose providers are in the hands of the test.
struct Scene {
    database: Database,
    world: World,
    voltage: FakeVoltage,
    btcpay: FakeBtcPay,
    /// The fakes live as long as it.
    _runtime: Runtime,
}

/// An address that is served.
struct Served {
    token: String,
    setup: String,
    node: String,
    store: String,
}

impl Scene {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let clock = || Arc::new(SystemClock);
        let (voltage, btcpay) = runtime.block_on(async {
            let voltage = voltage::start(voltage::FakeSettings::default(), clock()).await.unwrap();
            (voltage, btcpay::start(btcpay::FakeSettings::default(), clock()).await.unwrap())
        });
        let database = Database::new();
        let mut world = world_on(&database);
        world.set("VOLTAGE_API_URL", &voltage.url()).set("VOLTAGE_API_KEY", voltage::DEFAULT_KEY);
        world.set("VOLTAGE_LND_URL", &format!("{}/lnd/{{api_endpoint}}", voltage.url()));
        world.set("BTCPAY_URL", &btcpay.url()).set("BTCPAY_API_KEY", btcpay::DEFAULT_KEY);
        Self { database, world, voltage, btcpay, _runtime: runtime }
    }

    /// Somebody whose address is set up by a real server.
    fn serve_an_address(&self, server: &Server, name: &str) -> Served {
        let account = json!({"email": format!("{name}@example.org"), "password": "a horse with two names"});
        server.post(&self.world, "/api/v1/auth/register", None, &account);
        let session = server.post(&self.world, "/api/v1/auth/login", None, &account);
        let token = session["access_token"].as_str().unwrap().to_owned();
        server.post(&self.world, SETUP, Some(&token), &json!({ "lightning_address": name }));
        let ids = eventually("an address that is served", || {
            let ids = "SELECT id || ' ' || voltage_node_id, btcpay_store_id::text FROM lightning_addresses
                WHERE active AND address LIKE";
            self.database.rows(&format!("{ids} '{name}@%'")).pop()
        });
        let (setup, node) = ids.0.split_once(' ').unwrap();
        Served { token, setup: setup.to_owned(), node: node.to_owned(), store: ids.1 }
    }

    /// The exit code of a comparison, and what it found.
    fn plan(&self, all: bool) -> (Option<i32>, Value) {
        let arguments = ["lightning", "plan", "--json", "--all"];
        let ended = self.world.run(&arguments[..if all { 4 } else { 3 }]);
        assert_eq!(ended.stderr, "");
        (ended.code, serde_json::from_str(&ended.stdout).unwrap())
    }

    /// Nothing is to be mended.
    fn assert_mended(&self) {
        let (code, plan) = self.plan(false);
        assert_eq!((code, &plan["to_mend"], &plan["findings"]), (Some(0), &json!(0), &json!([])), "{plan}");
    }

    /// Runs a remedy as the plan told it.
    fn obey(&self, remedy: &str, more: &[&str]) -> Ended {
        let words: Vec<_> = remedy.split(' ').skip(1).chain(more.iter().copied()).collect();
        self.world.run(&words)
    }

    fn trail(&self) -> Vec<(String, String)> {
        self.database
            .rows("SELECT operation_type::text, success::text FROM lightning_setup_log ORDER BY number")
    }
}

fn fine(ended: &Ended) {
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
}

fn refused(ended: &Ended, reason: &str) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    // Lines of the log may come before it.
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.starts_with("error: ") && last.contains(reason), "{reason}: {ended:?}");
}

/// The findings of one sort.
fn of<'a>(plan: &'a Value, finding: &str) -> Vec<&'a Value> {
    plan["findings"].as_array().unwrap().iter().filter(|found| found["finding"] == finding).collect()
}

/// What changes nothing of the other tests' offices.
fn run_dry(scene: &Scene, arguments: &[&str]) -> (usize, usize, i64) {
    scene.world.run(arguments);
    let rows = scene.database.number("SELECT count(*) FROM lightning_setup_log");
    (scene.voltage.play().nodes().len(), scene.btcpay.play().stores().len(), rows)
}

#[test]
fn every_difference_is_told_with_what_mends_it_and_mended() {
    let scene = Scene::new();
    let server = scene.world.serve();
    let ana = scene.serve_an_address(&server, "ana");
    scene.assert_mended();

    // Somebody else's, one of a setup that never was, and two of an attempt that the journal knows nothing of.
    scene.voltage.play().order("somebody-elses").unwrap();
    scene.btcpay.play().create("another shop").unwrap();
    let nobodys = scene.voltage.play().order(&format!("g-{}-1", "0".repeat(31) + "7")).unwrap();
    let unknown = format!("g-{}-9", ana.setup.replace('-', ""));
    let (node, store) =
        (scene.voltage.play().order(&unknown).unwrap(), scene.btcpay.play().create(&unknown).unwrap());
    let before = run_dry(&scene, &["lightning", "plan"]);

    let (code, plan) = scene.plan(false);
    assert_eq!((code, &plan["to_mend"], &plan["foreign"]), (Some(1), &json!(3), &json!(2)), "{plan}");
    let orphans = of(&plan, "orphan");
    assert_eq!((orphans.len(), of(&plan, "foreign").len()), (3, 0), "{plan}");
    let remedy = |id: &str| {
        let found = orphans.iter().find(|orphan| orphan["id"] == id).unwrap();
        found["remedy"].as_str().unwrap().to_owned()
    };
    assert_eq!(remedy(&nobodys), format!("guiche lightning destroy --node {nobodys}"));
    assert_eq!(remedy(&node), format!("guiche lightning adopt --node {node}"));
    assert_eq!(remedy(&store), format!("guiche lightning adopt --store {store}"));
    assert_eq!(of(&scene.plan(true).1, "foreign").len(), 2);
    let told = scene.world.run(&["lightning", "plan"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    for text in [remedy(&node), remedy(&nobodys), "2 at the providers are none of ours (--all".to_owned()] {
        assert!(told.stdout.contains(&text), "{text}: {told:?}");
    }
    assert_eq!(run_dry(&scene, &["lightning", "plan", "--all"]), before, "it only looks");

    // What serves somebody, or is none of ours, or was never there.
    for (flag, id) in [("--node", &ana.node), ("--store", &ana.store), ("--node", &"none".to_owned())] {
        for verb in [&["adopt", flag, id][..], &["destroy", flag, id, "--yes"]] {
            refused(&scene.world.run(&[&["lightning"], verb].concat()), "is no orphan");
        }
    }
    let asked = scene.world.run(&["lightning", "destroy", "--node", &nobodys]);
    refused(&asked, "nobody can be asked here: say --yes");
    refused(&scene.world.run(&["lightning", "adopt", "--node", &nobodys]), "is unknown");
    assert_eq!(run_dry(&scene, &["lightning", "plan"]), before);

    for id in [&node, &store] {
        fine(&scene.obey(&remedy(id), &[]));
        refused(&scene.obey(&remedy(id), &[]), "is known as an orphan already");
    }
    for remedy in of(&scene.plan(false).1, "orphan").iter().map(|orphan| orphan["remedy"].as_str().unwrap()) {
        assert!(remedy.starts_with("guiche lightning destroy --"), "{remedy}");
        fine(&scene.obey(remedy, &["--yes"]));
    }
    scene.assert_mended();
    let names: Vec<_> = scene.voltage.play().nodes().into_iter().map(|node| node.name).collect();
    assert_eq!(names.len(), 2, "what serves an address stays, and what is somebody else's: {names:?}");
    let served = scene.trail().into_iter().map(|(operation, _)| operation).collect::<Vec<_>>();
    let (before, after) = served.split_at(4);
    assert_eq!(before, ["setup_begun", "setup_completed", "adopted", "adopted"]);
    // In the order of their names: the one that nobody's setup ordered is among them.
    let mut after = after.to_vec();
    after.sort();
    let destroyed = ["node_destruction_begun", "node_destruction_begun", "resolved", "resolved"];
    assert_eq!(after, [&destroyed[..], &["store_destruction_begun"]].concat(), "all are in the audit trail");
    let nobodys = "SELECT lightning_address_id::text, operation_type::text FROM lightning_setup_log WHERE user_id IS NULL";
    let setup = format!("00000000-0000-0000-0000-{:012}", 7);
    assert_eq!(scene.database.rows(nobodys), [(setup, "node_destruction_begun".to_owned())]);
    let verified = scene.world.run(&["audit", "verify"]);
    fine(&verified);
    assert!(verified.stdout.starts_with("whole: 9 rows"), "{verified:?}");
    server.stop();
}

#[test]
fn what_is_gone_or_has_another_name_is_told_and_nothing_promises_to_mend_it() {
    let scene = Scene::new();
    let server = scene.world.serve();
    let ana = scene.serve_an_address(&server, "ana");
    // As if its store had been deleted by hand, and its node been ordered under another name.
    let gone = "the-store-that-was";
    let renamed = scene.voltage.play().order("renamed-by-hand").unwrap();
    scene.database.sql(&format!(
        "UPDATE lightning_addresses SET voltage_node_id = '{renamed}', btcpay_store_id = '{gone}'"
    ));
    let (code, plan) = scene.plan(false);
    assert_eq!(code, Some(1), "{plan}");
    let missing = of(&plan, "missing");
    assert_eq!(
        (missing.len(), &missing[0]["id"], &missing[0]["setup"]),
        (1, &json!(gone), &json!(ana.setup))
    );
    let other = of(&plan, "renamed");
    assert_eq!(
        (other.len(), &other[0]["id"], &other[0]["name"]),
        (1, &json!(renamed), &json!("renamed-by-hand"))
    );
    for finding in missing.iter().chain(&other) {
        assert_eq!(finding["remedy"], Value::Null, "{finding}");
    }
    let told = scene.world.run(&["lightning", "plan"]);
    assert!(told.stdout.contains("no command brings it back"), "{told:?}");
    assert!(told.stdout.contains("give it its old name back"), "{told:?}");
    let repair = ["lightning", "repair", "--setup", &ana.setup, "--apply"];
    refused(&scene.world.run(&repair), "nothing at the providers is certainly this setup's");
    server.stop();
}

#[test]
fn rows_that_do_not_say_what_serves_them_are_repaired() {
    let scene = Scene::new();
    let server = scene.world.serve();
    let (ana, bob) = (scene.serve_an_address(&server, "ana"), scene.serve_an_address(&server, "bob"));
    scene.database.sql("UPDATE lightning_addresses SET voltage_node_id = NULL, btcpay_store_id = NULL");
    let (code, plan) = scene.plan(false);
    assert_eq!((code, &plan["to_mend"]), (Some(1), &json!(2)), "{plan}");
    for served in [&ana, &bob] {
        let found = of(&plan, "unlinked");
        let found = found.iter().find(|found| found["setup"] == *served.setup).unwrap();
        assert_eq!((&found["node"], &found["store"]), (&json!(served.node), &json!(served.store)));
        let ids = format!("node {}, store {}", served.node, served.store);
        let dry = scene.world.run(&["lightning", "repair", "--setup", &served.setup]);
        fine(&dry);
        assert!(
            dry.stdout.starts_with("would be written down for setup ") && dry.stdout.contains(&ids),
            "{dry:?}"
        );
        assert_eq!(scene.plan(false), (code, plan.clone()), "nothing was changed");
    }
    for served in [&ana, &bob] {
        let remedy = format!("guiche lightning repair --setup {} --apply", served.setup);
        let applied = scene.obey(&remedy, &[]);
        fine(&applied);
        assert!(applied.stdout.starts_with("written down for setup "), "{applied:?}");
        refused(&scene.obey(&remedy, &[]), "nothing at the providers is certainly this setup's");
        let written = scene.database.rows(&format!(
            "SELECT voltage_node_id::text, btcpay_store_id::text FROM lightning_addresses WHERE id = '{}'",
            served.setup
        ));
        assert_eq!(written, [(served.node.clone(), served.store.clone())]);
    }
    scene.assert_mended();
    let repaired = scene.trail().into_iter().filter(|row| *row == ("repaired".to_owned(), "true".to_owned()));
    assert_eq!(repaired.count(), 2);
    let unknown = "00000000-0000-7000-8000-000000000000";
    refused(&scene.world.run(&["lightning", "repair", "--setup", unknown]), "nothing at the providers");
    server.stop();
}

#[test]
fn a_node_with_money_goes_only_with_the_seed_at_hand() {
    let scene = Scene::new();
    let server = scene.world.serve();
    let ana = scene.serve_an_address(&server, "ana");
    // What a teardown leaves when money came in between its beginning and its last look at the node.
    scene.database.sql(
        "UPDATE lightning_setup_steps SET state = CASE step WHEN 'node_created' THEN 'orphaned' ELSE 'undone' END;
        UPDATE lightning_addresses SET active = false, status = 'needs_attention', goal = 'tear_down'",
    );
    let purse = Purse { on_chain_sats: 1, ..Purse::default() };
    scene.voltage.play().change(&ana.node, Change { purse: Some(purse), ..Change::default() }).unwrap();
    let plan = scene.plan(false).1;
    let remedies: Vec<_> = of(&plan, "orphan").iter().map(|orphan| orphan["remedy"].clone()).collect();
    assert!(remedies.contains(&json!(format!("guiche lightning destroy --node {}", ana.node))), "{plan}");
    let destroy = ["lightning", "destroy", "--node", &ana.node, "--yes"];
    refused(&scene.world.run(&destroy), "holds funds or channels, or cannot be asked");
    // A node that does not answer may hold anything.
    scene.voltage.play().change(&ana.node, Change { answers: Some(false), ..Change::default() }).unwrap();
    refused(&scene.world.run(&destroy), "with its seed at hand, use --i-have-the-seed");
    assert_eq!(scene.voltage.play().nodes().len(), 1);

    let terminal = Terminal::new();
    let mut command =
        scene.world.command(&["lightning", "destroy", "--node", &ana.node, "--i-have-the-seed"]);
    command.stdin(terminal.end()).stderr(terminal.end()).stdout(Stdio::piped());
    let wrong = command.spawn().unwrap();
    terminal.shows("Type its id once more to destroy it for ever: ");
    terminal.types("yes\n");
    assert_eq!(wrong.wait_with_output().unwrap().status.code(), Some(1));
    terminal.shows("error: not confirmed; nothing was changed");
    assert_eq!(scene.voltage.play().nodes().len(), 1);
    let terminal = Terminal::new();
    command.stdin(terminal.end()).stderr(terminal.end()).stdout(Stdio::piped());
    let right = command.spawn().unwrap();
    terminal.shows("Type its id once more to destroy it for ever: ");
    terminal.types(&format!("{}\n", ana.node));
    assert_eq!(right.wait_with_output().unwrap().status.code(), Some(0), "{}", terminal.seen());
    assert_eq!(scene.voltage.play().nodes().len(), 0);
    assert_eq!(scene.trail().last().unwrap().0, "resolved", "and the setup with it");
    let store = scene.world.run(&["lightning", "destroy", "--store", &ana.store, "--i-have-the-seed"]);
    assert_eq!(store.code, Some(2), "a store has no seed: {store:?}");
    server.stop();
}

#[test]
fn without_providers_there_is_one_line() {
    let scene = Scene::new();
    let id = "00000000-0000-7000-8000-000000000000";
    let mut world = world_on(&scene.database);
    for (name, value) in [
        ("GUICHE_ENV", "production"),
        ("BCRYPT_COST", "12"),
        ("JWT_SECRET_KEY", "kJ8s7hQ2mZp4Xv9tRb3nLw6yCf1gDa5e"),
        ("SPARK_MODE", "live"),
        ("SPARK_API_URL", "https://spark.example.org"),
        ("SPARK_API_KEY", "key"),
    ] {
        world.set(name, value);
    }
    for off in [&["lightning", "plan"][..], &["lightning", "adopt", "--node", id]] {
        let ended = world.run(off);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert!(
            ended.stderr.starts_with("error: the Lightning setup is off: VOLTAGE_API_URL, "),
            "{ended:?}"
        );
    }

    // Providers that do not take our key, or are away.
    scene.voltage.play().take_keys(&["another"]);
    refused(&scene.world.run(&["lightning", "plan"]), "error: a provider failed: node_host");
    scene.voltage.play().take_keys(&[voltage::DEFAULT_KEY]);
    let Scene { database: _database, world, voltage, btcpay, _runtime } = scene;
    drop(btcpay);
    refused(&world.run(&["lightning", "repair", "--setup", id]), "error: a provider failed: store_host");
    drop(voltage);
    for wrong in
        [&["lightning", "adopt"][..], &["lightning", "repair", "--setup", "7"], &["lightning", "destroy"]]
    {
        assert_eq!(world.run(wrong).code, Some(2), "{wrong:?}");
    }
    let both = world.run(&["lightning", "destroy", "--node", "a", "--store", "b"]);
    assert_eq!(both.code, Some(2), "{both:?}");
}
