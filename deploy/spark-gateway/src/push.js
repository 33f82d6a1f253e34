// Tells the service that an invoice changed: Standard Webhooks, at least once, from a durable list. A push is a hint and
// carries nothing but an id; the receiver asks for the invoice again. One that fails waits alone, and holds up no other.

import { createHmac } from 'node:crypto';
import { sleep } from './sleep.js';

const GIVEN_UP_AFTER = 3 * 24 * 60 * 60 * 1000;
const ATTEMPT_TIMEOUT = 10_000;
const BATCH = 20;
const IDLE = 1000;

/**
 * The headers of one attempt. While a secret rotates there is a signature with each.
 *
 * @param {{ id: string, body: string, secrets: string[], now: number }} message
 */
export function signedHeaders({ id, body, secrets, now }) {
  const timestamp = Math.floor(now / 1000);
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
  });
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signatures.join(' '),
  };
}

export class Pusher {
  #stop = new AbortController();
  #wake = new AbortController();

  /**
   * @param {object} parts
   * @param {import('./ledger.js').Ledger} parts.ledger
   * @param {{ url: URL, secrets: string[] }} parts.target
   * @param {number[]} parts.pauses milliseconds between attempts, the last one repeated
   * @param {import('./log.js').Log} parts.log
   * @param {typeof fetch} [parts.send]
   * @param {() => number} [parts.now]
   */
  constructor({ ledger, target, pauses, log, send = fetch, now = Date.now }) {
    this.ledger = ledger;
    this.target = target;
    this.pauses = pauses;
    this.log = log;
    this.send = send;
    this.now = now;
  }

  /** Sends what is due. */
  async step() {
    const due = this.ledger.duePushes(this.now(), BATCH);
    await Promise.all(due.map((push) => this.#attempt(push)));
    return due.length;
  }

  /** @param {import('./ledger.js').Push} push */
  async #attempt(push) {
    const problem = await this.#deliver(push);
    if (this.#stop.signal.aborted && problem) return;
    if (!problem) {
      this.ledger.finishPush(push.id, 'delivered');
      this.log.info('push.delivered', { push_id: push.id, invoice_id: push.invoice_id });
    } else if (this.now() - push.occurred_at > GIVEN_UP_AFTER) {
      this.ledger.finishPush(push.id, 'given_up');
      this.log.error('push.given_up', { push_id: push.id, invoice_id: push.invoice_id, problem });
    } else {
      const wait = this.pauses[Math.min(push.attempts, this.pauses.length - 1)] ?? 0;
      this.ledger.retryPush(push.id, this.now() + wait);
      this.log.warn('push.failed', { push_id: push.id, invoice_id: push.invoice_id, problem, retry_in_ms: wait });
    }
  }

  /** @param {import('./ledger.js').Push} push @returns {Promise<string | null>} what went wrong */
  async #deliver(push) {
    const body = JSON.stringify({
      type: 'invoice.updated',
      timestamp: new Date(push.occurred_at).toISOString(),
      data: { invoice_id: push.invoice_id },
    });
    const headers = signedHeaders({ id: push.id, body, secrets: this.target.secrets, now: this.now() });
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(ATTEMPT_TIMEOUT)]);
    try {
      const answer = await this.send(this.target.url, { method: 'POST', headers, body, signal, redirect: 'manual' });
      await answer.body?.cancel();
      return answer.ok ? null : `status ${answer.status}`;
    } catch (error) {
      return /** @type {Error} */ (error).name === 'TimeoutError' ? 'no answer in time' : 'no connection';
    }
  }

  /** Sends until `stop`. */
  async run() {
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController();
      const sent = await this.step().catch((error) => { this.log.error('push.broken', { error }); return 0; });
      if (sent < BATCH) await sleep(IDLE, AbortSignal.any([this.#stop.signal, this.#wake.signal]));
    }
  }

  /** There is something new to send. */
  wake() {
    this.#wake.abort();
  }

  stop() {
    this.#stop.abort();
  }
}
