//! Randomness is a port, so that a test or a simulation can be replayed.

/// A source of random bytes.
pub trait Randomness: Send + Sync {
    /// Fills the buffer. Outside tests the bytes MUST be fit for keys and tokens, and a source that fails MUST end the
    /// process rather than return: there is no safe way on without randomness.
    fn fill(&self, buffer: &mut [u8]);
}
