// What must survive `kill -9`: which key got which invoice, when an invoice was paid, and which pushes are still owed.
// One SQLite file, one process: the lock is held as long as the process lives and the kernel drops it with the process.
// Every commit is flushed to the disk before anybody is told. Times are milliseconds since 1970.

import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';

const SCHEMA_VERSION = 1;

const SCHEMA = `
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE invoices (
  id            TEXT PRIMARY KEY,
  bolt11        TEXT NOT NULL,
  payment_hash  TEXT NOT NULL UNIQUE,
  created_at    INTEGER NOT NULL,
  expires_at    INTEGER NOT NULL,
  status        TEXT NOT NULL CHECK (status IN ('pending', 'paid', 'expired')),
  spark_status  TEXT NOT NULL,
  paid_at       INTEGER,
  looks         INTEGER NOT NULL DEFAULT 0,
  next_look_at  INTEGER,
  CHECK ((status = 'paid') = (paid_at IS NOT NULL))
) STRICT;
CREATE INDEX invoices_to_look_at ON invoices (next_look_at) WHERE next_look_at IS NOT NULL;
CREATE TRIGGER paid_is_final BEFORE UPDATE OF status, paid_at ON invoices
WHEN OLD.status = 'paid' AND (NEW.status <> 'paid' OR NEW.paid_at <> OLD.paid_at)
BEGIN SELECT RAISE(ABORT, 'a paid invoice does not change'); END;
-- A key without an invoice: Spark was asked and its answer is not known.
CREATE TABLE keys (
  key          TEXT PRIMARY KEY,
  fingerprint  TEXT NOT NULL,
  created_at   INTEGER NOT NULL,
  calls        INTEGER NOT NULL,
  invoice_id   TEXT REFERENCES invoices (id)
) STRICT;
CREATE TABLE pushes (
  id           TEXT PRIMARY KEY,
  invoice_id   TEXT NOT NULL REFERENCES invoices (id),
  occurred_at  INTEGER NOT NULL,
  attempts     INTEGER NOT NULL DEFAULT 0,
  next_at      INTEGER,
  outcome      TEXT CHECK (outcome IN ('delivered', 'given_up')),
  CHECK ((next_at IS NULL) = (outcome IS NOT NULL))
) STRICT;
CREATE INDEX pushes_to_send ON pushes (next_at) WHERE next_at IS NOT NULL;
`;

/**
 * @typedef {object} Invoice
 * @property {string} id
 * @property {string} bolt11
 * @property {string} payment_hash
 * @property {number} created_at
 * @property {number} expires_at
 * @property {import('./status.js').Status} status
 * @property {string} spark_status
 * @property {number | null} paid_at
 * @property {number} looks
 * @property {number | null} next_look_at
 *
 * @typedef {{ key: string, fingerprint: string, calls: number, invoice_id: string | null }} Key
 * @typedef {{ id: string, invoice_id: string, occurred_at: number, attempts: number, next_at: number }} Push
 * @typedef {Pick<Invoice, 'id' | 'bolt11' | 'payment_hash' | 'created_at' | 'expires_at' | 'spark_status'>} Made
 */

export class Ledger {
  #db;
  #statements = /** @type {Map<string, ReturnType<InstanceType<typeof DatabaseSync>['prepare']>>} */ (new Map());

  /**
   * Opens or creates the ledger of a network, and keeps every other process out of it.
   *
   * @param {{ dataDir: string, network: string, wantsPushes: boolean }} options
   */
  constructor({ dataDir, network, wantsPushes }) {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const file = join(dataDir, 'ledger.sqlite3');
    this.wantsPushes = wantsPushes;
    this.#db = new DatabaseSync(file);
    try {
      this.#db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
      this.#migrate();
      this.#belongsTo('network', network);
      chmodSync(file, 0o600);
    } catch (error) {
      this.#abandon();
      throw error;
    }
  }

