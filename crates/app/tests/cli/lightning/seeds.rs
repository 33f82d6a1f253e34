//! `guiche lightning seed`: the words come back with the key ring, to a terminal and to nothing else.

use super::*;

/// Asks for the seeds of a setup at a terminal; the exit code, and what the screen showed.
fn shown(scene: &Scene, setup: &str, expected: &str) -> (Option<i32>, String) {
    let terminal = Terminal::new();
    let mut command = scene.world.command(&["lightning", "seed", "--setup", setup, "--i-am-alone"]);
    command.stdin(terminal.end()).stdout(terminal.end()).stderr(terminal.end());
    let code = command.spawn().unwrap().wait().unwrap().code();
    terminal.shows(expected);
    (code, terminal.seen())
}

#[test]
fn a_seed_outlives_its_node() {
    let mut scene = Scene::new();
    crate::keys::give(&mut scene.world, &["one"]);
    let server = scene.world.serve();
    let ana = scene.serve_an_address(&server, "ana");
    let wallet = scene.voltage.play().nodes()[0].wallet.clone().unwrap();
    let (code, screen) = shown(&scene, &ana.setup, &wallet.password);
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains(&wallet.seed), "the words are those of the node: {screen}");
    assert!(screen.contains(&format!("attempt 1, node {}", ana.node)), "{screen}");
    assert!(!screen.contains(&wallet.admin), "a macaroon brings nothing back: {screen}");

    // Also when nothing of it exists any more.
    scene.world.delete(SETUP, &ana.token);
    eventually("the end of the node", || scene.voltage.play().nodes().is_empty().then_some(()));
    let (code, screen) = shown(&scene, &ana.setup, &wallet.password);
    assert_eq!((code, screen.contains(&wallet.seed)), (Some(0), true), "{screen}");

    // Not into a file or a pipe, and not by mistake.
    let seed = ["lightning", "seed", "--setup", &ana.setup, "--i-am-alone"];
    refused(&scene.world.run(&seed), "seeds are shown on a terminal and nowhere else");
    refused(&scene.world.run(&seed[..4]), "say --i-am-alone");
    let nobody = "00000000-0000-7000-8000-000000000000";
    let (code, screen) = shown(&scene, nobody, "is unknown");
    assert_eq!(code, Some(1), "{screen}");

    // And not without the key.
    crate::keys::give(&mut scene.world, &["two"]);
    let (code, screen) = shown(&scene, &ana.setup, "not in the key ring");
    assert_eq!(code, Some(1), "{screen}");
    let noted = scene.trail().into_iter().filter(|(operation, _)| operation == "seed_shown");
    assert_eq!(noted.count(), 2, "as often as it was shown");
    assert!(!screen.contains(&wallet.seed) && !screen.contains(&wallet.password), "{screen}");
    server.stop();
}
