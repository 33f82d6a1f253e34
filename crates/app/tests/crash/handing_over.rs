//! An end in good order, while an address is set up: the step that is under way is finished, no other one is begun, and
//! another process goes on at once.

use std::time::Duration;

use serde_json::json;

use crate::addresses;
use crate::cluster::Cluster;
use crate::hosts::Hosts;
use crate::office::Call;
use crate::setups::{SETUP, played};
use crate::support::eventually;

const END: Duration = Duration::from_secs(30);
/// How late the answer comes that the shutdown has to wait for. Without the shutdown, a whole setup takes a tenth.
const LATE_MS: u64 = 3_000;
/// Less than a lease, by far, and enough for a busy machine.
const GOES_ON_WITHIN: Duration = Duration::from_secs(30);
/// What is under way: whether anybody holds it, whether it is due, and how far it came.
const UNDER_WAY: &str = "SELECT concat_ws(' ', a.status,
        CASE WHEN a.leased_until IS NULL THEN 'free' ELSE 'held' END,
        CASE WHEN a.due_at <= clock_timestamp() THEN 'due' ELSE 'waiting' END,
        (SELECT string_agg(s.step || ' ' || s.state, ', ') FROM lightning_setup_steps s
            WHERE s.lightning_address_id = a.id))
    FROM lightning_addresses a WHERE a.due_at IS NOT NULL";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_goes_on_at_once_where_a_stopped_one_was() {
    let hosts = Hosts::start(played);
    let cluster = Cluster::new().await;
    let mut world = cluster.migrated_world().await;
    for (name, value) in hosts.settings() {
        world.set(name, &value);
    }
    let books = cluster.books().await;
    let app = world.ready().await;
    let citizen = app.office().register("ana").await;
    hosts.nodes.fail("create_node", 1, json!({ "kind": "delay", "millis": LATE_MS })).await;
    let ask = Call::post(SETUP).by(&citizen).json(json!({ "lightning_address": "swifteagle42" }));
    app.office().tell(ask.header("prefer", "wait=0")).await.expect(202);
    eventually("a step that is under way", END, async || {
        let under_way = books.texts(UNDER_WAY).await;
        under_way.first()?.ends_with("node_created intended").then_some(())
    })
    .await;

    app.signal("TERM");
    let ended = app.ended(END).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(books.texts(UNDER_WAY).await, ["in_progress free due node_created done"]);

    let other = world.ready().await;
    addresses::come_to_rest(&books, GOES_ON_WITHIN).await.unwrap();
    let standing = other.office().tell(Call::get(SETUP).by(&citizen)).await.expect(200);
    assert_eq!(standing.text("status"), "fully_configured", "{standing:?}");
    addresses::compare(&books, &hosts).await.unwrap();
}
