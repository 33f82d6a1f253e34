//! Passwords with bcrypt, off the async threads and bounded in number.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bcrypt::{BcryptResult, HashParts};
use guiche_kernel::Randomness;
use guiche_users::{HashingError, Password, PasswordHash, PasswordHasher, PresentedPassword};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use crate::background;

/// How slow bcrypt is: each step up doubles the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BcryptCost(u32);

/// bcrypt has no such cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cost of bcrypt must be between {} and {}", BcryptCost::MIN.0, BcryptCost::MAX.0)]
pub struct InvalidCost;

impl BcryptCost {
    /// The fastest, for tests only.
    pub const MIN: Self = Self(4);
    /// The slowest: hours.
    pub const MAX: Self = Self(31);

    /// A cost between [`BcryptCost::MIN`] and [`BcryptCost::MAX`].
    ///
    /// # Errors
    /// [`InvalidCost`].
    pub const fn try_new(cost: u32) -> Result<Self, InvalidCost> {
        if cost < Self::MIN.0 || cost > Self::MAX.0 { Err(InvalidCost) } else { Ok(Self(cost)) }
    }

    /// The binary logarithm of the number of rounds.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for BcryptCost {
    /// 12: about a quarter of a second.
    fn default() -> Self {
        Self(12)
    }
}

/// How much bcrypt may do at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BcryptSettings {
    /// Of new hashes, and of the work done for an account that does not exist.
    pub cost: BcryptCost,
    /// How many run at once; more than there are processors only makes each slower.
    pub parallel: NonZeroUsize,
    /// How many may wait besides; whoever comes later is refused at once.
    pub max_waiting: usize,
    /// How long one waits at most, so that an answer never comes after the client has gone.
    pub max_wait: Duration,
}

impl Default for BcryptSettings {
    /// Cost 12, one per processor, 128 waiting for each of them, 5 seconds. That is more than can be served in 5 seconds:
    /// to wait costs next to nothing, and who is refused at once comes back at once.
    fn default() -> Self {
        let parallel = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let max_waiting = parallel.get().saturating_mul(128);
        Self { cost: BcryptCost::default(), parallel, max_waiting, max_wait: Duration::from_secs(5) }
    }
}

/// Hashes passwords with bcrypt.
///
/// Each `hash` and each `verify` does the work of one bcrypt at the configured cost, whatever it is given, on a thread
/// that gives way to all others: a storm of logins slows logins down, and nothing else. Must be used on a tokio runtime with its timer on.
pub struct BcryptHasher {
    settings: BcryptSettings,
    randomness: Arc<dyn Randomness>,
    /// A hash that is compared with where there is none; nobody's, since its digest is not the result of a hashing.
    nobody: PasswordHash,
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
    /// Half of the places: new passwords, which strangers may send, never keep people from signing in.
    hashing: Arc<Semaphore>,
    rounds: Arc<AtomicU64>,
}

/// A place among those that run, and one among those that run or wait.
struct Turn(#[expect(dead_code, reason = "held for its Drop")] [OwnedSemaphorePermit; 2]);

impl BcryptHasher {
    /// A hasher that takes its salts from this randomness.
    #[must_use]
    pub fn new(settings: BcryptSettings, randomness: Arc<dyn Randomness>) -> Self {
        let parallel = settings.parallel.get().min(Semaphore::MAX_PERMITS);
        let admitted = parallel.saturating_add(settings.max_waiting).min(Semaphore::MAX_PERMITS);
        Self {
            settings,
            randomness,
            nobody: PasswordHash::new(format!("$2b${:02}${}", settings.cost.get(), ".".repeat(53))),
            admitted: Arc::new(Semaphore::new(admitted)),
            running: Arc::new(Semaphore::new(parallel)),
            hashing: Arc::new(Semaphore::new(parallel.div_ceil(2))),
            rounds: Arc::default(),
        }
    }

    /// How many rounds of bcrypt were done, `2^cost` for each call: for metrics, and for tests of "the same work".
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    async fn turn(&self) -> Result<Turn, HashingError> {
        let admitted = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| HashingError::Busy)?;
        let running = Arc::clone(&self.running).acquire_owned();
        match tokio::time::timeout(self.settings.max_wait, running).await {
            Ok(Ok(running)) => Ok(Turn([running, admitted])),
            Ok(Err(_)) | Err(_) => Err(HashingError::Busy),
        }
    }

    /// Runs bcrypt when it is this call's turn.
    async fn run(&self, password: Key, cost: u32, salt: [u8; 16]) -> Result<HashParts, HashingError> {
        let turn = self.turn().await?;
        let rounds = Arc::clone(&self.rounds);
        let configured = self.settings.cost.get();
        let computed = background::run("bcrypt", move || -> BcryptResult<HashParts> {
            // The turn ends with the work and not with the request: a client that has gone does not stop bcrypt, and if it
            // gave the place free, clients that come and go would start any number of runs.
            let _turn = turn;
            let run = |cost| -> BcryptResult<HashParts> {
                let parts = bcrypt::hash_with_salt(password.0.as_slice(), cost, salt)?;
                rounds.fetch_add(1_u64.checked_shl(cost).unwrap_or(0), Ordering::Relaxed);
                Ok(parts)
            };
            let computed = run(cost)?;
            // A hash from before the cost was raised took less, which would tell that there is an account. The steps
            // from its cost to the configured one are what is missing: 2^4 + (2^4 + 2^5 + … + 2^11) = 2^12.
            for step in cost..configured {
                std::hint::black_box(run(step)?);
            }
            Ok(computed)
        });
        computed.await.map_err(failed)?.map_err(failed)
    }
}

