//! Words that every domain of Guichê shares: money, ids, time, randomness, storage errors, transactions
