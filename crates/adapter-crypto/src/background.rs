//! Long computations, on threads that give way to everything else.

use std::io;
use std::thread;

use tokio::sync::oneshot;

/// How much is taken off the priority, in the steps of `nice`. Against a thread of the usual priority that also wants the
/// whole processor, one with these gets about a tenth of it; alone it gets all.
#[cfg(target_os = "linux")]
const GIVES_WAY: i32 = 10;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackgroundError {
    /// The system makes no more threads.
    #[error("no thread could be started")]
    NoThread(#[source] io::Error),
    /// The work panicked.
    #[error("the work did not end")]
    Panicked,
}

/// Does the work on a thread of its own, also when nobody waits for it any more. For work of many milliseconds, beside
/// which a new thread is nothing; how many there are at a time is the caller's business.
///
/// A thread of the runtime would not do: it serves others after this, and a priority once lowered cannot be raised.
pub(crate) async fn run<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BackgroundError> {
    let (done, result) = oneshot::channel();
    let body = move || {
        give_way();
        // Nobody may be waiting any more.
        let _ = done.send(work());
    };
    thread::Builder::new().name(name.to_owned()).spawn(body).map_err(BackgroundError::NoThread)?;
    result.await.map_err(|_| BackgroundError::Panicked)
}

/// Only on Linux do threads have priorities of their own; elsewhere this would slow down the whole process.
fn give_way() {
    #[cfg(target_os = "linux")]
    {
        // Without it the work is done all the same.
        let _ = rustix::process::nice(GIVES_WAY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_work_gives_way_and_nothing_else_does() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let before = priority();
        // 19 is the lowest there is.
        assert_eq!(run("test", priority).await.unwrap(), (before + GIVES_WAY).min(19));
        assert_eq!(priority(), before);
    }

    #[tokio::test]
    async fn a_panic_is_told() {
        let outcome: Result<(), _> = run("test", || std::panic::resume_unwind(Box::new(()))).await;
        assert!(matches!(outcome, Err(BackgroundError::Panicked)));
    }
}
