//! Tells the steps: numbered, in two columns, never wider than a terminal.

use std::io;

use super::words::{Language, Words};
use crate::cli::output::print;

const COLUMNS: usize = 80;
/// Where the text of a step begins.
const MARGIN: usize = 16;

/// The teller of one journey.
pub(super) struct Teller {
    language: Language,
    silent: bool,
    step: u32,
    label: &'static str,
}

impl Teller {
    /// A silent one keeps count all the same, for whoever has to say where it went wrong.
    pub(super) const fn new(language: Language, silent: bool) -> Self {
        Self { language, silent, step: 0, label: "" }
    }

    pub(super) const fn words(&self) -> &'static Words {
        self.language.words()
    }

    /// A paragraph of its own.
    pub(super) fn say(&self, text: &str) -> io::Result<()> {
        self.put(&lines(text, COLUMNS).join("\n"))
    }

    /// From now on it is about this.
    pub(super) const fn begin(&mut self, label: &'static str) {
        self.step += 1;
        self.label = label;
    }

    /// What came of the present step; each text begins a line.
    pub(super) fn tell(&self, texts: &[String]) -> io::Result<()> {
        let mut head = format!("{:>2}  {:<12}", self.step, self.label);
        let mut told = Vec::new();
        for line in texts.iter().flat_map(|text| lines(text, COLUMNS - MARGIN)) {
            told.push(format!("{head}{line}"));
            head = " ".repeat(MARGIN);
        }
        self.put(&told.join("\n"))
    }

    /// Lines as they are.
    pub(super) fn show(&self, lines: &[String]) -> io::Result<()> {
        self.put(&lines.join("\n"))
    }

    /// Where we are, for an error.
    pub(super) fn place(&self) -> String {
        format!("step {} ({})", self.step, self.label)
    }

    fn put(&self, text: &str) -> io::Result<()> {
        if self.silent { Ok(()) } else { print(&format!("{text}\n")) }
    }
}

/// Breaks the text between words; a word that is longer than a line is cut.
pub(super) fn lines(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        let used = line.chars().count();
        if used > 0 && used + 1 + letters.len() > width {
            lines.push(std::mem::take(&mut line));
        } else if used > 0 {
            line.push(' ');
        }
        for letter in letters {
            if line.chars().count() == width {
                lines.push(std::mem::take(&mut line));
            }
            line.push(letter);
        }
    }
    lines.push(line);
    lines
}