/// What bcrypt takes in. Its own copy is wiped as this one is.
struct Key(Zeroizing<Vec<u8>>);

impl Key {
    /// `None` when bcrypt would not see the whole of it: it stops after 72 bytes, and it repeats the password with a NUL
    /// between, so that to it `a` and `a\0a` are one.
    fn whole(text: &str) -> Option<Self> {
        let fits = text.len() <= Password::MAX_BYTES && !text.contains('\0');
        fits.then(|| Self(Zeroizing::new(text.as_bytes().to_vec())))
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> HashingError {
    HashingError::Failed(Box::new(error))
}

#[async_trait]
impl PasswordHasher for BcryptHasher {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HashingError> {
        let key = Key::whole(password.expose())
            .ok_or_else(|| HashingError::Failed("a password that bcrypt does not take in whole".into()))?;
        let mut salt = [0; 16];
        self.randomness.fill(&mut salt);
        // Waits outside the queue of those who sign in.
        let place = tokio::time::timeout(self.settings.max_wait, self.hashing.acquire()).await;
        let _place = place.map_err(|_| HashingError::Busy)?.map_err(|_| HashingError::Busy)?;
        let parts = self.run(key, self.settings.cost.get(), salt).await?;
        Ok(PasswordHash::new(parts.to_string()))
    }

    async fn verify<'a>(
        &self,
        password: &PresentedPassword,
        hash: Option<&'a PasswordHash>,
    ) -> Result<bool, HashingError> {
        let stored = HashParts::from_str(hash.unwrap_or(&self.nobody).expose()).map_err(failed)?;
        let key = Key::whole(password.expose());
        // Decided before the work and combined after it, so that every way through does all of it.
        let possible = hash.is_some() && key.is_some();
        let key = key.unwrap_or_else(|| Key(Zeroizing::new(Vec::new())));
        let computed = self.run(key, stored.get_cost(), stored.get_salt_raw()).await?;
        Ok(possible && same(&stored, &computed))
    }
}

fn same(stored: &HashParts, computed: &HashParts) -> bool {
    use subtle::ConstantTimeEq as _;
    let (stored, computed) = (Zeroizing::new(stored.to_string()), Zeroizing::new(computed.to_string()));
    stored.as_bytes().ct_eq(computed.as_bytes()).into()
}

impl fmt::Debug for BcryptHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BcryptHasher").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_probe::poll_once;
    use guiche_kernel::testing::SeededRandomness;

    use super::*;

    fn hasher(cost: u32, parallel: usize, max_waiting: usize, max_wait: Duration) -> BcryptHasher {
        let (cost, parallel) = (BcryptCost::try_new(cost).unwrap(), NonZeroUsize::new(parallel).unwrap());
        let settings = BcryptSettings { cost, parallel, max_waiting, max_wait };
        BcryptHasher::new(settings, Arc::new(SeededRandomness::new(7)))
    }

    fn patient(cost: u32) -> BcryptHasher {
        hasher(cost, 1, 100, Duration::from_secs(60))
    }

