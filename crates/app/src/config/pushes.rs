//! The secrets that pushes to us are signed with.

use guiche_webhooks::SigningSecret;
use secrecy::ExposeSecret as _;

use super::problems::Problems;
use super::sources::Settings;

/// The secrets of a setting, separated by spaces or commas; none when it is not set.
pub(super) fn secrets(settings: &Settings, name: &str, problems: &mut Problems) -> Vec<SigningSecret> {
    let Some(list) = settings.secret(name) else { return Vec::new() };
    let items = list.expose_secret().split([',', ' ', '\n']).filter(|item| !item.is_empty());
    let parsed: Result<Vec<_>, _> = items.map(|item| SigningSecret::parse(&item.into())).collect();
    match parsed {
        Ok(secrets) if !secrets.is_empty() => secrets,
        Ok(_) | Err(_) => {
            problems.refuse(format!(
                "{name} must be one or more of whsec_ and 24 to 64 bytes in base64, separated by spaces or commas"
            ));
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Config, Sources};

    fn config(value: &str) -> Result<Config, super::super::ConfigError> {
        let environment = BTreeMap::from([("WEBHOOK_SECRET_SPARK".to_owned(), value.to_owned())]);
        Config::parse(&Sources { environment, file: None })
    }

    const ONE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn one_or_several_and_none_printed() {
        assert!(config("").unwrap().push_secrets.is_empty(), "unset is off");
        for (value, count) in
            [(ONE.to_owned(), 1), (format!("{ONE} {OTHER}"), 2), (format!("{ONE}, {OTHER},\n{ONE}"), 3)]
        {
            let config = config(&value).unwrap();
            assert_eq!(config.push_secrets.len(), count, "{value}");
            let printed = format!("{} {config:?}", config.to_redacted_toml());
            assert!(!printed.contains("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "{printed}");
            assert!(printed.contains("webhook_secret_spark"), "{printed}");
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_without_repeating_it() {
        for value in ["hunter2-hunter2", ",", &format!("{ONE},hunter2"), "whsec_"] {
            let refused = config(value).unwrap_err().to_string();
            assert!(
                refused.starts_with("WEBHOOK_SECRET_SPARK must be") && !refused.contains("hunter2"),
                "{refused}"
            );
        }
    }
}
