//! `guiche demo`: what a newcomer sees, and what a program gets.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use qrcode::{Color, EcLevel, QrCode};
use serde_json::Value;

use crate::proxy::Proxy;
use crate::world::{Ended, World, eventually};

/// A world in whose own directory the demo makes its temporary one.
fn world() -> World {
    let mut world = World::new();
    let own = world.path().join("tmp");
    fs::create_dir(&own).unwrap();
    world.set("TMPDIR", own.to_str().unwrap());
    world
}

/// The text with everything that differs from run to run replaced by something of the same length.
fn normalised(text: &str, outcome: &Outcome) -> String {
    let mut text = text.replace(&outcome.hash, &"h".repeat(64));
    text = text.replace(&outcome.ticket, "00000000-0000-7000-8000-000000000000");
    let line = |line: &str| {
        if let Some(at) = line.find("demo-") {
            return format!("{}demo-00000000@example.org", &line[..at]);
        }
        // The invoice goes over several lines, and nothing else of the text is without a gap.
        if !line.contains(' ') || is_code(line) {
            return String::new();
        }
        match line.find(" UTC") {
            Some(at) => format!("{}00:00:00{}", &line[..at - 8], &line[at..]),
            None => line.to_owned(),
        }
    };
    let lines: Vec<_> = text.lines().map(line).collect();
    let mut text = lines.join("\n") + "\n";
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    text
}

fn is_code(line: &str) -> bool {
    line.chars().count() > 40 && line.chars().all(|c| " █▀▄".contains(c))
}

/// What the text says was opened.
struct Outcome {
    ticket: String,
    hash: String,
    invoice: String,
}

impl Outcome {
    fn of(text: &str) -> Self {
        let word = |fits: fn(&str) -> bool| {
            text.split_whitespace()
                .map(|word| word.trim_end_matches(','))
                .find(|word| fits(word))
                .unwrap()
                .to_owned()
        };
        let invoice: Vec<_> = text.lines().skip_while(|line| !line.starts_with("lnbcrt")).collect();
        let end = invoice.iter().position(|line| line.contains(' ')).unwrap();
        Self {
            ticket: word(|word| word.len() == 36 && word.matches('-').count() == 4),
            hash: word(|word| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())),
            invoice: invoice[..end].concat(),
        }
    }
}

/// Compares with the file; `UPDATE_SNAPSHOTS=1` writes it.
fn assert_snapshot(name: &str, found: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/snapshots").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert_eq!(found, expected, "{} (UPDATE_SNAPSHOTS=1 writes it)", path.display());
}

fn assert_fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
        assert!(!line.contains('\x1b'), "no terminal, no colours: {line}");
    }
}

