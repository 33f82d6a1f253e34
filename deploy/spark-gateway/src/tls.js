// The certificate, which outlives neither its renewal nor a mistake in it: the files are read again from time to time and on
// SIGHUP. A new pair is for new connections, those that are open go on; a broken one is told about, and changes nothing.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { sleep } from './sleep.js';

/**
 * @typedef {{ certFile: string, keyFile: string }} Files
 * @typedef {{ cert: Buffer, key: Buffer, minVersion: 'TLSv1.2', validFrom: number, validTo: number }} Pair times in milliseconds since 1970
 */

/** Why a pair of files is of no use; never with anything that stands in them. */
export class Unusable extends Error {}

/**
 * @param {Files} files
 * @returns {Pair}
 */
export function readPair({ certFile, keyFile }) {
  const pair = { cert: content('TLS_CERT_FILE', certFile), key: content('TLS_KEY_FILE', keyFile), minVersion: /** @type {const} */ ('TLSv1.2') };
  try {
    const leaf = new X509Certificate(pair.cert);
    // OpenSSL itself takes a certificate of one kind beside a key of another.
    if (!leaf.checkPrivateKey(createPrivateKey(pair.key))) throw new Error('the key is not the certificate\'s');
    createSecureContext(pair);
    return { ...pair, validFrom: Date.parse(leaf.validFrom), validTo: Date.parse(leaf.validTo) };
  } catch (error) {
    throw new Unusable('TLS_CERT_FILE and TLS_KEY_FILE: not a certificate and its key, in PEM', { cause: error });
  }
}

/** @param {string} name @param {string} file */
function content(name, file) {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Unusable(`${name}: cannot be read (${/** @type {NodeJS.ErrnoException} */ (error).code})`);
  }
}

export class Certificate {
  #pair;
  #problem = /** @type {string | null} */ (null);
  #stop = new AbortController();

  /**
   * @param {object} parts
   * @param {Files} parts.files
   * @param {number} parts.pause milliseconds between looks at the files
   * @param {import('./log.js').Log} parts.log
   * @param {() => number} [parts.now]
   */
  constructor({ files, pause, log, now = Date.now }) {
    this.files = files;
    this.pause = pause;
    this.log = log;
    this.now = now;
    this.#pair = readPair(files);
    // It serves all the same: without a running wallet nothing is claimed, and whoever calls sees the date for themselves.
    if (this.#ofAnotherTime(this.#pair)) log.error('tls.not_valid_now', this.#dates());
  }

  /** What is in use. */
  get pair() {
    return this.#pair;
  }

  /**
   * Looks at the files until `stop`.
   *
   * @param {(pair: Pair) => void} use takes a new pair into use
   */
  async run(use) {
    for (;;) {
      await sleep(this.pause, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      this.reload(use);
    }
  }

  /** Takes what is in the files now, when it is new and good. @param {(pair: Pair) => void} use */
  reload(use) {
    try {
      const pair = readPair(this.files);
      if (!this.#isInUse(pair)) {
        if (this.#ofAnotherTime(pair)) throw new Unusable('TLS_CERT_FILE: not valid yet, or no longer');
        use(pair);
        this.#pair = pair;
        this.log.info('tls.renewed', this.#dates());
      }
      this.#problem = null;
    } catch (error) {
      this.#note(error);
    }
  }

  /** A mistake is told once, not at every look. @param {unknown} error */
  #note(error) {
    const problem = error instanceof Unusable ? error.message : 'cannot be taken into use';
    if (problem !== this.#problem) this.log.error('tls.kept', { problem, error, ...this.#dates() });
    this.#problem = problem;
  }

  /** @param {Pair} pair */
  #isInUse(pair) {
    return pair.cert.equals(this.#pair.cert) && pair.key.equals(this.#pair.key);
  }

  /** @param {Pair} pair */
  #ofAnotherTime(pair) {
    return this.now() < pair.validFrom || pair.validTo <= this.now();
  }

  #dates() {
    return { expires_at: new Date(this.#pair.validTo).toISOString() };
  }

  health() {
    return { ...this.#dates(), last_error: this.#problem };
  }

  stop() {
    this.#stop.abort();
  }
}
