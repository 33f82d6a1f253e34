//! A server of one line: each request gets the next reaction, and the last one for ever.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug, Clone)]
pub(crate) enum Reaction {
    /// Status, further headers (each with its line end) and body.
    Answer(u16, String, String),
    /// These very bytes, then the end of the connection.
    Raw(String),
    /// The end of the connection.
    HangUp,
    /// Nothing, for ever.
    Silence,
    /// A head, then a space now and then, for ever.
    Drip,
    /// A head, then as much as is taken.
    Flood,
}

pub(crate) fn answer(status: u16, body: &str) -> Reaction {
    Reaction::Answer(status, String::new(), body.to_owned())
}

/// As [`answer`], with a header.
pub(crate) fn answer_with(status: u16, header: &str, body: &str) -> Reaction {
    Reaction::Answer(status, format!("{header}\r\n"), body.to_owned())
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    script: Arc<Mutex<VecDeque<Reaction>>>,
}

impl Server {
    pub(crate) async fn that(script: impl IntoIterator<Item = Reaction>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(script.into_iter().collect()));
        let server = Self { address, requests: Arc::default(), script };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        server
    }

    pub(crate) fn then(&self, script: impl IntoIterator<Item = Reaction>) {
        *self.script.lock().unwrap() = script.into_iter().collect();
    }

    /// What was asked so far, each request as it came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let request = read(&mut stream).await?;
        self.requests.lock().unwrap().push(request);
        let reaction = {
            let mut script = self.script.lock().unwrap();
            if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
        };
        match reaction.expect("a script") {
            Reaction::Answer(status, headers, body) => {
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
                );
                stream.write_all((head + &body).as_bytes()).await.ok()?;
            }
            Reaction::Raw(text) => stream.write_all(text.as_bytes()).await.ok()?,
            Reaction::HangUp => {}
            Reaction::Silence => std::future::pending().await,
            Reaction::Drip => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n").await.ok()?;
                loop {
                    stream.write_all(b" ").await.ok()?;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            Reaction::Flood => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.ok()?;
                let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
                loop {
                    stream.write_all(chunk.as_bytes()).await.ok()?;
                }
            }
        }
        stream.shutdown().await.ok()
    }
}

/// One request, body included.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
