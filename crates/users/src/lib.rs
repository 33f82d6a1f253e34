//! Accounts and sessions of Guichê, without I/O
