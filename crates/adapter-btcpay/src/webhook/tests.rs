use serde_json::json;

use super::*;

const BODY: &[u8] = b"{\n  \"deliveryId\": \"d1\",\n  \"originalDeliveryId\": \"d0\",\n  \"isRedelivery\": true,\n  \
    \"type\": \"InvoiceSettled\",\n  \"timestamp\": 1767268800,\n  \"storeId\": \"s1\",\n  \"invoiceId\": \"i1\",\n  \
    \"overPaid\": false\n}";

fn secret(text: &str) -> WebhookSecret {
    WebhookSecret::from_text(text.into())
}

fn sign(secret: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn opened(body: &[u8]) -> Result<Delivery, DeliveryRefusal> {
    open(&secret("s"), &sign("s", body), body)
}

#[test]
fn the_bytes_as_they_came_are_signed() {
    // RFC 4231, test case 2.
    let known = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert!(is_signed(&secret("Jefe"), known, b"what do ya want for nothing?"));

    let delivery = opened(BODY).unwrap();
    let expected = Delivery {
        delivery_id: "d1".to_owned(),
        original_delivery_id: "d0".to_owned(),
        kind: EventKind::InvoiceSettled,
        store_id: "s1".to_owned(),
        invoice_id: Some("i1".to_owned()),
    };
    assert_eq!(delivery, expected);
    let rewritten = serde_json::from_slice::<serde_json::Value>(BODY).unwrap().to_string();
    assert_eq!(open(&secret("s"), &sign("s", BODY), rewritten.as_bytes()), Err(DeliveryRefusal::Forged));
}

#[test]
fn what_is_not_signed_with_our_secret_is_not_even_read() {
    let good = sign("s", BODY);
    let short = &good[..good.len() - 2];
    let bare = good.trim_start_matches("sha256=");
    for forged in ["", "sha256=", "sha256=zz", short, bare, &sign("other", BODY), &format!("{good}00")] {
        assert_eq!(open(&secret("s"), forged, BODY), Err(DeliveryRefusal::Forged), "{forged}");
    }
    assert_eq!(open(&secret("s"), "sha256=00", b"not json"), Err(DeliveryRefusal::Forged));
}

#[test]
fn a_delivery_has_bounds() {
    let long = vec![b' '; LONGEST_BODY + 1];
    assert_eq!(opened(&long), Err(DeliveryRefusal::TooLong));
    let told = |id: &str| json!({ "deliveryId": id, "type": "InvoiceExpired", "storeId": "s" }).to_string();
    assert_eq!(opened(told(&"x".repeat(128)).as_bytes()).unwrap().invoice_id, None);
    for bad in ["", "a/b", "a b", "é", &"x".repeat(129)] {
        assert_eq!(opened(told(bad).as_bytes()), Err(DeliveryRefusal::Unreadable), "{bad}");
    }
    for body in ["", "[]", "{}", r#"{"deliveryId": 7, "type": "InvoiceSettled", "storeId": "s"}"#] {
        assert_eq!(opened(body.as_bytes()), Err(DeliveryRefusal::Unreadable), "{body}");
    }
}

#[test]
fn the_first_delivery_is_its_own_original_and_an_unknown_event_is_no_error() {
    let body =
        json!({ "deliveryId": "d", "type": "InvoiceMelted", "storeId": "s", "invoiceId": null }).to_string();
    let delivery = opened(body.as_bytes()).unwrap();
    assert_eq!((delivery.original_delivery_id.as_str(), delivery.kind), ("d", EventKind::Other));
}
