use super::*;

fn unpaid() -> Option<ProviderStatus> {
    Some(ProviderStatus::Unpaid)
}

#[tokio::test]
async fn the_third_look_of_the_payer_finds_the_invoice_paid_for_everybody() {
    let place = Place::new();
    let stub = place.open();
    let invoice = place.issued(&stub, 1).await;
    let payer = stub.payer_view();
    assert_eq!(payer.status(&invoice.id).await.unwrap(), unpaid());
    assert_eq!(payer.status(&invoice.id).await.unwrap(), unpaid());
    let paid = Some(ProviderStatus::Paid { paid_at: Some(place.clock.now()) });
    assert_eq!(payer.status(&invoice.id).await.unwrap(), paid);
    place.clock.advance(LIFETIME * 2);
    assert_eq!(payer.status(&invoice.id).await.unwrap(), paid);
    assert_eq!(stub.provider_view().status(&invoice.id).await.unwrap(), paid);
    drop((stub, payer));
    assert_eq!(place.open().provider_view().status(&invoice.id).await.unwrap(), paid, "after a restart");
}

#[tokio::test]
async fn the_looks_of_workers_never_count() {
    let place = Place::new();
    let stub = place.open();
    let invoice = place.issued(&stub, 1).await;
    let payer = stub.payer_view();
    for _ in 0..2 {
        assert_eq!(payer.status(&invoice.id).await.unwrap(), unpaid());
        for _ in 0..20 {
            assert_eq!(stub.provider_view().status(&invoice.id).await.unwrap(), unpaid());
        }
    }
}

#[tokio::test]
async fn looks_are_counted_per_invoice_and_by_all_payer_views_together() {
    let place = Place::new();
    let stub = place.open();
    let (one, two) = (place.issued(&stub, 1).await, place.issued(&stub, 2).await);
    for _ in 0..2 {
        assert_eq!(stub.payer_view().status(&one.id).await.unwrap(), unpaid());
        assert_eq!(stub.payer_view().status(&two.id).await.unwrap(), unpaid());
    }
    assert_ne!(stub.payer_view().status(&one.id).await.unwrap(), unpaid());
    assert_eq!(paid_at(&stub, &two.id).await, None);
}

#[tokio::test]
async fn an_invoice_can_be_looked_paid_until_its_last_moment_and_not_after_it() {
    let place = Place::new();
    let stub = place.open();
    let (one, two) = (place.issued(&stub, 1).await, place.issued(&stub, 2).await);
    let payer = stub.payer_view();
    for _ in 0..2 {
        payer.status(&one.id).await.unwrap();
        payer.status(&two.id).await.unwrap();
    }
    place.clock.advance(LIFETIME);
    assert_ne!(payer.status(&one.id).await.unwrap(), unpaid());
    place.clock.advance(Duration::from_micros(1));
    for _ in 0..5 {
        assert_eq!(payer.status(&two.id).await.unwrap(), unpaid());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_looks_at_once_pay_once() {
    let place = Place::new();
    let stub = place.open();
    let invoice = place.issued(&stub, 1).await;
    let looks: Vec<_> = (0..50)
        .map(|_| {
            let (payer, id, clock) = (stub.payer_view(), invoice.id.clone(), Arc::clone(&place.clock));
            tokio::spawn(async move {
                clock.advance(Duration::from_millis(1));
                payer.status(&id).await.unwrap().unwrap()
            })
        })
        .collect();
    let mut moments = Vec::new();
    for look in looks {
        if let ProviderStatus::Paid { paid_at } = look.await.unwrap() {
            moments.push(paid_at.unwrap());
        }
    }
    assert_eq!(moments.len(), 48, "every look but the first two");
    moments.dedup();
    assert_eq!(moments.len(), 1, "one moment of payment for all");
    assert_eq!(
        std::fs::read_to_string(place.ledger()).unwrap().lines().count(),
        2,
        "a header and one payment"
    );
}

#[tokio::test]
async fn a_look_at_a_foreign_invoice_counts_nothing_and_finds_nothing() {
    let place = Place::new();
    let stub = place.open();
    let foreign = Place::new().try_open(2).unwrap();
    let invoice = place.issued(&foreign, 1).await;
    for _ in 0..5 {
        assert_eq!(stub.payer_view().status(&invoice.id).await.unwrap(), None);
    }
}
