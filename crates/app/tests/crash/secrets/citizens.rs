//! Everything that citizens can do, right and wrong, with words in it that must not be found again.

use guiche_adapter_spark::fake::FakeSpark;
use serde_json::json;

use super::canaries::Canaries;
use crate::office::{Call, Citizen, Office};
use crate::support::any;

/// In the form that was sent, and as the digits that it means.
const CPF: [&str; 2] = ["390.533.447-05", "39053344705"];
const WRONG_CPF: &str = "390.533.447-99";
const CNH: &str = "02650306461";

/// Whoever can play the payer.
pub(super) enum Wallet<'a> {
    /// The stub's own control: it tells the preimage when it has paid.
    Stub,
    /// The gateway's: it knows every preimage from the beginning.
    Gateway(&'a FakeSpark),
}

impl Wallet<'_> {
    async fn pay(&self, office: &Office, hash: &str) -> String {
        match self {
            Wallet::Stub => office.tell(Call::pay(hash)).await.expect(200).text("preimage"),
            Wallet::Gateway(fake) => fake.pay(hash, None).unwrap().preimage,
        }
    }

    /// What the payer has learned and the office must not know, of an invoice that nobody has paid yet.
    fn preimage_of(&self, hash: &str) -> Option<String> {
        match self {
            Wallet::Stub => None,
            Wallet::Gateway(fake) => fake
                .invoices()
                .into_iter()
                .find(|entry| entry.payment_hash == hash)
                .map(|entry| entry.preimage),
        }
    }
}

/// A password with all that must be written otherwise in JSON, in a URL, and in SQL.
fn password(canaries: &mut Canaries, which: &str) -> String {
    let password = format!("canary \"{which}\" +/&'ção {:016x}", any());
    canaries.add(which, &password);
    password
}

pub(super) fn remember(canaries: &mut Canaries, citizen: &Citizen) {
    canaries.add("an access token", &citizen.access);
    canaries.add("the signature of an access token", citizen.access.rsplit('.').next().unwrap());
    canaries.add("a refresh token", &citizen.refresh);
}

/// The whole life of an account; `work` happens while its citizen is signed in.
pub(super) async fn account(
    office: &Office,
    canaries: &mut Canaries,
    work: impl AsyncFnOnce(&mut Canaries, &Citizen),
) -> String {
    let [first, new, wrong] =
        ["a password", "a new password", "a wrong password"].map(|which| password(canaries, which));
    canaries.stored("a hash of a password", "$2b$04$");
    let email = format!("canary-{:016x}@example.org", any());
    canaries.known_to_operators("an e-mail", &email);

    let account = json!({"email": email, "password": first});
    office.tell(Call::post("/api/v1/auth/register").json(account.clone())).await.expect(201);
    office.tell(Call::post("/api/v1/auth/register").json(account)).await.expect(409);
    let login = |body| Call::post("/api/v1/auth/login").json(body);
    office.tell(login(json!({"email": email, "password": wrong}))).await.expect(401);
    office.tell(login(json!({"email": email, "pasword": first, "password": first}))).await.expect(400);
    office.tell(login(json!({"email": email, "password": [first]}))).await.expect(400);
    assert_eq!(office.login_by_form(&email, &wrong).await, 401);
    assert_eq!(office.login_by_form(&email, &first).await, 200);

    let begun = office.login(&email, &first).await;
    remember(canaries, &begun);
    let refresh = |token: &str| Call::post("/api/v1/auth/refresh").json(json!({"refresh_token": token}));
    let renewed = office.tell(refresh(&begun.refresh)).await.expect(200);
    remember(
        canaries,
        &Citizen { access: renewed.text("access_token"), refresh: renewed.text("refresh_token") },
    );
    office.tell(refresh(&begun.refresh)).await.expect(401);
    let citizen = office.login(&email, &first).await;
    remember(canaries, &citizen);
    let mut forged = citizen.clone();
    forged.access.push_str("canary-of-a-forgery");
    canaries.add("a forged token", "canary-of-a-forgery");
    office.tell(Call::get("/api/v1/auth/me").by(&forged)).await.expect(401);
    office.tell(Call::get("/api/v1/auth/me").by(&citizen)).await.expect(200);
    let in_the_path = format!("/api/v1/auth/me?access_token={}", citizen.access);
    office.tell(Call::get(in_the_path).by(&citizen)).await;

    work(canaries, &citizen).await;

    let change = |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        Call::put("/api/v1/auth/password").by(&citizen).json(body)
    };
    office.tell(change(&wrong, &new)).await.expect(401);
    office.tell(change(&first, "Canary7")).await.expect(422);
    canaries.add("a password that is too short", "Canary7");
    office.tell(change(&first, &new)).await.expect(204);
    office.tell(Call::get("/api/v1/auth/me").by(&citizen)).await.expect(401);
    let last = office.login(&email, &new).await;
    remember(canaries, &last);
    office
        .tell(Call::post("/api/v1/auth/logout").json(json!({"refresh_token": last.refresh})))
        .await
        .expect(204);
    email
}

