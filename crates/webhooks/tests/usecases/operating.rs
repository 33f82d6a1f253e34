//! What an operator does.

use std::sync::Arc;
use std::time::Duration;

use guiche_kernel::testing::{ManualClock, MemoryVault};
use guiche_kernel::{Limit, SealError, Sealed, SecretPlace, SecretVault};
use guiche_webhooks::testing::ScriptedSender;
use guiche_webhooks::{
    Attempted, DeliveryState, EndpointId, EndpointUrl, EventId, EventType, Fate, InvalidEndpoint,
    NewEndpoint, SendError, Subscription, UrlRefused, WebhookError,
};
use secrecy::SecretSlice;

use crate::world::{Office, believed, hours};

#[tokio::test]
async fn while_a_secret_rotates_both_are_believed_and_then_only_the_new_one() {
    let office = Office::new();
    let added = office.add("one.example").await;
    let fresh = office.webhooks.rotate_secret(added.endpoint.id, hours(24)).await.unwrap();
    office.paid().await;
    office.step().await;
    office.clock.advance(hours(24));
    office.paid().await;
    office.step().await;
    let sent = office.sender.sent();
    let by = |index: usize| (believed(&added.secret, &sent[index]), believed(&fresh, &sent[index]));
    assert_eq!((by(0), by(1)), ((true, true), (false, true)));
}

#[tokio::test]
async fn an_overlap_of_nothing_ends_the_old_secret_at_once_and_one_of_weeks_is_refused() {
    let office = Office::new();
    let added = office.add("one.example").await;
    office.webhooks.rotate_secret(added.endpoint.id, Duration::ZERO).await.unwrap();
    office.paid().await;
    office.step().await;
    assert!(!believed(&added.secret, &office.sender.sent()[0]));
    let refused = office.webhooks.rotate_secret(added.endpoint.id, hours(24 * 8)).await;
    assert!(matches!(refused, Err(WebhookError::Invalid(InvalidEndpoint::Overlap))), "{refused:?}");
}

