//! Endpoints that fail for long.

use std::time::Duration;

use guiche_webhooks::testing::ScriptedSender;
use guiche_webhooks::{Attempted, DeliveryState, DisabledReason, Fate};

use crate::world::{Office, believed, hours};

#[tokio::test]
async fn a_receiver_that_fails_for_a_day_gets_its_event_once_it_recovers() {
    let begin = guiche_kernel::Clock::now(&guiche_kernel::testing::ManualClock::default());
    let office = Office::answering(move |now, _| {
        ScriptedSender::status(if now - begin < hours(24) { 500 } else { 200 })
    });
    let added = office.add("ill.example").await;
    let event = office.paid().await;
    let fates = office.work_for(hours(80)).await;
    assert_eq!(fates.iter().filter(|fate| **fate == Fate::Delivered).count(), 1, "{fates:?}");
    assert_eq!(*fates.last().unwrap(), Fate::Delivered);
    let sent = office.sent_to("ill.example");
    assert!(sent.last().unwrap().at - begin < hours(24 + 15), "not long after its recovery");
    for attempt in &sent {
        assert_eq!(attempt.request.headers.id, event.to_string(), "one id");
        assert_eq!(attempt.request.body, sent[0].request.body, "the same bytes");
        assert!(believed(&added.secret, attempt), "signed anew");
    }
    let stamps: std::collections::HashSet<_> =
        sent.iter().map(|attempt| attempt.request.headers.timestamp.clone()).collect();
    assert_eq!(stamps.len(), sent.len());
    assert_eq!(office.deliveries(added.endpoint.id).await[0].state, DeliveryState::Delivered);
    assert_eq!(office.webhooks.endpoint(added.endpoint.id).await.unwrap().failing_since, None);
}

#[tokio::test]
async fn an_event_is_given_up_after_twelve_attempts_and_about_75_hours() {
    let office = Office::answering(|_, _| ScriptedSender::status(500));
    let id = office.add("dead.example").await.endpoint.id;
    office.paid().await;
    let fates = office.work_for(hours(90)).await;
    assert_eq!(fates.len(), 12);
    assert_eq!(fates[11], Fate::GivenUp { attempted: Attempted::Answered(500) });
    let sent = office.sender.sent();
    let took = sent[11].at - sent[0].at;
    assert!(took > hours(68) && took < hours(84), "{took}");
    assert_eq!(office.deliveries(id).await[0].state, DeliveryState::Failed);
    assert!(office.webhooks.endpoint(id).await.unwrap().is_active());
}

#[tokio::test]
async fn an_endpoint_that_only_fails_for_five_days_is_disabled_and_one_that_recovers_is_not() {
    let office = Office::answering(|_, request| {
        let dead = request.url.url().host_str() == Some("dead.example");
        ScriptedSender::status(if dead { 500 } else { 200 })
    });
    let dead = office.add("dead.example").await.endpoint.id;
    let ill = office.add("ill.example").await.endpoint.id;
    office.sender.queue(ScriptedSender::status(500));
    office.sender.queue(ScriptedSender::status(500));
    let mut fates = Vec::new();
    for _ in 0..6 {
        office.paid().await;
        fates.extend(office.work_for(hours(24)).await);
    }
    let disabled = Fate::Disabled { attempted: Attempted::Answered(500), reason: DisabledReason::Failing };
    assert_eq!(fates.iter().filter(|fate| **fate == disabled).count(), 1);
    assert!(!office.webhooks.endpoint(dead).await.unwrap().is_active());
    assert!(office.webhooks.endpoint(ill).await.unwrap().is_active());
}

#[tokio::test]
async fn how_long_the_oldest_has_waited_is_told() {
    let office = Office::answering(|_, _| ScriptedSender::status(500));
    office.add("dead.example").await;
    let lag = async || office.webhooks.standing().await.unwrap().1;
    assert_eq!(lag().await, Duration::ZERO);
    office.paid().await;
    office.work_for(hours(3)).await;
    assert_eq!(lag().await, hours(3));
}
