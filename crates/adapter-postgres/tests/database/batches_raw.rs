//! `open_tickets` by raw SQL: every row of every table is written under the identity of its own caller, or not at all.

use guiche_kernel::{Caller, Clock as _};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::scene::{Scene, number, refusal, texts};

/// A call for so many tickets: who asks for each, and whose it is said to be.
fn call(scene: &Scene, rows: &[(Caller, Caller)]) -> String {
    let mut ids: Vec<Uuid> = rows.iter().map(|_| scene.ids.uuid()).collect();
    ids.sort();
    let array = |of: &str, element: &dyn Fn(usize) -> String| {
        let all: Vec<String> = (0..rows.len()).map(element).collect();
        format!("ARRAY[{}]::{of}[]", all.join(", "))
    };
    let text = |text: &str| format!("'{text}'");
    let now = scene.clock.now();
    let moment = |_: usize| format!("'{now}'");
    let hash = |place: usize| format!("sha256('{}')", ids[place]);
    [
        array("uuid", &|place| text(&rows[place].0.user_id.to_string())),
        array("integer", &|place| rows[place].0.epoch.get().to_string()),
        array("uuid", &|place| text(&ids[place].to_string())),
        array("uuid", &|place| text(&rows[place].1.user_id.to_string())),
        array("integer", &|_| "1".to_owned()),
        array("text", &|_| text("x")),
        array("bigint", &|_| "50000".to_owned()),
        array("jsonb", &|_| text("{}")),
        array("timestamptz", &moment),
        array("timestamptz", &moment),
        array("bytea", &hash),
        array("text", &|place| text(&format!("p:{}", ids[place]))),
        array("text", &|_| text("lnbcrt")),
        array("timestamptz", &moment),
        array("timestamptz", &|_| format!("'{now}'::timestamptz + interval '15 min'")),
        array("text", &|_| "NULL".to_owned()),
        array("text", &|_| "NULL".to_owned()),
        array("uuid", &|_| "NULL".to_owned()),
        array("integer", &|place| (place + 1).to_string()),
        array("uuid", &|_| text(&scene.ids.uuid().to_string())),
        array("text", &|_| text("ticket.opened")),
        array("timestamptz", &moment),
        array("text", &|_| text("pending")),
        array("bigint", &|_| "1".to_owned()),
        array("bytea", &hash),
    ]
    .join(", ")
}

fn opening(scene: &Scene, rows: &[(Caller, Caller)]) -> String {
    format!("SELECT array_to_string(open_tickets({}), ' ')", call(scene, rows))
}

/// Whose rows a table has, with the number of each.
async fn owners(client: &Client, table: &str) -> Vec<String> {
    let query = format!("SELECT user_id::text || ' ' || count(*) FROM {table} GROUP BY user_id ORDER BY 1");
    texts(client, &query).await
}

#[tokio::test]
async fn a_batch_of_several_citizens_is_each_ones_own_and_leaves_no_identity() {
    let scene = Scene::new().await;
    let (alice, bob) = (scene.person("alice@example.org").await, scene.person("bob@example.org").await);
    let (app, superuser) = (scene.app().await, scene.superuser().await);
    let timeout = texts(&app, "SHOW lock_timeout").await;
    let rows = [(alice, alice), (bob, bob), (alice, alice), (bob, bob), (bob, bob)];
    assert_eq!(texts(&app, &opening(&scene, &rows)).await, ["t t t t t"]);
    let mut expected = [format!("{} 2", alice.user_id), format!("{} 3", bob.user_id)];
    expected.sort();
    for table in ["tickets", "invoices", "outbox"] {
        assert_eq!(owners(&superuser, table).await, expected, "{table}");
        assert_eq!(
            number(&app, &format!("SELECT count(*) FROM {table}")).await,
            0,
            "{table}: nobody is in force"
        );
    }
    assert_eq!(texts(&app, "SHOW lock_timeout").await, timeout, "nor is anything else of it");
}

#[tokio::test]
async fn a_caller_whose_session_ended_is_left_out() {
    let scene = Scene::new().await;
    let (alice, bob) = (scene.person("alice@example.org").await, scene.person("bob@example.org").await);
    let (app, superuser) = (scene.app().await, scene.superuser().await);
    superuser.batch_execute("UPDATE users SET epoch = 1 WHERE email_key LIKE 'bob%'").await.unwrap();
    let rows = [(bob, bob), (alice, alice), (bob, bob)];
    assert_eq!(texts(&app, &opening(&scene, &rows)).await, ["f t f"]);
    for table in ["tickets", "invoices", "outbox"] {
        assert_eq!(owners(&superuser, table).await, [format!("{} 1", alice.user_id)], "{table}");
    }
}