#[tokio::test]
async fn a_test_is_sent_at_once_signed_and_repeated_by_nobody() {
    let office = Office::new();
    let added = office.add("one.example").await;
    let id = added.endpoint.id;
    assert_eq!(office.webhooks.test(id).await.unwrap(), Attempted::Answered(200));
    office.sender.queue(Err(SendError::Unreachable));
    office.webhooks.disable(id).await.unwrap();
    assert_eq!(office.webhooks.test(id).await.unwrap(), Attempted::NotSent(SendError::Unreachable));
    assert!(office.work_for(hours(1)).await.is_empty());
    let sent = office.sender.sent();
    assert_eq!(sent.len(), 2);
    assert!(believed(&added.secret, &sent[0]));
    assert!(sent[0].request.body.starts_with(br#"{"type":"webhook.test","#));
    assert!(office.deliveries(id).await.is_empty());
}

#[tokio::test]
async fn a_redelivery_has_the_same_id_and_bytes() {
    let office = Office::new();
    let id = office.add("one.example").await.endpoint.id;
    let event = office.paid().await;
    office.step().await;
    assert_eq!(office.webhooks.redeliver(event, None).await.unwrap(), 1);
    assert_eq!(office.step().await, [Fate::Delivered]);
    let sent = office.sender.sent();
    assert_eq!(sent[0].request.headers.id, sent[1].request.headers.id);
    assert_eq!(sent[0].request.body, sent[1].request.body);
    let unknown = EventId::new(uuid::Uuid::from_u128(1));
    let refused = office.webhooks.redeliver(unknown, None).await;
    assert!(matches!(refused, Err(WebhookError::EventNotFound(_))), "{refused:?}");
    office.webhooks.disable(id).await.unwrap();
    let refused = office.webhooks.redeliver(event, Some(id)).await;
    assert!(matches!(refused, Err(WebhookError::Disabled(_))), "{refused:?}");
}

#[tokio::test]
async fn disabling_drops_and_enabling_starts_afresh() {
    let office = Office::new();
    let id = office.add("one.example").await.endpoint.id;
    office.paid().await;
    assert!(office.webhooks.disable(id).await.unwrap());
    assert!(!office.webhooks.disable(id).await.unwrap());
    office.paid().await;
    assert!(office.webhooks.enable(id).await.unwrap());
    assert!(office.step().await.is_empty());
    let rows = office.deliveries(id).await;
    assert_eq!(rows.iter().map(|row| row.state).collect::<Vec<_>>(), [DeliveryState::Dropped]);
    office.paid().await;
    assert_eq!(office.step().await, [Fate::Delivered]);
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_is_refused() {
    let office = Office::new();
    let id = EndpointId::new(uuid::Uuid::from_u128(1));
    for refused in [
        office.webhooks.disable(id).await.map(drop),
        office.webhooks.enable(id).await.map(drop),
        office.webhooks.rotate_secret(id, Duration::ZERO).await.map(drop),
        office.webhooks.test(id).await.map(drop),
    ] {
        assert!(matches!(refused, Err(WebhookError::NotFound(_))), "{refused:?}");
    }
    let new = |url: &str, description: &str| NewEndpoint {
        url: EndpointUrl::parse(url).unwrap(),
        description: description.to_owned(),
        subscription: Subscription::of([EventType::TicketPaid]).unwrap(),
    };
    let refused = office.webhooks.add(new("http://one.example", "")).await;
    assert!(matches!(refused, Err(WebhookError::UrlRefused(UrlRefused::NotHttps))), "{refused:?}");
    for description in ["a\nb".to_owned(), "x".repeat(201)] {
        let refused = office.webhooks.add(new("https://one.example", &description)).await;
        assert!(matches!(refused, Err(WebhookError::Invalid(_))), "{refused:?}");
    }
    assert!(office.webhooks.endpoints().await.unwrap().is_empty());
}

/// A vault that has lost its key ring when it is told so.
struct Forgetful(MemoryVault, std::sync::atomic::AtomicBool);

impl SecretVault for Forgetful {
    fn seal(&self, place: SecretPlace, secret: &SecretSlice<u8>) -> Result<Sealed, SealError> {
        self.0.seal(place, secret)
    }
    fn open(&self, place: SecretPlace, sealed: &Sealed) -> Result<SecretSlice<u8>, SealError> {
        if self.1.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(SealError::UnknownKey("memory".to_owned()));
        }
        self.0.open(place, sealed)
    }
    fn primary_key_id(&self) -> &str {
        self.0.primary_key_id()
    }
    fn key_ids(&self) -> Vec<&str> {
        self.0.key_ids()
    }
}

#[tokio::test]
async fn without_its_key_nothing_is_sent_and_the_event_waits_for_the_key() {
    let clock = Arc::new(ManualClock::default());
    let sender = Arc::new(ScriptedSender::new(clock.clone()));
    let vault = Arc::new(Forgetful(MemoryVault::default(), false.into()));
    let office = Office::with(clock, sender, vault.clone());
    let id = office.add("one.example").await.endpoint.id;
    office.webhooks.check_secrets().await.unwrap();
    vault.1.store(true, std::sync::atomic::Ordering::Relaxed);
    let refused = office.webhooks.check_secrets().await.unwrap_err();
    assert!(refused.to_string().contains("the key \"memory\""), "{refused}");
    office.paid().await;
    let fates = office.step().await;
    assert!(matches!(fates[..], [Fate::Retried { attempted: Attempted::NotSigned, .. }]), "{fates:?}");
    assert!(office.sender.sent().is_empty());
    assert!(matches!(office.webhooks.test(id).await, Err(WebhookError::Secret(..))));
    vault.1.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(office.work_for(hours(1)).await, [Fate::Delivered]);
}

#[tokio::test]
async fn what_ended_is_forgotten_after_a_while() {
    let office = Office::new();
    office.add("one.example").await;
    office.paid().await;
    office.step().await;
    office.clock.advance(hours(24 * 30));
    assert_eq!(office.webhooks.prune(hours(24 * 30)).await.unwrap(), 0);
    office.clock.advance(Duration::from_secs(1));
    assert_eq!(office.webhooks.prune(hours(24 * 30)).await.unwrap(), 1);
    assert_eq!(office.webhooks.fan_out_once(Limit::default()).await.unwrap().events, 0);
}
