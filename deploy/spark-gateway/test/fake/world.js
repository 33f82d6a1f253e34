// What the played Spark knows. It lies in a file, written before any answer, so that it outlives a killed gateway as the
// real one does.

import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { signedInvoice } from './bolt11.js';

const EMPTY = { calls: { open: 0, create: 0, read: 0, cleanup: 0 }, creates: [], behaviours: { open: [], create: [], read: [] }, requests: [] };

export class World {
  /** @param {string} file */
  constructor(file) {
    this.file = file;
    this.state = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : structuredClone(EMPTY);
  }

  save() {
    writeFileSync(`${this.file}.new`, JSON.stringify(this.state, null, 1));
    renameSync(`${this.file}.new`, this.file);
  }

  count(operation) {
    this.state.calls[operation] += 1;
    this.save();
  }

  /** Adds to what the next calls of an operation will do; null takes back everything that was added. */
  behave(operation, behaviour) {
    const queue = this.state.behaviours[operation];
    if (behaviour === null) queue.length = 0;
    else queue.push({ times: 1, ...behaviour });
    this.save();
  }

  /** What this call shall do. */
  nextBehaviour(operation) {
    const queue = this.state.behaviours[operation];
    const next = queue[0];
    if (!next) return { kind: 'ok' };
    if (next.times !== 'always') {
      next.times -= 1;
      if (next.times === 0) queue.shift();
      this.save();
    }
    return next;
  }

  create(options) {
    const createdAt = Math.floor(Date.now() / 1000);
    const made = signedInvoice({ ...options, createdAt });
    const at = new Date(createdAt * 1000).toISOString();
    const request = {
      id: `SparkLightningReceiveRequest:${randomUUID()}`,
      createdAt: at,
      updatedAt: at,
      network: 'REGTEST',
      status: 'INVOICE_CREATED',
      typename: 'LightningReceiveRequest',
      invoice: {
        encodedInvoice: made.bolt11,
        bitcoinNetwork: 'REGTEST',
        paymentHash: made.paymentHash,
        amount: { originalValue: options.amountSats * 1000, originalUnit: 'MILLISATOSHI' },
        createdAt: at,
        expiresAt: new Date((createdAt + options.expirySeconds) * 1000).toISOString(),
        memo: options.memo,
      },
      preimage: made.preimage,
    };
    this.state.creates.push(options);
    this.state.requests.push(request);
    this.save();
    return view(request);
  }

  read(id) {
    const request = this.state.requests.find((one) => one.id === id);
    return request ? view(request) : null;
  }

  /** Changes a request, named by its id or payment hash. */
  change({ id, payment_hash: hash, ...changes }) {
    const request = this.state.requests.find((one) => one.id === id || one.invoice.paymentHash === hash);
    if (!request) return null;
    Object.assign(request, { updatedAt: new Date().toISOString() }, changes);
    this.save();
    return request;
  }

  forget(id) {
    this.state.requests = this.state.requests.filter((one) => one.id !== id);
    this.save();
  }
}

/** As Spark shows a request: the preimage only once it is known to the payer. */
function view({ preimage, ...request }) {
  const paid = ['LIGHTNING_PAYMENT_RECEIVED', 'TRANSFER_COMPLETED'].includes(request.status);
  return structuredClone(paid ? { ...request, paymentPreimage: preimage } : request);
}

/** An address that differs from seed to seed. */
export const addressOf = (mnemonic) => `sparkrt1${createHash('sha256').update(mnemonic).digest('hex').slice(0, 40)}`;
