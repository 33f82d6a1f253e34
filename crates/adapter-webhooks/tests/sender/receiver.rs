//! Receivers that answer with the very bytes they are told to, over TLS or plain.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use guiche_adapter_webhooks::{AllowPrivate, CertificateDer, HttpSender, Lookup, SenderSettings};
use guiche_kernel::Timestamp;
use guiche_kernel::testing::SeededRandomness;
use guiche_webhooks::testing::ticket_event;
use guiche_webhooks::{EndpointUrl, EventId, EventType, OutgoingRequest, SigningSecret, sign};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub const NOW: Timestamp = time::macros::datetime!(2026-11-22 07:30:15 UTC);

/// An answer that ends its connection.
pub fn answer(head: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").into_bytes()
}

/// One receiver, and what it was sent: whole requests, as text.
#[derive(Clone)]
pub struct Receiver {
    pub port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    certificate: Option<CertificateDer<'static>>,
}

impl Receiver {
    /// On an address of this machine, with a certificate for `hooks.example`.
    pub async fn encrypted(address: &str, answer: Vec<u8>) -> Self {
        let key = rcgen::generate_simple_self_signed(vec!["hooks.example".to_owned()]).unwrap();
        let certificate = key.cert.der().clone();
        let private = rustls::pki_types::PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], private)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(address).await.unwrap();
        let receiver = Self::on(&listener, Some(certificate));
        let heard = Arc::clone(&receiver.heard);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, heard, answer) = (acceptor.clone(), Arc::clone(&heard), answer.clone());
                tokio::spawn(async move {
                    // A client that does not trust us hangs up.
                    if let Ok(stream) = acceptor.accept(socket).await {
                        serve(stream, &heard, &answer).await;
                    }
                });
            }
        });
        receiver
    }

    /// On 127.0.0.1, without TLS.
    pub async fn plain(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self::on(&listener, None);
        let heard = Arc::clone(&receiver.heard);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (heard, answer) = (Arc::clone(&heard), answer.clone());
                tokio::spawn(async move { serve(socket, &heard, &answer).await });
            }
        });
        receiver
    }

    fn on(listener: &TcpListener, certificate: Option<CertificateDer<'static>>) -> Self {
        Self { port: listener.local_addr().unwrap().port(), heard: Arc::default(), certificate }
    }

    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Settings that trust this receiver, and whatever is on this machine.
    pub fn settings(&self) -> SenderSettings {
        SenderSettings {
            allow_private: AllowPrivate::Networks(vec!["127.0.0.1/32".parse().unwrap()]),
            plain_loopback: true,
            extra_roots: self.certificate.clone().into_iter().collect(),
            lookup: Arc::new(Answers::always("127.0.0.1")),
            ..SenderSettings::default()
        }
    }
}

/// Hears one request, says the answer, and waits until the other side has had enough.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, heard: &Mutex<Vec<String>>, answer: &[u8]) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !is_whole(&request) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    heard.lock().unwrap().push(String::from_utf8(request).unwrap());
    let _ = stream.write_all(answer).await;
    let _ = stream.flush().await;
    if answer.windows(17).any(|window| window == b"connection: close") {
        let _ = stream.shutdown().await;
    }
    let _ = stream.read(&mut buffer).await;
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    body.len() >= length.parse().unwrap()
}

/// A directory that answers in turn, the last answer for ever, and counts the questions.
pub struct Answers {
    turns: Vec<Vec<IpAddr>>,
    pub asked: Mutex<Vec<String>>,
}

impl Answers {
    pub fn always(address: &str) -> Self {
        Self::in_turn(&[&[address]])
    }

    pub fn in_turn(turns: &[&[&str]]) -> Self {
        let parse = |turn: &&[&str]| turn.iter().map(|address| address.parse().unwrap()).collect();
        Self { turns: turns.iter().map(parse).collect(), asked: Mutex::default() }
    }
}

#[async_trait::async_trait]
impl Lookup for Answers {
    async fn lookup(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(name.to_owned());
        Ok(self.turns[(asked.len() - 1).min(self.turns.len() - 1)].clone())
    }
}

pub fn secret() -> SigningSecret {
    SigningSecret::generate(&SeededRandomness::new(1))
}

/// An event for this address.
pub fn request(url: &str) -> OutgoingRequest {
    let event = ticket_event(EventId::new(uuid::Uuid::from_u128(7)), EventType::TicketPaid, NOW);
    let body = event.body();
    let headers = sign([&secret()], &event.id.to_string(), NOW, &body);
    OutgoingRequest { url: EndpointUrl::parse(url).unwrap(), headers, body }
}

pub fn sender(settings: SenderSettings) -> HttpSender {
    HttpSender::try_new(settings).unwrap()
}
