//! `guiche users delete` with somebody at the terminal: nothing goes before the address was typed once more.

use std::process::{Child, Stdio};

use serde_json::json;

use crate::database::{Database, world_on};
use crate::terminal::Terminal;
use crate::world::{Server, World};

const EMAIL: &str = "ana@example.org";
const QUESTION: &str = "Type the address once more to delete all this for ever: ";

/// The command, and the terminal at which it asks.
struct Asking {
    child: Child,
    terminal: Terminal,
}

impl Asking {
    /// Begun, and up to its question.
    fn begin(world: &World) -> Self {
        let terminal = Terminal::new();
        let mut command = world.command(&["users", "delete", EMAIL]);
        command.stdin(terminal.end()).stderr(terminal.end()).stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        terminal.shows(QUESTION);
        Self { child, terminal }
    }

    /// Answers; the exit code, what was printed, and the screen.
    fn answer(self, keys: &str) -> (Option<i32>, String, Terminal) {
        self.terminal.types(keys);
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), self.terminal)
    }
}

fn register(world: &World, server: &Server) {
    let account = json!({"email": EMAIL, "password": "a horse with two names"});
    server.post(world, "/api/v1/auth/register", None, &account);
}

fn people(database: &Database) -> i64 {
    database.number("SELECT count(*) FROM users")
}

#[test]
fn whoever_does_not_type_the_address_has_deleted_nothing() {
    let database = Database::new();
    let world = world_on(&database);
    let server = world.serve();
    register(&world, &server);
    // A yes is not the address; nor is another address, nothing at all, or the end of the input (Ctrl-D).
    for keys in ["yes\n", "bob@example.org\n", "\n", "\u{4}"] {
        let (code, stdout, screen) = Asking::begin(&world).answer(keys);
        assert_eq!(code, Some(1), "{keys:?}: {stdout}");
        assert!(stdout.starts_with("ana@example.org would be deleted, with 0 tickets"), "{stdout}");
        assert!(!stdout.contains("is deleted"), "{stdout}");
        screen.shows("error: not confirmed; nothing was changed");
    }
    assert_eq!(people(&database), 1);

    let (code, stdout, _) = Asking::begin(&world).answer(" ANA@example.org \n");
    assert_eq!(code, Some(0), "as addresses compare: {stdout}");
    assert!(stdout.contains("\nana@example.org is deleted, with 0 tickets"), "{stdout}");
    assert_eq!(people(&database), 0);
    server.stop();
}

#[test]
fn what_happens_while_somebody_thinks_is_not_overlooked() {
    let database = Database::new();
    let world = world_on(&database);
    let server = world.serve();
    register(&world, &server);
    let asking = Asking::begin(&world);
    // Nobody is locked out meanwhile either.
    let account = json!({"email": EMAIL, "password": "a horse with two names"});
    let session = server.post(&world, "/api/v1/auth/login", None, &account);
    let form = json!({"cpf": "529.982.247-25", "cnh_number": "02650306461", "cnh_mirror": "123456789"});
    let body = json!({"operation_id": 1, "form_data": form});
    server.post(&world, "/api/v1/tickets", session["access_token"].as_str(), &body);
    let (code, stdout, screen) = asking.answer("ana@example.org\n");
    assert_eq!(code, Some(1), "{stdout}");
    screen.shows("refused, and nothing was changed:");
    assert_eq!((people(&database), stdout.contains("is deleted")), (1, false));
    server.stop();
}
