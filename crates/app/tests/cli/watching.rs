//! What is shown to somebody who watches, and to nobody else: signs of life, and the end of a service with its window.

use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::database::{Database, world_on};
use crate::keys::{fill, give};
use crate::terminal::Terminal;
use crate::world::{Ended, World, eventually};

/// Long enough for a bar to be drawn a few times.
const ROWS: u128 = 2_000;

fn sealed_under_an_old_key() -> (Database, World) {
    let database = Database::new();
    let mut world = world_on(&database);
    fill(&database, "old", ROWS);
    give(&mut world, &["new", "old"]);
    (database, world)
}

#[test]
fn a_bar_is_drawn_on_a_terminal() {
    let (_database, world) = sealed_under_an_old_key();
    let terminal = Terminal::new();
    let mut command = world.command(&["keys", "rotate", "--batch", "10"]);
    command.env("TERM", "xterm").stderr(terminal.end()).stdout(Stdio::piped());
    let child = command.spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", terminal.seen());
    terminal.shows("sealing anew");
    assert!(terminal.seen().contains("/2,000"), "{}", terminal.seen());
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("sealed anew under \"new\": 2000;"));
}

#[test]
fn nothing_is_drawn_where_nobody_watches() {
    let (_database, world) = sealed_under_an_old_key();
    let commands: [&[&str]; 7] = [
        &["keys", "rotate", "--batch", "10"],
        &["keys", "status"],
        &["audit", "verify"],
        &["operations", "list"],
        &["reconcile", "--since", "1h"],
        &["refunds", "list"],
        &["doctor"],
    ];
    for arguments in commands {
        // A terminal for the words changes nothing: the bars are on standard error.
        let terminal = Terminal::new();
        let mut command = world.command(arguments);
        command.env("TERM", "xterm").stdin(terminal.end()).stderr(Stdio::piped()).stdout(Stdio::piped());
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ended =
            Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}: {ended:?}");
        assert!(!ended.stdout.is_empty() && !ended.stdout.contains(['\u{1b}', '\r']), "{ended:?}");
    }
}

/// A service that never outlives its test.
struct Running(Child);

impl Running {
    fn hang_up(&self) {
        kill_process(Pid::from_child(&self.0), Signal::HUP).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_service_ends_with_its_terminal_and_with_no_other_hangup() {
    let database = Database::new();
    let world = world_on(&database);
    let terminal = Terminal::new();
    let mut command = world.command(&["serve"]);
    let mut server = Running(command.stderr(terminal.end()).stdout(Stdio::null()).spawn().unwrap());
    // The command has an end of its own, which would keep the terminal.
    drop(command);
    terminal.shows("listening");
    server.hang_up();
    terminal.shows("SIGHUP: no provider's keys stand in a file");
    assert_eq!(world.run(&["healthcheck"]).code, Some(0));
    terminal.close();
    server.hang_up();
    let ended = eventually("the end of the service", || server.0.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0), "as if it had been told to stop");
}
