//! How often one may ask: addresses, accounts, registrations, and failed logins.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use actix_web::http::header;
use actix_web::{HttpMessage as _, HttpRequest};
use guiche_kernel::UserId;

use super::codes::Code;
use super::context::Standings;
use super::gcra::{Limiter, Now, Verdict};
use super::problem::ApiError;
use crate::config::RateLimits;

/// All limits. A limit that is off counts nothing.
pub struct Limits {
    addresses: Option<Limiter<IpAddr>>,
    accounts: Option<Limiter<UserId>>,
    logins_by_address: Option<Limiter<IpAddr>>,
    logins_by_account: Option<Limiter<u64>>,
    registrations: Option<Limiter<IpAddr>>,
    lnurl: Option<Limiter<IpAddr>>,
    hasher: RandomState,
}

/// Where a request stands with one limit, for the `RateLimit` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    name: &'static str,
    requests: u32,
    window_seconds: u32,
    remaining: u64,
    reset_seconds: u64,
}

/// A login that counts as failed unless it is taken back, also when the request is cut off. Against the account it
/// counts from the start, so that many guesses at once cannot slip through together; against the address only at the
/// end, since behind one address there may be an office full of people who sign in at the same time.
#[must_use = "an attempt counts as failed until it is taken back"]
pub struct LoginAttempt<'a> {
    limits: &'a Limits,
    address: IpAddr,
    account: u64,
    taken_back: bool,
}

impl Limits {
    /// The limits of the configuration, on the given clock.
    #[must_use]
    pub fn new(rates: RateLimits, now: &Now) -> Self {
        Self {
            addresses: rates.address.map(|rate| Limiter::new("address", rate, now.clone())),
            accounts: rates.account.map(|rate| Limiter::new("account", rate, now.clone())),
            logins_by_address: rates.login.map(|rate| Limiter::new("login-address", rate, now.clone())),
            logins_by_account: rates.login.map(|rate| Limiter::new("login-account", rate, now.clone())),
            registrations: rates.login.map(|rate| Limiter::new("register", rate, now.clone())),
            lnurl: rates.lnurl.map(|rate| Limiter::new("lnurl", rate, now.clone())),
            hasher: RandomState::new(),
        }
    }

    /// Counts a question of a wallet: each may cost a call to a provider.
    ///
    /// # Errors
    /// [`Code::RateLimited`].
    pub fn count_lnurl(&self, client: IpAddr) -> Result<(), ApiError> {
        self.lnurl
            .as_ref()
            .map_or(Ok(()), |limiter| judge(limiter.take(&network_of(client)), limiter).map(drop))
    }

    /// Counts a registration of an address, by the rate of failed logins: each costs as much work as a login, and
    /// nobody needs many.
    ///
    /// # Errors
    /// [`Code::RateLimited`].
    pub fn count_registration(&self, client: IpAddr) -> Result<(), ApiError> {
        self.registrations
            .as_ref()
            .map_or(Ok(()), |limiter| judge(limiter.take(&network_of(client)), limiter).map(drop))
    }

    /// Counts a request of an address.
    pub(super) fn count_address(&self, client: IpAddr) -> Result<Option<Standing>, ApiError> {
        self.addresses.as_ref().map(|limiter| judge(limiter.take(&network_of(client)), limiter)).transpose()
    }

    /// Counts a request of an account. Call it as soon as the token has been verified.
    ///
    /// # Errors
    /// [`Code::RateLimited`].
    pub fn count_account(&self, request: &HttpRequest, user: UserId) -> Result<(), ApiError> {
        let Some(limiter) = &self.accounts else { return Ok(()) };
        let standing = judge(limiter.take(&user), limiter)?;
        let mut extensions = request.extensions_mut();
        match extensions.get_mut::<Standings>() {
            Some(standings) => standings.0.push(standing),
            None => drop(extensions.insert(Standings(vec![standing]))),
        }
        Ok(())
    }

    /// Begins a login; take it back when it was not a failure. `account` is what the client typed: unknown names are
    /// limited like known ones.
    ///
    /// # Errors
    /// [`Code::RateLimited`].
    pub fn try_login(&self, client: IpAddr, account: &str) -> Result<LoginAttempt<'_>, ApiError> {
        let address = network_of(client);
        // A hash, because e-mails need not lie around in memory.
        let account = self.hasher.hash_one(account.trim().to_lowercase());
        if let Some(limiter) = &self.logins_by_address {
            judge(limiter.look(&address), limiter)?;
        }
        if let Some(limiter) = &self.logins_by_account {
            judge(limiter.take(&account), limiter)?;
        }
        Ok(LoginAttempt { limits: self, address, account, taken_back: false })
    }
}

impl LoginAttempt<'_> {
    /// The login succeeded, or could not be judged (storage was away): it does not count.
    pub fn take_back(mut self) {
        self.taken_back = true;
        if let Some(limiter) = &self.limits.logins_by_account {
            limiter.give_back(&self.account);
        }
    }
}

impl Drop for LoginAttempt<'_> {
    fn drop(&mut self) {
        if let Some(limiter) = self.limits.logins_by_address.as_ref().filter(|_| !self.taken_back) {
            limiter.take(&self.address);
        }
    }
}

