//! Lists of tickets: order, pages, filters, totals.

use serde_json::{Value, json};

use crate::client::{Answer, faults};
use crate::support::{TestApp, User, noon, path_of};

async fn list(app: &TestApp, user: &User, query: &str) -> Answer {
    app.get(&format!("/api/v1/tickets{query}")).token(&user.token).send().await
}

fn ids(page: &Value) -> Vec<String> {
    let tickets = page["tickets"].as_array().unwrap();
    tickets.iter().map(|ticket| ticket["id"].as_str().unwrap().to_owned()).collect()
}

/// So many tickets, a second apart; newest first.
async fn open_many(app: &TestApp, user: &User, count: usize) -> Vec<Value> {
    let mut opened = Vec::new();
    for _ in 0..count {
        opened.insert(0, app.open(user).await);
        app.world.advance(1);
    }
    opened
}

fn ids_of(opened: &[Value]) -> Vec<String> {
    opened.iter().map(|ticket| ticket["ticket_id"].as_str().unwrap().to_owned()).collect()
}

/// Where `Link: <…>; rel="next"` leads.
fn next_of(answer: &Answer) -> Option<String> {
    let link = answer.header("link")?;
    let target = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
    Some(target.unwrap_or_else(|| panic!("{link}")).to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let answer = list(&app, &user, "").await;
    assert_eq!(answer.json(200), json!({ "tickets": [], "total": 0, "next_cursor": null }));
    assert_eq!(answer.header("link"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_form_of_a_ticket() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    let page = list(&app, &user, "").await.json(200);
    let ticket = json!({
        "id": opened["ticket_id"], "operation_id": 1, "operation_name": "driver_license_renewal",
        "payment_status": "pending", "amount_sats": 50_000, "created_at": noon(0), "expires_at": noon(900),
        "paid_at": null,
    });
    assert_eq!(page, json!({ "tickets": [ticket], "total": 1, "next_cursor": null }));
    app.world.advance(30);
    app.pay(&opened, "").await.json(200);
    app.act(&user, &opened, "confirm-payment").await.json(200);
    let page = list(&app, &user, "").await.json(200);
    assert_eq!(
        (&page["tickets"][0]["payment_status"], &page["tickets"][0]["paid_at"]),
        (&json!("paid"), &json!(noon(30)))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn walking_by_cursor_and_by_link_shows_each_ticket_once() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let expected = ids_of(&open_many(&app, &user, 5).await);

    let (mut by_cursor, mut query, mut sizes) = (Vec::new(), "?limit=2".to_owned(), Vec::new());
    loop {
        let page = list(&app, &user, &query).await.json(200);
        assert_eq!(page["total"], 5);
        sizes.push(ids(&page).len());
        by_cursor.extend(ids(&page));
        // What is opened meanwhile is newer than where the walk has come to, and does not shift it.
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!((by_cursor, sizes), (expected.clone(), vec![2, 2, 1]));

    let (mut by_link, mut path) = (Vec::new(), "/api/v1/tickets?limit=3".to_owned());
    loop {
        let answer = app.get(&path).token(&user.token).send().await;
        let page = answer.json(200);
        by_link.extend(ids(&page));
        assert_eq!(next_of(&answer).is_some(), page["next_cursor"].is_string());
        let Some(next) = next_of(&answer) else { break };
        assert_eq!(next, format!("/api/v1/tickets?limit=3&cursor={}", page["next_cursor"].as_str().unwrap()));
        path = next;
    }
    assert_eq!(by_link, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opened_during_the_walk_does_not_shift_it() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let expected = ids_of(&open_many(&app, &user, 4).await);
    let page = list(&app, &user, "?limit=2").await.json(200);
    app.open(&user).await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = list(&app, &user, &format!("?limit=2&cursor={cursor}")).await.json(200);
    assert_eq!([ids(&page), ids(&rest)].concat(), expected);
    assert_eq!((rest["total"].clone(), rest["next_cursor"].clone()), (json!(5), Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_of_the_same_moment_are_walked_without_loss() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(app.open(&user).await["ticket_id"].as_str().unwrap().to_owned());
    }
    let (mut walked, mut query) = (Vec::new(), "?limit=1".to_owned());
    loop {
        let page = list(&app, &user, &query).await.json(200);
        walked.extend(ids(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=1&cursor={cursor}");
    }
    expected.sort();
    expected.reverse();
    assert_eq!(walked, expected, "newest first, and by id where that does not tell");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_skips() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let all = ids_of(&open_many(&app, &user, 5).await);
    for (query, expected, more) in [
        ("?offset=0&limit=2", &all[..2], true),
        ("?offset=2&limit=2", &all[2..4], true),
        ("?offset=4&limit=2", &all[4..], false),
        ("?offset=3", &all[3..], false),
        ("?offset=5", &all[..0], false),
        ("?offset=4294967295", &all[..0], false),
    ] {
        let page = list(&app, &user, query).await.json(200);
        assert_eq!(ids(&page), expected, "{query}");
        assert_eq!((&page["total"], page["next_cursor"].is_string()), (&json!(5), more), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_filters_the_list_its_total_and_its_pages() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = open_many(&app, &user, 6).await;
    let all = ids_of(&opened);
    for n in [0, 2, 4] {
        app.pay(&opened[n], "").await.json(200);
        app.act(&user, &opened[n], "confirm-payment").await.json(200);
    }
    app.act(&user, &opened[5], "cancel").await.json(200);
    for (status, expected) in [
        ("paid", vec![0, 2, 4]),
        ("pending", vec![1, 3]),
        ("cancelled", vec![5]),
        ("expired", vec![]),
        ("processing", vec![]),
        ("completed", vec![]),
        ("refund_due", vec![]),
        ("refunded", vec![]),
    ] {
        let page = list(&app, &user, &format!("?status={status}")).await.json(200);
        let expected: Vec<String> = expected.into_iter().map(|n| all[n].clone()).collect();
        assert_eq!((ids(&page), &page["total"]), (expected.clone(), &json!(expected.len())), "{status}");
    }
    let answer = list(&app, &user, "?status=paid&limit=2").await;
    let next = next_of(&answer).unwrap();
    assert!(next.contains("status=paid") && next.contains("limit=2"), "{next}");
    let rest = app.get(&next).token(&user.token).send().await.json(200);
    assert_eq!((ids(&rest), &rest["total"]), (vec![all[4].clone()], &json!(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_parameters_are_named() {
    let app = TestApp::start().await;
    let user = app.user().await;
    open_many(&app, &user, 2).await;
    let page = list(&app, &user, "?limit=1").await.json(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let both = format!("?cursor={cursor}&offset=0");
    let cut = format!("?cursor={}", &cursor[..cursor.len() - 1]);
    let longer = format!("?cursor={cursor}AA");
    for (query, pointer, code) in [
        (both.as_str(), "/cursor", "invalid_parameter"),
        (cut.as_str(), "/cursor", "invalid_parameter"),
        (longer.as_str(), "/cursor", "invalid_parameter"),
        ("?cursor=", "/cursor", "invalid_parameter"),
        ("?cursor=abc", "/cursor", "invalid_parameter"),
        ("?cursor=%27--", "/cursor", "invalid_parameter"),
        ("?status=payed", "/status", "invalid_parameter"),
        ("?status=PAID", "/status", "invalid_parameter"),
        ("?status=", "/status", "invalid_parameter"),
        ("?limit=0", "/limit", "invalid_parameter"),
        ("?limit=101", "/limit", "invalid_parameter"),
        ("?limit=65537", "/limit", "invalid_parameter"),
        ("?limit=-1", "/limit", "invalid_parameter"),
        ("?limit=ten", "/limit", "invalid_parameter"),
        ("?limit=", "/limit", "invalid_parameter"),
        ("?offset=-1", "/offset", "invalid_parameter"),
        ("?offset=4294967296", "/offset", "invalid_parameter"),
        ("?page=2", "/page", "unknown_parameter"),
    ] {
        let answer = list(&app, &user, query).await;
        assert_eq!(answer.faults(400, "malformed_request"), faults(&[(pointer, code)]), "{query}");
    }
    list(&app, &user, "?limit=1&limit=2").await.problem(400, "malformed_request");
    list(&app, &user, "?status=%FF").await.problem(400, "malformed_request");
    for limit in [1, 100] {
        list(&app, &user, &format!("?limit={limit}")).await.json(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_page_has_twenty() {
    let app = TestApp::start().await;
    let user = app.user().await;
    app.open(&user).await;
    many(&app, &user, 20).await;
    let page = list(&app, &user, "").await.json(200);
    assert_eq!((ids(&page).len(), &page["total"]), (20, &json!(21)));
    let page = list(&app, &user, "?limit=100").await.json(200);
    assert_eq!((ids(&page).len(), &page["next_cursor"]), (21, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_is_exact_up_to_ten_thousand() {
    let app = TestApp::start().await;
    let user = app.user().await;
    app.open(&user).await;
    many(&app, &user, 9_999).await;
    let total = async |query: &str| list(&app, &user, query).await.json(200)["total"].clone();
    assert_eq!(total("").await, 10_000);
    assert_eq!(total("?offset=9999").await, 10_000);
    many(&app, &user, 1).await;
    assert_eq!(total("").await, Value::Null);
    assert_eq!(total("?status=pending&limit=1").await, Value::Null);
    assert_eq!(total("?status=paid").await, 0);
}

/// Copies of the user's first ticket, older than it; without invoices, which lists do not read.
async fn many(app: &TestApp, user: &User, count: u32) {
    let copies = format!(
        "INSERT INTO tickets SELECT c.* FROM (SELECT * FROM tickets WHERE user_id = '{}' ORDER BY created_at DESC, id \
         LIMIT 1) t, generate_series(1, {count}) n, jsonb_populate_record(NULL::tickets, to_jsonb(t) || \
         jsonb_build_object('id', gen_random_uuid(), 'created_at', t.created_at - n * interval '1 second')) c",
        user.id
    );
    app.world.execute(&copies).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_the_tickets_of_others() {
    let app = TestApp::start().await;
    let (ana, bob) = (app.user().await, app.user().await);
    let of_ana = ids_of(&open_many(&app, &ana, 3).await);
    let of_bob = ids_of(&open_many(&app, &bob, 1).await);
    for (user, expected) in [(&ana, &of_ana), (&bob, &of_bob)] {
        let page = list(&app, user, "").await.json(200);
        assert_eq!((&ids(&page), &page["total"]), (expected, &json!(expected.len())));
    }
    // A place in somebody else's list is only a place.
    let cursor = list(&app, &ana, "?limit=1").await.json(200)["next_cursor"].as_str().unwrap().to_owned();
    let page = list(&app, &bob, &format!("?cursor={cursor}")).await.json(200);
    assert!(ids(&page).iter().all(|id| of_bob.contains(id)), "{page}");
    assert_eq!(path_of(&json!({ "id": of_bob[0] }), ""), format!("/api/v1/tickets/{}", of_bob[0]));
}
