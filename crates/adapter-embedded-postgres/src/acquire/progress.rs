//! What people are shown while something takes long: a bar or a spinner on a terminal, plain lines otherwise.

use std::{io::Write as _, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

/// Says one line: in the log, or, where nobody keeps one (a test), on the standard error.
pub(super) fn announce(line: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!("{line}");
    } else {
        // Not `eprintln`, which a test that passes keeps to itself. Nobody may be listening, either.
        let _ = writeln!(std::io::stderr(), "guiche: {line}");
    }
}

/// Drawn on the standard error when that is a terminal; it vanishes with this value.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// For something of which only the end is known.
    pub(super) fn spinner(message: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(message);
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    /// For a number of bytes, which [`expect`](Self::expect) tells when it is known.
    pub(super) fn bytes() -> Self {
        let bar = ProgressBar::no_length();
        let style = "{bar:32} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        // The template is a constant; without it there is a plainer bar.
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub(super) fn expect(&self, bytes: u64) {
        self.0.set_length(bytes);
    }

    pub(super) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
