//! Guichê's stores on PostgreSQL, with row-level security
