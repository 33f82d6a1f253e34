// Looks at open invoices without being asked: often while a payer may be about to pay, rarely after the expiry, and no more
// after a week. A question at any age is still answered.

import { sleep } from './sleep.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const WATCHED_AFTER_EXPIRY = 7 * 24 * HOUR;
const LATE_LOOKS = [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR];
const AFTER_A_DAY = 6 * HOUR;
const BATCH = 20;
const AT_ONCE = 4;

/**
 * When an invoice should be looked at next, or null for never again.
 *
 * @param {{ expires_at: number, status: import('./status.js').Status, looks: number }} invoice `looks` were made so far
 * @param {number} now
 * @param {number[]} pauses milliseconds between looks before the expiry, the last one repeated
 */
export function nextLook({ expires_at: expiresAt, status, looks }, now, pauses) {
  if (status === 'paid' || now >= expiresAt + WATCHED_AFTER_EXPIRY) return null;
  if (now < expiresAt) {
    const wait = pauses[Math.min(looks, pauses.length - 1)] ?? MINUTE;
    return Math.min(now + wait, expiresAt + SECOND);
  }
  const late = now - expiresAt;
  const step = LATE_LOOKS.find((wait) => wait > late) ?? (late < 24 * HOUR ? late + HOUR : late + AFTER_A_DAY);
  return expiresAt + step;
}

export class Watcher {
  #stop = new AbortController();

  /**
   * @param {object} parts
   * @param {import('./ledger.js').Ledger} parts.ledger
   * @param {import('./wallet.js').Wallet} parts.wallet
   * @param {import('./invoices.js').Invoices} parts.invoices
   * @param {import('./config.js').Config['pace']} parts.pace
   * @param {import('./log.js').Log} parts.log
   * @param {() => number} [parts.now]
   */
  constructor({ ledger, wallet, invoices, pace, log, now = Date.now }) {
    this.ledger = ledger;
    this.wallet = wallet;
    this.invoices = invoices;
    this.pace = pace;
    this.log = log;
    this.now = now;
  }

  /** One round: every invoice that is due, and a sign of life when nothing else asked Spark for a while. */
  async step() {
    if (!this.wallet.isReady) return;
    const due = this.ledger.dueLooks(this.now(), BATCH);
    for (let at = 0; at < due.length; at += AT_ONCE) {
      await Promise.all(due.slice(at, at + AT_ONCE).map((invoice) => this.#look(invoice)));
    }
    if (due.length === 0) await this.#probe();
  }

  /** @param {import('./ledger.js').Invoice} invoice */
  async #look(invoice) {
    let seen = invoice;
    try {
      seen = await this.invoices.look(invoice.id);
    } catch (error) {
      this.log.warn('watch.failed', { invoice_id: invoice.id, error });
    }
    if (!this.#stop.signal.aborted) this.ledger.scheduleLook(invoice.id, nextLook({ ...seen, looks: invoice.looks + 1 }, this.now(), this.pace.watch));
  }

  /** The newest invoice is asked for once more, so that `/health` knows whether Spark answers. */
  async #probe() {
    const age = this.wallet.health().last_success_age_seconds;
    const newest = this.ledger.newestInvoice();
    if (age === null || !newest || age * SECOND < this.pace.probe) return;
    await this.invoices.look(newest.id).catch((error) => this.log.warn('watch.probe_failed', { error }));
  }

  /** Rounds until `stop`. @param {number} tick milliseconds between rounds */
  async run(tick) {
    while (!this.#stop.signal.aborted) {
      await this.step().catch((error) => this.log.error('watch.broken', { error }));
      await sleep(tick, this.#stop.signal);
    }
  }

  stop() {
    this.#stop.abort();
  }
}
