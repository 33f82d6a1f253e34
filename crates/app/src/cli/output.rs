//! Standard output, for what was asked for and nothing else.

use std::io::{self, Write as _};

use super::failure::Failure;

/// Prints the text as it is.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads only the first lines is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
