//! Where events go to: an endpoint that takes everything, each after the same while.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use guiche_kernel::BoxError;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running endpoint; it ends with this value.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    taken: Arc<AtomicU32>,
    serving: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start(latency: Duration) -> Result<Self, BoxError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let taken = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&taken);
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(converse(socket, latency, Arc::clone(&count)));
            }
        });
        Ok(Self { address, taken, serving })
    }

    /// How many events it has taken.
    pub(crate) fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Takes what comes on a connection until its sender has had enough.
async fn converse(socket: TcpStream, latency: Duration, taken: Arc<AtomicU32>) {
    let mut socket = BufReader::new(socket);
    while let Ok(Some(length)) = head(&mut socket).await {
        let mut body = vec![0; length];
        if socket.read_exact(&mut body).await.is_err() {
            return;
        }
        tokio::time::sleep(latency).await;
        taken.fetch_add(1, Ordering::Relaxed);
        if socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.is_err() {
            return;
        }
    }
}

/// Reads the head of a request; how long its body is, or `None` at the end of the connection.
async fn head(socket: &mut BufReader<TcpStream>) -> std::io::Result<Option<usize>> {
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        if socket.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        if line.trim().is_empty() {
            return Ok(Some(length));
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
}
