//! No secret and no personal data in any log line or problem document: the real program, told to log everything it can,
//! with words in every place where somebody might send one.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::World;

/// The program, logging at `trace`.
struct Program {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    log: String,
    address: String,
}

impl Program {
    fn start(world: &World) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_guiche"));
        let variables = world.variables(&[("RUST_LOG", "trace"), ("LOG_FORMAT", "json")]);
        command.env_clear().envs(variables).current_dir(world.directory.path());
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        let mut program = Self { child, lines, log: String::new(), address: String::new() };
        while program.address.is_empty() {
            let mut line = String::new();
            assert!(program.lines.read_line(&mut line).unwrap() > 0, "{}", program.log);
            program.log.push_str(&line);
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["message"] == "listening" {
                line["address"].as_str().unwrap().clone_into(&mut program.address);
            }
        }
        program
    }

    /// Ends it; all that it has logged.
    fn end(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("sh")
                .args(["-c", r#"kill "$@""#, "sh"])
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        self.lines.read_to_string(&mut self.log).unwrap();
        assert!(self.child.wait().unwrap().success());
        std::mem::take(&mut self.log)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_is_in_no_log_line_and_no_refusal() {
    let world = World::new().await;
    let mut program = Program::start(&world);
    // Read along, or the program would wait for room in the pipe.
    let lines = std::mem::replace(
        &mut program.lines,
        BufReader::new(Command::new("true").stderr(Stdio::piped()).spawn().unwrap().stderr.take().unwrap()),
    );
    let reading = std::thread::spawn(move || {
        let (mut lines, mut text) = (lines, String::new());
        lines.read_to_string(&mut text).unwrap();
        text
    });
    let client = guiche_app::web::client().pool_max_idle_per_host(0).build().unwrap();
    let url = |path: &str| format!("http://{}{path}", program.address);
    let mut refusals = String::new();
    let mut keep = async |request: reqwest::RequestBuilder| -> Value {
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        if status.as_u16() >= 400 {
            refusals.push_str(&text);
        }
        serde_json::from_str(&text).unwrap_or_default()
    };

    let (password, new_password) = ("Canary-password-93b1", "Canary-new-password-77c0");
    let (email, other_email) = ("canary.mail.5d2f@example.org", "canary.mail.0000@example.org");
    let (cpf, bad_cpf, cnh, mirror) = ("52998224725", "529.982.247-26", "02650306461", "987654321");
    let account = json!({ "email": email, "password": password });
    keep(client.post(url("/api/v1/auth/register")).json(&account)).await;
    keep(client.post(url("/api/v1/auth/register")).json(&account)).await;
    keep(
        client
            .post(url("/api/v1/auth/register"))
            .json(&json!({ "email": "canary.mail", "password": password })),
    )
    .await;
    keep(client.post(url("/api/v1/auth/login")).json(&json!({ "email": other_email, "password": password })))
        .await;
    keep(
        client
            .post(url("/api/v1/auth/login"))
            .json(&json!({ "email": email, "password": "Canary-wrong-1e" })),
    )
    .await;
    keep(
        client.post(url("/api/v1/auth/login")).form(&[("username", email), ("password", "Canary-wrong-1e")]),
    )
    .await;
    keep(
        client
            .post(url("/api/v1/auth/login"))
            .json(&json!({ "email": email, "password": ["Canary-wrong-1e"] })),
    )
    .await;
    let broken = "{\"email\": \"canary.mail\", \"password\": \"Canary-wrong-1e";
    keep(client.post(url("/api/v1/auth/login")).header("content-type", "application/json").body(broken))
        .await;
    let tokens = keep(client.post(url("/api/v1/auth/login")).json(&account)).await;
    let token = tokens["access_token"].as_str().unwrap().to_owned();
    let refresh = tokens["refresh_token"].as_str().unwrap().to_owned();
    keep(client.get(url(&format!("/api/v1/auth/me?access_token={token}&q=Canary-query-1")))).await;
    keep(client.get(url("/api/v1/tickets?status=Canary-query-1")).bearer_auth(&token)).await;
    keep(client.get(url("/api/v1/auth/me")).header("cookie", format!("session=Canary-cookie-1; t={token}")))
        .await;
    keep(client.get(url("/api/v1/auth/me")).bearer_auth(format!("{token}x"))).await;
    keep(client.get(url("/Canary-path-1")).bearer_auth(&token)).await;
    keep(client.get(url("/api/v1/tickets/Canary-path-1")).bearer_auth(&token)).await;
    let tickets = || client.post(url("/api/v1/tickets")).bearer_auth(&token);
    let order = |cpf: &str| json!({ "operation_id": 1, "form_data": { "cpf": cpf, "cnh_number": cnh, "cnh_mirror": mirror } });
    keep(tickets().json(&order(bad_cpf))).await;
    keep(tickets().json(&json!({ "operation_id": 1, "form_data": { "cpf": 52_998_224_725_u64 } }))).await;
    keep(tickets().json(&json!({ "operation_id": cpf, "form_data": { "cpf": cpf } }))).await;
    keep(tickets().json(&json!({ "operation_id": 1, "form_data": [cpf] }))).await;
    keep(tickets().json(&json!({ "operation_id": 9, "form_data": { "cpf": cpf } }))).await;
    let opened = keep(tickets().header("idempotency-key", "Canary-key-1").json(&order(cpf))).await;
    keep(tickets().header("idempotency-key", "Canary-key-1").json(&order("111.444.777-35"))).await;
    let hash = opened["payment_hash"].as_str().unwrap();
    let ticket = format!("/api/v1/tickets/{}", opened["ticket_id"].as_str().unwrap());
    let proof = |preimage: &str| {
        client
            .post(url(&format!("{ticket}/payment-proof")))
            .bearer_auth(&token)
            .json(&json!({ "preimage": preimage }))
    };
    let wrong_preimage = "ca4a".repeat(16);
    keep(proof(&wrong_preimage)).await;
    keep(proof("Canary-preimage-1")).await;
    let paid = keep(client.post(url(&format!("/dev/invoices/{hash}/pay")))).await;
    let preimage = paid["preimage"].as_str().unwrap().to_owned();
    assert_eq!(keep(proof(&preimage)).await["status"], "paid");
    let renewed =
        keep(client.post(url("/api/v1/auth/refresh")).json(&json!({ "refresh_token": refresh }))).await;
    let renewed = renewed["refresh_token"].as_str().unwrap().to_owned();
    keep(client.post(url("/api/v1/auth/refresh")).json(&json!({ "refresh_token": refresh }))).await;
    keep(client.post(url("/api/v1/auth/logout")).json(&json!({ "refresh_token": renewed }))).await;
    let change = |current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        client.put(url("/api/v1/auth/password")).bearer_auth(&token).json(&body)
    };
    keep(change("Canary-wrong-1e", new_password)).await;
    keep(change(password, "Canary")).await;
    keep(change(password, new_password)).await;
    keep(client.get(url("/api/v1/auth/me")).bearer_auth(&token)).await;

    let child_log = {
        let started = program.log.clone();
        program.end();
        started + &reading.join().unwrap()
    };
    let hashes = world.database.raw(&world.database.superuser_url()).await;
    let stored: String = hashes.query_one("SELECT password_hash FROM users", &[]).await.unwrap().get(0);
    let signature = token.rsplit_once('.').unwrap().1;
    assert!(
        child_log.lines().count() > 40 && child_log.contains("/api/v1/tickets/{id}/payment-proof"),
        "{child_log}"
    );
    assert!(
        child_log.contains("\"level\":\"TRACE\"") || child_log.contains("\"level\":\"DEBUG\""),
        "it said all it can"
    );
    for secret in [
        "Canary",
        "canary",
        password,
        new_password,
        cpf,
        bad_cpf,
        "111.444.777-35",
        cnh,
        mirror,
        &token,
        signature,
        &refresh,
        &renewed,
        &preimage,
        &wrong_preimage,
        &stored,
        crate::support::KEY,
        "$2b$",
    ] {
        assert!(!refusals.contains(secret), "{secret} in a refusal: {refusals}");
        let line = child_log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} in the log: {line:?}");
    }
}
