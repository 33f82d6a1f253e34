// Rules that are plain functions.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, paidMoment } from '../src/status.js';
import { nextLook } from '../src/watcher.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

test('every status of Spark, before and after the expiry', () => {
  const table = {
    INVOICE_CREATED: ['pending', 'expired'],
    HTLC_RECEIVED: ['pending', 'pending'],
    TRANSFER_CREATED: ['pending', 'pending'],
    PAYMENT_PREIMAGE_PENDING: ['pending', 'pending'],
    PAYMENT_PREIMAGE_RECOVERED: ['pending', 'pending'],
    LIGHTNING_PAYMENT_RECEIVED: ['paid', 'paid'],
    TRANSFER_COMPLETED: ['paid', 'paid'],
    TRANSFER_CREATION_FAILED: ['pending', 'expired'],
    TRANSFER_FAILED: ['pending', 'expired'],
    REFUND_SIGNING_FAILED: ['pending', 'expired'],
    REFUND_SIGNING_COMMITMENTS_QUERYING_FAILED: ['pending', 'expired'],
    PAYMENT_PREIMAGE_RECOVERING_FAILED: ['pending', 'expired'],
    PAYMENT_PREIMAGE_QUERYING_FAILED: ['pending', 'expired'],
    TRANSFER_CANCELED: ['pending', 'expired'],
    HTLC_FAILED: ['pending', 'expired'],
    FUTURE_VALUE: ['pending', 'expired'],
    SOMETHING_NEW: ['pending', 'expired'],
  };
  for (const [status, [before, after]] of Object.entries(table)) {
    assert.deepEqual([judge(status, 1000, 1100, 100), judge(status, 1000, 1101, 100)], [before, after], status);
  }
});

test('the moment of a payment is never in the future', () => {
  assert.equal(paidMoment('2026-01-01T00:00:00Z', Date.parse('2026-01-02T00:00:00Z')), Date.parse('2026-01-01T00:00:00Z'));
  for (const bad of ['2026-01-03T00:00:00Z', '', 'x', undefined, null, 7]) {
    assert.equal(paidMoment(bad, Date.parse('2026-01-02T00:00:00Z')), Date.parse('2026-01-02T00:00:00Z'));
  }
});

/** When an invoice of a lifetime would be looked at, relative to its start. */
function looks(lifetime) {
  const pauses = [2, 4, 8, 16, 32, 60].map((seconds) => seconds * SECOND);
  const times = [];
  let now = 0;
  for (;;) {
    const next = nextLook({ expires_at: lifetime, status: now > lifetime ? 'expired' : 'pending', looks: times.length }, now, pauses);
    if (next === null) return times;
    assert.ok(next > now, 'time goes forward');
    times.push(next);
    now = next;
  }
}

test('often before the expiry, rarely after it, never after a week', () => {
  const lifetime = 15 * MINUTE;
  const times = looks(lifetime);
  assert.deepEqual(times.slice(0, 7).map((at) => at / SECOND), [2, 6, 14, 30, 62, 122, 182]);
  const late = times.filter((at) => at >= lifetime).map((at) => at - lifetime);
  assert.deepEqual(late.slice(0, 6), [SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 2 * HOUR]);
  assert.ok(late.filter((at) => at > DAY).every((at, index, all) => index === 0 || at - all[index - 1] === 6 * HOUR));
  const last = late.at(-1);
  assert.ok(last >= 7 * DAY && last < 7 * DAY + 6 * HOUR, 'one look after the week has passed');
});

test('what is paid is not watched', () => {
  assert.equal(nextLook({ expires_at: 1000, status: 'paid', looks: 0 }, 0, [1]), null);
});
