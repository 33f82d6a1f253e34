//! Signs of life for work that takes a while: on standard error, and only where somebody watches.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Goes away by itself when it is dropped.
pub(super) struct Busy(ProgressBar);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Shows that this is being done.
pub(super) fn busy(what: String) -> Busy {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    Busy(bar)
}

/// Work that can be counted. Goes away by itself when it is dropped.
pub(super) struct Counted(ProgressBar);

impl Counted {
    /// So many more are done.
    pub(super) fn passed(&self, more: u64) {
        self.0.inc(more);
    }

    /// A line on standard error, above the bar where there is one.
    pub(super) fn tell(&self, line: &str) {
        self.0.suspend(|| eprintln!("{line}"));
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Shows how much of this is done.
pub(super) fn counted(what: String, total: u64) -> Counted {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_message(what);
    // The template is a constant; were it wrong, the plain bar would do.
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {human_pos}/{human_len} {eta}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    Counted(bar)
}
