//! Whether a call that failed may have done what it asked for.

use crate::{Fault, ProviderError, VendorCode};

/// What is known of the effect of a call that failed. A caller whose call must not take effect twice repeats it only after
/// the first two, and finds out what became of it after the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// None: it was not sent, or turned away unread. The same call may succeed later.
    TurnedAway,
    /// None: it was read and refused, or can never be sent. The same call will fail again.
    Refused,
    /// Unknown: it may have arrived, and nobody said what became of it.
    Unanswered,
    /// Unknown: the answer cannot be understood.
    Garbled,
}

impl Effect {
    /// Whether the call may have had its effect.
    #[must_use]
    pub const fn is_unknown(self) -> bool {
        matches!(self, Self::Unanswered | Self::Garbled)
    }

    /// What one attempt says.
    const fn of(fault: &Fault) -> Self {
        match fault {
            Fault::CircuitOpen { .. } | Fault::Unreachable | Fault::Untrusted => Self::TurnedAway,
            Fault::NoAnswer => Self::Unanswered,
            Fault::Failing { status, .. } | Fault::Refused { status, .. } => Self::of_status(*status),
            Fault::Unreadable { .. } => Self::Garbled,
            // Of an unsendable one nothing was sent, and the same will not be sent the next time either.
            Fault::KeysRefused | Fault::Unsendable => Self::Refused,
        }
    }

    const fn of_status(status: u16) -> Self {
        match status {
            429 | 503 => Self::TurnedAway,
            408 | 500.. => Self::Unanswered,
            400.. => Self::Refused,
            // A redirect is not followed, and nobody knows what stands at its beginning.
            _ => Self::Garbled,
        }
    }
}

impl ProviderError {
    /// What is known of the effect, by all attempts: what the last one did not do, one before it may have done.
    #[must_use]
    pub fn effect(&self) -> Effect {
        let last = Effect::of(self.fault());
        let before = self.earlier().iter().map(Effect::of).find(|effect| effect.is_unknown());
        if last.is_unknown() { last } else { before.unwrap_or(last) }
    }

    /// The HTTP status of the last answer, if there was one.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self.fault() {
            Fault::Failing { status, .. } | Fault::Refused { status, .. } | Fault::Unreadable { status } => {
                Some(*status)
            }
            Fault::KeysRefused => Some(401),
            Fault::CircuitOpen { .. }
            | Fault::Unreachable
            | Fault::Untrusted
            | Fault::NoAnswer
            | Fault::Unsendable => None,
        }
    }

    /// The provider's own word for what went wrong.
    #[must_use]
    pub const fn code(&self) -> Option<&VendorCode> {
        match self.fault() {
            Fault::Failing { code, .. } | Fault::Refused { code, .. } => code.as_ref(),
            Fault::CircuitOpen { .. }
            | Fault::Unreachable
            | Fault::Untrusted
            | Fault::NoAnswer
            | Fault::KeysRefused
            | Fault::Unreadable { .. }
            | Fault::Unsendable => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn after(earlier: Vec<Fault>, fault: Fault) -> ProviderError {
        ProviderError::new("voltage", "create_node", fault).after(earlier)
    }

    const fn refused(status: u16) -> Fault {
        Fault::Refused { status, code: None }
    }

    #[test]
    fn a_status_says_what_is_known_of_the_effect() {
        for (status, effect) in [
            (301, Effect::Garbled),
            (400, Effect::Refused),
            (407, Effect::Refused),
            (408, Effect::Unanswered),
            (409, Effect::Refused),
            (429, Effect::TurnedAway),
            (499, Effect::Refused),
            (500, Effect::Unanswered),
            (502, Effect::Unanswered),
            (503, Effect::TurnedAway),
            (504, Effect::Unanswered),
            (599, Effect::Unanswered),
        ] {
            assert_eq!(after(Vec::new(), refused(status)).effect(), effect, "{status}");
            let failing = Fault::Failing { status, code: None };
            assert_eq!(after(Vec::new(), failing).effect(), effect, "{status}");
        }
    }

    #[test]
    fn what_was_not_sent_had_no_effect_and_what_was_not_answered_may_have() {
        let open = Fault::CircuitOpen { retry_in: Duration::from_secs(1) };
        for (fault, effect, status) in [
            (open, Effect::TurnedAway, None),
            (Fault::Unreachable, Effect::TurnedAway, None),
            (Fault::Untrusted, Effect::TurnedAway, None),
            (Fault::Unsendable, Effect::Refused, None),
            (Fault::KeysRefused, Effect::Refused, Some(401)),
            (Fault::NoAnswer, Effect::Unanswered, None),
            (Fault::Unreadable { status: 200 }, Effect::Garbled, Some(200)),
        ] {
            let error = after(Vec::new(), fault);
            assert_eq!((error.effect(), error.status(), error.code()), (effect, status, None), "{error}");
        }
    }

    #[test]
    fn an_attempt_before_may_have_done_what_the_last_one_did_not() {
        let unreadable = Fault::Unreadable { status: 200 };
        for (earlier, last, effect) in [
            (vec![Fault::NoAnswer], refused(409), Effect::Unanswered),
            (vec![Fault::Unreachable, unreadable.clone()], refused(503), Effect::Garbled),
            (vec![Fault::NoAnswer], unreadable, Effect::Garbled),
            (vec![Fault::Unreachable, refused(503)], refused(409), Effect::Refused),
            (vec![Fault::Unreachable], refused(503), Effect::TurnedAway),
        ] {
            let error = after(earlier, last);
            assert_eq!(error.effect(), effect, "{error:?}");
        }
    }

    #[test]
    fn the_last_answer_is_told_in_the_providers_words() {
        let code = VendorCode::parse("store-not-found");
        let error = after(vec![Fault::NoAnswer], Fault::Refused { status: 404, code: code.clone() });
        assert_eq!((error.status(), error.code()), (Some(404), code.as_ref()));
    }
}
