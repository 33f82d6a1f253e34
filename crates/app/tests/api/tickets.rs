//! Opening a ticket, and reading it.

use serde_json::{Value, json};

use crate::client::{Answer, faults};
use crate::support::{CNH, CPF, PRICE, TestApp, User, form, noon, order, path_of, text};

async fn post(app: &TestApp, user: &User, body: &Value) -> Answer {
    app.post("/api/v1/tickets").token(&user.token).body(body).send().await
}

fn with(name: &str, value: Value) -> Value {
    let mut order = order();
    order["form_data"][name] = value;
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_opened_and_read() {
    let app = TestApp::start().await;
    let user = app.user().await;
    app.world.advance(5);
    let answer = post(&app, &user, &order()).await;
    let opened = answer.json(201);
    let (id, bolt11) = (text(&opened, "ticket_id"), text(&opened, "ln_invoice"));
    let hash = text(&opened, "payment_hash");
    let expected = json!({
        "ticket_id": id, "payment_status": "pending", "ln_invoice": bolt11, "payment_hash": hash,
        "amount_sats": PRICE, "expires_at": noon(5 + 900),
    });
    assert_eq!(opened, expected, "and nothing else");
    assert_eq!(answer.header("location"), Some(path_of(&opened, "").as_str()));
    assert_eq!(id.parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
    assert!(bolt11.starts_with("lnbcrt500u1"), "50,000 sats on regtest: {bolt11}");
    assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));

    app.world.advance(1);
    let found = app.get(answer.header("location").unwrap()).token(&user.token).send().await.json(200);
    let invoice = json!({
        "payment_hash": hash, "ln_invoice": bolt11, "status": "open", "amount_sats": PRICE,
        "expires_at": noon(905), "paid_at": null,
    });
    let expected = json!({
        "id": id, "operation_id": 1, "operation_name": "driver_license_renewal", "payment_status": "pending",
        "amount_sats": PRICE, "created_at": noon(5), "expires_at": noon(905), "paid_at": null,
        "form_data": form(), "ln_invoice": bolt11, "payment_hash": hash, "invoices": [invoice],
    });
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_two_requests_are_two_tickets() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let (one, two) = (app.open(&user).await, app.open(&user).await);
    for name in ["ticket_id", "ln_invoice", "payment_hash"] {
        assert_ne!(one[name], two[name]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said_before_what_is_wrong() {
    let app = TestApp::start().await;
    let user = app.user().await;
    for (body, missing) in [
        (json!({}), json!(["operation_id", "form_data"])),
        (json!({ "operation_id": null, "form_data": null }), json!(["operation_id", "form_data"])),
        (json!({ "operation_id": 77 }), json!(["form_data"])),
        (json!({ "form_data": { "cpf": "wrong" } }), json!(["operation_id"])),
        (json!({ "operation_id": 1, "form_data": {} }), json!(["cpf", "cnh_number", "cnh_mirror"])),
        (
            json!({ "operation_id": 1, "form_data": { "cpf": "wrong", "cnh_number": null, "surprise": 1 } }),
            json!(["cnh_number", "cnh_mirror"]),
        ),
        (with("cpf", Value::Null), json!(["cpf"])),
    ] {
        let problem = post(&app, &user, &body).await.problem(400, "missing_required_fields");
        assert_eq!(problem["missing"], missing, "{body}");
    }
    assert_eq!(app.world.count("tickets").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_field_is_named_by_its_pointer() {
    let app = TestApp::start().await;
    let user = app.user().await;
    for (body, expected) in [
        (with("cpf", json!("52998224724")), &[("/form_data/cpf", "invalid_check_digits")][..]),
        (with("cpf", json!("11111111111")), &[("/form_data/cpf", "invalid_check_digits")]),
        (with("cpf", json!("5299822472")), &[("/form_data/cpf", "invalid_format")]),
        // Empty, zero and false are given, so they are wrong and not missing.
        (with("cpf", json!("")), &[("/form_data/cpf", "invalid_format")]),
        (with("cpf", json!(0)), &[("/form_data/cpf", "invalid_type")]),
        (with("cpf", json!(false)), &[("/form_data/cpf", "invalid_type")]),
        (with("cpf", json!(52_998_224_725_u64)), &[("/form_data/cpf", "invalid_type")]),
        (with("cpf", json!([CPF])), &[("/form_data/cpf", "invalid_type")]),
        (with("cnh_number", json!("02650306460")), &[("/form_data/cnh_number", "invalid_check_digits")]),
        (with("cnh_number", json!("00000000000")), &[("/form_data/cnh_number", "invalid_check_digits")]),
        (with("cnh_number", json!("0265030646a")), &[("/form_data/cnh_number", "invalid_format")]),
        (with("cnh_mirror", json!("12345678")), &[("/form_data/cnh_mirror", "invalid_format")]),
        (with("cnh_mirror", json!("123456789012")), &[("/form_data/cnh_mirror", "invalid_format")]),
        (with("cnh_mirror", json!("١٢٣٤٥٦٧٨٩")), &[("/form_data/cnh_mirror", "invalid_format")]),
        (with("surprise", json!(1)), &[("/form_data/surprise", "unknown_field")]),
        (with("a/b~c", json!(1)), &[("/form_data/a~1b~0c", "unknown_field")]),
        (with("price_sats", json!(1)), &[("/form_data/price_sats", "unknown_field")]),
    ] {
        let answer = post(&app, &user, &body).await;
        assert_eq!(answer.faults(422, "invalid_fields"), faults(expected), "{body}");
    }
    let many =
        json!({ "operation_id": 1, "form_data": { "cpf": 1, "cnh_number": "1", "cnh_mirror": "x", "y": 1 } });
    let mut found = post(&app, &user, &many).await.faults(422, "invalid_fields");
    found.sort();
    let mut expected = faults(&[
        ("/form_data/cpf", "invalid_type"),
        ("/form_data/cnh_number", "invalid_format"),
        ("/form_data/cnh_mirror", "invalid_format"),
        ("/form_data/y", "unknown_field"),
    ]);
    expected.sort();
    assert_eq!(found, expected, "all at once");
    assert_eq!(app.world.count("tickets").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_the_wrong_shape_is_malformed() {
    let app = TestApp::start().await;
    let user = app.user().await;
    for (body, expected) in [
        (json!({ "operation_id": 1, "form_data": [] }), ("/form_data", "wrong_type")),
        (json!({ "operation_id": 1, "form_data": "cpf" }), ("/form_data", "wrong_type")),
        (json!({ "operation_id": "1", "form_data": {} }), ("/operation_id", "wrong_type")),
        (json!({ "operation_id": 1.5, "form_data": {} }), ("/operation_id", "wrong_type")),
        (json!({ "operation_id": 4_294_967_297_u64, "form_data": {} }), ("/operation_id", "wrong_type")),
        (json!({ "operation_id": true, "form_data": {} }), ("/operation_id", "wrong_type")),
        (json!({ "operation_id": 1, "form_data": {}, "price_sats": 1 }), ("/price_sats", "unknown_field")),
        (json!({ "operation_id": 1, "form_data": {}, "user_id": user.id }), ("/user_id", "unknown_field")),
        (with("cpf", json!("5299822\u{0}4725")), ("/form_data/cpf", "nul_character")),
        (with("x\u{0}", json!("1")), ("/form_data", "nul_character")),
    ] {
        let answer = post(&app, &user, &body).await;
        assert_eq!(answer.faults(400, "malformed_request"), faults(&[expected]), "{body}");
    }
    assert_eq!(app.world.count("tickets").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_does_not_exist_is_not_found() {
    let app = TestApp::start().await;
    let user = app.user().await;
    for id in [0, 2, -1, i32::MAX, i32::MIN] {
        let body = json!({ "operation_id": id, "form_data": form() });
        post(&app, &user, &body).await.problem(404, "operation_not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_may_be_written_as_people_write_them() {
    let app = TestApp::start().await;
    let user = app.user().await;
    for (cpf, mirror) in
        [("529.982.247-25", "123456789"), (CPF, "12345678901"), ("529.982.247-25", "1234567890")]
    {
        let form = json!({ "cpf": cpf, "cnh_number": CNH, "cnh_mirror": mirror });
        let opened = post(&app, &user, &json!({ "operation_id": 1, "form_data": form })).await.json(201);
        assert_eq!(app.ticket(&user, &opened).await["form_data"], form, "kept as written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_no_id_names_no_ticket() {
    let app = TestApp::start().await;
    let user = app.user().await;
    for id in [
        "1",
        "abc",
        "%00",
        "%FF",
        "..",
        "01942138-0f80-7c3a-8d5e-0123456789ab",
        "01942138%2D0f80",
        "'--",
        "%2e%2e%2f",
    ] {
        for rest in ["", "/confirm-payment", "/cancel", "/invoice"] {
            let method = if rest.is_empty() { "GET" } else { "POST" };
            let answer =
                app.call(method, &format!("/api/v1/tickets/{id}{rest}")).token(&user.token).send().await;
            // `..` never arrives: the client takes it out of the path.
            if id != ".." {
                answer.problem(404, "ticket_not_found");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_there_after_a_restart() {
    let app = TestApp::start().await;
    let world = std::sync::Arc::clone(&app.world);
    let user = app.user().await;
    let opened = app.open(&user).await;
    let before = app.get(&path_of(&opened, "")).token(&user.token).send().await;
    app.stop().await;
    let app = world.serve().await;
    let after = app.get(&path_of(&opened, "")).token(&user.token).send().await;
    assert_eq!((after.status, after.bytes), (200, before.bytes));
    // And the wallet still finds its invoice.
    app.pay(&opened, "").await.json(200);
    assert_eq!(app.act(&user, &opened, "confirm-payment").await.json(200)["status"], "paid");
}
