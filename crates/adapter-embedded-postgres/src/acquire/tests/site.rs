//! A web site on this machine, with the faults that sites have.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// What the site answers, whatever is asked.
#[derive(Clone)]
pub(super) enum Answer {
    Whole(Vec<u8>),
    /// As `Whole`, after somebody has opened the gate.
    Gated(Vec<u8>, Arc<Semaphore>),
    /// Promises all, sends half, hangs up.
    Half(Vec<u8>),
    /// Promises so many bytes, and stays silent.
    Silent(u64),
    Status(&'static str),
    Redirect(String),
}

pub(super) struct Site {
    pub(super) url: String,
    requests: Arc<AtomicUsize>,
}

impl Site {
    pub(super) async fn open(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/pg.tar.gz", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        // Ends with the test's runtime.
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, answer.clone()));
            }
        });
        Self { url, requests }
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: TcpStream, answer: Answer) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    let ok =
        |length: u64| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    let length = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap();
    let (head, body) = match &answer {
        Answer::Whole(bytes) => (ok(length(bytes)), bytes.as_slice()),
        Answer::Gated(bytes, gate) => {
            gate.acquire().await.unwrap().forget();
            (ok(length(bytes)), bytes.as_slice())
        }
        Answer::Half(bytes) => (ok(length(bytes)), &bytes[..bytes.len() / 2]),
        Answer::Silent(promised) => (ok(*promised), &[][..]),
        Answer::Status(status) => {
            (format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"), &[][..])
        }
        Answer::Redirect(to) => (
            format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
            &[][..],
        ),
    };
    // A client that refuses an answer hangs up in the middle of it.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body).await;
    if let Answer::Silent(_) = answer {
        let _ = stream.read_u8().await;
    }
}
