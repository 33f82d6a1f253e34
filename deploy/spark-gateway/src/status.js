// What a status of Spark means in the contract. Spark has no "expired" and tolerates new values without notice, so both the
// expiry and the unknown are decided here.

/** @typedef {'pending' | 'paid' | 'expired'} Status */

/** The provider holds the payment (first), or our wallet has claimed it (second). */
const PAID = new Set(['LIGHTNING_PAYMENT_RECEIVED', 'TRANSFER_COMPLETED']);

/** Money is on its way: such an invoice must not expire under it. */
const IN_FLIGHT = new Set([
  'HTLC_RECEIVED',
  'TRANSFER_CREATED',
  'PAYMENT_PREIMAGE_PENDING',
  'PAYMENT_PREIMAGE_RECOVERED',
]);

/**
 * Paid is looked at before expired: a payment that is seen late is still a payment.
 *
 * @param {string} sparkStatus as Spark has it, also one that this code has never heard of
 * @param {number} expiresAt milliseconds since 1970
 * @param {number} now milliseconds since 1970
 * @param {number} grace milliseconds for which an invoice that ran out is still looked upon as open
 * @returns {Status}
 */
export function judge(sparkStatus, expiresAt, now, grace) {
  if (PAID.has(sparkStatus)) return 'paid';
  if (IN_FLIGHT.has(sparkStatus)) return 'pending';
  return now > expiresAt + grace ? 'expired' : 'pending';
}

/** Milliseconds of a moment that Spark gave, or null. @param {unknown} text */
export function moment(text) {
  const at = typeof text === 'string' ? Date.parse(text) : Number.NaN;
  return Number.isFinite(at) ? at : null;
}

/**
 * When a payment that is seen for the first time was made. Spark tells when the request last changed, which is the closest
 * it has; a moment in the future is a wrong clock.
 *
 * @param {unknown} updatedAt
 * @param {number} now
 */
export function paidMoment(updatedAt, now) {
  return Math.min(moment(updatedAt) ?? now, now);
}
