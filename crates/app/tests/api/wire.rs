//! A wire to the database that counts round trips: it stands between a server and PostgreSQL, and reads along.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use url::Url;

use crate::support::World;

/// Counts what the server asks the database to answer: each `Sync` and each simple `Query` is one round trip.
pub(crate) struct Wire {
    address: SocketAddr,
    target: Url,
    round_trips: Arc<AtomicU64>,
    whole: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Wire {
    /// A wire to the world's database.
    pub(crate) async fn tap(world: &World) -> Self {
        let target: Url = world.database.app_url().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let round_trips = Arc::new(AtomicU64::new(0));
        let (counter, upstream) = (Arc::clone(&round_trips), target.clone());
        let (whole, state) = watch::channel(true);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (counter, upstream, mut state) = (Arc::clone(&counter), upstream.clone(), state.clone());
                tokio::spawn(async move {
                    let passing = async {
                        match Place::of(&upstream) {
                            Place::Socket(path) => {
                                pass(client, UnixStream::connect(path).await?, &counter).await
                            }
                            Place::Port(host) => {
                                pass(client, TcpStream::connect(host).await?, &counter).await
                            }
                        }
                    };
                    // Ends with whichever side ends first, or with the wire.
                    tokio::select! {
                        biased;
                        _ = state.wait_for(|whole| !whole) => {}
                        _ = passing => {}
                    }
                });
            }
        });
        Self { address, target, round_trips, whole, task }
    }

    /// The URL by which a server reaches the database over this wire.
    pub(crate) fn url(&self) -> String {
        let password = self.target.password().map(|password| format!(":{password}")).unwrap_or_default();
        let (user, database) = (self.target.username(), self.target.path());
        format!("postgres://{user}{password}@{}{database}?sslmode=disable", self.address)
    }

    /// Takes the database away: every connection breaks, and so does every new one.
    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Gives it back.
    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }

    pub(crate) fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::SeqCst)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

enum Place {
    Socket(PathBuf),
    Port(String),
}

impl Place {
    fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        let (_, in_query) = url.query_pairs().find(|(name, _)| name == "host").unwrap_or_default();
        let port = url.port().unwrap_or(5432);
        let encoded = format!("x={host}");
        let (_, host) = url::form_urlencoded::parse(encoded.as_bytes()).next().unwrap_or_default();
        let host = if host.is_empty() { in_query } else { host };
        if host.starts_with('/') {
            Self::Socket(PathBuf::from(&*host).join(format!(".s.PGSQL.{port}")))
        } else {
            Self::Port(format!("{host}:{port}"))
        }
    }
}

async fn pass(
    client: TcpStream,
    server: impl AsyncRead + AsyncWrite + Send + 'static,
    counter: &AtomicU64,
) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let questions = async {
        // The start-up message alone has no letter before its length.
        let length = from_client.read_u32().await?;
        forward(&mut from_client, &mut to_server, &[], length).await?;
        loop {
            let letter = from_client.read_u8().await?;
            let length = from_client.read_u32().await?;
            if letter == b'S' || letter == b'Q' {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            forward(&mut from_client, &mut to_server, &[letter], length).await?;
        }
    };
    tokio::select! {
        ended = questions => ended,
        ended = tokio::io::copy(&mut from_server, &mut to_client) => ended.map(drop),
    }
}

async fn forward(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    letter: &[u8],
    length: u32,
) -> std::io::Result<()> {
    let mut message = [letter, &length.to_be_bytes()].concat();
    let head = message.len();
    message.resize(head + usize::try_from(length).unwrap() - 4, 0);
    from.read_exact(&mut message[head..]).await?;
    to.write_all(&message).await
}
