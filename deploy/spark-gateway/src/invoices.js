// The two things the gateway does: issue an invoice once per key, and say where an invoice stands.
//
// Spark has no idempotency keys. The order is: note the key, ask Spark, write the invoice down, answer. A crash or a lost
// answer in between leaves at worst an invoice that nobody has seen: the next request with the key asks Spark again, and
// the first invoice to be written down is the key's for ever.

import { createHash } from 'node:crypto';
import { Failure, invoiceNotFound, keyReused, nonsense, nothingHappened, unavailable } from './failures.js';
import { judge, moment, paidMoment } from './status.js';
import { nextLook } from './watcher.js';

/** A call whose answer is this many call timeouts overdue is no longer waited for by later requests with its key. */
const ABANDONED_AFTER_CALLS = 4;
const PAYMENT_HASH = /^[0-9a-f]{64}$/;
const PREFIX = { MAINNET: /^lnbc[0-9]/, REGTEST: /^lnbcrt[0-9]/ };
/** Ids of Spark look like `SparkLightningReceiveRequest:<uuid>`; what cannot be one is not asked for. */
const ID = /^[A-Za-z0-9:_-]{1,128}$/;

/**
 * @typedef {{ amountSats: number, memo: string, expirySeconds: number }} NewInvoice
 * @typedef {import('./ledger.js').Invoice} Invoice
 */

export class Invoices {
  #issuing = /** @type {Map<string, { since: number, answer: Promise<Invoice> }>} */ (new Map());
  #looking = /** @type {Map<string, Promise<Invoice>>} */ (new Map());

  /**
   * @param {object} parts
   * @param {import('./ledger.js').Ledger} parts.ledger
   * @param {import('./wallet.js').Wallet} parts.wallet
   * @param {Pick<import('./config.js').Config, 'network' | 'pace'>} parts.config
   * @param {import('./log.js').Log} parts.log
   * @param {() => void} parts.onChange called after a change that owes a push
   * @param {() => number} [parts.now]
   */
  constructor({ ledger, wallet, config, log, onChange, now = Date.now }) {
    this.ledger = ledger;
    this.wallet = wallet;
    this.config = config;
    this.log = log;
    this.onChange = onChange;
    this.now = now;
  }

  /**
   * The invoice of a key, made now or before.
   *
   * @param {string} key
   * @param {NewInvoice} request
   * @returns {Promise<{ invoice: Invoice, isNew: boolean }>} rejects with a `Failure`
   */
  async issue(key, request) {
    const fingerprint = fingerprintOf(request);
    const known = this.ledger.findKey(key);
    if (known && known.fingerprint !== fingerprint) throw keyReused();
    const invoice = known?.invoice_id && this.ledger.findInvoice(known.invoice_id);
    if (invoice) return { invoice, isNew: false };

    const running = this.#issuing.get(key);
    if (running && this.now() - running.since < this.config.pace.call * ABANDONED_AFTER_CALLS) {
      return { invoice: await this.wallet.patiently(running.answer), isNew: false };
    }
    const answer = this.#ask(key, fingerprint, request);
    this.#remember(this.#issuing, key, { since: this.now(), answer }, answer);
    return { invoice: await this.wallet.patiently(answer), isNew: true };
  }