    #[tokio::test]
    async fn every_way_through_does_the_same_work() {
        let hasher = patient(6);
        let password = Password::parse("correct horse battery".into(), None).unwrap();
        let hash = hasher.hash(&password).await.unwrap();
        assert_eq!(hasher.rounds(), 64);
        // From before the cost was raised from 4.
        let older = patient(4).hash(&password).await.unwrap();
        let long = "x".repeat(5000);
        let presented = ["correct horse battery", "wrong", "", "with a\0NUL", long.as_str()];
        for text in presented {
            for stored in [Some(&hash), Some(&older), None] {
                let before = hasher.rounds();
                let answer = hasher.verify(&text.into(), stored).await.unwrap();
                assert_eq!(answer, text == "correct horse battery" && stored.is_some());
                assert_eq!(hasher.rounds(), before + 64, "{text:?}, {stored:?}");
            }
        }
        for hasher in [patient(4), patient(12), patient(31)] {
            let nobody: HashParts = hasher.nobody.expose().parse().unwrap();
            assert_eq!(nobody.get_cost(), hasher.settings.cost.get());
        }
    }

    #[tokio::test]
    async fn hashes_of_other_implementations_versions_and_costs_are_understood() {
        let hasher = patient(4);
        for (password, hash) in [
            ("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
            ("U*U", "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        ] {
            let hash = PasswordHash::new(hash.to_owned());
            assert!(hasher.verify(&password.into(), Some(&hash)).await.unwrap(), "{password:?}");
            assert!(!hasher.verify(&"abd".into(), Some(&hash)).await.unwrap(), "{password:?}");
        }
    }

    #[tokio::test]
    async fn what_bcrypt_cannot_take_in_whole_does_not_even_match_the_hash_of_nothing() {
        let hasher = patient(4);
        let nothing = bcrypt::hash_with_salt("", 4, [7; 16]).unwrap().to_string();
        let nothing = PasswordHash::new(nothing);
        assert!(hasher.verify(&"".into(), Some(&nothing)).await.unwrap());
        for text in ["x".repeat(73), "\0".into()] {
            assert!(!hasher.verify(&text.as_str().into(), Some(&nothing)).await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_damaged_hash_is_a_defect_and_not_a_wrong_password() {
        let hasher = patient(4);
        for damaged in [
            "",
            "$2b$04$",
            "plain text",
            "$2b$04$ção............................................................",
        ] {
            let outcome = hasher.verify(&"abc".into(), Some(&PasswordHash::new(damaged.to_owned()))).await;
            assert!(matches!(outcome, Err(HashingError::Failed(_))), "{damaged:?}: {outcome:?}");
        }
    }

    #[tokio::test]
    async fn whoever_comes_when_the_queue_is_full_is_refused_at_once() {
        let hasher = hasher(4, 1, 1, Duration::from_secs(600));
        let running = hasher.turn().await.unwrap();
        let mut waiting = Box::pin(hasher.turn());
        assert!(poll_once(waiting.as_mut()).await.is_none());
        let none: Option<&PasswordHash> = None;
        assert!(matches!(hasher.verify(&"abc".into(), none).await, Err(HashingError::Busy)));
        drop(running);
        drop(waiting.await.unwrap());
        assert!(!hasher.verify(&"abc".into(), none).await.unwrap(), "places are given back");
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_the_limit() {
        let hasher = hasher(4, 1, 10, Duration::from_millis(20));
        let running = hasher.turn().await.unwrap();
        assert!(matches!(hasher.verify(&"abc".into(), None).await, Err(HashingError::Busy)));
        assert_eq!(hasher.rounds(), 0);
        drop(running);
        assert!(!hasher.verify(&"abc".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_cancelled_request_keeps_its_place_until_bcrypt_is_done() {
        let hasher = hasher(12, 1, 10, Duration::from_secs(60));
        let password = "abc".into();
        let mut verification = hasher.verify(&password, None);
        assert!(poll_once(verification.as_mut()).await.is_none());
        drop(verification);
        let _turn = hasher.turn().await.unwrap();
        assert_eq!(hasher.rounds(), 1 << 12, "the next one's turn comes when bcrypt is done");
    }

    #[test]
    fn costs_are_bounded() {
        assert_eq!([3, 4, 31, 32].map(|cost| BcryptCost::try_new(cost).is_ok()), [false, true, true, false]);
        assert_eq!(BcryptCost::default().get(), 12);
    }

    mod futures_probe {
        use std::future::poll_fn;
        use std::pin::Pin;
        use std::task::Poll;

        /// Polls once; `None` when the future is not ready.
        pub(super) async fn poll_once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Option<F::Output> {
            poll_fn(|cx| match future.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending => Poll::Ready(None),
            })
            .await
        }
    }
}
