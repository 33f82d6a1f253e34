//! Brings the archive here, and tells its digest.

use std::{error::Error, path::Path, time::Duration};

use reqwest::{Client, Response, StatusCode, redirect::Policy};
use sha2::{Digest as _, Sha256};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter},
};
use url::Url;

use super::{
    archive::{Source, is_allowed, is_loopback},
    progress::Progress,
};

/// No packed set of binaries is that large (bytes); the largest known has a tenth of it.
pub(super) const LARGEST: u64 = 512 * 1024 * 1024;
const MOST_REDIRECTS: usize = 5;
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// The longest pause in the middle of a download.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);

/// Copies the archive to `target`; its SHA-256 digest in lower-case hexadecimal digits, or the reason why not.
pub(super) async fn fetch(source: &Source, target: &Path, progress: &Progress) -> Result<String, String> {
    let file = File::create_new(target).await.map_err(|error| error.to_string())?;
    let mut sink = Sink { file: BufWriter::new(file), digest: Sha256::new(), bytes: 0, progress };
    match source {
        Source::Url(url) => download(url, &mut sink).await?,
        Source::File(path) => copy(path, &mut sink).await?,
    }
    sink.file.flush().await.map_err(|error| error.to_string())?;
    Ok(hex::encode(sink.digest.finalize()))
}

struct Sink<'a> {
    file: BufWriter<File>,
    digest: Sha256,
    bytes: u64,
    progress: &'a Progress,
}

impl Sink<'_> {
    fn expect(&self, bytes: Option<u64>) -> Result<(), String> {
        let Some(bytes) = bytes else { return Ok(()) };
        self.progress.expect(bytes);
        if bytes > LARGEST { Err(too_large()) } else { Ok(()) }
    }

    async fn take(&mut self, part: &[u8]) -> Result<(), String> {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(length);
        if self.bytes > LARGEST {
            return Err(too_large());
        }
        self.digest.update(part);
        self.progress.advance(length);
        self.file.write_all(part).await.map_err(|error| error.to_string())
    }
}

fn too_large() -> String {
    format!("it is larger than {} MB", LARGEST / 1024 / 1024)
}

async fn copy(path: &Path, sink: &mut Sink<'_>) -> Result<(), String> {
    let mut file = File::open(path).await.map_err(|error| error.to_string())?;
    let found = file.metadata().await.map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("it is not a file".to_owned());
    }
    sink.expect(Some(found.len()))?;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let length = file.read(&mut buffer).await.map_err(|error| error.to_string())?;
        match buffer.get(..length) {
            Some(part) if length > 0 => sink.take(part).await?,
            _ => return Ok(()),
        }
    }
}

async fn download(url: &Url, sink: &mut Sink<'_>) -> Result<(), String> {
    let client = client(url).map_err(|error| told(&error))?;
    let mut response: Response = client.get(url.clone()).send().await.map_err(|error| told(&error))?;
    if response.status() != StatusCode::OK {
        return Err(format!("the server answers {}", response.status()));
    }
    sink.expect(response.content_length())?;
    while let Some(part) = response.chunk().await.map_err(|error| told(&error))? {
        sink.take(&part).await?;
    }
    Ok(())
}

fn client(url: &Url) -> Result<Client, reqwest::Error> {
    // Another part of the process may have been first, with the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let redirects = Policy::custom(|attempt| {
        let from_here = attempt.previous().last().is_some_and(is_loopback);
        let to = attempt.url();
        if attempt.previous().len() > MOST_REDIRECTS {
            attempt.error("it redirects too often")
        } else if is_allowed(to) && (to.scheme() == "https" || from_here) {
            attempt.follow()
        } else {
            attempt.error("it redirects to an address that is not https")
        }
    });
    let client = Client::builder()
        .user_agent(concat!("guiche/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(LONGEST_SILENCE)
        .redirect(redirects);
    // A proxy cannot reach what listens on this very machine.
    if is_loopback(url) { client.no_proxy().build() } else { client.build() }
}

/// The whole chain: the outermost error alone says "error sending request".
fn told(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
