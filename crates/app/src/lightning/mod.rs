//! The setup of Lightning addresses on its adapters: what makes the steps, and what watches them.
//!
//! A request only begins a setup; the [`Installer`] of whichever process claims it first makes the steps. What a process
//! leaves behind when it dies is claimed by another one, once its lease has run out.

mod custody;
mod desk;
mod fakes;
mod installer;
mod journal;
mod watched;

pub use custody::{Custodian, Custody};
pub use desk::Desk;
pub use fakes::Fakes;
pub use installer::Installer;
pub use journal::Journal;
pub use watched::Watched;