/// Opens a ticket with a form that must not be found again.
pub(super) fn open<'a>(citizen: &'a Citizen, cpf: &str, key: Option<&'a str>) -> Call<'a> {
    let form = json!({"cpf": cpf, "cnh_number": CNH, "cnh_mirror": "123456789"});
    let body = json!({"operation_id": 1, "form_data": form});
    Call::post("/api/v1/tickets").by(citizen).key(key).json(body)
}

/// A ticket that is opened, proven and read, one that is cancelled, one that nobody pays, and many that are refused.
pub(super) async fn tickets(
    office: &Office,
    wallet: &Wallet<'_>,
    canaries: &mut Canaries,
    citizen: &Citizen,
) {
    for (name, value) in [
        ("the form's CPF", CPF[0]),
        ("the digits of the CPF", CPF[1]),
        ("a CPF with wrong check digits", WRONG_CPF),
        ("the CNH", CNH),
        ("a name that no field has", "canary-of-a-field"),
    ] {
        canaries.add(name, value);
    }
    office.tell(open(citizen, WRONG_CPF, None)).await.expect(422);
    let post = |body| Call::post("/api/v1/tickets").by(citizen).json(body);
    let unknown = json!({"operation_id": 1, "form_data": {"cpf": CPF[0], "canary-of-a-field": CPF[0]}});
    office.tell(post(unknown)).await.expect(400);
    office.tell(post(json!({"operation_id": CPF[1], "form_data": {}}))).await.expect(400);
    let opened = office.tell(open(citizen, CPF[0], Some("key"))).await.expect(201);
    office.tell(open(citizen, CPF[1], Some("key"))).await.expect(422);
    let (ticket, hash) = (opened.text("ticket_id"), opened.text("payment_hash"));
    let proof =
        |preimage: &str| Call::to(citizen, &ticket, "payment-proof").json(json!({"preimage": preimage}));
    let wrong = format!("{:016x}", any()).repeat(4);
    canaries.add("a wrong preimage", bytes(&wrong));
    canaries.add("a wrong preimage in hex", &wrong);
    office.tell(proof(&wrong)).await.expect(422);
    office.tell(Call::to(citizen, &ticket, "confirm-payment")).await.expect(200);
    let preimage = wallet.pay(office, &hash).await;
    // The proof of a payment is kept: it is worth nothing any more.
    canaries.stored("the preimage", bytes(&preimage));
    canaries.stored("the preimage in hex", &preimage);
    assert_eq!(office.tell(proof(&preimage)).await.expect(200).text("status"), "paid");
    office.tell(Call::ticket(citizen, &ticket)).await.expect(200);
    office.tell(Call::get("/api/v1/tickets").by(citizen)).await.expect(200);
    let other = office.tell(open(citizen, CPF[0], None)).await.expect(201).text("ticket_id");
    office.tell(Call::to(citizen, &other, "cancel")).await.expect(200);
    let unpaid = office.tell(open(citizen, CPF[1], None)).await.expect(201).text("payment_hash");
    if let Some(preimage) = wallet.preimage_of(&unpaid) {
        canaries.add("the preimage of an unpaid invoice", bytes(&preimage));
        canaries.add("the preimage of an unpaid invoice in hex", preimage);
    }
}

/// What hex digits mean.
pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(pair).collect()
}
