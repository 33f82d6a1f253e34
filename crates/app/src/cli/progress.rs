//! Signs of life for work that takes a while: on standard error, and only where somebody watches.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget};

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
