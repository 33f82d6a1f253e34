//! The small values of which a configuration is made. Each parser answers with what was expected, never with what
//! was found: the caller adds the name, and a value may be a secret in the wrong place.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use guiche_adapter_webhooks::AllowPrivate;
use ipnet::IpNet;

/// What kind of deployment this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Generated secrets, the embedded database and stubs are fine.
    Development,
    /// Unsafe settings are refused.
    Production,
}

/// The Lightning network whose invoices are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Real money.
    Mainnet,
    /// The public test network.
    Testnet,
    /// The signed test network.
    Signet,
    /// A private network.
    Regtest,
}

/// How access tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256.
    Hs256,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

#[derive(Clone, Copy)]
pub(super) enum SparkMode {
    Stub,
    Live,
}

/// A value of a few words; the first word of each is how it is printed.
pub(super) trait Words: Sized + 'static {
    const WORDS: &'static [(&'static str, Self)];

    fn parse_word(text: &str) -> Result<&'static Self, String> {
        Self::WORDS.iter().find(|(word, _)| *word == text).map(|(_, value)| value).ok_or_else(|| {
            let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| *word).collect();
            format!("must be one of: {}", words.join(", "))
        })
    }
}

macro_rules! words {
    ($type:ty { $($word:literal => $value:expr),+ $(,)? }) => {
        impl Words for $type {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $value)),+];
        }
    };
}

words!(Environment { "development" => Self::Development, "production" => Self::Production });
words!(Network {
    "mainnet" => Self::Mainnet,
    "testnet" => Self::Testnet,
    "signet" => Self::Signet,
    "regtest" => Self::Regtest,
});
words!(JwtAlgorithm { "HS256" => Self::Hs256 });
words!(LogFormat { "text" => Self::Text, "json" => Self::Json });
words!(SparkMode { "stub" => Self::Stub, "live" => Self::Live, "production" => Self::Live });

macro_rules! display_as_word {
    ($($type:ty),+) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let word = Self::WORDS.iter().find(|(_, value)| value == self).map(|(word, _)| *word);
                f.write_str(word.unwrap_or_default())
            }
        }
    )+};
}

display_as_word!(Environment, Network, JwtAlgorithm, LogFormat);

/// So many requests in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many requests.
    pub requests: NonZeroU32,
    /// In how many seconds.
    pub seconds: NonZeroU32,
}

impl Rate {
    /// The seconds as a duration.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.seconds.get().into())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.requests, self.seconds)
    }
}

/// `N/SECONDS`, or `0` for no limit.
pub(super) fn rate(text: &str) -> Result<Option<Rate>, String> {
    if text == "0" {
        return Ok(None);
    }
    text.split_once('/')
        .and_then(|(requests, seconds)| {
            Some(Rate { requests: requests.parse().ok()?, seconds: seconds.parse().ok()? })
        })
        .filter(|rate| rate.seconds.get() <= 86_400 && rate.requests.get() <= 1_000_000)
        .map(Some)
        .ok_or_else(|| "must be REQUESTS/SECONDS (at most 1000000/86400), or 0 for no limit".to_owned())
}

pub(super) fn number(text: &str, range: std::ops::RangeInclusive<u32>) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
}

pub(super) fn parsed<T: FromStr>(text: &str, expected: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("must be {expected}"))
}

pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| {
            let expected = "must be a list of networks like 10.0.0.0/8, separated by commas";
            item.parse().or_else(|_| item.parse::<IpAddr>().map(IpNet::from)).map_err(|_| expected.to_owned())
        })
        .collect()
}

/// `true`, `false`, or a list of networks.
pub(super) fn allow_private(text: &str) -> Result<AllowPrivate, String> {
    match text {
        "true" => Ok(AllowPrivate::Everything),
        "false" => Ok(AllowPrivate::Nothing),
        list => networks(list)
            .map(|list| if list.is_empty() { AllowPrivate::Nothing } else { AllowPrivate::Networks(list) })
            .map_err(|_| {
                "must be true, false, or a list of networks like 10.0.0.0/8, separated by commas".to_owned()
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let rate_of = |requests: u32, seconds: u32| Rate {
            requests: NonZeroU32::new(requests).unwrap(),
            seconds: NonZeroU32::new(seconds).unwrap(),
        };
        assert_eq!(rate("1200/60"), Ok(Some(rate_of(1200, 60))));
        assert_eq!(rate("0"), Ok(None));
        for wrong in
            ["", "0/60", "60/0", "-1/60", "60", "60/60/60", "1e3/60", "60 / 60", "1/86401", "9999999/1"]
        {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lists_of_networks_may_name_single_addresses() {
        let list = networks("10.0.0.0/8, ::1,127.0.0.1").unwrap();
        assert_eq!(
            list.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["10.0.0.0/8", "::1/128", "127.0.0.1/32"]
        );
        assert!(networks("10.0.0.0/33").is_err());
        assert!(networks("localhost").is_err());
    }
}
