//! A private PostgreSQL server that lives beside the process which uses it
