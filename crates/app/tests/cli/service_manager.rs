//! What a service manager hears: on a real socket, from the real program.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::world::{START, World};

/// The manager's end.
struct Manager(UnixDatagram);

impl Manager {
    fn of(world: &mut World) -> Self {
        let path = world.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        // Whoever the private server runs as may speak; it must not.
        fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
        socket.set_read_timeout(Some(START)).unwrap();
        world.set("NOTIFY_SOCKET", path.to_str().unwrap());
        Self(socket)
    }

    /// The next thing that is said.
    fn hears(&self) -> String {
        let mut message = [0; 256];
        let length = self.0.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }
}

#[test]
fn it_says_when_it_serves_and_when_it_stops_and_its_database_says_nothing() {
    let mut world = World::new();
    let manager = Manager::of(&mut world);
    let server = world.spawn();
    assert_eq!(manager.hears(), "READY=1\n");
    assert_eq!(world.run(&["healthcheck"]).code, Some(0), "at once: {}", server.log());
    server.signal("TERM");
    assert_eq!(manager.hears(), "STOPPING=1\n");
    server.ended();
    manager.0.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    assert!(manager.0.recv(&mut [0; 256]).is_err(), "a private database is not the service");
}

#[test]
fn it_beats_the_watchdog() {
    let mut world = World::new();
    let manager = Manager::of(&mut world);
    world.set("WATCHDOG_USEC", "100000");
    let server = world.spawn();
    let mut heard = (0..4).map(|_| manager.hears()).collect::<Vec<_>>();
    heard.sort();
    assert_eq!(heard, ["READY=1\n", "WATCHDOG=1\n", "WATCHDOG=1\n", "WATCHDOG=1\n"]);
    server.stop();
}

#[test]
fn a_manager_that_has_gone_stops_nothing() {
    let mut world = World::new();
    let path = world.path().join("nobody");
    world.set("NOTIFY_SOCKET", path.to_str().unwrap());
    let server = world.serve();
    assert!(server.log().contains("the service manager cannot be told"), "{}", server.log());
    server.stop();
}
