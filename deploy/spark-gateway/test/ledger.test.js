import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DatabaseSync } from '@photostructure/sqlite';
import { Ledger } from '../src/ledger.js';
import { atEnd, directory, ready, start } from './harness.js';

const made = (id) => ({ id, bolt11: 'lnbcrt1x', payment_hash: id.padStart(64, '0'), created_at: 1, expires_at: 2, spark_status: 'INVOICE_CREATED' });
const open = (dataDir, network = 'REGTEST') => new Ledger({ dataDir, network, wantsPushes: true });

test('a second process on the same ledger does not start, and the first goes on', async (t) => {
  const dir = directory(t);
  const first = await ready(t, dir);
  const second = start(t, dir);
  assert.deepEqual(await second.exited, { code: 74, signal: null });
  assert.match(second.output, /"event":"refused"[^]*locked/);
  assert.equal((await first.issue('one')).status, 201);
});

test('the lock dies with the process', async (t) => {
  const dir = directory(t);
  for (let life = 0; life < 3; life += 1) await (await ready(t, dir)).kill();
  assert.equal((await (await ready(t, dir)).issue('one')).status, 201);
});

test('a ledger stays with its network', (t) => {
  const dir = directory(t);
  open(dir).close();
  assert.throws(() => open(dir, 'MAINNET'), /another network/);
  open(dir).close();
});

test('a ledger of a newer gateway is left alone', (t) => {
  const dir = directory(t);
  open(dir).close();
  const db = new DatabaseSync(join(dir, 'ledger.sqlite3'));
  db.exec('PRAGMA user_version = 2');
  db.close();
  assert.throws(() => open(dir), /newer gateway/);
});

test('only the owner reads it, and every commit is flushed', (t) => {
  const dir = join(directory(t), 'data');
  const ledger = open(dir);
  atEnd(t, () => ledger.close());
  assert.equal(statSync(dir).mode & 0o777, 0o700);
  assert.equal(statSync(join(dir, 'ledger.sqlite3')).mode & 0o777, 0o600);
  assert.deepEqual(ledger.durability(), { journal: 'wal', flush: 'full', lock: 'exclusive' });
});

test('the first invoice of a key wins', (t) => {
  const ledger = open(directory(t));
  atEnd(t, () => ledger.close());
  ledger.beginCall('k', 'f', 1);
  ledger.beginCall('k', 'f', 2);
  assert.equal(ledger.finishCall('k', made('a'), 9).id, 'a');
  assert.equal(ledger.finishCall('k', made('b'), 9).id, 'a');
  assert.equal(ledger.findInvoice('b'), undefined);
});

test('a payment is written down once, together with its push, and nothing takes it back', (t) => {
  const dir = directory(t);
  const ledger = open(dir);
  ledger.beginCall('k', 'f', 1);
  ledger.finishCall('k', made('a'), 9);
  const see = (status, paidAt) => ledger.see('a', { status, sparkStatus: 'X', paidAt, now: 5 });
  assert.equal(see('pending', null).status, 'pending');
  assert.equal(ledger.duePushes(9, 10).length, 0, 'no change, no push');
  assert.deepEqual([see('paid', 4).paid_at, see('paid', 7).paid_at, see('expired', null).status], [4, 4, 'paid']);
  assert.equal(ledger.duePushes(9, 10).length, 1);
  assert.equal(ledger.dueLooks(1_000_000, 10).length, 0);
  ledger.close();
  const db = new DatabaseSync(join(dir, 'ledger.sqlite3'));
  atEnd(t, () => db.close());
  assert.throws(() => db.exec("UPDATE invoices SET paid_at = 8 WHERE id = 'a'"), /does not change/);
  assert.throws(() => db.exec("UPDATE invoices SET status = 'pending', paid_at = NULL WHERE id = 'a'"), /does not change/);
});

test('a refused write leaves nothing behind', (t) => {
  const ledger = open(directory(t));
  atEnd(t, () => ledger.close());
  ledger.beginCall('one', 'f', 1);
  ledger.finishCall('one', made('a'), 9);
  ledger.beginCall('two', 'f', 1);
  assert.throws(() => ledger.finishCall('two', { ...made('b'), payment_hash: made('a').payment_hash }, 9), /UNIQUE/);
  assert.equal(ledger.findKey('two').invoice_id, null);
  assert.equal(ledger.findInvoice('b'), undefined);
});
