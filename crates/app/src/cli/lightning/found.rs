//! What was found, in words.

use guiche_lightning_setup::drift::{Finding, Known};
use serde_json::{Value, json};

/// What it is called, in both kinds of output.
pub(super) const fn word(finding: &Finding) -> &'static str {
    match finding {
        Finding::Orphan { .. } => "orphan",
        Finding::Missing { .. } => "missing",
        Finding::Renamed { .. } => "renamed",
        Finding::Unlinked { .. } => "unlinked",
        Finding::Foreign { .. } => "foreign",
    }
}

/// What is known of it, on one line.
pub(super) fn described(finding: &Finding) -> String {
    match finding {
        Finding::Orphan { kind, id, name, origin: (setup, attempt), known } => {
            let known = match known {
                Known::Orphaned => format!("setup {setup}, attempt {attempt}, could not undo it"),
                Known::SetupOnly => format!("the journal of setup {setup} does not know it"),
                Known::Nothing => format!("there is no setup {setup}"),
            };
            format!("{kind} {id} ({name}) serves nobody: {known}")
        }
        Finding::Missing { kind, id, setup } => {
            format!("{kind} {id} of setup {setup} does not exist any more")
        }
        Finding::Renamed { kind, id, name, setup } => {
            format!("{kind} {id} of setup {setup} is called {name:?} now")
        }
        Finding::Unlinked { setup, node, store } => {
            let id = |found: &Option<String>| found.clone().unwrap_or_else(|| "none for certain".to_owned());
            format!(
                "setup {setup} does not say what serves it; found: node {}, store {}",
                id(node),
                id(store)
            )
        }
        Finding::Foreign { kind, id } => format!("{kind} {id} is none of ours"),
    }
}

/// The command that mends it, or else what a person has to do; `None` where nothing is to be done.
pub(super) fn cure(finding: &Finding) -> Option<String> {
    let by_hand = match finding {
        Finding::Missing { .. } => {
            "no command brings it back: its owner removes the address and sets it up again; what the node held on \
             chain comes back from its seed (guiche lightning seed)"
        }
        Finding::Renamed { .. } => "give it its old name back at the provider: g-SETUP-ATTEMPT",
        Finding::Unlinked { .. } => {
            "find at the providers what serves it, and call the node and the store as the address is called"
        }
        Finding::Orphan { .. } | Finding::Foreign { .. } => return finding.remedy(),
    };
    finding.remedy().or_else(|| Some(by_hand.to_owned()))
}

/// All of it.
pub(super) fn in_json(finding: &Finding) -> Value {
    let mut object = match finding {
        Finding::Orphan { kind, id, name, origin: (setup, attempt), known } => {
            let known = match known {
                Known::Orphaned => "orphaned",
                Known::SetupOnly => "setup_only",
                Known::Nothing => "nothing",
            };
            json!({
                "kind": kind.as_str(), "id": id, "name": name, "setup": setup.to_string(), "attempt": attempt,
                "known": known,
            })
        }
        Finding::Missing { kind, id, setup } => {
            json!({"kind": kind.as_str(), "id": id, "setup": setup.to_string()})
        }
        Finding::Renamed { kind, id, name, setup } => {
            json!({"kind": kind.as_str(), "id": id, "name": name, "setup": setup.to_string()})
        }
        Finding::Unlinked { setup, node, store } => {
            json!({"setup": setup.to_string(), "node": node, "store": store})
        }
        Finding::Foreign { kind, id } => json!({"kind": kind.as_str(), "id": id}),
    };
    if let Some(fields) = object.as_object_mut() {
        fields.insert("finding".to_owned(), word(finding).into());
        fields.insert("remedy".to_owned(), finding.remedy().into());
    }
    object
}
