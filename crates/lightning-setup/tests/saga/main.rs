//! The saga as a whole, on virtual time, with everything outside in memory.

mod drift;
mod matrix;
mod simulation;
mod world;
