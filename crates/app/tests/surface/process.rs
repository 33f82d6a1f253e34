//! The real program: its command line, its refusals, its life and its end.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::client;

fn guiche(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guiche"));
    command.env_clear().current_dir(directory).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let output = guiche(directory.path()).args(arguments).envs(environment.iter().copied()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_wrong_command_line_is_2_and_help_is_0() {
    assert_eq!(run(&["surve"], &[]).0, 2);
    assert_eq!(run(&["--colour"], &[]).0, 2);
    let (code, stdout, stderr) = run(&["serve", "--help"], &[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("Example:"), "{stdout}");
}

#[test]
fn a_configuration_is_refused_with_all_its_lines() {
    for command in ["serve", "check-config"] {
        let (code, stdout, stderr) = run(&[command], &[("GUICHE_ENV", "production"), ("GUICHE_NEV", "x")]);
        assert_eq!((code, stdout.as_str()), (2, ""));
        let lines: Vec<_> = stderr.lines().collect();
        assert_eq!(lines[0], "configuration: GUICHE_NEV is not a setting (did you mean GUICHE_ENV?)");
        assert_eq!(lines.len(), 5, "{stderr}");
    }
}

#[test]
fn the_keys_of_the_gateway_are_counted_and_not_shown() {
    let live =
        [("SPARK_MODE", "live"), ("SPARK_API_URL", "https://x.test"), ("SPARK_API_KEY", "hunter2, hunter3")];
    let (code, stdout, stderr) = run(&["check-config"], &live);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("spark_mode = \"live\""), "{stdout}");
    assert!(stdout.contains("spark_api_key = \"[redacted],[redacted]\""), "{stdout}");
    assert!(stdout.contains("lightning_network = \"mainnet\""), "{stdout}");
    assert!(!stdout.contains("hunter"), "{stdout}");
}

#[test]
fn the_configuration_can_be_printed_and_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let (code, printed, _) = run(&["check-config"], &[("BCRYPT_COST", "7"), ("RATE_LIMIT_ACCOUNT", "0")]);
    assert_eq!(code, 0);
    let path = directory.path().join("guiche.toml");
    std::fs::write(&path, &printed).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(run(&["--config", path, "check-config"], &[]).1, printed);
    assert_eq!(run(&["check-config"], &[("GUICHE_CONFIG", path)]).1, printed);
    assert_eq!(run(&["check-config", "--config", "/no/such/file"], &[]).0, 2);
}

#[test]
fn the_document_is_printed() {
    let (code, stdout, _) = run(&["openapi"], &[]);
    assert_eq!((code, stdout), (0, guiche_app::http::openapi::json()));
}

/// A running server, which never outlives its test.
struct Serving {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    address: String,
    metrics: String,
    _directory: tempfile::TempDir,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Serving {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = guiche(directory.path());
        command.envs([
            ("LISTEN_ADDR", "127.0.0.1:0"),
            ("METRICS_ADDR", "127.0.0.1:0"),
            ("LOG_FORMAT", "json"),
        ]);
        // Where a private server's binaries come from is this machine's affair, not the test's.
        for name in ["GUICHE_EMBEDDED_INSTALL", "GUICHE_POSTGRES_ARCHIVE", "GUICHE_POSTGRES_ARCHIVE_SHA256"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        let mut serving =
            Self { child, lines, address: String::new(), metrics: String::new(), _directory: directory };
        while serving.address.is_empty() {
            let mut line = String::new();
            assert!(serving.lines.read_line(&mut line).unwrap() > 0, "it ended before it listened");
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            if line["message"] == "listening" {
                line["address"].as_str().unwrap().clone_into(&mut serving.address);
                line["metrics"].as_str().unwrap().clone_into(&mut serving.metrics);
            }
        }
        serving
    }

    fn signal(&self, name: &str) {
        assert!(
            Command::new("sh")
                .args(["-c", r#"kill "$@""#, "sh"])
                .args([name, &self.child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }

    fn end(mut self) -> (i32, String) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), rest)
    }
}

#[tokio::test]
async fn it_serves_counts_logs_and_ends_with_0() {
    for signal in ["-TERM", "-INT"] {
        let serving = Serving::start();
        let get = |address: &str, path: &str| client().get(format!("http://{address}{path}")).send();
        let id = ("x-request-id", "find-me");
        let url = format!("http://{}/secret/path?token=hunter2", serving.address);
        assert_eq!(client().get(url).header(id.0, id.1).send().await.unwrap().status(), 404);
        assert_eq!(get(&serving.address, "/livez").await.unwrap().status(), 200);
        let metrics = get(&serving.metrics, "/metrics").await.unwrap().text().await.unwrap();
        assert!(
            metrics.contains(r#"http_requests_total{method="GET",route="unmatched",status="404"} 1"#),
            "{metrics}"
        );
        assert!(metrics.contains("http_request_duration_seconds_bucket"), "{metrics}");
        assert!(metrics.contains("guiche_build_info{version="), "{metrics}");
        assert_eq!(
            get(&serving.address, "/metrics").await.unwrap().status(),
            404,
            "not on the public listener"
        );
        serving.signal(signal);
        let (code, log) = serving.end();
        assert_eq!(code, 0, "{log}");
        let line = log.lines().find(|line| line.contains("find-me")).unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "WARN", "refused");
        assert_eq!((&line["route"], &line["status"]), (&"unmatched".into(), &404.into()), "{line}");
        assert!(line["duration_ms"].is_number(), "{line}");
        assert!(!log.contains("hunter2") && !log.contains("/secret/path"), "{log}");
    }
}

#[test]
fn a_port_in_use_is_said_plainly() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, stderr) = run(&["serve"], &[("LISTEN_ADDR", &address)]);
    assert_eq!(code, 1);
    assert!(stderr.contains(&format!("cannot listen on {address}")), "{stderr}");
}
