//! What a start would find, without starting or making anything.

use std::path::PathBuf;

use crate::{
    EmbeddedError, Options,
    binaries::{self, data_major},
    machine::Machine,
    place::Place,
    postmaster::{self, State},
    share,
};

/// What is there for a private server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The major version of the binaries that a start would use.
    pub major: u32,
    /// Where they are.
    pub binaries: PathBuf,
    /// The major version that made the cluster's data; `None` when there is no cluster yet.
    pub data: Option<u32>,
    /// The directory of the socket of a server that runs and takes connections.
    pub socket: Option<PathBuf>,
}

impl Inspection {
    /// Looks; nothing is made, fetched, installed or started.
    ///
    /// # Errors
    /// What a start would say: no binaries, or none for this data. One line with the cure.
    pub fn of(options: &Options) -> Result<Self, EmbeddedError> {
        let place = Place::look(options)?;
        let found = binaries::find(&Machine::here(), options, &place)?;
        let runs = postmaster::look(&place).0 == State::Ready && place.socket_fits();
        Ok(Self {
            major: found.major,
            binaries: found.directory,
            data: data_major(&place.data())?,
            socket: runs.then_some(place.socket),
        })
    }

    /// The URL of `database` for `role` on the server that runs.
    #[must_use]
    pub fn url(&self, role: &str, database: &str) -> Option<String> {
        self.socket.as_deref().map(|socket| share::url(socket, role, database))
    }
}
