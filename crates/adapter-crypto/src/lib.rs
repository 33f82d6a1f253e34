//! Password hashing and token signing for Guichê