#[test]
fn a_newcomer_sees_the_whole_journey_and_nothing_is_left() {
    let world = world();
    for (language, snapshot) in [("en", "demo.en.txt"), ("pt-BR", "demo.pt-BR.txt")] {
        let ended = world.run(&["demo", "--lang", language]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
        assert_fits(&ended.stdout);
        assert!(ended.stdout.lines().count() <= 64, "about a screen and a half: {}", ended.stdout);
        let outcome = Outcome::of(&ended.stdout);
        assert_snapshot(snapshot, &normalised(&ended.stdout, &outcome));
        assert_eq!(fs::read_dir(world.path().join("tmp")).unwrap().count(), 0, "nothing is left");
        assert_code(&ended.stdout, &outcome.invoice);
    }
    assert!(!world.data().exists(), "what is configured is not touched");
}

/// The printed blocks are the encoder's modules of this very invoice.
fn assert_code(text: &str, invoice: &str) {
    let rows: Vec<Vec<char>> =
        text.lines().filter(|line| is_code(line)).map(|line| line.chars().collect()).collect();
    let code = QrCode::with_error_correction_level(invoice.to_uppercase(), EcLevel::L).unwrap();
    let width = code.width();
    assert_eq!(rows.len(), (width + 8).div_ceil(2));
    for (y, row) in rows.iter().enumerate() {
        assert_eq!(row.len(), width + 8);
        for (x, cell) in row.iter().enumerate() {
            for (half, dark) in [(0, "█▀".contains(*cell)), (1, "█▄".contains(*cell))] {
                let inside = |place: usize| place.checked_sub(4).filter(|inside| *inside < width);
                let module = inside(x).zip(inside(y * 2 + half));
                let expected = module.is_some_and(|place| code[place] == Color::Dark);
                assert_eq!(dark, expected, "{x}, {y}, {half}");
            }
        }
    }
}

#[test]
fn who_interrupts_it_leaves_nothing_behind() {
    let world = world();
    let said = world.path().join("said");
    let mut child = world
        .command(&["demo"])
        .stdout(File::create(&said).unwrap())
        .stderr(File::create(world.path().join("stderr")).unwrap())
        .spawn()
        .unwrap();
    eventually("the first line", || fs::read_to_string(&said).unwrap().contains('\n').then_some(()));
    let interrupt = Command::new("sh")
        .args(["-c", r#"kill "$@""#, "sh"])
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupt.success());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(fs::read_to_string(world.path().join("stderr")).unwrap(), "error: interrupted\n");
    assert_eq!(fs::read_dir(world.path().join("tmp")).unwrap().count(), 0, "nothing is left");
}

#[test]
fn a_program_gets_one_object() {
    let world = world();
    let server = world.serve();
    let url = format!("http://{}", world.address());
    let ended = world.run(&["demo", "--json", "--url", &url]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let outcome: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(outcome["payment_status"], "paid");
    assert_eq!(outcome["amount_sats"], 50_000);
    assert_eq!(outcome["typo_refused_as"], "invalid_fields");
    assert_eq!(outcome["repeated_answer_is_the_same"], true);
    assert_eq!(outcome["url"], format!("{url}/"));
    server.stop();
}

#[test]
fn without_the_stub_it_asks_for_a_wallet_and_waits() {
    let world = world();
    let server = world.serve();
    // Nobody plays the wallet here; the third question finds the payment.
    let proxy = Proxy::to(&world.address()).answering("/dev/", 404, "{}");
    let ended = world.run(&["demo", "--no-qr", "--url", &proxy.url()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    assert!(ended.stdout.contains("pay it with your wallet"), "{}", ended.stdout);
    assert!(ended.stdout.trim_end().lines().last().unwrap().starts_with("paid: "), "{}", ended.stdout);
    assert!(!ended.stdout.lines().any(is_code), "no code was wanted: {}", ended.stdout);
    assert_fits(&ended.stdout);
    server.stop();
}

fn refused(prefix: &str, status: u16, body: &str) -> Ended {
    let world = world();
    let server = world.serve();
    let proxy = Proxy::to(&world.address()).answering(prefix, status, body);
    let ended = world.run(&["demo", "--url", &proxy.url()]);
    server.stop();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    ended
}

#[test]
fn a_step_that_fails_is_named_with_the_reason() {
    let busy = r#"{"status":503,"code":"database_unavailable","detail":"Try again soon."}"#;
    let ended = refused("/api/v1/auth/login", 503, busy);
    assert_eq!(ended.stderr, "error: step 2 (Sign in): 503 database_unavailable: Try again soon.\n");
}

#[test]
fn an_office_that_takes_the_typo_is_found_out() {
    let ended = refused("/api/v1/tickets", 201, "{}");
    assert!(ended.stderr.starts_with("error: step 5 (A typo): the office took a CPF"), "{ended:?}");
}

#[test]
fn a_payment_that_was_not_the_tickets_is_no_success() {
    let expired = r#"{"status":"expired","payment_status":"expired"}"#;
    let ended = refused("/api/v1/tickets/", 200, expired);
    assert_eq!(ended.stderr, "error: step 10 (Confirm): the ticket is expired\n");
}

#[test]
fn nobody_at_home_is_one_line() {
    let ended = world().run(&["demo", "--url", "http://127.0.0.1:9"]);
    assert_eq!(ended.code, Some(1));
    let expected = "error: step 1 (Register): no answer from http://127.0.0.1:9/: ";
    assert!(ended.stderr.starts_with(expected), "{ended:?}");
}
