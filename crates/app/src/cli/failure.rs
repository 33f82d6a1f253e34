//! Why a command did not do its work, and how that is told.

use std::process::ExitCode;

use guiche_kernel::BoxError;

use crate::config::ConfigError;

/// Why a command did not do its work.
#[derive(Debug)]
pub(super) enum Failure {
    /// The configuration is refused: every reason on a line, and exit code 2.
    Config(ConfigError),
    /// One line, and exit code 1.
    Other(BoxError),
    /// What was found is the answer, and has been told; exit code 1.
    Told,
}

impl<E: Into<BoxError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl Failure {
    /// Tells it on standard error, and answers with the exit code.
    pub(super) fn tell(&self) -> ExitCode {
        match self {
            Self::Config(error) => {
                for line in error.lines() {
                    eprintln!("configuration: {line}");
                }
                ExitCode::from(2)
            }
            Self::Other(error) => {
                eprintln!("error: {}", chain(&**error));
                ExitCode::FAILURE
            }
            Self::Told => ExitCode::FAILURE,
        }
    }
}

/// An error with its causes, each told once.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Many a message quotes its cause already.
        let text = error.to_string();
        if !chain.contains(&text) {
            chain.push_str(&format!(": {text}"));
        }
        source = error.source();
    }
    chain
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        #[derive(Debug)]
        struct Failed(&'static str, io::Error);
        impl std::fmt::Display for Failed {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.0)
            }
        }
        impl std::error::Error for Failed {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.1)
            }
        }
        let told = |message| chain(&Failed(message, io::Error::other("it is away")));
        assert_eq!(told("cannot open it: it is away; try again"), "cannot open it: it is away; try again");
        assert_eq!(told("cannot open it"), "cannot open it: it is away");
    }
}
