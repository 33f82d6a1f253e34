// The account's life: opened in the background, again and again with longer pauses until it works, replaced when it stops
// working. Requests are never kept waiting for it.

import { fromSpark, unavailable } from './failures.js';
import { newsOnly } from './log.js';
import { sleep } from './sleep.js';

/** So many failures in a row, none of which reached Spark, and the account is opened anew. */
const FAILURES_UNTIL_REOPENED = 5;
/** Opening loads leaves and claims what came in meanwhile, which takes longer than a call. */
const OPEN_TIMEOUT_CALLS = 4;

/**
 * @typedef {'starting' | 'waiting' | 'ready' | 'wrong_account' | 'stopped'} WalletState
 */

export class Wallet {
  #account = /** @type {import('./account.js').Account | null} */ (null);
  #state = /** @type {WalletState} */ ('starting');
  #attempts = 0;
  #failures = 0;
  #lastSuccess = /** @type {number | null} */ (null);
  #lastError = /** @type {string | null} */ (null);
  #nextAttempt = /** @type {number | null} */ (null);
  #rejections = 0;
  #openedAt = 0;
  #isNews = newsOnly();
  #stop = new AbortController();
  #retire = /** @type {() => void} */ (() => {});

  /**
   * @param {object} parts
   * @param {import('./account.js').Opener} parts.open
   * @param {(address: string) => boolean} parts.isOurs whether the ledger belongs to the account with this address
   * @param {{ call: number, restart: number[] }} parts.pace
   * @param {import('./log.js').Log} parts.log
   * @param {() => number} [parts.now]
   */
  constructor({ open, isOurs, pace, log, now = Date.now }) {
    this.open = open;
    this.isOurs = isOurs;
    this.pace = pace;
    this.log = log;
    this.now = now;
  }

  /** Keeps an account open until `stop`. Never rejects. */
  async run() {
    while (!this.#stop.signal.aborted) {
      this.#state = 'starting';
      this.#nextAttempt = null;
      try {
        await this.#serve(await this.#opened());
      } catch (error) {
        await this.#backOff(error);
      }
      if (this.health().state === 'wrong_account') return;
    }
  }

  /** Opens the account and sees whose it is. An account that comes too late, or is not usable, is closed again. */
  async #opened() {
    const opening = this.open();
    try {
      const account = await within(this.pace.call * OPEN_TIMEOUT_CALLS, opening, this.#stop.signal);
      const address = await within(this.pace.call, account.getAddress(), this.#stop.signal);
      return { account, isOurs: this.isOurs(address) };
    } catch (error) {
      opening.then((late) => this.#closed(late), () => {});
      throw error;
    }
  }

  /** Lends the account out until it has to be replaced. @param {{ account: import('./account.js').Account, isOurs: boolean }} opened */
  async #serve({ account, isOurs }) {
    if (this.#stop.signal.aborted) return this.#closed(account);
    if (!isOurs) {
      this.#state = 'wrong_account';
      this.log.error('wallet.wrong_account', { text: 'the ledger belongs to another seed; give the gateway its own data directory' });
      return this.#closed(account);
    }
    const retired = new Promise((resolve) => { this.#retire = () => resolve(undefined); });
    this.#account = account;
    this.#state = 'ready';
    this.#attempts = 0;
    this.#openedAt = this.now();
    this.#reached();
    this.log.info('wallet.ready');
    await retired;
    this.#account = null;
    await this.#closed(account);
  }

  /** @param {import('./account.js').Account} account */
  async #closed(account) {
    try {
      await within(this.pace.call, account.cleanupConnections());
    } catch (error) {
      this.log.warn('wallet.cleanup_failed', { error });
    }
  }

  /** @param {unknown} error */
  async #backOff(error) {
    if (this.#stop.signal.aborted) return;
    const { restart } = this.pace;
    const wait = restart[Math.min(this.#attempts, restart.length - 1)] ?? 0;
    this.#attempts += 1;
    this.#state = 'waiting';
    this.#lastError = fromSpark(error).code;
    this.#nextAttempt = this.now() + wait;
    this.log.warn('wallet.start_failed', { error, attempt: this.#attempts, next_attempt_in_ms: wait });
    await sleep(wait, this.#stop.signal);
  }

  /**
   * Calls the account. The promise is the SDK's own and has no time limit, so that a late answer can still be kept;
   * `patiently` has one.
   *
   * @template T
   * @param {(account: import('./account.js').Account) => Promise<T>} work
   * @returns {Promise<T>} rejects with a `Failure`
   */
  async call(work) {
    const account = this.#account;
    if (!account) throw unavailable('no account');
    try {
      const answer = await work(account);
      this.#reached();
      return answer;
    } catch (error) {
      const failure = fromSpark(error);
      if (failure.code === 'spark_unavailable') this.#missed(failure.code);
      else this.#reached();
      throw failure;
    }
  }

  /** @template T @param {Promise<T>} answer @returns {Promise<T>} */
  async patiently(answer) {
    try {
      return await within(this.pace.call, answer);
    } catch (error) {
      if (error instanceof Overdue) this.#missed('spark_timeout');
      throw error instanceof Overdue ? unavailable(error) : error;
    }
  }

  get isReady() {
    return this.#account !== null;
  }

  #reached() {
    this.#lastSuccess = this.now();
    this.#failures = 0;
    this.#lastError = null;
  }

  /** @param {string} code */
  #missed(code) {
    this.#lastError = code;
    this.#failures += 1;
    // Where opening works and calls do not, the wallet must not be opened in a tight loop.
    const isFresh = this.now() - this.#openedAt < Math.max(...this.pace.restart);
    if (this.#failures < FAILURES_UNTIL_REOPENED || isFresh || !this.#account) return;
    this.log.warn('wallet.reopening', { failures: this.#failures });
    this.#state = 'starting';
    this.#account = null;
    this.#retire();
  }

  /** The SDK lets promises of its background work go unhandled; they are counted, and must not end the process. @param {unknown} reason */
  noteRejection(reason) {
    this.#rejections += 1;
    if (this.#isNews(String(reason))) this.log.warn('sdk.unhandled_rejection', { error: reason, count: this.#rejections });
  }

  health() {
    const now = this.now();
    return {
      state: this.#state,
      attempts: this.#attempts,
      next_attempt_in_seconds: this.#nextAttempt === null ? null : Math.max(0, Math.ceil((this.#nextAttempt - now) / 1000)),
      last_success_age_seconds: this.#lastSuccess === null ? null : Math.floor((now - this.#lastSuccess) / 1000),
      consecutive_failures: this.#failures,
      last_error: this.#lastError,
      unhandled_rejections: this.#rejections,
    };
  }

  stop() {
    this.#state = 'stopped';
    this.#stop.abort();
    this.#account = null;
    this.#retire();
  }
}

class Overdue extends Error {
  constructor() {
    super('timed out');
    this.name = 'Overdue';
  }
}

/**
 * @template T
 * @param {number} milliseconds
 * @param {Promise<T>} answer
 * @param {AbortSignal} [stop] ends the waiting before its time
 * @returns {Promise<T>} rejects with `Overdue`
 */
function within(milliseconds, answer, stop) {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(new Overdue());
    const timer = setTimeout(giveUp, milliseconds);
    stop?.addEventListener('abort', giveUp);
    answer.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      stop?.removeEventListener('abort', giveUp);
    });
  });
}
