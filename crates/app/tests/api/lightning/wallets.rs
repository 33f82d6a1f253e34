//! What wallets do with an address.

use std::sync::Arc;

use guiche_app::system::SystemClock;
use lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescriptionRef};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Address;
use crate::client::Answer;
use crate::support::{TestApp, User, World, text};

/// More than may be sent at once.
const PLENTY_SATS: u64 = 100_000_000;

struct Payee {
    app: TestApp,
    user: User,
    address: Address,
}

impl Payee {
    async fn new() -> Self {
        Self::among(&[]).await
    }

    async fn among(extra: &[(&str, &str)]) -> Self {
        let app = World::new().await.serve_with(extra, Arc::new(SystemClock)).await;
        let user = app.user().await;
        let address = app.set_up(&user, "swift.eagle").await;
        app.open_channel("swift.eagle@guiche.test", PLENTY_SATS);
        Self { app, user, address }
    }

    async fn get(&self, path: &str) -> Answer {
        let answer = self.app.get(path).send().await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (200, Some("*")),
            "{answer:?}"
        );
        assert_eq!(answer.header("content-type"), Some("application/json"));
        answer
    }

    async fn params(&self, name: &str) -> Value {
        self.get(&format!("/.well-known/lnurlp/{name}")).await.value()
    }

    /// As a wallet does it: the callback with its query replaced.
    async fn invoice(&self, params: &Value, query: &str) -> Value {
        let callback = text(params, "callback");
        let path = callback.strip_prefix(&format!("http://{}", self.app.address)).unwrap();
        self.get(&format!("{path}?{query}")).await.value()
    }
}

#[track_caller]
fn refused(answer: &Value, part: &str) {
    assert_eq!(answer["status"], "ERROR", "{answer}");
    let reason = text(answer, "reason");
    assert!(answer.as_object().unwrap().len() == 2 && reason.contains(part), "{part}: {answer}");
}

