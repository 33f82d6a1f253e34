//! Others are told: from the citizen's request to a receiver's door, with all the real parts in between.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use guiche_app::config::{Config, Sources};
use guiche_app::shutdown::Shutdown;
use guiche_app::system::{OsRandomness, SystemClock};
use guiche_app::wiring;
use guiche_webhooks::{Added, EndpointUrl, NewEndpoint, Subscription};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{CPF, TestApp, World, text};

const LOCAL: (&str, &str) = ("WEBHOOKS_ALLOW_PRIVATE", "127.0.0.0/8");

/// A receiver that takes everything, and what it was sent.
struct Receiver {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let all = Arc::clone(&heard);
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = String::new();
                let mut buffer = [0; 4096];
                while !request.ends_with("}}") {
                    let count = socket.read(&mut buffer).await.unwrap();
                    assert_ne!(count, 0, "{request}");
                    request.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
                }
                all.lock().unwrap().push(request);
                let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                socket.write_all(answer).await.unwrap();
            }
        });
        Self { address, heard }
    }

    async fn added_to(&self, app: &TestApp) -> Added {
        let new = NewEndpoint {
            url: EndpointUrl::parse(&format!("http://{}/hook", self.address)).unwrap(),
            description: String::new(),
            subscription: Subscription::All,
        };
        app.webhooks.add(new).await.unwrap()
    }

    /// The events that came, each with its id; their signatures are verified by hand.
    fn events(&self, added: &Added) -> Vec<(String, Value)> {
        let text = added.secret.to_text();
        let key = STANDARD.decode(text.expose_secret().strip_prefix("whsec_").unwrap()).unwrap();
        let heard = self.heard.lock().unwrap();
        let verified = heard.iter().map(|request| {
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            let (id, at) = (header("webhook-id: "), header("webhook-timestamp: "));
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            mac.update(format!("{id}.{at}.{body}").as_bytes());
            let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
            assert_eq!(header("webhook-signature: "), expected);
            (id.to_owned(), serde_json::from_str(body).unwrap())
        });
        verified.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_a_ticket_is_told_once_signed_and_without_the_form() {
    let app = World::new().await.serve_with(&[LOCAL], Arc::new(SystemClock)).await;
    let receiver = Receiver::open().await;
    let added = receiver.added_to(&app).await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    app.pay(&opened, "").await.json(200);
    app.act(&user, &opened, "confirm-payment").await.json(200);
    for _ in 0..2 {
        app.messenger.fan_out().await.unwrap();
        app.messenger.deliver().await.unwrap();
    }
    let mut events = receiver.events(&added);
    events.sort_by_key(|(_, event)| event["data"]["version"].as_i64());
    let kinds: Vec<_> = events.iter().map(|(_, event)| text(event, "type")).collect();
    assert_eq!(kinds, ["ticket.opened", "ticket.paid"]);
    for (_, event) in &events {
        assert_eq!(event["data"]["ticket_id"], opened["ticket_id"]);
        assert_eq!(event["data"]["user_id"], user.id.as_str());
        assert_eq!(event["data"]["payment_hash"], opened["payment_hash"]);
        assert!(!event.to_string().contains(CPF), "{event}");
    }
    assert_eq!(events[1].1["data"]["payment_status"], "paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_lies_in_the_database_sealed() {
    let app = World::new().await.serve_with(&[LOCAL], Arc::new(SystemClock)).await;
    let added = Receiver::open().await.added_to(&app).await;
    app.webhooks.rotate_secret(added.endpoint.id, Duration::from_secs(60)).await.unwrap();
    let superuser = app.world.database.raw(&app.world.database.superuser_url()).await;
    let row = superuser.query_one("SELECT e::text FROM webhook_endpoints e", &[]).await.unwrap();
    let stored: String = row.get(0);
    assert_eq!(stored.matches("v1.generated.").count(), 2, "{stored}");
    let bytes = added.secret.bytes().expose_secret();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    for clear in [hex.as_str(), &STANDARD.encode(bytes)[..40], "whsec_"] {
        assert!(!stored.contains(clear), "{stored}");
    }
}

/// Why a server does not start.
async fn refusal(world: &World, extra: &[(&str, &str)]) -> Option<String> {
    let sources = Sources { environment: world.variables(extra), file: None };
    let config = Config::parse(&sources).unwrap();
    let outside = wiring::World {
        clock: world.clock.clone(),
        timer: Arc::new(SystemClock),
        randomness: Arc::new(OsRandomness),
    };
    let refused = wiring::wire(&config, &Shutdown::default(), outside).await.err();
    refused.map(|refused| refused.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_key_of_a_secret_does_not_start() {
    const OLD: &str = "old:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
    const NEW: &str = "new:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
    let world = World::new().await;
    let keys = |keys| ("SERVICE_ENCRYPTION_KEYS", keys);
    let app = world.serve_with(&[LOCAL, keys(OLD)], Arc::new(SystemClock)).await;
    Receiver::open().await.added_to(&app).await;
    app.stop().await;
    let refused = refusal(&world, &[LOCAL, keys(NEW)]).await.unwrap();
    for part in ["the key \"old\"", "not in the key ring", "SERVICE_ENCRYPTION_KEYS"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    assert!(refusal(&world, &[LOCAL]).await.is_some(), "the generated key is another one");
    assert_eq!(refusal(&world, &[LOCAL, keys(&format!("{NEW},{OLD}"))]).await, None);
}
