//! That the hot queries use their indexes: the plans of the very texts that the functions run.

use guiche_kernel::Caller;
use tokio_postgres::Client;

use crate::scene::{Scene, texts};

/// The query of a set-returning function, with its parameters numbered.
async fn query_of(client: &Client, function: &str, parameters: &[&str]) -> String {
    let body =
        texts(client, &format!("SELECT prosrc FROM pg_proc WHERE proname = '{function}'")).await.remove(0);
    let after = body.split_once("RETURN QUERY").map_or(body.as_str(), |(_, query)| query);
    let mut query = after.split_once("END\n$$").map_or(after, |(query, _)| query).replace("END", "");
    // Longer names first: one name may begin another.
    let mut numbered: Vec<_> = parameters.iter().enumerate().collect();
    numbered.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
    for (index, name) in numbered {
        query = query.replace(name, &format!("${}", index + 1));
    }
    query.trim().trim_end_matches(';').to_owned()
}

/// 40 people with 200 tickets each; returns one of them.
async fn many_tickets(scene: &Scene) -> Caller {
    let mut someone = scene.person("someone@example.org").await;
    let client = scene.superuser().await;
    for number in 0..40 {
        someone = scene.person(&format!("p{number}@example.org")).await;
        let fill = format!(
            "INSERT INTO tickets SELECT gen_random_uuid(), '{}', 1, 'x', 50000, '{{}}', 'pending', 1,
                now() - n * interval '1 minute', now(), NULL, NULL, NULL, now() + n * interval '1 minute'
            FROM generate_series(1, 200) n",
            someone.user_id
        );
        client.batch_execute(&fill).await.unwrap();
    }
    let invoices =
        "INSERT INTO invoices SELECT sha256(id::text::bytea), id, user_id, amount_sats, 1, id::text, 'b',
        created_at, expires_at, 'open' FROM tickets";
    client.batch_execute(invoices).await.unwrap();
    client.batch_execute("ANALYZE").await.unwrap();
    someone
}

async fn plan(client: &Client, query: &str, types: &str, arguments: &str) -> String {
    client.batch_execute(&format!("PREPARE asked({types}) AS {query}")).await.unwrap();
    let mut plans = String::new();
    for mode in ["force_custom_plan", "force_generic_plan"] {
        client.batch_execute(&format!("SET plan_cache_mode = {mode}")).await.unwrap();
        let lines = client.simple_query(&format!("EXPLAIN EXECUTE asked({arguments})")).await.unwrap();
        for line in lines {
            if let tokio_postgres::SimpleQueryMessage::Row(row) = line {
                plans.push_str(row.get(0).unwrap_or_default());
                plans.push('\n');
            }
        }
    }
    client.batch_execute("DEALLOCATE asked").await.unwrap();
    plans
}

#[tokio::test]
async fn lists_and_due_invoices_are_read_from_their_indexes() {
    let scene = Scene::new().await;
    let alice = many_tickets(&scene).await;
    let superuser = scene.superuser().await;

    let app = scene.app().await;
    app.batch_execute(&format!("BEGIN; SELECT set_config('app.user_id', '{}', true)", alice.user_id))
        .await
        .unwrap();
    let parameters = ["p_user", "p_status", "after_moment", "after_id", "p_offset", "p_limit"];
    let query = query_of(&superuser, "list_tickets", &parameters).await;
    let types = "uuid, text, timestamptz, uuid, bigint, bigint";
    let place = "now() - interval '1 hour', gen_random_uuid(), 0, 21";
    for status in ["NULL", "'paid'"] {
        let plan = plan(&app, &query, types, &format!("'{}', {status}, {place}", alice.user_id)).await;
        assert!(!plan.contains("Seq Scan"), "{status}: {plan}");
        let from_index =
            plan.lines().filter(|line| line.contains("Index Cond") && line.contains("ROW(created_at, id) <"));
        assert_eq!(from_index.count(), 2, "{status}: once for this page, once for any: {plan}");
    }

    let counted = format!("LIMIT {}", guiche_tickets::TicketPage::COUNTED_UP_TO + 1);
    assert!(query.contains(&counted), "one more than is counted says that there are too many: {query}");

    let worker = scene.database.raw(&scene.database.worker_url()).await;
    let query = query_of(&superuser, "claim_due_invoices", &["p_now", "p_leased_until", "p_limit"]).await;
    let plan = plan(&worker, &query, "timestamptz, timestamptz, bigint", "now(), now(), 100").await;
    assert_eq!(plan.matches("using invoices_due").count(), 2, "for these arguments and for any: {plan}");
}
