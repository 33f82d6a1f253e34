#![doc = include_str!("../README.md")]

mod background;
mod hmac;
mod password;
mod sealing;
mod token;

pub use password::{BcryptCost, BcryptHasher, BcryptSettings, InvalidCost};
pub use sealing::{InvalidRing, KeyRing, SealingKey};
pub use token::{InvalidKeys, JwtKey, JwtSettings, JwtSigner, TokenAlgorithm, UnknownAlgorithm};