#[tokio::test]
async fn no_table_takes_a_row_under_another_identity_than_its_callers() {
    let scene = Scene::new().await;
    let (alice, bob) = (scene.person("alice@example.org").await, scene.person("bob@example.org").await);
    let (app, superuser) = (scene.app().await, scene.superuser().await);
    // First, last, and in the middle of others.
    for (first, last) in [((alice, bob), (bob, bob)), ((alice, alice), (bob, alice))] {
        let refused = refusal(&app, &opening(&scene, &[first, last])).await;
        assert!(refused.starts_with("42501") && refused.contains("\"tickets\""), "{refused}");
    }
    // The program cannot ask for the like of the others: here the owner of the row changes on its way into the table.
    for table in ["invoices", "outbox"] {
        for (of, becomes) in [(alice, bob), (bob, alice)] {
            let planted = format!(
                "CREATE OR REPLACE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF NEW.user_id = '{}' THEN NEW.user_id := '{}'; END IF;
                    RETURN NEW;
                END $$;
                CREATE TRIGGER planted BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION planted()",
                of.user_id, becomes.user_id
            );
            superuser.batch_execute(&planted).await.unwrap();
            let refused =
                refusal(&app, &opening(&scene, &[(alice, alice), (bob, bob), (alice, alice)])).await;
            assert!(refused.starts_with("42501") && refused.contains(&format!("{table:?}")), "{refused}");
            superuser.batch_execute(&format!("DROP TRIGGER planted ON {table}")).await.unwrap();
        }
    }
    for table in ["tickets", "invoices", "outbox"] {
        assert!(owners(&superuser, table).await.is_empty(), "{table}");
    }
}

#[tokio::test]
async fn a_claim_is_completed_under_its_own_caller_only() {
    let scene = Scene::new().await;
    let (alice, bob) = (scene.citizen("alice@example.org").await, scene.person("bob@example.org").await);
    let (app, superuser) = (scene.app().await, scene.superuser().await);
    let subject = texts(&superuser, "SELECT subject::text FROM idempotency_claims").await.remove(0);
    let route = texts(&superuser, "SELECT route FROM idempotency_claims").await.remove(0);
    let empty = "ARRAY[NULL, NULL]::text[], ARRAY[NULL, NULL]::text[], ARRAY[NULL, NULL]::uuid[]";
    let under = |first: bool| {
        let both = |value: &str| if first { format!("'{value}', NULL") } else { format!("NULL, '{value}'") };
        let claim = format!(
            "ARRAY[{}]::text[], ARRAY[{}]::text[], ARRAY[{}]::uuid[]",
            both(&route),
            both("k"),
            both(&subject)
        );
        let asked = opening(&scene, &[(alice, alice), (bob, bob)]);
        assert!(asked.contains(empty));
        asked.replace(empty, &claim)
    };
    // Bob's ticket cannot complete what Alice claimed; and nothing of the batch stays.
    let refused = refusal(&app, &under(false)).await;
    assert!(refused.starts_with("GU412 guiche_conflict"), "{refused}");
    assert_eq!(number(&superuser, "SELECT count(*) FROM tickets").await, 1);
    assert_eq!(texts(&app, &under(true)).await, ["t t"]);
    let done = "SELECT count(*) FROM idempotency_claims c JOIN tickets t ON t.id = c.ticket_id AND t.user_id = c.user_id";
    assert_eq!(number(&superuser, done).await, 1);
}

#[tokio::test]
async fn tickets_out_of_order_are_a_defect() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let app = scene.app().await;
    let call = opening(&scene, &[(alice, alice), (alice, alice)]);
    let ids: Vec<&str> =
        call.split('\'').filter(|text| text.len() == 36 && *text != alice.user_id.to_string()).collect();
    let (one, other) = (ids[0], ids[1]);
    let turned = call.replace(one, "first").replace(other, one).replace("first", other);
    let refused = refusal(&app, &turned).await;
    assert!(refused.contains("not in the order of their ids"), "{refused}");
    let twice = call.replace(other, one);
    let refused = refusal(&app, &twice).await;
    assert!(refused.contains("not in the order of their ids"), "{refused}");
}
