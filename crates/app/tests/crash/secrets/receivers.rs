//! Receivers of webhooks that give back what they were sent: in the status line, in headers, in the body, in place of HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Scene;
use crate::support::eventually;

/// How they answer, which is also the path that they are called by.
const MANNERS: [&str; 6] = ["echo", "redirect", "later", "no-http", "cut", "fine"];
const TOLD: Duration = Duration::from_secs(60);

/// The signatures of every request by the manner in which it was answered.
type Heard = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// All receivers, and the endpoints that were added for them.
pub(super) struct Receivers {
    heard: Heard,
    endpoints: Vec<String>,
}

impl Receivers {
    /// Starts them, and adds an endpoint for each. Their secrets are shown there, and nowhere else.
    pub(super) async fn start(scene: &mut Scene) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let heard = Heard::default();
        let all = Arc::clone(&heard);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(listen(socket, Arc::clone(&all)));
            }
        });
        let mut endpoints = Vec::new();
        scene.canaries.known_to_operators("a word in the address of an endpoint", "canary-of-an-address");
        for manner in MANNERS {
            let url = format!("{base}/{manner}?key=canary-of-an-address");
            let stdout = scene.shows_a_secret(&["webhooks", "add", "--url", &url]).await;
            endpoints.push(stdout.split_whitespace().nth(1).unwrap().to_owned());
        }
        Self { heard, endpoints }
    }

    /// Gives every endpoint another secret.
    pub(super) async fn rotate(&self, scene: &mut Scene) {
        for endpoint in &self.endpoints {
            scene.shows_a_secret(&["webhooks", "rotate-secret", endpoint]).await;
        }
    }

    /// Waits until everybody was told so often, and lets the operator look at what came of it.
    pub(super) async fn told(&self, scene: &mut Scene, times: usize) {
        eventually("deliveries to everybody", TOLD, async || {
            let heard = self.heard.lock().unwrap();
            MANNERS
                .iter()
                .all(|manner| heard.get(*manner).is_some_and(|all| all.len() >= times))
                .then_some(())
        })
        .await;
        for (endpoint, manner) in self.endpoints.iter().zip(MANNERS) {
            let tested = scene.world.run(&["webhooks", "test", endpoint]).await;
            assert_eq!(tested.code, Some(i32::from(manner != "fine")), "{manner}: {tested:?}");
        }
        for arguments in [["webhooks", "list", "--json"], ["webhooks", "deliveries", "--json"]] {
            assert_eq!(scene.world.run(&arguments).await.code, Some(0));
            assert_eq!(scene.world.run(&arguments[..2]).await.code, Some(0));
        }
        let deliveries = scene.world.run(&["webhooks", "deliveries", "--limit", "100"]).await.stdout;
        for result in ["500", "302", "503", "broken"] {
            assert!(deliveries.contains(result), "{result}: {deliveries}");
        }
        for (manner, signatures) in &*self.heard.lock().unwrap() {
            for signature in signatures.iter().flat_map(|all| all.split(' ')) {
                let name = format!("a signature that {manner} was sent");
                scene.canaries.add(&name, signature.trim_start_matches("v1,"));
            }
        }
    }
}

async fn listen(mut socket: TcpStream, heard: Heard) {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while !request.ends_with(b"}}") {
        match socket.read(&mut buffer).await {
            // The sender was stopped.
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    let request = String::from_utf8(request).unwrap();
    let signature = request.lines().find_map(|line| line.strip_prefix("webhook-signature: ")).unwrap();
    let manner = request[..request.find('?').unwrap()].rsplit('/').next().unwrap().to_owned();
    let answer = answer(&manner, signature, &request);
    heard.lock().unwrap().entry(manner).or_default().push(signature.to_owned());
    let _ = socket.write_all(answer.as_bytes()).await;
}

fn answer(manner: &str, signature: &str, request: &str) -> String {
    let whole = |status: &str, header: &str| {
        let length = request.len();
        format!(
            "HTTP/1.1 {status}\r\n{header}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{request}"
        )
    };
    match manner {
        "echo" => whole(&format!("500 you signed {signature}"), &format!("x-signature: {signature}")),
        "redirect" => whole("302 There", &format!("location: http://127.0.0.1:1/?signature={signature}")),
        "later" => whole("503 Later", &format!("retry-after: {signature}")),
        "no-http" => format!("SORRY {signature}\r\n\r\n{request}"),
        "cut" => format!("HTTP/1.1 200 Fine\r\nx-signature: {signature}\r\nx-cut: {signature}"),
        _ => whole("200 Fine", &format!("x-signature: {signature}")),
    }
}
