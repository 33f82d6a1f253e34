//! What this machine has to offer.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use guiche_adapter_crypto::{BcryptCost, BcryptHasher, BcryptSettings};
use guiche_users::{PasswordHasher as _, PresentedPassword};
use url::Url;

use super::report::Finding;
use crate::config::Config;
use crate::system::OsRandomness;
use crate::web;

/// Whoever answers later does not count as answering.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// A server holds a file per connection, and some more.
const FEW_FILES: u64 = 4_096;
/// Quicker than that, and a stolen table of hashes is cheap to try passwords on; slower, and signing in keeps people waiting
/// and the processors busy.
const SANE_HASHING: std::ops::RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(1);
/// How often a password is tried, and after how long a try no other follows.
const TRIES: u32 = 5;
const LONG_ENOUGH: Duration = Duration::from_millis(200);

/// Generated secrets, the private cluster and the stub's payments live there.
pub(super) fn data_directory(config: &Config) -> Finding {
    const CHECK: &str = "data-directory";
    let directory = std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
    let shown = directory.display();
    let existing = directory.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    // A file without a name: it leaves no trace.
    match tempfile::tempfile_in(existing) {
        Ok(_) if existing == directory => Finding::ok(CHECK, format!("{shown} can be written")),
        Ok(_) => Finding::ok(CHECK, format!("{shown} is not there yet and can be made")),
        Err(error) => Finding::failure(
            CHECK,
            format!("{shown} cannot be used: {} {error}", existing.display()),
            "set GUICHE_DATA_DIR to a directory of the user who serves, or hand this one over to that user",
        ),
    }
}

/// Whether generated secrets are open to their owner only.
pub(super) fn secrets(config: &Config) -> Finding {
    const CHECK: &str = "secrets";
    let directory = config.data_dir.join("secrets");
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Finding::ok(CHECK, "none was generated".to_owned());
        }
        Err(error) => {
            let cure = "run as the user who serves, or hand the directory over to that user";
            return Finding::failure(CHECK, format!("{} cannot be read: {error}", directory.display()), cure);
        }
    };
    let files = entries.flatten().map(|entry| entry.path());
    let open = std::iter::once(directory.clone())
        .chain(files)
        .find(|path| fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0));
    match open {
        None => Finding::ok(CHECK, format!("{} is closed to others", directory.display())),
        Some(path) => Finding::failure(
            CHECK,
            format!("{} is open to other users", path.display()),
            format!(
                "chmod -R go= {}; whoever may have read a key can sign in as anybody: replace it",
                directory.display()
            ),
        ),
    }
}

/// Whether the address is free, or a Guichê is there already.
pub(super) async fn port(check: &'static str, address: SocketAddr) -> Finding {
    let error = match TcpListener::bind(address) {
        Ok(_) => return Finding::ok(check, format!("{address} is free")),
        Err(error) => error,
    };
    if error.kind() == io::ErrorKind::AddrInUse {
        if is_a_guiche(address).await {
            return Finding::ok(check, format!("{address} is served by a Guichê already"));
        }
        let name = if check == "listen-address" { "LISTEN_ADDR" } else { "METRICS_ADDR" };
        let cure = format!("stop the other program, or set {name} to another port");
        return Finding::failure(check, format!("{address} is used by another program"), cure);
    }
    let cure =
        "choose an address of this machine, and a port from 1024 on unless the user may take lower ones";
    Finding::failure(check, format!("{address} cannot be used: {error}"), cure)
}

/// The one listener knows `/readyz`, the other its own build.
async fn is_a_guiche(address: SocketAddr) -> bool {
    let answers = async |path: &str, sign: &str| {
        let url = Url::parse(&format!("http://{address}{path}")).ok()?;
        let client = web::client_for(&url).timeout(PATIENCE).build().ok()?;
        let text = client.get(url).send().await.ok()?.text().await.ok()?;
        text.contains(sign).then_some(())
    };
    answers("/readyz", "\"migrations\"").await.is_some()
        || answers("/metrics", "guiche_build_info").await.is_some()
}

pub(super) fn open_files() -> Finding {
    const CHECK: &str = "open-files";
    match rlimit::getrlimit(rlimit::Resource::NOFILE) {
        Ok((_, hard)) if hard < FEW_FILES => Finding::warning(
            CHECK,
            format!("at most {hard} files may be open, and every connection is one"),
            "raise the hard limit: LimitNOFILE=65536 in the unit, or --ulimit nofile=65536",
        ),
        Ok((_, hard)) => Finding::ok(CHECK, format!("up to {hard}")),
        Err(error) => {
            Finding::warning(CHECK, format!("the limit cannot be read: {error}"), "see `ulimit -Hn`")
        }
    }
}

/// How long one password takes here at the configured cost.
pub(super) fn password_cost(cost: u32) -> Finding {
    const CHECK: &str = "password-hashing";
    match time_one(cost) {
        Err(error) => Finding::failure(CHECK, error.to_string(), "set BCRYPT_COST to 12"),
        Ok(took) => judge_cost(cost, took),
    }
}

/// The quickest of a few where one is quick: what else the machine does at the moment should not make it look slow.
fn time_one(cost: u32) -> Result<Duration, guiche_kernel::BoxError> {
    let settings = BcryptSettings { cost: BcryptCost::try_new(cost)?, ..BcryptSettings::default() };
    let hasher = BcryptHasher::new(settings, std::sync::Arc::new(OsRandomness));
    let password = PresentedPassword::new("how long does it take".to_owned().into());
    let mut quickest = Duration::MAX;
    for _ in 0..TRIES {
        let begun = Instant::now();
        futures::executor::block_on(hasher.verify(&password, None))?;
        let took = begun.elapsed();
        quickest = quickest.min(took);
        if took > LONG_ENOUGH {
            break;
        }
    }
    Ok(quickest)
}

fn judge_cost(cost: u32, took: Duration) -> Finding {
    const CHECK: &str = "password-hashing";
    let found = format!("one takes {} ms at BCRYPT_COST={cost}", took.as_millis());
    if SANE_HASHING.contains(&took) {
        return Finding::ok(CHECK, found);
    }
    let word = if took < *SANE_HASHING.start() { "raise" } else { "lower" };
    let cure = format!("{word} BCRYPT_COST: each step is a factor of two, and 50 ms to 1 s is sane");
    Finding::warning(CHECK, found, cure)
}

#[cfg(test)]
mod tests {
    use super::super::report::Level;
    use super::*;

    #[test]
    fn hashing_is_judged_by_its_time() {
        for (millis, level) in
            [(1, Level::Warning), (50, Level::Ok), (1_000, Level::Ok), (1_001, Level::Warning)]
        {
            assert_eq!(judge_cost(12, Duration::from_millis(millis)).level, level, "{millis}");
        }
    }
}