impl Standing {
    /// `"name";q=quota;w=window` (draft-ietf-httpapi-ratelimit-headers).
    pub(super) fn policy(&self) -> String {
        format!("\"{}\";q={};w={}", self.name, self.requests, self.window_seconds)
    }

    /// `"name";r=remaining;t=seconds until the quota is whole again`.
    pub(super) fn state(&self) -> String {
        format!("\"{}\";r={};t={}", self.name, self.remaining, self.reset_seconds)
    }
}

fn judge<K: Eq + std::hash::Hash + Clone>(
    verdict: Verdict,
    limiter: &Limiter<K>,
) -> Result<Standing, ApiError> {
    let rate = limiter.rate();
    let standing = |remaining, reset: std::time::Duration| Standing {
        name: limiter.name(),
        requests: rate.requests.get(),
        window_seconds: rate.seconds.get(),
        remaining,
        reset_seconds: reset.as_secs() + u64::from(reset.subsec_nanos() > 0),
    };
    match verdict {
        Verdict::Pass { remaining, reset } => Ok(standing(remaining, reset)),
        Verdict::Refuse { retry_after, reset } => {
            let standing = standing(0, reset);
            let name = header::HeaderName::from_static;
            Err(ApiError::new(Code::RateLimited, "Slow down; see Retry-After.")
                .retry_after(retry_after)
                .header(name("ratelimit-policy"), &standing.policy())
                .header(name("ratelimit"), &standing.state()))
        }
    }
}

/// Whoever has an IPv6 address has 2^64 of them, so those count as one.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::config::Rate;

    fn limits(requests: u32) -> (Limits, Arc<AtomicU64>) {
        let seconds = Arc::new(AtomicU64::new(0));
        let shown = Arc::clone(&seconds);
        let now: Now = Arc::new(move || Duration::from_secs(shown.load(Ordering::Relaxed)));
        let rate = Some(Rate { requests: requests.try_into().unwrap(), seconds: 60.try_into().unwrap() });
        (Limits::new(RateLimits { address: rate, account: rate, login: rate, lnurl: rate }, &now), seconds)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_ipv6_network_is_one_client() {
        let (limits, _) = limits(2);
        assert!(limits.count_address(ip("2001:db8::1")).is_ok());
        assert!(limits.count_address(ip("2001:db8::2")).is_ok());
        assert!(limits.count_address(ip("2001:db8::3")).is_err());
        assert!(limits.count_address(ip("2001:db8:0:1::3")).is_ok());
    }

    #[test]
    fn only_failed_logins_count_by_address_and_by_account() {
        let (limits, clock) = limits(2);
        for _ in 0..10 {
            limits.try_login(ip("192.0.2.1"), "ana@example.org").unwrap().take_back();
        }
        for address in ["192.0.2.2", "192.0.2.3"] {
            drop(limits.try_login(ip(address), "Ana@example.org").unwrap());
        }
        assert!(
            limits.try_login(ip("192.0.2.4"), " ana@EXAMPLE.org").is_err(),
            "the account is known by any spelling"
        );
        assert!(limits.try_login(ip("192.0.2.4"), "bob@example.org").is_ok());
        clock.store(31, Ordering::Relaxed);
        assert!(limits.try_login(ip("192.0.2.5"), "ana@example.org").is_ok());
    }

    #[test]
    fn an_office_behind_one_address_signs_in_at_once_and_failures_count_when_they_are_known() {
        let (limits, _) = limits(2);
        let names: Vec<String> = (0..10).map(|n| format!("{n}@example.org")).collect();
        let attempts: Vec<_> =
            names.iter().map(|name| limits.try_login(ip("192.0.2.1"), name).unwrap()).collect();
        attempts.into_iter().for_each(LoginAttempt::take_back);
        for name in &names[..2] {
            drop(limits.try_login(ip("192.0.2.1"), name).unwrap());
        }
        assert!(limits.try_login(ip("192.0.2.1"), "ana@example.org").is_err(), "two failures from here");
        assert!(limits.try_login(ip("192.0.2.2"), "ana@example.org").is_ok());
    }

    #[test]
    fn many_guesses_at_one_account_at_once_do_not_slip_through_together() {
        let (limits, _) = limits(2);
        let guess = |n: u8| limits.try_login(ip(&format!("192.0.2.{n}")), "ana@example.org");
        let (_one, _two) = (guess(1).unwrap(), guess(2).unwrap());
        assert!(guess(3).is_err());
    }

    #[test]
    fn registrations_are_counted_by_address() {
        let (limits, _) = limits(2);
        for _ in 0..2 {
            limits.count_registration(ip("192.0.2.1")).unwrap();
        }
        let refused = limits.count_registration(ip("192.0.2.1")).unwrap_err();
        assert_eq!(refused.code(), Code::RateLimited);
        assert!(limits.count_registration(ip("192.0.2.2")).is_ok());
    }

    #[test]
    fn headers_follow_the_draft() {
        let (limits, _) = limits(3);
        let standing = limits.count_address(ip("192.0.2.1")).unwrap().unwrap();
        assert_eq!(standing.policy(), "\"address\";q=3;w=60");
        assert_eq!(standing.state(), "\"address\";r=2;t=20");
    }
}
