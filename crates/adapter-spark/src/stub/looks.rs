//! How often the payer has looked at which invoice.
//!
//! A convenience, so it may be forgotten: it lives in memory and is bounded. Ordered by expiry, because what runs out
//! first is worth least. A count outlives the payment it led to: a look that read "unpaid" a moment before must not
//! start anew.

use std::collections::BTreeMap;

use guiche_kernel::Timestamp;
use guiche_tickets::PaymentHash;

/// At most a few megabytes.
const CAPACITY: usize = 65_536;

#[derive(Debug)]
pub(super) struct Looks {
    counts: BTreeMap<(Timestamp, PaymentHash), u8>,
    capacity: usize,
}

impl Default for Looks {
    fn default() -> Self {
        Self { counts: BTreeMap::new(), capacity: CAPACITY }
    }
}

impl Looks {
    /// Counts a look, and says how many there have been.
    pub(super) fn count(&mut self, expires_at: Timestamp, hash: PaymentHash, now: Timestamp) -> u8 {
        let place = (expires_at, hash);
        let count = self.counts.get(&place).map_or(1, |count| count.saturating_add(1));
        if count == 1 {
            self.make_room(now);
        }
        self.counts.insert(place, count);
        count
    }

    fn make_room(&mut self, now: Timestamp) {
        while let Some(first) = self.counts.first_entry()
            && first.key().0 < now
        {
            first.remove();
        }
        while self.counts.len() >= self.capacity {
            self.counts.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::*;

    const NOON: Timestamp = datetime!(2026-01-01 12:00 UTC);

    fn after(seconds: u64) -> Timestamp {
        NOON + Duration::from_secs(seconds)
    }

    #[test]
    fn counts_each_invoice_by_itself() {
        let mut looks = Looks::default();
        let (one, two) = (PaymentHash::new([1; 32]), PaymentHash::new([2; 32]));
        assert_eq!(looks.count(after(60), one, NOON), 1);
        assert_eq!(looks.count(after(60), two, NOON), 1);
        assert_eq!(looks.count(after(60), one, NOON), 2);
        assert_eq!(looks.count(after(60), two, NOON), 2);
    }

    #[test]
    fn what_ran_out_goes_first_and_memory_is_bounded() {
        let mut looks = Looks { capacity: 3, ..Looks::default() };
        for seconds in 1..=3 {
            looks.count(after(seconds), PaymentHash::new([9; 32]), NOON);
        }
        looks.count(after(60), PaymentHash::new([4; 32]), after(3));
        assert_eq!(looks.counts.len(), 2, "two had run out");
        for last in 0..100 {
            looks.count(after(100), PaymentHash::new([last; 32]), after(3));
        }
        assert_eq!(looks.counts.len(), 3);
    }
}
