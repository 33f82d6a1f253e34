//! What must be found nowhere, and the search for it in every spelling in which it could be written.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Whatever is shorter is found by chance.
const SHORTEST: usize = 7;

/// Where one looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Where nothing of it may be: logs, metrics, problem documents.
    Open,
    /// What a command of the operator's printed.
    Command,
    /// A dump of the database.
    Database,
}

/// A value that can be told from everything else, and the places in which it may be by right.
struct Canary {
    name: String,
    forms: Vec<(&'static str, String)>,
    allowed: &'static [Place],
}

/// All of them, and where any was found although it must not be there.
#[derive(Default)]
pub(super) struct Canaries {
    canaries: Vec<Canary>,
    looked_at: usize,
    found: Vec<String>,
}

impl Canaries {
    /// A text that must be nowhere.
    pub(super) fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.allowed(name, value, &[]);
    }

    /// A text that the database keeps as it is.
    pub(super) fn stored(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.allowed(name, value, &[Place::Database]);
    }

    /// A text that the database keeps as it is, and that operators are told.
    pub(super) fn known_to_operators(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.allowed(name, value, &[Place::Database, Place::Command]);
    }

    fn allowed(&mut self, name: &str, value: impl AsRef<[u8]>, allowed: &'static [Place]) {
        let value = value.as_ref();
        assert!(value.len() >= SHORTEST, "{name} is too short to be looked for");
        self.canaries.push(Canary { name: name.to_owned(), forms: forms(value), allowed });
    }

    pub(super) fn count(&self) -> usize {
        self.canaries.len()
    }

    /// How many bytes were looked at.
    pub(super) fn looked_at(&self) -> usize {
        self.looked_at
    }

    /// Looks through a text, and remembers every line in which something is that must not be there.
    pub(super) fn look(&mut self, place: Place, named: &str, text: &str) {
        self.looked_at += text.len();
        for canary in self.canaries.iter().filter(|canary| !canary.allowed.contains(&place)) {
            for (form, spelling) in &canary.forms {
                if let Some(at) = text.find(spelling.as_str()) {
                    let (name, line) = (&canary.name, line_around(text, at));
                    self.found.push(format!("{name} ({form}) is in {named}: {line}"));
                }
            }
        }
    }

    /// Nothing was found so far.
    pub(super) fn assert_unfound(&self) {
        assert!(self.found.is_empty(), "{} findings:\n{}", self.found.len(), self.found.join("\n"));
    }

    /// Every one of them would have been found within that text, in every one of its forms.
    pub(super) fn assert_findable_in(&self, text: &str) {
        let middle = text.floor_char_boundary(text.len() / 2);
        let (before, after) = text.split_at(middle);
        for canary in &self.canaries {
            for (form, spelling) in &canary.forms {
                let mut search = Self::default();
                let Canary { name, forms, .. } = canary;
                search.canaries.push(Canary { name: name.clone(), forms: forms.clone(), allowed: &[] });
                search.look(Place::Open, "a plant", &format!("{before}{spelling}{after}"));
                assert!(!search.found.is_empty(), "{name} ({form}) was planted, and not found");
            }
        }
    }
}

fn line_around(text: &str, at: usize) -> &str {
    let begin = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    &text[begin..end]
}

/// Every spelling of the value, each once; of those that a longer text may wrap, only the part that always is the same.
fn forms(value: &[u8]) -> Vec<(&'static str, String)> {
    let mut forms = Vec::new();
    if let Ok(text) = std::str::from_utf8(value) {
        forms.push(("as it is", text.to_owned()));
        let quoted = serde_json::to_string(text).unwrap();
        forms.push(("in JSON", quoted[1..quoted.len() - 1].to_owned()));
        forms.push(("for SQL", text.replace('\'', "''")));
    }
    forms.push(("escaped", value.escape_ascii().to_string()));
    let in_url: String = url::form_urlencoded::byte_serialize(value).collect();
    forms.push(("in a path", in_url.replace('+', "%20")));
    forms.push(("in a path, lower case", lower_escapes(&in_url).replace('+', "%20")));
    forms.push(("in a form", in_url));
    let hex = value.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    forms.push(("in hex, upper case", hex.to_uppercase()));
    forms.push(("in hex", hex));
    let numbers: Vec<_> = value.iter().map(u8::to_string).collect();
    forms.push(("as a list of numbers", numbers.join(", ")));
    forms.push(("as a JSON list of numbers", numbers.join(",")));
    for before in 0..3 {
        for (form, engine) in [("in base64", STANDARD_NO_PAD), ("in base64 for URLs", URL_SAFE_NO_PAD)] {
            forms.push((
                form,
                within_base64(
                    &engine.encode([vec![0; before], value.to_vec()].concat()),
                    before,
                    value.len(),
                ),
            ));
        }
    }
    let mut seen = BTreeSet::new();
    forms.retain(|(_, spelling)| seen.insert(spelling.clone()));
    forms
}

