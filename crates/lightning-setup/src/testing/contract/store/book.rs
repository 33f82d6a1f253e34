//! Addresses as strangers see them.

use std::time::Duration;

use guiche_kernel::StoreError;

use super::{SetupFixture, World, address, got};
use crate::{AddressInvoice, ServedAddress, Setup, SetupStatus};

fn invoice(world: &World, setup: &Setup, number: u8) -> AddressInvoice {
    AddressInvoice {
        payment_hash: [number; 32],
        setup: setup.id,
        store_id: "store-1".to_owned(),
        invoice_id: format!("invoice-{number}"),
        bolt11: format!("lnbcrt{number}"),
        amount_msat: 1_000 + u64::from(number),
        comment: number.is_multiple_of(2).then(|| "obrigado pela ação!".to_owned()),
        issued_at: world.now(),
        expires_at: world.now() + Duration::from_mins(10),
        paid_at: None,
    }
}

/// Neither what is being made, nor what is being torn down, nor what was.
pub async fn only_active_addresses_are_served(fixture: &impl SetupFixture) {
    let (world, caller, book) = (World::new(), fixture.caller().await, fixture.book());
    let served = async |name: &str| book.served(&address(name)).await.expect("asked");
    world.started(fixture, fixture.caller().await, "braveowl01").await;
    world.orphaned(fixture, fixture.caller().await, "braveowl02").await;
    let setup = world.active(fixture, caller, "swiftfox01").await;
    let expected = ServedAddress {
        id: setup.id,
        address: address("swiftfox01"),
        store_id: setup.services.as_ref().expect("it is active").store_id.clone(),
    };
    assert_eq!(served("swiftfox01").await, Some(expected));
    for name in ["braveowl01", "braveowl02", "nobodys"] {
        assert_eq!(served(name).await, None, "{name}");
    }
    let from = [SetupStatus::FullyConfigured];
    fixture
        .store()
        .tear_down(caller, setup.id, &from, world.now())
        .await
        .expect("asked")
        .expect("it stood there");
    assert_eq!(served("swiftfox01").await, None, "at once");
    let lease = world.held(fixture, setup.id).await;
    fixture.store().close(&lease, SetupStatus::Removed, world.now()).await.expect("closed");
    assert_eq!(served("swiftfox01").await, None);
}

/// Every field, with a comment and without.
pub async fn an_invoice_reads_back_as_it_was_kept(fixture: &impl SetupFixture) {
    let (world, book) = (World::new(), fixture.book());
    let setup = world.active(fixture, fixture.caller().await, "swiftfox01").await;
    for number in 1..=2 {
        let mut invoice = invoice(&world, &setup, number);
        if number == 2 {
            invoice.amount_msat = 2_100_000_000_000_000_000;
        }
        book.keep_invoice(&invoice).await.expect("kept");
        assert_eq!(book.invoice(&invoice.payment_hash).await.expect("asked"), Some(invoice));
    }
    assert_eq!(book.invoice(&[3; 32]).await.expect("asked"), None);
}

/// A second one changes nothing of the first.
pub async fn a_payment_hash_is_kept_once(fixture: &impl SetupFixture) {
    let (world, book) = (World::new(), fixture.book());
    let setup = world.active(fixture, fixture.caller().await, "swiftfox01").await;
    let first = invoice(&world, &setup, 1);
    book.keep_invoice(&first).await.expect("kept");
    let second = AddressInvoice { payment_hash: first.payment_hash, ..invoice(&world, &setup, 2) };
    let refused = book.keep_invoice(&second).await;
    assert!(matches!(refused, Err(StoreError::Duplicate)), "{refused:?}");
    assert_eq!(book.invoice(&first.payment_hash).await.expect("asked"), Some(first));
}

/// Whoever tells of it again; and of an invoice that nobody knows, nothing.
pub async fn the_first_moment_of_payment_stays(fixture: &impl SetupFixture) {
    let (world, book) = (World::new(), fixture.book());
    let setup = world.active(fixture, fixture.caller().await, "swiftfox01").await;
    for number in 1..=2 {
        book.keep_invoice(&invoice(&world, &setup, number)).await.expect("kept");
    }
    let paid_at = world.now() + Duration::from_secs(5);
    for moment in [paid_at, paid_at + Duration::from_secs(1), paid_at - Duration::from_secs(1)] {
        book.settle_invoice(&[1; 32], moment).await.expect("noted");
        let found = book.invoice(&[1; 32]).await.expect("asked").expect("kept");
        assert_eq!(found.paid_at, Some(paid_at));
    }
    let other = book.invoice(&[2; 32]).await.expect("asked").expect("kept");
    assert_eq!(other.paid_at, None);
    book.settle_invoice(&[3; 32], paid_at).await.expect("nothing to note");
}

/// Of that store: another store may use the same id. And the setup stays as it is.
pub async fn a_message_is_new_once(fixture: &impl SetupFixture) {
    let (world, book) = (World::new(), fixture.book());
    let one = world.active(fixture, fixture.caller().await, "swiftfox01").await;
    let other = world.active(fixture, fixture.caller().await, "swiftfox02").await;
    for (setup, fresh) in [(&one, true), (&one, false), (&other, true), (&other, false)] {
        assert_eq!(book.note_delivery(setup.id, "message-1", world.now()).await.expect("noted"), fresh);
    }
    assert!(book.note_delivery(one.id, "message-2", world.now()).await.expect("noted"));
    assert_eq!(got(fixture, one.id).await, one);
}

/// What was paid stays, and what is not yet as old as that.
pub async fn what_ran_out_and_what_came_is_pruned(fixture: &impl SetupFixture) {
    let (world, book) = (World::new(), fixture.book());
    let setup = world.active(fixture, fixture.caller().await, "swiftfox01").await;
    for number in 1..=2 {
        book.keep_invoice(&invoice(&world, &setup, number)).await.expect("kept");
    }
    book.settle_invoice(&[2; 32], world.now()).await.expect("noted");
    let ran_out = world.now() + Duration::from_mins(10);
    book.note_delivery(setup.id, "early", ran_out - Duration::from_micros(1)).await.expect("noted");
    book.note_delivery(setup.id, "late", ran_out).await.expect("noted");
    assert_eq!(book.prune(ran_out).await.expect("pruned"), 1, "the message, and nothing of that very moment");
    assert_eq!(book.prune(ran_out + Duration::from_micros(1)).await.expect("pruned"), 2);
    assert_eq!(book.invoice(&[1; 32]).await.expect("asked"), None);
    assert!(book.invoice(&[2; 32]).await.expect("asked").is_some());
    assert!(book.note_delivery(setup.id, "early", ran_out).await.expect("noted"), "it is forgotten");
}
