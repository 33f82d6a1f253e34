//! Canaries: the whole journey at the chattiest level, and none of what is secret in any log.

use std::fs;

use serde_json::json;

use crate::cluster::Cluster;
use crate::office::{Call, Office};
use crate::process::World;
use crate::support::any;

const JWT_SECRET: &str = "canary-of-the-jwt-key-Zq7Lm2Xv9Rt4Kp8W";
/// In the form that was sent, and as the digits that it means.
const CPF: [&str; 2] = ["390.533.447-05", "39053344705"];
const CNH: &str = "02650306461";

/// What must not be found, with a name for the failure.
#[derive(Default)]
struct Canaries(Vec<(&'static str, String)>);

impl Canaries {
    fn add(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push((name, value.into()));
    }

    fn assert_absent(&self, place: &str, text: &str) {
        for (name, value) in &self.0 {
            assert!(value.len() >= 7, "{name} is too short to be looked for");
            if let Some(at) = text.find(value.as_str()) {
                let line = text[..at].lines().count().saturating_sub(1);
                let line = text.lines().nth(line).unwrap_or_default();
                panic!("{name} is in {place}: {line}");
            }
        }
    }
}

/// Everything that a client can do, right and wrong.
async fn journey(office: &Office, canaries: &mut Canaries) {
    let password = format!("canary-password-{:016x}", any());
    let new_password = format!("canary-new-password-{:016x}", any());
    let wrong_password = format!("canary-wrong-password-{:016x}", any());
    for (name, value) in
        [("a password", &password), ("a new password", &new_password), ("a wrong password", &wrong_password)]
    {
        canaries.add(name, value);
    }
    canaries.add("the form's CPF", CPF[0]);
    canaries.add("the digits of the CPF", CPF[1]);
    canaries.add("the CNH", CNH);
    canaries.add("a hash of a password", "$2b$04$");

    let email = format!("canary-{:016x}@example.org", any());
    canaries.add("an e-mail", &email);
    let account = json!({"email": email, "password": password});
    office.tell(Call::post("/api/v1/auth/register").json(account.clone())).await.expect(201);
    office.tell(Call::post("/api/v1/auth/register").json(account)).await.expect(409);
    let wrong = json!({"email": email, "password": wrong_password});
    office.tell(Call::post("/api/v1/auth/login").json(wrong)).await.expect(401);
    let misspelt = json!({"email": email, "pasword": password, "password": password});
    office.tell(Call::post("/api/v1/auth/login").json(misspelt)).await.expect(400);
    assert_eq!(office.login_by_form(&email, &wrong_password).await, 401);
    assert_eq!(office.login_by_form(&email, &password).await, 200);

    let first = office.login(&email, &password).await;
    let refresh = |token: &str| Call::post("/api/v1/auth/refresh").json(json!({"refresh_token": token}));
    let renewed = office.tell(refresh(&first.refresh)).await.expect(200);
    canaries.add("a renewed access token", renewed.text("access_token"));
    canaries.add("a renewed refresh token", renewed.text("refresh_token"));
    office.tell(refresh(&first.refresh)).await.expect(401);
    let citizen = office.login(&email, &password).await;
    for tokens in [&first, &citizen] {
        canaries.add("an access token", &tokens.access);
        canaries.add("the signature of an access token", tokens.access.rsplit('.').next().unwrap());
        canaries.add("a refresh token", &tokens.refresh);
    }
    let mut forged = citizen.clone();
    forged.access.push_str("canary-of-a-forgery");
    canaries.add("a forged token", "canary-of-a-forgery");
    office.tell(Call::get("/api/v1/auth/me").by(&forged)).await.expect(401);
    office.tell(Call::get("/api/v1/auth/me").by(&citizen)).await.expect(200);

    let open = |cpf: &str, key| {
        let form = json!({"cpf": cpf, "cnh_number": CNH, "cnh_mirror": "123456789"});
        Call::post("/api/v1/tickets")
            .by(&citizen)
            .key(key)
            .json(json!({"operation_id": 1, "form_data": form}))
    };
    canaries.add("a CPF with wrong check digits", "390.533.447-99");
    office.tell(open("390.533.447-99", None)).await.expect(422);
    let body = json!({"operation_id": 1, "form_data": {"cpf": CPF[0], "canary-of-a-field": CPF[0]}});
    office.tell(Call::post("/api/v1/tickets").by(&citizen).json(body)).await;
    let body = json!({"operation_id": CPF[1], "form_data": {}});
    office.tell(Call::post("/api/v1/tickets").by(&citizen).json(body)).await.expect(400);
    let opened = office.tell(open(CPF[0], Some("key"))).await.expect(201);
    office.tell(open(CPF[1], Some("key"))).await.expect(422);
    let (ticket, hash) = (opened.text("ticket_id"), opened.text("payment_hash"));
    let proof =
        |preimage: &str| Call::to(&citizen, &ticket, "payment-proof").json(json!({"preimage": preimage}));
    let wrong = format!("{:016x}", any()).repeat(4);
    canaries.add("a wrong preimage", &wrong);
    office.tell(proof(&wrong)).await.expect(422);
    office.tell(Call::to(&citizen, &ticket, "confirm-payment")).await.expect(200);
    let preimage = office.tell(Call::pay(&hash)).await.expect(200).text("preimage");
    canaries.add("the preimage", &preimage);
    let proven = office.tell(proof(&preimage)).await.expect(200);
    assert_eq!(proven.text("status"), "paid");
    office.tell(Call::ticket(&citizen, &ticket)).await.expect(200);
    office.tell(Call::get("/api/v1/tickets").by(&citizen)).await.expect(200);
    let other = office.tell(open(CPF[0], None)).await.expect(201).text("ticket_id");
    office.tell(Call::to(&citizen, &other, "cancel")).await.expect(200);
    let secret_path = format!("/api/v1/auth/me?access_token={}", citizen.access);
    office.tell(Call::get(secret_path).by(&citizen)).await;

    let change = |current: &str| {
        let body = json!({"current_password": current, "new_password": new_password});
        Call::put("/api/v1/auth/password").by(&citizen).json(body)
    };
    office.tell(change(&wrong_password)).await.expect(401);
    office.tell(change(&password)).await.expect(204);
    office.tell(Call::get("/api/v1/auth/me").by(&citizen)).await.expect(401);
    let last = office.login(&email, &new_password).await;
    canaries.add("the last refresh token", &last.refresh);
    let logout = Call::post("/api/v1/auth/logout").json(json!({"refresh_token": last.refresh}));
    office.tell(logout).await.expect(204);
}

fn chatty(world: &mut World, canaries: &mut Canaries) {
    world.set("RUST_LOG", "trace,tokio_postgres=trace,hyper=trace,actix_http=trace");
    world.set("JWT_SECRET_KEY", JWT_SECRET);
    canaries.add("the key of the tokens", JWT_SECRET);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_logged_on_a_server_with_passwords() {
    let mut canaries = Canaries::default();
    let cluster = Cluster::new().await;
    canaries.add("the password of the database", &cluster.password);
    let mut world = cluster.world();
    chatty(&mut world, &mut canaries);
    let migrated = world.run(&["migrate"]).await;
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let printed = world.run(&["check-config"]).await;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    let app = world.ready().await;
    let office = app.office();
    journey(&office, &mut canaries).await;

    // A statement that fails is quoted in the server's log: it must carry no values.
    let books = cluster.books().await;
    let citizen = office.register("ana").await;
    books.run("BEGIN; LOCK TABLE tickets, users IN ACCESS EXCLUSIVE MODE").await;
    let opening = office.tell(Call::open(&citizen, None)).await;
    assert!(opening.is_problem(503, "database_unavailable"), "{opening:?}");
    let account = json!({"email": "late@example.org", "password": "canary-of-a-late-password"});
    canaries.add("the password of a failed registration", "canary-of-a-late-password");
    office.tell(Call::post("/api/v1/auth/register").json(account)).await.expect(503);
    books.run("COMMIT").await;
    canaries.add("the CPF of a failed statement", "529.982.247-25");

    app.signal("TERM");
    let ended = app.ended(crate::process::START).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = world.said();
    assert!(said.contains("\"TRACE\"") && cluster.log().contains("lock timeout"), "the logs are not chatty");
    canaries.assert_absent("what the program said", &said);
    canaries.assert_absent("PostgreSQL's log", &cluster.log());
    println!(
        "{} canaries, {} bytes said, {} bytes of PostgreSQL's log",
        canaries.0.len(),
        said.len(),
        cluster.log().len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_logged_on_the_private_server() {
    let mut canaries = Canaries::default();
    let mut world = World::new();
    chatty(&mut world, &mut canaries);
    let app = world.ready().await;
    journey(&app.office(), &mut canaries).await;
    app.signal("TERM");
    let ended = app.ended(crate::process::START).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    canaries.assert_absent("what the program said", &world.said());
    let log = fs::read(world.postgres().join("server.log")).unwrap();
    canaries.assert_absent("PostgreSQL's log", &String::from_utf8_lossy(&log));
    // The ledger of the stub's payments names no preimage either.
    let ledger = fs::read(world.data().join("spark-stub.ledger")).unwrap();
    canaries.assert_absent("the ledger", &String::from_utf8_lossy(&ledger));
}
