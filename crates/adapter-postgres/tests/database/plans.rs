//! That the hot queries use their indexes: the plans of the very texts that the functions run.

use guiche_kernel::Caller;
use tokio_postgres::Client;

use crate::scene::{Scene, texts};

/// The queries of a set-returning function, with its parameters numbered.
async fn queries_of(client: &Client, function: &str, parameters: &[&str]) -> Vec<String> {
    let body =
        texts(client, &format!("SELECT prosrc FROM pg_proc WHERE proname = '{function}'")).await.remove(0);
    let returned: Vec<&str> = body.split("RETURN QUERY").skip(1).collect();
    let queries = if returned.is_empty() { vec![body.as_str()] } else { returned };
    // Longer names first: one name may begin another.
    let mut numbered: Vec<_> = parameters.iter().enumerate().collect();
    numbered.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
    let queries = queries.into_iter().map(|query| {
        let query = query.split_once(';').map_or(query, |(query, _)| query).trim().to_owned();
        numbered.iter().fold(query, |query, (index, name)| query.replace(*name, &format!("${}", index + 1)))
    });
    queries.collect()
}

/// 40 people with 200 tickets each; returns one of them, and one with 20,010 tickets, of which 10 have expired.
async fn many_tickets(scene: &Scene) -> (Caller, Caller) {
    let mut someone = scene.person("someone@example.org").await;
    for number in 0..40 {
        someone = scene.person(&format!("p{number}@example.org")).await;
        scene.fill(someone, "pending", 200).await;
    }
    let busy = scene.person("busy@example.org").await;
    scene.fill(busy, "pending", 20_000).await;
    scene.fill(busy, "expired", 10).await;
    scene.superuser().await.batch_execute("ANALYZE").await.unwrap();
    (someone, busy)
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
    let (someone, busy) = many_tickets(&scene).await;
    let superuser = scene.superuser().await;
    let app = scene.app().await;
    let parameters = ["p_user", "p_status", "after_moment", "after_id", "p_offset", "page_limit"];
    let queries = queries_of(&superuser, "list_tickets", &parameters).await;
    let [all, of_a_status] = &queries[..] else { panic!("{queries:?}") };
    let types = "uuid, text, timestamptz, uuid, bigint, bigint";
    let place = "now() - interval '1 hour', gen_random_uuid(), 0, 21";
    // No status, the usual one, one of 10 tickets among 20,010, and one of none.
    for (caller, query, status) in [
        (someone, all, "NULL"),
        (someone, of_a_status, "'pending'"),
        (busy, of_a_status, "'expired'"),
        (busy, of_a_status, "'cancelled'"),
    ] {
        let identity = format!("BEGIN; SELECT set_config('app.user_id', '{}', true)", caller.user_id);
        app.batch_execute(&identity).await.unwrap();
        let plan = plan(&app, query, types, &format!("'{}', {status}, {place}", caller.user_id)).await;
        app.batch_execute("ROLLBACK").await.unwrap();
        assert!(!plan.contains("Seq Scan"), "{status}: {plan}");
        let from_index =
            plan.lines().filter(|line| line.contains("Index Cond") && line.contains("ROW(created_at, id) <"));
        assert_eq!(from_index.count(), 2, "{status}: once for this page, once for any: {plan}");
        // Where nearly all have the status, either index will do for counting them.
        if ["'expired'", "'cancelled'"].contains(&status) {
            let looked_up =
                plan.lines().filter(|line| line.contains("Index Cond") && line.contains("status"));
            assert_eq!(looked_up.count(), 4, "{status}: page and count, for these and for any: {plan}");
        }
    }
    for query in &queries {
        let counted = format!("LIMIT {}", guiche_tickets::TicketPage::COUNTED_UP_TO + 1);
        assert!(query.contains(&counted), "one more than is counted says that there are too many: {query}");
    }

    let worker = scene.database.raw(&scene.database.worker_url()).await;
    let queries = queries_of(&superuser, "claim_looks", &["p_now", "p_leased_until", "p_limit"]).await;
    let plan = plan(&worker, &queries[0], "timestamptz, timestamptz, bigint", "now(), now(), 100").await;
    assert_eq!(
        plan.matches("using invoice_looks_due_at").count(),
        2,
        "for these arguments and for any: {plan}"
    );
    assert!(!plan.contains("Seq Scan"), "what is taken is written where it lies: {plan}");
}

#[tokio::test]
async fn reads_together_are_read_from_their_indexes() {
    let scene = Scene::new().await;
    let (someone, busy) = many_tickets(&scene).await;
    let (superuser, app) = (scene.superuser().await, scene.app().await);
    let users = format!("ARRAY['{}', '{}']::uuid[], ARRAY[0, 0]", someone.user_id, busy.user_id);

    let queries = queries_of(&superuser, "find_tickets", &["p_users", "p_epochs", "p_tickets"]).await;
    let arguments = format!("{users}, ARRAY[gen_random_uuid(), gen_random_uuid()]");
    let found = plan(&app, &queries[0], "uuid[], integer[], uuid[]", &arguments).await;

    let parameters = ["p_users", "p_epochs", "p_after", "p_after_ids", "p_offsets", "p_limits"];
    let queries = queries_of(&superuser, "list_tickets_of", &parameters).await;
    let types = "uuid[], integer[], timestamptz[], uuid[], bigint[], bigint[]";
    let arguments =
        format!("{users}, ARRAY[now(), NULL], ARRAY[gen_random_uuid(), NULL], ARRAY[0, 0], ARRAY[21, 21]");
    let listed = plan(&app, &queries[0], types, &arguments).await;
    let from_index =
        listed.lines().filter(|line| line.contains("Index Cond") && line.contains("ROW(created_at, id) <"));
    assert_eq!(from_index.count(), 2, "for these arguments and for any: {listed}");
    let counted = format!("LIMIT {}", guiche_tickets::TicketPage::COUNTED_UP_TO + 1);
    assert!(queries[0].contains(&counted), "one more than is counted says that there are too many");

    for plan in [found, listed] {
        for table in ["tickets", "invoices"] {
            assert!(!plan.contains(&format!("Seq Scan on {table}")), "{plan}");
        }
        // The caller is put in force before anything of theirs is looked for.
        assert!(plan.contains("Nested Loop") && !plan.contains("Hash"), "{plan}");
    }
}
