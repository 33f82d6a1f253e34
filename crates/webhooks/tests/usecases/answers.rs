//! What an endpoint answers, and what follows.

use std::time::Duration;

use guiche_webhooks::testing::ScriptedSender;
use guiche_webhooks::{Answer, Attempted, DeliveryState, DisabledReason, EndpointState, Fate, SendError};

use crate::world::{Office, believed, hours};

#[tokio::test]
async fn an_event_is_delivered_once_signed_and_under_its_own_id() {
    let office = Office::new();
    let added = office.add("one.example").await;
    let event = office.paid().await;
    assert_eq!(office.step().await, [Fate::Delivered]);
    office.work_for(hours(1)).await;
    let sent = office.sent_to("one.example");
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].request.headers.id, event.to_string());
    assert!(believed(&added.secret, &sent[0]));
    let body: serde_json::Value = serde_json::from_slice(&sent[0].request.body).unwrap();
    assert_eq!(body["type"], "ticket.paid");
    assert_eq!(body["data"]["amount_sats"], 50_000);
}

#[tokio::test]
async fn gone_disables_the_endpoint_and_drops_what_waits() {
    let office = Office::answering(|_, _| ScriptedSender::status(410));
    let id = office.add("gone.example").await.endpoint.id;
    for _ in 0..6 {
        office.paid().await;
    }
    let fates = office.step().await;
    let gone = Fate::Disabled { attempted: Attempted::Answered(410), reason: DisabledReason::Gone };
    assert_eq!(fates, [gone; 4], "no more than were under way at once");
    office.paid().await;
    assert!(office.work_for(hours(1)).await.is_empty());
    let endpoint = office.webhooks.endpoint(id).await.unwrap();
    assert!(
        matches!(endpoint.state, EndpointState::Disabled { reason: DisabledReason::Gone, .. }),
        "{endpoint:?}"
    );
    let rows = office.deliveries(id).await;
    assert_eq!(rows.len(), 6);
    assert!(rows.iter().all(|row| row.state != DeliveryState::Pending), "{rows:?}");
}

#[tokio::test]
async fn retry_after_is_honoured_up_to_a_day() {
    for (status, header, at_least) in
        [(429, "600", 600), (503, "600", 600), (503, "9999999", 86_400), (500, "600", 0), (429, "x", 0)]
    {
        let office = Office::new();
        office.add("busy.example").await;
        office.sender.queue(Ok(Answer { status, retry_after: Some(header.to_owned()) }));
        office.paid().await;
        let before = office.sender.sent().len();
        let fates = office.step().await;
        let [Fate::Retried { at, .. }] = fates[..] else { panic!("{fates:?}") };
        let pause = at - office.sender.sent()[before].at;
        assert!(pause >= Duration::from_secs(at_least), "{status} {header}: {pause}");
        assert!(pause <= Duration::from_secs(at_least.max(6)), "{status} {header}: {pause}");
    }
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let office = Office::new();
    office.add("moved.example").await;
    office.sender.queue(ScriptedSender::status(302));
    let event = office.paid().await;
    let fates = office.step().await;
    assert!(matches!(fates[..], [Fate::Retried { attempted: Attempted::Answered(302), .. }]), "{fates:?}");
    assert!(office.work_for(hours(1)).await.contains(&Fate::Delivered));
    let ids: Vec<_> = office.sender.sent().iter().map(|sent| sent.request.headers.id.clone()).collect();
    assert_eq!(ids, [event.to_string(), event.to_string()]);
}

#[tokio::test]
async fn a_poisoned_event_and_a_dead_endpoint_keep_nobody_waiting() {
    // The dead one takes nothing; the picky one chokes on one event, for ever.
    let office = Office::answering(|_, request| match request.url.url().host_str() {
        Some("dead.example") => Err(SendError::TimedOut),
        Some("picky.example") if request.headers.id.ends_with('0') => ScriptedSender::status(500),
        _ => ScriptedSender::status(204),
    });
    let dead = office.add("dead.example").await.endpoint.id;
    let picky = office.add("picky.example").await.endpoint.id;
    let fine = office.add("fine.example").await.endpoint.id;
    let mut events = Vec::new();
    while events.len() < 40 {
        events.push(office.paid().await);
    }
    let poisoned = events.iter().filter(|id| id.to_string().ends_with('0')).count();
    assert!(poisoned > 0, "the seed gives some");
    // 40 events at 4 a step and endpoint.
    office.work_for(Duration::from_secs(5 * 12)).await;
    let delivered = |host: &str| {
        let ids: std::collections::HashSet<_> =
            office.sent_to(host).iter().map(|sent| sent.request.headers.id.clone()).collect();
        ids.len()
    };
    assert_eq!(delivered("fine.example"), 40);
    let state = async |endpoint, state| {
        let query = guiche_webhooks::DeliveryQuery {
            endpoint_id: Some(endpoint),
            state: Some(state),
            limit: guiche_kernel::Limit::try_new(100).unwrap(),
        };
        office.webhooks.deliveries(&query).await.unwrap().len()
    };
    assert_eq!(state(fine, DeliveryState::Delivered).await, 40);
    assert_eq!(state(picky, DeliveryState::Delivered).await, 40 - poisoned);
    assert_eq!(state(picky, DeliveryState::Pending).await, poisoned);
    assert_eq!(state(dead, DeliveryState::Pending).await, 40);
}

#[tokio::test]
async fn whatever_happens_to_a_worker_after_the_commit_the_event_is_sent_under_the_same_id() {
    let office = Office::new();
    office.add("one.example").await;
    let event = office.paid().await;
    // It claims, and dies before, or after, it sends.
    drop(office.webhooks.claim(guiche_kernel::Limit::default()).await.unwrap());
    assert!(office.step().await.is_empty(), "the lease holds");
    let mut due = {
        office.clock.advance(Duration::from_secs(60));
        office.webhooks.claim(guiche_kernel::Limit::default()).await.unwrap()
    };
    let slow = due.remove(0);
    office.clock.advance(Duration::from_secs(60));
    assert_eq!(office.step().await, [Fate::Delivered]);
    assert_eq!(office.webhooks.deliver(slow).await.unwrap(), Fate::Lost, "it was late, and says so");
    let ids: Vec<_> = office.sender.sent().iter().map(|sent| sent.request.headers.id.clone()).collect();
    assert_eq!(ids, [event.to_string(), event.to_string()]);
    assert!(office.work_for(hours(100)).await.is_empty());
}
