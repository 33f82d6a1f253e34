//! Every setting by name. The environment and the file share this one table: a key of the file is the variable's name
//! in lower case, so there is nothing to translate between the two.

/// What a setting holds, as far as reading it is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Free text; set but empty counts as not set (compose files pass unset variables on as empty ones).
    Text,
    /// One of a few words; set but empty is refused, lest an emptied `GUICHE_ENV` mean development.
    Word,
    /// Never printed; may also come from a file named by `NAME_FILE`.
    Secret,
}

/// The settings of this build.
pub(super) const KNOWN: &[(&str, Kind)] = &[
    ("GUICHE_ENV", Kind::Word),
    ("GUICHE_DATA_DIR", Kind::Text),
    ("LISTEN_ADDR", Kind::Text),
    ("METRICS_ADDR", Kind::Text),
    ("TRUSTED_PROXIES", Kind::Text),
    ("DATABASE_URL", Kind::Secret),
    ("DATABASE_WORKER_URL", Kind::Secret),
    ("DATABASE_OWNER_URL", Kind::Secret),
    ("POSTGRES_HOST", Kind::Text),
    ("POSTGRES_PORT", Kind::Text),
    ("POSTGRES_DB", Kind::Text),
    ("POSTGRES_USER", Kind::Text),
    ("POSTGRES_PASSWORD", Kind::Secret),
    ("GUICHE_EMBEDDED_INSTALL", Kind::Word),
    ("GUICHE_POSTGRES_ARCHIVE", Kind::Text),
    ("GUICHE_POSTGRES_ARCHIVE_SHA256", Kind::Text),
    ("JWT_SECRET_KEY", Kind::Secret),
    ("JWT_SECRET_KEYS", Kind::Secret),
    ("JWT_ALGORITHM", Kind::Word),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", Kind::Text),
    ("REFRESH_TOKEN_EXPIRE_DAYS", Kind::Text),
    ("BCRYPT_COST", Kind::Text),
    ("SPARK_MODE", Kind::Word),
    ("SPARK_API_URL", Kind::Text),
    ("SPARK_API_KEY", Kind::Secret),
    ("WEBHOOK_SECRET_SPARK", Kind::Secret),
    ("LIGHTNING_NETWORK", Kind::Word),
    ("VOLTAGE_API_URL", Kind::Text),
    ("VOLTAGE_API_KEY", Kind::Secret),
    ("VOLTAGE_LND_URL", Kind::Text),
    ("VOLTAGE_NETWORK", Kind::Word),
    ("VOLTAGE_NODE_TYPE", Kind::Word),
    ("VOLTAGE_PURCHASED_TYPE", Kind::Word),
    ("VOLTAGE_WHITELIST", Kind::Text),
    ("BTCPAY_URL", Kind::Text),
    ("BTCPAY_API_KEY", Kind::Secret),
    ("LIGHTNING_DOMAINS", Kind::Text),
    ("PUBLIC_URL", Kind::Text),
    ("SERVICE_ENCRYPTION_KEY", Kind::Secret),
    ("SERVICE_ENCRYPTION_KEYS", Kind::Secret),
    ("WEBHOOKS_ALLOW_PRIVATE", Kind::Text),
    ("RATE_LIMIT_ADDRESS", Kind::Text),
    ("RATE_LIMIT_ACCOUNT", Kind::Text),
    ("RATE_LIMIT_LOGIN", Kind::Text),
    ("RATE_LIMIT_LNURL", Kind::Text),
    ("RUST_LOG", Kind::Text),
    ("LOG_FORMAT", Kind::Word),
];

/// Names with our prefix that are read before the settings are: they say where the settings are.
pub(super) const OF_THE_COMMAND_LINE: &[&str] = &["GUICHE_CONFIG"];

pub(super) fn kind(name: &str) -> Option<Kind> {
    KNOWN.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

/// `NAME` of `NAME_FILE`, when `NAME` is a secret.
pub(super) fn secret_of_file(name: &str) -> Option<&str> {
    name.strip_suffix("_FILE").filter(|base| kind(base) == Some(Kind::Secret))
}

/// Names of other programs that happen to be close to ours.
const STRANGERS: [&str; 1] = ["SPARK_HOME"];
/// Shorter names of ours are close to too many of others.
const LONG: usize = 8;

/// The long name of ours that a variable without our prefix probably meant: off by one or two letters.
pub(super) fn near_miss(name: &str) -> Option<String> {
    if STRANGERS.contains(&name) {
        return None;
    }
    let names = KNOWN.iter().filter(|(known, _)| known.len() >= LONG);
    let files = names.clone().filter(|(_, kind)| *kind == Kind::Secret);
    let files = files.map(|(known, _)| format!("{known}_FILE"));
    names
        .map(|(known, _)| (*known).to_owned())
        .chain(files)
        .map(|known| (distance(name, &known), known))
        .min()
        .filter(|(distance, _)| (1..=2).contains(distance))
        .map(|(_, known)| known)
}

/// The known name that a mistyped one probably meant.
pub(super) fn closest(name: &str) -> Option<&'static str> {
    let names = KNOWN.iter().map(|(known, _)| *known).chain(OF_THE_COMMAND_LINE.iter().copied());
    names
        .map(|known| (distance(name, known), known))
        .min()
        .filter(|(distance, known)| *distance <= 3 && *distance * 3 <= known.len())
        .map(|(_, known)| known)
}

/// Levenshtein's distance, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let best = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::{KNOWN, closest, distance, near_miss};

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "", 0), ("abc", "", 3), ("", "abc", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn near_misses_of_long_names() {
        for (typo, meant) in [
            ("DATABSE_URL", "DATABASE_URL"),
            ("DATABASE_WORKER_ULR", "DATABASE_WORKER_URL"),
            ("JWT_SECRT_KEY", "JWT_SECRET_KEY"),
            ("JWT_SECRT_KEY_FILE", "JWT_SECRET_KEY_FILE"),
        ] {
            assert_eq!(near_miss(typo).as_deref(), Some(meant));
        }
        for other in
            ["PATH", "HOME", "LANG", "SPARK_HOME", "PGHOST", "RUSTFLAGS", "RUST_BACKTRACE", "LOGNAME"]
        {
            assert_eq!(near_miss(other), None, "{other}");
        }
        assert!(KNOWN.iter().all(|(name, _)| near_miss(name).is_none()));
    }

    #[test]
    fn a_typo_finds_its_setting_and_a_stranger_finds_none() {
        assert_eq!(closest("GUICHE_DATADIR"), Some("GUICHE_DATA_DIR"));
        assert_eq!(closest("GUICHE_ENVV"), Some("GUICHE_ENV"));
        assert_eq!(closest("LISTEN_ADDRES"), Some("LISTEN_ADDR"));
        assert_eq!(closest("GUICHE_COLOUR_OF_THE_CURTAINS"), None);
    }
}
