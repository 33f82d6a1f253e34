//! `guiche healthcheck`.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::world::World;

/// One answer to whoever asks first, then nobody is at home.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
    });
    url
}

#[test]
fn a_server_that_serves_is_0_and_one_that_does_not_is_1_with_one_line() {
    let world = World::new();
    let server = world.serve();
    let ended = world.run(&["healthcheck"]);
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", ""));
    let elsewhere = World::new();
    let url = format!("http://{}", world.address());
    assert_eq!(
        elsewhere.run(&["healthcheck", "--url", &url]).code,
        Some(0),
        "the address is asked, not the settings"
    );
    server.stop();
    let ended = world.run(&["healthcheck"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert_eq!(ended.stderr, format!("error: http://{}/readyz cannot be reached\n", world.address()));
}

#[test]
fn only_200_serves() {
    let world = World::new();
    for (answer, code, said) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\n{\"status\":\"degraded\"}", 0, ""),
        ("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", 1, "cannot serve now (503)"),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", 1, "answers with 404"),
        ("SSH-2.0-OpenSSH_9.2\r\n", 1, "cannot be reached"),
    ] {
        let ended = world.run(&["healthcheck", "--url", &answering(answer)]);
        assert_eq!(ended.code, Some(code), "{answer}: {ended:?}");
        assert!(ended.stderr.contains(said), "{answer}: {ended:?}");
    }
}

#[test]
fn who_does_not_answer_is_given_up_after_two_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let begun = Instant::now();
    let ended = World::new().run(&["healthcheck", "--url", &url]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("does not answer in time"), "{ended:?}");
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn a_refused_configuration_is_a_server_that_does_not_serve() {
    let mut world = World::new();
    world.set("GUICHE_ENV", "production");
    let ended = world.run(&["healthcheck"]);
    assert_eq!(ended.code, Some(1), "2 is reserved where containers are checked: {ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
}
