//! Who is told of events: takes everything, and remembers what came under which id.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Every body that came under an id.
type Heard = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// The endpoint. It lives as long as the runtime does.
pub(crate) struct Receiver {
    heard: Heard,
    pub(crate) url: String,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let heard = Heard::default();
        let all = Arc::clone(&heard);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(listen(socket, Arc::clone(&all)));
            }
        });
        Self { heard, url }
    }

    /// How many ids were heard of.
    pub(crate) fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    pub(crate) fn heard(&self) -> BTreeMap<String, Vec<String>> {
        self.heard.lock().unwrap().clone()
    }
}

async fn listen(mut socket: TcpStream, heard: Heard) {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while !request.ends_with(b"}}") {
        match socket.read(&mut buffer).await {
            // The sender was killed.
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    let request = String::from_utf8(request).unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let id = head.lines().find_map(|line| line.strip_prefix("webhook-id: ")).unwrap();
    heard.lock().unwrap().entry(id.to_owned()).or_default().push(body.to_owned());
    let _ = socket.write_all(b"HTTP/1.1 204 Fine\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
}
