//! The Guichê service: it reads the configuration, wires domains to adapters, and speaks HTTP.
//!
//! A library besides the program, so that tests can start the real server in their own process.

pub mod administration;
pub mod audit;
pub mod catalogue;
pub mod cli;
pub mod config;
pub mod database;
#[cfg(feature = "fail-points")]
pub mod fail_points;
pub mod health;
pub mod http;
pub mod lightning;
pub mod live;
pub mod logging;
pub mod observed;
pub mod reload;
pub mod rotation;
pub mod sealing;
pub mod serve;
pub mod service_manager;
pub mod shutdown;
pub mod system;
pub mod telemetry;
pub mod telling;
pub mod web;
pub mod wiring;
pub mod workers;