/// The letters of the code to which only the value contributes, with so many bytes before it and anything after.
fn within_base64(code: &str, before: usize, length: usize) -> String {
    let first = (before * 8).div_ceil(6);
    let end = (before + length) * 8 / 6;
    code[first..end].to_owned()
}

/// The escapes of an encoded URL in lower case, the rest as it is.
fn lower_escapes(url: &str) -> String {
    let mut parts = url.split('%');
    let mut lower = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        lower += &format!("%{}{rest}", digits.to_ascii_lowercase());
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by hand or by other tools, so that the search is not compared with itself.
    #[test]
    fn what_is_planted_is_found_in_every_spelling() {
        let secret = r#"ca"nary+/ção 7"#;
        for (spelling, planted) in [
            ("plain", format!("key={secret};")),
            ("JSON", r#"{"key":"ca\"nary+/ção 7"}"#.to_owned()),
            ("escaped", r#"b"ca\"nary+/\xc3\xa7\xc3\xa3o 7""#.to_owned()),
            ("path", "/x?k=ca%22nary%2B%2F%C3%A7%C3%A3o%207&".to_owned()),
            ("path, lower", "/x?k=ca%22nary%2b%2f%c3%a7%c3%a3o%207&".to_owned()),
            ("form", "k=ca%22nary%2B%2F%C3%A7%C3%A3o+7&".to_owned()),
            ("hex", r"\x6361226e6172792b2fc3a7c3a36f2037".to_owned()),
            ("upper hex", "0x6361226E6172792B2FC3A7C3A36F2037".to_owned()),
            ("bytes", "[99, 97, 34, 110, 97, 114, 121, 43, 47, 195, 167, 195, 163, 111, 32, 55]".to_owned()),
            ("base64", "Y2EibmFyeSsvw6fDo28gNw==".to_owned()),
            // `Bearer `, `user:` and `(` before it, and something after it.
            ("base64, shifted by 1", "QmVhcmVyIGNhIm5hcnkrL8Onw6NvIDc7IHE9MQ".to_owned()),
            ("base64, shifted by 2", "dXNlcjpjYSJuYXJ5Ky_Dp8OjbyA3Lg".to_owned()),
            ("base64, shifted by 1, wrapped", "KGNhIm5hcnkrL8Onw6NvIDcp".to_owned()),
        ] {
            let mut canaries = Canaries::default();
            canaries.add("a secret", secret);
            canaries.look(
                Place::Open,
                "a plant",
                &format!("a line before\n{planted} and more\na line after"),
            );
            assert_eq!(canaries.found.len().min(1), 1, "{spelling}: {planted}");
            assert!(canaries.found[0].contains(&planted), "{:?}", canaries.found);
            assert!(!canaries.found[0].contains("a line"), "only the line itself: {:?}", canaries.found);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_found_as_well() {
        let mut canaries = Canaries::default();
        canaries.add("a key", [0xff, 0xfe, 0, 1, 2, 3, 250]);
        for planted in ["//4AAQID+g==", "__4AAQID-g", "fffe00010203fa", "[255, 254, 0, 1, 2, 3, 250]"] {
            canaries.look(Place::Open, "a plant", planted);
        }
        assert_eq!(canaries.found.len(), 4, "{:?}", canaries.found);
    }

    #[test]
    fn what_may_be_somewhere_is_found_everywhere_else() {
        let mut canaries = Canaries::default();
        canaries.stored("an address", "ana@example.org");
        canaries.look(Place::Database, "a dump", "ana@example.org");
        canaries.assert_unfound();
        canaries.look(Place::Command, "a command", "ana@example.org");
        assert_eq!(canaries.found, ["an address (as it is) is in a command: ana@example.org"]);
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let mut canaries = Canaries::default();
        canaries.add("a secret", "canary-1234567");
        canaries.look(Place::Open, "a log", "canary-123456 canary-7654321");
        canaries.assert_unfound();
        canaries.assert_findable_in("some text: açaí");
    }
}