  /** Ends what could not be opened, whoever may hold the lock. */
  #abandon() {
    try {
      this.close();
    } catch {
      this.#db.close();
    }
  }

  #migrate() {
    this.#atomically(() => {
      const version = Number(this.#one('PRAGMA user_version')?.user_version);
      if (version > SCHEMA_VERSION) throw new Error(`the ledger was written by a newer gateway (version ${version})`);
      if (version === 0) this.#db.exec(`${SCHEMA}; PRAGMA user_version = ${SCHEMA_VERSION}`);
    });
  }

  /** @param {string} name @param {string} value */
  #belongsTo(name, value) {
    if (!this.isOf(name, value)) throw new Error(`the ledger belongs to another ${name}`);
  }

  /** Whether the ledger belongs to this network or account; a ledger that belongs to none yet does from now on. @param {string} name @param {string} value */
  isOf(name, value) {
    this.#run('INSERT INTO about (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING', name, value);
    return this.#one('SELECT value FROM about WHERE name = ?', name)?.value === value;
  }

  /** @param {string} key @returns {Key | undefined} */
  findKey(key) {
    return this.#one('SELECT key, fingerprint, calls, invoice_id FROM keys WHERE key = ?', key);
  }

  /** Notes that Spark is about to be asked under this key. @param {string} key @param {string} fingerprint @param {number} now */
  beginCall(key, fingerprint, now) {
    this.#run(
      `INSERT INTO keys (key, fingerprint, created_at, calls) VALUES (?, ?, ?, 1)
       ON CONFLICT (key) DO UPDATE SET calls = calls + 1`,
      key, fingerprint, now,
    );
  }

  /** Frees a key for which Spark certainly made nothing. @param {string} key */
  releaseKey(key) {
    this.#run('DELETE FROM keys WHERE key = ? AND invoice_id IS NULL AND calls = 1', key);
    this.#run('UPDATE keys SET calls = calls - 1 WHERE key = ? AND invoice_id IS NULL', key);
  }

  /**
   * Gives the key its invoice, unless it has one already: the first wins, and the answer is the winner.
   *
   * @param {string} key @param {Made} made @param {number | null} nextLookAt
   * @returns {Invoice}
   */
  finishCall(key, made, nextLookAt) {
    return this.#atomically(() => {
      const winner = this.findKey(key)?.invoice_id;
      if (winner) return this.#mustFind(winner);
      this.#insert(made, nextLookAt);
      this.#run('UPDATE keys SET invoice_id = ? WHERE key = ?', made.id, key);
      return this.#mustFind(made.id);
    });
  }

  /** Takes in an invoice of this account that the ledger does not know, as after a restore. @param {Made} made @param {number} nextLookAt */
  adopt(made, nextLookAt) {
    this.#insert(made, nextLookAt);
    return this.#mustFind(made.id);
  }

  /** @param {Made} made @param {number | null} nextLookAt */
  #insert(made, nextLookAt) {
    this.#run(
      `INSERT INTO invoices (id, bolt11, payment_hash, created_at, expires_at, status, spark_status, next_look_at)
       VALUES (?, ?, ?, ?, ?, 'pending', ?, ?)`,
      made.id, made.bolt11, made.payment_hash, made.created_at, made.expires_at, made.spark_status, nextLookAt,
    );
  }

  /** @param {string} id @returns {Invoice | undefined} */
  findInvoice(id) {
    return this.#one('SELECT * FROM invoices WHERE id = ?', id);
  }

  /** @returns {Invoice | undefined} */
  newestInvoice() {
    return this.#one('SELECT * FROM invoices ORDER BY rowid DESC LIMIT 1');
  }

  /** @param {string} id */
  #mustFind(id) {
    const invoice = this.findInvoice(id);
    if (!invoice) throw new Error('the ledger lost an invoice');
    return invoice;
  }

  /**
   * Writes down what was seen, and owes a push when the status changed. A paid invoice stays as it was first seen.
   *
   * @param {string} id
   * @param {{ status: import('./status.js').Status, sparkStatus: string, paidAt: number | null, now: number }} seen
   * @returns {Invoice}
   */
  see(id, { status, sparkStatus, paidAt, now }) {
    return this.#atomically(() => {
      const before = this.#mustFind(id);
      if (before.status === 'paid') {
        this.#run('UPDATE invoices SET spark_status = ? WHERE id = ?', sparkStatus, id);
        return this.#mustFind(id);
      }
      this.#run('UPDATE invoices SET status = ?, spark_status = ?, paid_at = ? WHERE id = ?', status, sparkStatus, paidAt, id);
      if (status === 'paid') this.#run('UPDATE invoices SET next_look_at = NULL WHERE id = ?', id);
      if (status !== before.status && this.wantsPushes) {
        this.#run('INSERT INTO pushes (id, invoice_id, occurred_at, next_at) VALUES (?, ?, ?, ?)', `msg_${randomUUID()}`, id, now, now);
      }
      return this.#mustFind(id);
    });
  }

  /** Invoices whose next look is due. @param {number} now @param {number} limit @returns {Invoice[]} */
  dueLooks(now, limit) {
    return this.#all('SELECT * FROM invoices WHERE next_look_at <= ? ORDER BY next_look_at LIMIT ?', now, limit);
  }

  /** @param {string} id @param {number | null} nextLookAt */
  scheduleLook(id, nextLookAt) {
    this.#run(`UPDATE invoices SET looks = looks + 1, next_look_at = ? WHERE id = ? AND status <> 'paid'`, nextLookAt, id);
  }

  /** Pushes that are due. @param {number} now @param {number} limit @returns {Push[]} */
  duePushes(now, limit) {
    return this.#all('SELECT * FROM pushes WHERE next_at <= ? ORDER BY next_at LIMIT ?', now, limit);
  }

  /** @param {string} id @param {number} nextAt */
  retryPush(id, nextAt) {
    this.#run('UPDATE pushes SET attempts = attempts + 1, next_at = ? WHERE id = ?', nextAt, id);
  }

  /** @param {string} id @param {'delivered' | 'given_up'} outcome */
  finishPush(id, outcome) {
    this.#run('UPDATE pushes SET attempts = attempts + 1, next_at = NULL, outcome = ? WHERE id = ?', outcome, id);
  }

  /** How many pushes are owed, and since when the oldest. @returns {{ owed: number, oldest: number | null }} */
  pushBacklog() {
    const row = this.#one('SELECT count(*) AS owed, min(occurred_at) AS oldest FROM pushes WHERE next_at IS NOT NULL');
    return { owed: row.owed, oldest: row.oldest };
  }

  /** What the file's promises rest on, as SQLite has it. */
  durability() {
    return {
      journal: this.#one('PRAGMA journal_mode').journal_mode,
      flush: this.#one('PRAGMA synchronous').synchronous === 2 ? 'full' : 'less',
      lock: this.#one('PRAGMA locking_mode').locking_mode,
    };
  }

  /** Leaves one file, without a log beside it, and lets the lock go at once instead of with the last statement. */
  close() {
    this.#db.exec('PRAGMA journal_mode = DELETE; PRAGMA locking_mode = NORMAL; SELECT count(*) FROM about');
    this.#db.close();
  }

  /** @param {string} sql */
  #statement(sql) {
    const statement = this.#statements.get(sql) ?? this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  /** @param {string} sql @param {...(string | number | null)} values */
  #run(sql, ...values) {
    this.#statement(sql).run(...values);
  }

  /** @param {string} sql @param {...(string | number | null)} values @returns {any} */
  #one(sql, ...values) {
    return this.#statement(sql).get(...values);
  }

  /** @param {string} sql @param {...(string | number | null)} values @returns {any[]} */
  #all(sql, ...values) {
    return this.#statement(sql).all(...values);
  }

  /** @template T @param {() => T} work @returns {T} */
  #atomically(work) {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      this.#db.exec('ROLLBACK');
      throw error;
    }
  }
}