  /** @param {string} key @param {string} fingerprint @param {NewInvoice} request */
  async #ask(key, fingerprint, request) {
    if (!this.wallet.isReady) throw unavailable('no account');
    this.ledger.beginCall(key, fingerprint, this.now());
    let made;
    try {
      made = this.#checked(await this.wallet.call((account) => account.createLightningInvoice({
        ...request,
        // A payer who finds a Spark address in the invoice may pay by Spark transfer, and the request never turns paid.
        includeSparkAddress: false,
        includeSparkInvoice: false,
      })));
    } catch (error) {
      if (error instanceof Failure && nothingHappened(error)) this.ledger.releaseKey(key);
      throw error;
    }
    const firstLook = nextLook({ ...made, status: 'pending', looks: 0 }, this.now(), this.config.pace.watch);
    const invoice = this.ledger.finishCall(key, made, firstLook);
    if (invoice.id !== made.id) this.log.warn('invoice.unseen', { invoice_id: made.id, text: 'its answer came after another was given' });
    else this.log.info('invoice.issued', { invoice_id: invoice.id });
    return invoice;
  }

  /**
   * Where an invoice stands. Spark is asked unless it is known to be paid; without an answer there is no guess.
   *
   * @param {string} id
   * @returns {Promise<Invoice>} rejects with a `Failure`
   */
  async find(id) {
    if (!ID.test(id)) throw invoiceNotFound();
    const known = this.ledger.findInvoice(id);
    return known?.status === 'paid' ? known : this.look(id);
  }

  /** Asks Spark about an invoice and writes the answer down; questions at the same time share one answer. @param {string} id @returns {Promise<Invoice>} */
  look(id) {
    const running = this.#looking.get(id);
    if (running) return running;
    const look = this.#look(id);
    this.#remember(this.#looking, id, look, look);
    return look;
  }

  /** @param {string} id @returns {Promise<Invoice>} */
  async #look(id) {
    const seen = await this.wallet.patiently(this.wallet.call((account) => account.getLightningReceiveRequest(id)));
    const known = this.ledger.findInvoice(id);
    if (!seen || seen.id !== id) {
      if (!known) throw invoiceNotFound();
      throw nonsense('Spark does not know an invoice that it made', seen?.id);
    }
    const made = this.#checked(seen);
    if (known && known.payment_hash !== made.payment_hash) throw nonsense('Spark changed the payment hash of an invoice');
    if (!known) this.log.warn('invoice.adopted', { invoice_id: id, text: 'Spark knows it, the ledger did not' });
    return this.#note(known ?? this.ledger.adopt(made, this.now()), seen);
  }

  /** @param {Invoice} before @param {import('./account.js').ReceiveRequest} seen */
  #note(before, seen) {
    const now = this.now();
    const id = before.id;
    const status = judge(seen.status, before.expires_at, now, this.config.pace.grace);
    const paidAt = status === 'paid' ? paidMoment(seen.updatedAt, now) : null;
    if (status === 'paid' && before.status !== 'paid') this.#checkProof(seen, before);
    const invoice = this.ledger.see(id, { status, sparkStatus: shortened(seen.status), paidAt, now });
    if (invoice.status !== before.status) {
      this.log.info('invoice.changed', { invoice_id: id, status: invoice.status, spark_status: invoice.spark_status });
      this.onChange();
    }
    return invoice;
  }

  /** A preimage that does not fit is worth a person's attention; Spark's word on the payment stands. */
  #checkProof(/** @type {import('./account.js').ReceiveRequest} */ seen, /** @type {Invoice} */ invoice) {
    if (!seen.paymentPreimage) return;
    const hash = createHash('sha256').update(Buffer.from(seen.paymentPreimage, 'hex')).digest('hex');
    if (hash !== invoice.payment_hash) this.log.error('invoice.proof_does_not_fit', { invoice_id: invoice.id });
  }

  /**
   * What Spark answered, in our form, or a `Failure` when it cannot be an invoice of this network. Its contents are decoded
   * and compared by whoever shows it.
   *
   * @param {import('./account.js').ReceiveRequest | null | undefined} answer
   * @returns {import('./ledger.js').Made}
   */
  #checked(answer) {
    const { id, status, invoice } = answer ?? {};
    const expiresAt = moment(invoice?.expiresAt);
    const bolt11 = String(invoice?.encodedInvoice).toLowerCase();
    const hash = String(invoice?.paymentHash).toLowerCase();
    if (!ID.test(String(id)) || expiresAt === null || !PREFIX[this.config.network].test(bolt11) || !PAYMENT_HASH.test(hash)) {
      throw nonsense('Spark answered without a usable invoice');
    }
    return {
      id: String(id),
      bolt11,
      payment_hash: hash,
      created_at: moment(invoice?.createdAt) ?? this.now(),
      expires_at: expiresAt,
      spark_status: shortened(status),
    };
  }

  /** Keeps a running piece of work until it has settled. @template T @param {Map<string, T>} map @param {string} name @param {T} entry @param {Promise<unknown>} work */
  #remember(map, name, entry, work) {
    map.set(name, entry);
    const forget = () => { if (map.get(name) === entry) map.delete(name); };
    work.then(forget, forget);
  }

  /** Calls whose answer would still be written down. */
  get running() {
    return [...this.#issuing.values()].map(({ answer }) => answer);
  }
}

/** A status of Spark, also a new one, in a size that can be passed on. @param {unknown} status */
const shortened = (status) => String(status).slice(0, 64);

/** @param {NewInvoice} request */
function fingerprintOf({ amountSats, memo, expirySeconds }) {
  return createHash('sha256').update(JSON.stringify([amountSats, memo, expirySeconds])).digest('hex');
}
