//! Moments and durations, as they are typed and as they are shown.

use std::time::Duration;

use guiche_kernel::Timestamp;
use time::format_description::well_known::Rfc3339;

/// From when on something is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// From a moment on.
    At(Timestamp),
    /// So long before now.
    Ago(Duration),
}

impl Since {
    /// The moment; the earliest that there is where the duration reaches before it.
    pub(super) fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Ago(duration) => time::Duration::try_from(duration)
                .ok()
                .and_then(|duration| now.checked_sub(duration))
                .unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }
}

/// A moment of RFC 3339, or a duration.
pub(super) fn since(text: &str) -> Result<Since, String> {
    let expected =
        || "must be a moment like 2026-11-22T08:00:00Z, or a duration like 90s, 30m, 24h or 7d".to_owned();
    let moment = Timestamp::parse(text, &Rfc3339).ok().map(Since::At);
    moment.or_else(|| duration(text).ok().map(Since::Ago)).ok_or_else(expected)
}

/// A whole number and its unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "must be a number and a unit, like 90s, 30m, 24h or 7d".to_owned();
    let (unit, seconds) = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)]
        .into_iter()
        .find(|(unit, _)| text.ends_with(unit))
        .ok_or_else(expected)?;
    let number: u64 = text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or_else(expected)?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(expected)
}

/// A moment as it is shown.
pub(super) fn shown(at: Timestamp) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, seconds) in [("90s", 90), ("30m", 1_800), ("24h", 86_400), ("7d", 604_800), ("0s", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "h", "24", "1.5h", "-1h", "1w", "99999999999999999999d", "18446744073709551615d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn since_is_a_moment_or_so_long_ago() {
        let now = datetime!(2026-11-22 08:00 UTC);
        let moment = |text| since(text).unwrap().moment(now);
        assert_eq!(moment("7d"), datetime!(2026-11-15 08:00 UTC));
        assert_eq!(moment("2026-11-20T10:00:00+02:00"), datetime!(2026-11-20 08:00 UTC));
        assert_eq!(moment("99999999999999d"), Timestamp::UNIX_EPOCH, "before any moment there is");
        for wrong in ["", "yesterday", "2026-11-20", "7"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}