/// As the strictest wallets check it: the amount to the millisatoshi, and the hash of the metadata's very bytes.
#[track_caller]
fn check(invoice: &Value, params: &Value, amount_msat: u64) -> Bolt11Invoice {
    let bolt11: Bolt11Invoice = text(invoice, "pr").parse().unwrap();
    assert_eq!(bolt11.amount_milli_satoshis(), Some(amount_msat));
    let Bolt11InvoiceDescriptionRef::Hash(hash) = bolt11.description() else { panic!("no hash") };
    let digits: String =
        Sha256::digest(text(params, "metadata")).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash.0.to_string(), digits);
    assert_eq!(invoice["routes"], Value::Array(Vec::new()));
    bolt11
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_gets_an_invoice_that_strict_wallets_take_and_a_proof_in_the_end() {
    let payee = Payee::new().await;
    let params = payee.params("swift.eagle").await;
    assert_eq!(params["tag"], "payRequest");
    assert_eq!(payee.params("swift.eagle").await["metadata"], params["metadata"], "byte for byte");
    let entries: Vec<[String; 2]> = serde_json::from_str(&text(&params, "metadata")).unwrap();
    assert!(
        entries.contains(&["text/identifier".to_owned(), "swift.eagle@guiche.test".to_owned()]),
        "{entries:?}"
    );

    let invoice = payee.invoice(&params, "amount=21001&comment=obrigado%21").await;
    let bolt11 = check(&invoice, &params, 21_001);
    let verify = text(&invoice, "verify");
    let verify = verify.strip_prefix(&format!("http://{}", payee.app.address)).unwrap();
    let told = payee.get(verify).await.value();
    assert_eq!(
        (&told["status"], &told["settled"], &told["preimage"]),
        (&"OK".into(), &false.into(), &Value::Null)
    );
    let preimage = payee.app.btcpay().play().pay(&bolt11.payment_hash().to_string(), None).unwrap();
    let told = payee.get(verify).await.value();
    assert_eq!(
        (&told["settled"], &told["preimage"], &told["pr"]),
        (&true.into(), &preimage.into(), &invoice["pr"])
    );
    refused(&payee.get(&format!("/lnurlp/verify/{}", "0".repeat(64))).await.value(), "Not found");
    refused(&payee.get("/lnurlp/verify/nothing").await.value(), "Not found");
    assert_eq!(
        payee
            .app
            .world
            .count("lightning_address_invoices WHERE paid_at IS NOT NULL AND comment = 'obrigado!'")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_read_as_wallets_write_them() {
    let payee = Payee::new().await;
    for (written, user) in [
        ("SWIFT.EAGLE", "swift.eagle"),
        ("swift.eagle+Invoice-7", "swift.eagle+invoice-7"),
        ("swift.eagle%2Btag", "swift.eagle+tag"),
    ] {
        let params = payee.params(written).await;
        assert!(
            text(&params, "metadata").contains(&format!("\"text/identifier\",\"{user}@guiche.test\"")),
            "{params}"
        );
        check(&payee.invoice(&params, "amount=1000").await, &params, 1_000);
    }
    for nobody in [
        "nobody",
        "a",
        "swift.eagle+",
        "swift%00eagle",
        "%FF%FE%FD",
        "swift.eagle@elsewhere.test",
        "swift%2Feagle",
    ] {
        refused(&payee.params(nobody).await, "No such address");
        refused(
            &payee.get(&format!("/lnurlp/{nobody}/callback?amount=1000")).await.value(),
            "No such address",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_may_be_called_verify() {
    let app = TestApp::start().await;
    let user = app.user().await;
    app.set_up(&user, "verify").await;
    app.open_channel("verify@guiche.test", PLENTY_SATS);
    let params = app.get("/.well-known/lnurlp/verify").send().await.value();
    // Past the contract's checker: the path also looks like a question about a payment.
    let callback = format!("{}?amount=5000", text(&params, "callback"));
    let invoice = app.client.get(callback).send().await.unwrap().bytes().await.unwrap();
    check(&serde_json::from_slice(&invoice).unwrap(), &params, 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_callback_refuses() {
    let payee = Payee::new().await;
    let params = payee.params("swift.eagle").await;
    let (least, most) = (params["minSendable"].as_u64().unwrap(), params["maxSendable"].as_u64().unwrap());
    let allowed = usize::try_from(params["commentAllowed"].as_u64().unwrap()).unwrap();
    for (query, part) in [
        (format!("amount={}", least - 1), "must be"),
        (format!("amount={}", most + 1), "must be"),
        (String::new(), "missing or invalid"),
        ("amount=".to_owned(), "missing or invalid"),
        ("amount=1e6".to_owned(), "missing or invalid"),
        ("amount=-1000".to_owned(), "missing or invalid"),
        ("amount=99999999999999999999".to_owned(), "missing or invalid"),
        (format!("amount=1000&comment={}", "a".repeat(allowed + 1)), "comment is too long"),
    ] {
        refused(&payee.invoice(&params, &query).await, part);
    }
    // Characters are counted, not bytes; what the wallet adds of its own is nobody's business; a NUL is not kept.
    for comment in ["%C3%A9".repeat(allowed), "a%00b&nonce=1&nostr=%7B%7D".to_owned()] {
        check(&payee.invoice(&params, &format!("amount={least}&comment={comment}")).await, &params, least);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_receive_yet_says_so() {
    let payee = Payee::new().await;
    let known = payee.params("swift.eagle").await;
    payee.app.open_channel("swift.eagle@guiche.test", 0);
    let standing = payee.app.standing(&payee.user).await;
    assert_eq!((&standing["can_receive"], &standing["inbound_capacity_sats"]), (&false.into(), &0.into()));
    refused(&payee.params("swift.eagle").await, "cannot receive");
    refused(&payee.invoice(&known, "amount=1000").await, "cannot receive");

    payee.app.open_channel("swift.eagle@guiche.test", 3_000);
    let standing = payee.app.standing(&payee.user).await;
    assert_eq!((&standing["can_receive"], &standing["inbound_capacity_sats"]), (&true.into(), &2_000.into()));
    let params = payee.params("swift.eagle").await;
    // What must stay on the other side is no store's business: the node itself refuses it.
    assert_eq!(params["maxSendable"], 3_000_000, "what it can receive is announced");
    check(&payee.invoice(&params, "amount=3000000").await, &params, 3_000_000);
    refused(&payee.invoice(&params, "amount=3000001").await, "cannot receive");
    payee.app.btcpay().play().let_reach(&payee.address.store, Some(false)).unwrap();
    refused(&payee.invoice(&params, "amount=1000").await, "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_may_ask_from_anywhere() {
    let payee = Payee::new().await;
    for path in ["/.well-known/lnurlp/x", "/lnurlp/x/callback", "/lnurlp/verify/x"] {
        let call = payee.app.call("OPTIONS", path).header("origin", "https://wallet.example");
        let answer = call.header("access-control-request-method", "GET").send().await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some("*")), "{path}");
        assert!(answer.header("access-control-allow-methods").unwrap().contains("GET"));
        let answer = payee.app.post(path).send().await;
        answer.problem(405, "method_not_allowed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_domain_has_its_own_names() {
    let payee = Payee::among(&[("LIGHTNING_DOMAINS", "guiche.test,pay.guiche.test")]).await;
    let bob = payee.app.user().await;
    payee.app.set_up(&bob, "bob@pay.guiche.test").await;
    payee.app.open_channel("bob@pay.guiche.test", PLENTY_SATS);
    let at = async |host: &str, name: &str| {
        let call = payee.app.get(&format!("/.well-known/lnurlp/{name}")).header("host", host);
        call.send().await.value()
    };
    let params = at("PAY.guiche.test:443", "bob").await;
    assert!(text(&params, "metadata").contains("bob@pay.guiche.test"), "{params}");
    // The callback comes to the public address, whatever host was asked first.
    check(&payee.invoice(&params, "amount=1000").await, &params, 1_000);
    refused(&at("guiche.test", "bob").await, "No such address");
    refused(&at("pay.guiche.test", "swift.eagle").await, "No such address");
    assert_eq!(at("elsewhere.test", "swift.eagle").await["tag"], "payRequest", "the first is the default");
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_limited() {
    let payee = Payee::among(&[("RATE_LIMIT_LNURL", "2/60")]).await;
    for _ in 0..2 {
        payee.params("swift.eagle").await;
    }
    let answer = payee.app.get("/.well-known/lnurlp/swift.eagle").send().await;
    let problem = answer.problem(429, "rate_limited");
    assert!(problem["reason"].is_string() && answer.header("retry-after").is_some());
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
}
