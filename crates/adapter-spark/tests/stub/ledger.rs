use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use guiche_adapter_spark::{LedgerError, PayError, PayMoment};
use guiche_tickets::GatewayError;

use super::*;

async fn pay(stub: &Arc<SparkStub>, id: &InvoiceId) -> Timestamp {
    stub.force_pay(id, PayMoment::Now).await.unwrap().paid_at
}

fn append(place: &Place, bytes: &[u8]) {
    OpenOptions::new().append(true).open(place.ledger()).unwrap().write_all(bytes).unwrap();
}

#[tokio::test]
async fn the_file_is_private_and_names_no_preimage() {
    let place = Place::new();
    let stub = place.open();
    let invoice = place.issued(&stub, 1).await;
    let payment = stub.force_pay(&invoice.id, PayMoment::Now).await.unwrap();
    assert_eq!(fs::metadata(place.ledger()).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(place.ledger()).unwrap();
    assert!(text.contains(&invoice.payment_hash.to_string()));
    assert!(!text.contains(&hex::encode(payment.preimage.expose())));
}

#[tokio::test]
async fn processes_on_one_file_see_each_others_payments_at_once() {
    let place = Place::new();
    let (server, command) = (place.open(), place.open());
    let (one, two) = (place.issued(&server, 1).await, place.issued(&server, 2).await);
    let first = pay(&command, &one.id).await;
    assert_eq!(paid_at(&server, &one.id).await, Some(first));
    place.clock.advance(Duration::from_secs(1));
    let again = server.force_pay(&one.id, PayMoment::Now).await;
    assert!(matches!(again, Err(PayError::AlreadyPaid { paid_at }) if paid_at == first), "{again:?}");
    let second = pay(&server, &two.id).await;
    assert_eq!(paid_at(&command, &two.id).await, Some(second));
    assert_eq!(paid_at(&place.open(), &one.id).await, Some(first));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_wallets_in_two_processes_one_pays() {
    let place = Place::new();
    let processes = [place.open(), place.open()];
    let invoice = place.issued(&processes[0], 1).await;
    let wallets: Vec<_> = (0..40)
        .map(|number| {
            let (stub, id) = (Arc::clone(&processes[number % 2]), invoice.id.clone());
            tokio::spawn(async move { stub.force_pay(&id, PayMoment::Now).await })
        })
        .collect();
    let mut paid = 0;
    for wallet in wallets {
        match wallet.await.unwrap() {
            Ok(_) => paid += 1,
            Err(error) => assert!(matches!(error, PayError::AlreadyPaid { .. }), "{error:?}"),
        }
    }
    assert_eq!(paid, 1);
}

/// A crash can leave any beginning of the last line; whatever it is, nothing before it is lost and the next payment
/// stands on a line of its own.
#[tokio::test]
async fn a_line_torn_by_a_crash_at_any_byte_is_dropped() {
    let original = Place::new();
    let stub = original.open();
    let (one, two, three) =
        (original.issued(&stub, 1).await, original.issued(&stub, 2).await, original.issued(&stub, 3).await);
    let first = pay(&stub, &one.id).await;
    let whole = fs::read(original.ledger()).unwrap();
    pay(&stub, &two.id).await;
    let longer = fs::read(original.ledger()).unwrap();
    for length in (whole.len()..longer.len()).step_by(7).chain([longer.len() - 1]) {
        let place = Place::new();
        fs::write(place.ledger(), &longer[..length]).unwrap();
        let stub = place.open();
        assert_eq!(paid_at(&stub, &one.id).await, Some(first), "cut at {length}");
        assert_eq!(paid_at(&stub, &two.id).await, None, "cut at {length}");
        let third = pay(&stub, &three.id).await;
        let reopened = place.open();
        assert_eq!(paid_at(&reopened, &one.id).await, Some(first), "cut at {length}");
        assert_eq!(paid_at(&reopened, &two.id).await, None, "cut at {length}");
        assert_eq!(paid_at(&reopened, &three.id).await, Some(third), "cut at {length}");
    }
}

#[tokio::test]
async fn a_first_line_torn_by_a_crash_is_written_again() {
    let place = Place::new();
    place.open();
    let header = fs::read(place.ledger()).unwrap();
    fs::write(place.ledger(), &header[..header.len() / 2]).unwrap();
    let stub = place.open();
    let invoice = place.issued(&stub, 1).await;
    let paid = pay(&stub, &invoice.id).await;
    assert_eq!(paid_at(&place.open(), &invoice.id).await, Some(paid));
}

#[tokio::test]
async fn a_torn_line_of_another_process_is_waited_for_and_not_taken_for_damage() {
    let place = Place::new();
    let (reader, writer) = (place.open(), place.open());
    let (one, two) = (place.issued(&reader, 1).await, place.issued(&reader, 2).await);
    append(&place, &[b'0'; 1000]);
    assert_eq!(paid_at(&reader, &one.id).await, None);
    let first = pay(&writer, &one.id).await;
    assert!(fs::read(place.ledger()).unwrap().ends_with(b"\n"), "nothing of the torn line is left");
    assert_eq!(paid_at(&reader, &one.id).await, Some(first));
    let second = pay(&reader, &two.id).await;
    assert_eq!(paid_at(&writer, &two.id).await, Some(second));
}

#[tokio::test]
async fn a_damaged_line_is_named_and_stops_the_start() {
    let place = Place::new();
    let stub = place.open();
    for key in 1..=3 {
        let invoice = place.issued(&stub, key).await;
        pay(&stub, &invoice.id).await;
    }
    let text = fs::read_to_string(place.ledger()).unwrap();
    // The moment of the second payment, by one microsecond.
    let third = text.lines().nth(2).unwrap();
    let (payment, mac) = third.rsplit_once(' ').unwrap();
    let micros: i64 = payment.split_once(' ').unwrap().1.parse().unwrap();
    let forged = format!("{} {} {mac}", &payment[..64], micros + 1);
    fs::write(place.ledger(), text.replace(third, &forged)).unwrap();
    let refused = place.try_open(1);
    assert!(matches!(refused, Err(OpenError::Ledger(LedgerError::Damaged { line: 3, .. }))), "{refused:?}");
}

#[tokio::test]
async fn damage_under_a_running_stub_is_no_answer_and_never_a_guess() {
    let place = Place::new();
    let stub = place.open();
    let invoice = place.issued(&stub, 1).await;
    append(&place, b"not a payment\n");
    for view in [stub.provider_view(), stub.payer_view()] {
        let answer = view.status(&invoice.id).await;
        assert!(matches!(answer, Err(GatewayError::Unavailable(_))), "{answer:?}");
    }
    let refused = stub.force_pay(&invoice.id, PayMoment::Now).await;
    assert!(matches!(refused, Err(PayError::Ledger(LedgerError::Damaged { line: 2, .. }))), "{refused:?}");
}

#[tokio::test]
async fn a_ledger_of_another_secret_and_a_file_that_is_none_are_refused() {
    let place = Place::new();
    place.open();
    let refused = place.try_open(2);
    assert!(matches!(refused, Err(OpenError::Ledger(LedgerError::OtherSecret { .. }))), "{refused:?}");
    for other in ["something else\n", "without an end", "\n"] {
        fs::write(place.ledger(), other).unwrap();
        let refused = place.try_open(1);
        assert!(matches!(refused, Err(OpenError::Ledger(LedgerError::OtherSecret { .. }))), "{refused:?}");
        assert_eq!(fs::read_to_string(place.ledger()).unwrap(), other, "and left as it was");
    }
}

#[tokio::test]
async fn a_ledger_that_is_taken_away_stops_the_stub_instead_of_forgetting() {
    for replace in [true, false] {
        let place = Place::new();
        let stub = place.open();
        let (one, two) = (place.issued(&stub, 1).await, place.issued(&stub, 2).await);
        let first = pay(&stub, &one.id).await;
        fs::remove_file(place.ledger()).unwrap();
        if replace {
            // Longer than the one before, so that its length gives nothing away.
            let other = place.open();
            for key in 3..=5 {
                let invoice = place.issued(&other, key).await;
                pay(&other, &invoice.id).await;
            }
        }
        assert_eq!(paid_at(&stub, &one.id).await, Some(first), "what is known stays known");
        let refused = stub.force_pay(&two.id, PayMoment::Now).await;
        assert!(matches!(refused, Err(PayError::Ledger(LedgerError::Replaced { .. }))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_place_that_does_not_exist_is_named() {
    let place = Place::new();
    let settings = StubSettings {
        secret: SecretBox::new(Box::new([1; 32])),
        ledger: place.directory.path().join("missing").join("payments"),
    };
    let error = SparkStub::open(settings, Arc::<ManualClock>::default()).unwrap_err();
    assert!(error.to_string().starts_with("cannot open the payment ledger"), "{error}");
    assert!(error.to_string().contains("missing"), "{error}");
}

#[tokio::test]
async fn a_lock_held_by_a_stuck_process_ends_in_an_error_and_the_payment_can_be_made_later() {
    let place = Place::new();
    let stub = place.open();
    let invoice = place.issued(&stub, 1).await;
    let stuck = File::open(place.ledger()).unwrap();
    stuck.lock().unwrap();
    let refused = stub.force_pay(&invoice.id, PayMoment::Now).await;
    assert!(matches!(refused, Err(PayError::Ledger(LedgerError::Locked { .. }))), "{refused:?}");
    assert_eq!(paid_at(&stub, &invoice.id).await, None, "asking needs no lock while the file has not grown");
    stuck.unlock().unwrap();
    pay(&stub, &invoice.id).await;
}
