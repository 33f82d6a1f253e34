//! A terminal with somebody at it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::io::ioctl_fionbio;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use crate::world::eventually;

/// Closed in programs that are started meanwhile: each would hold the terminal after its end.
const FLAGS: OpenptFlags = OpenptFlags::RDWR.union(OpenptFlags::NOCTTY).union(OpenptFlags::CLOEXEC);

/// Programs are connected to its other end. With this one, the terminal is gone.
pub(crate) struct Terminal {
    hands: Arc<File>,
    seen: Arc<Mutex<String>>,
    watcher: JoinHandle<()>,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        let hands = openpt(FLAGS).unwrap();
        grantpt(&hands).unwrap();
        unlockpt(&hands).unwrap();
        // A reader that waits would hold the terminal after its end.
        ioctl_fionbio(&hands, true).unwrap();
        let (hands, seen) = (Arc::new(File::from(hands)), Arc::<Mutex<String>>::default());
        let (screen, all) = (Arc::downgrade(&hands), Arc::clone(&seen));
        let watcher = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Some(screen) = screen.upgrade() {
                match (&*screen).read(&mut buffer) {
                    Ok(count) => all.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count])),
                    // Nothing new, or nobody is connected.
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Self { hands, seen, watcher }
    }

    /// An end for a program.
    pub(crate) fn end(&self) -> Stdio {
        ioctl_tiocgptpeer(&*self.hands, FLAGS).unwrap().into()
    }

    /// Everything that was ever on the screen.
    pub(crate) fn seen(&self) -> String {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until that is on the screen.
    pub(crate) fn shows(&self, text: &str) {
        eventually(text, || self.seen().contains(text).then_some(()));
    }

    pub(crate) fn types(&self, keys: &str) {
        (&*self.hands).write_all(keys.as_bytes()).unwrap();
    }

    /// Closes the window; when this returns, it is gone for everybody.
    pub(crate) fn close(self) {
        drop(self.hands);
        self.watcher.join().unwrap();
    }
}
