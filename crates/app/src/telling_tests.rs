//! When the messenger looks, on a clock of the test.

use guiche_kernel::testing::{ManualClock, MemoryVault, SeededRandomness};
use guiche_kernel::{Clock as _, Randomness};
use guiche_webhooks::testing::{MemoryWebhooks, ScriptedSender, ticket_event};
use guiche_webhooks::{DeliveryStore as _, EndpointUrl, EventId, EventType, NewEndpoint, Subscription};
use tokio::time::Instant;

use super::*;

#[test]
fn it_looks_again_soon_and_then_less_and_less() {
    let found_nothing =
        std::iter::successors(Some(rest_after(LOOK_EVERY, 1)), |rest| Some(rest_after(*rest, 0)));
    let rests: Vec<Duration> = found_nothing.take(9).collect();
    assert_eq!(rests[0], LOOK_SOON, "whatever it was before");
    assert!(rests.is_sorted());
    assert_eq!(rests[1], LOOK_SOON * 2);
    assert_eq!(rests[8], LOOK_EVERY, "at rest");
}

/// Another process ordered it, after this one had found nothing more.
#[tokio::test(start_paused = true)]
async fn what_comes_while_there_is_work_does_not_wait_for_the_next_second() {
    let clock = Arc::new(ManualClock::default());
    let randomness: Arc<dyn Randomness> = Arc::new(SeededRandomness::new(3));
    let sender = Arc::new(ScriptedSender::answering(clock.clone(), |_| ScriptedSender::status(200)));
    let ids = Ids::new(clock.clone(), Arc::clone(&randomness));
    let store = MemoryWebhooks::default();
    let ports = WebhookPorts {
        endpoints: Arc::new(store.clone()),
        deliveries: Arc::new(store.clone()),
        sender: sender.clone(),
        vault: Arc::new(MemoryVault::default()),
        clock: clock.clone(),
        randomness,
        ids: ids.clone(),
    };
    let webhooks = Arc::new(Webhooks::new(ports, WebhookSettings::default()));
    let url = EndpointUrl::parse("https://example.org/hook").unwrap();
    let new = NewEndpoint { url, description: String::new(), subscription: Subscription::All };
    webhooks.add(new).await.unwrap();
    let ordered = async || {
        let id = EventId::new(ids.uuid());
        store.push(ticket_event(id, EventType::TicketPaid, clock.now()));
        store.fan_out(clock.now(), Limit::default()).await.unwrap();
    };
    let (messenger, stop, begun) = (Messenger::new(webhooks), Shutdown::default(), Instant::now());
    let until = stop.clone();
    let working = tokio::spawn(async move { messenger.work(&until).await });
    for events in 1..=2 {
        ordered().await;
        while sender.sent().len() < events && begun.elapsed() < LOOK_EVERY {
            a_millisecond().await;
        }
        assert_eq!(sender.sent().len(), events, "until {:?}", begun.elapsed());
        // Until it has looked once more, and found nothing.
        a_millisecond().await;
        a_millisecond().await;
    }
    stop.begin();
    working.await.unwrap();
}

/// Goes by on the paused clock, and everybody does what there is to do.
async fn a_millisecond() {
    tokio::time::advance(Duration::from_millis(1)).await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}
