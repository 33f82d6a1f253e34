//! What can be bought, as anybody can read it.

use serde_json::json;

use crate::support::{PRICE, TestApp};

#[tokio::test(flavor = "multi_thread")]
async fn the_operations_are_listed_and_found_by_id_and_by_name() {
    let app = TestApp::start().await;
    let list = app.get("/api/v1/operations").send().await.json(200);
    let [operation] = &list.as_array().unwrap()[..] else { panic!("{list}") };
    let schema = &operation["form_schema"];
    let expected = json!({
        "id": 1,
        "name": "driver_license_renewal",
        "description": operation["description"],
        "price_sats": PRICE,
        "required_fields": ["cpf", "cnh_number", "cnh_mirror"],
        "form_schema": schema,
    });
    assert_eq!(operation, &expected);
    assert!(operation["description"].as_str().is_some_and(|text| !text.is_empty()));
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!((&schema["type"], &schema["additionalProperties"]), (&json!("object"), &json!(false)));
    assert_eq!(schema["required"], operation["required_fields"]);
    assert_eq!(schema["properties"]["cpf"]["format"], "cpf");
    assert_eq!(schema["properties"]["cnh_number"]["format"], "cnh");
    assert!(jsonschema::draft202012::meta::is_valid(schema), "a client can use it as it is");

    for path in ["/api/v1/operations/1", "/api/v1/operations/by-name/driver_license_renewal"] {
        assert_eq!(app.get(path).send().await.json(200), *operation, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_added_is_on_offer_a_second_later() {
    let app = TestApp::start().await;
    let names = async || {
        let list = app.get("/api/v1/operations").send().await.json(200);
        list.as_array().unwrap().iter().map(|operation| operation["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["driver_license_renewal"]);
    let added = "INSERT INTO operations SELECT 2, 'added', description, 1, form_schema FROM operations";
    app.world.execute(added).await;
    app.world.advance(1);
    assert_eq!(names().await, ["driver_license_renewal", "added"]);
    assert_eq!(app.get("/api/v1/operations/by-name/added").send().await.json(200)["id"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_on_offer_is_not_found() {
    let app = TestApp::start().await;
    for path in [
        "2",
        "0",
        "-1",
        "2147483647",
        "2147483648",
        "99999999999999999999",
        "one",
        "1.0",
        "1e0",
        "0x1",
        "%31%00",
        "%FF",
        "by-name/other",
        "by-name/DRIVER_LICENSE_RENEWAL",
        "by-name/driver_license_renewal%00",
        "by-name/%FF",
        "by-name/1",
        "by-name/'%20OR%201=1--",
        "%20",
        "1%20",
    ] {
        let answer = app.get(&format!("/api/v1/operations/{path}")).send().await;
        answer.problem(404, "operation_not_found");
    }
    for path in ["/api/v1/operations/by-name/", "/api/v1/operations/", "/api/v1/operations/1/"] {
        app.get(path).send().await.problem(404, "not_found");
    }
    // An operation that is no longer offered is as good as none, also for its id.
    app.world.execute("UPDATE operations SET active = false").await;
    assert_eq!(
        app.get("/api/v1/operations/1").send().await.json(200)["id"],
        1,
        "what was read is good for a second"
    );
    app.world.advance(1);
    assert_eq!(app.get("/api/v1/operations").send().await.json(200), json!([]));
    for path in ["/api/v1/operations/1", "/api/v1/operations/by-name/driver_license_renewal"] {
        app.get(path).send().await.problem(404, "operation_not_found");
    }
    let user = app.user().await;
    let answer = app.post("/api/v1/tickets").token(&user.token).body(&crate::support::order()).send().await;
    answer.problem(404, "operation_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_price_counts_in_a_second_on_every_replica_and_never_for_an_old_ticket() {
    let app = TestApp::start().await;
    let replica = app.world.serve().await;
    let user = app.user().await;
    let old = app.open(&user).await;
    app.world.execute("UPDATE operations SET price_sats = 60000").await;
    app.world.advance(1);
    for app in [&app, &replica] {
        assert_eq!(app.get("/api/v1/operations/1").send().await.json(200)["price_sats"], 60_000);
        assert_eq!(app.open(&user).await["amount_sats"], 60_000);
        assert_eq!(app.ticket(&user, &old).await["amount_sats"], PRICE);
    }
    app.world.advance(901);
    let fresh = app.act(&user, &old, "invoice").await.json(201);
    assert_eq!(fresh["amount_sats"], PRICE, "the ticket's own price");
}
