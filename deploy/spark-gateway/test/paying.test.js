import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { directory, INVOICE, ready } from './harness.js';

const changed = (gateway, status) => gateway.line((line) => line.event === 'invoice.changed' && line.status === status);
const BRIEF = { ...INVOICE, expiry_seconds: 1 };

async function issued(t, env, invoice) {
  const gateway = await ready(t, directory(t), env);
  const { body } = await gateway.issue('one', invoice);
  return { gateway, id: body.invoice_id, invoice: body };
}

test('a payment is paid at the moment that Spark gives, and that moment stays', async (t) => {
  const { gateway, id } = await issued(t);
  const paidAt = new Date(Date.now() - 5000).toISOString();
  await gateway.spark('/pay', { id, updatedAt: paidAt });
  const first = await gateway.status(id);
  assert.deepEqual(first.body, { status: 'paid', paid_at: paidAt, spark_status: 'LIGHTNING_PAYMENT_RECEIVED' });
  await gateway.spark('/set', { id, status: 'TRANSFER_COMPLETED', updatedAt: new Date().toISOString() });
  assert.equal((await gateway.status(id)).body.paid_at, paidAt);
  await gateway.spark('/set', { id, status: 'TRANSFER_FAILED' });
  assert.equal((await gateway.status(id)).body.status, 'paid', 'what was paid stays paid');
});

test('the frozen moment survives kill -9', async (t) => {
  const dir = directory(t);
  const gateway = await ready(t, dir);
  const { body: { invoice_id: id } } = await gateway.issue('one');
  await gateway.spark('/pay', { id });
  const before = await gateway.status(id);
  await gateway.spark('/set', { id, status: 'TRANSFER_COMPLETED' });
  await gateway.kill();
  const next = await ready(t, dir);
  assert.deepEqual((await next.status(id)).body, before.body);
});

test('a clock that runs ahead, or no moment at all, is not believed', async (t) => {
  for (const updatedAt of [new Date(Date.now() + 3_600_000).toISOString(), 'yesterday', null]) {
    const { gateway, id } = await issued(t);
    const before = Date.now();
    await gateway.spark('/pay', { id, updatedAt });
    const paidAt = Date.parse((await gateway.status(id)).body.paid_at);
    assert.ok(paidAt >= before && paidAt <= Date.now(), `${updatedAt}`);
  }
});

test('the watcher sees a payment that nobody asked about', async (t) => {
  const { gateway, id } = await issued(t, { SPARK_WATCH_SECONDS: '0.02' });
  await gateway.spark('/pay', { id });
  assert.equal((await changed(gateway, 'paid')).invoice_id, id);
});

test('a payment that nobody had seen when the gateway was killed is seen after the restart', async (t) => {
  const dir = directory(t);
  const gateway = await ready(t, dir);
  const { body: { invoice_id: id } } = await gateway.issue('one', BRIEF);
  await gateway.spark('/pay', { id });
  await gateway.kill();
  const next = await ready(t, dir);
  assert.equal((await changed(next, 'paid')).invoice_id, id);
});

test('an unpaid invoice expires', async (t) => {
  const { gateway, id } = await issued(t, { SPARK_EXPIRY_GRACE_SECONDS: '0' }, BRIEF);
  await changed(gateway, 'expired');
  assert.deepEqual((await gateway.status(id)).body, { status: 'expired', paid_at: null, spark_status: 'INVOICE_CREATED' });
});

test('one with money on its way does not, and one that Spark failed does', async (t) => {
  const gateway = await ready(t, directory(t), { SPARK_EXPIRY_GRACE_SECONDS: '0' });
  const { body: moving } = await gateway.issue('moving', BRIEF);
  await gateway.spark('/set', { id: moving.invoice_id, status: 'TRANSFER_CREATED' });
  const { body: failed } = await gateway.issue('failed', BRIEF);
  await gateway.spark('/set', { id: failed.invoice_id, status: 'TRANSFER_CREATION_FAILED' });
  assert.equal((await changed(gateway, 'expired')).invoice_id, failed.invoice_id);
  assert.equal((await gateway.status(moving.invoice_id)).body.status, 'pending');
});

test('late money turns an expired invoice paid', async (t) => {
  const { gateway, id } = await issued(t, { SPARK_EXPIRY_GRACE_SECONDS: '0' }, BRIEF);
  await changed(gateway, 'expired');
  await gateway.spark('/pay', { id });
  assert.equal((await gateway.status(id)).body.status, 'paid');
});

test('a status that nobody has heard of is pending, and passed on', async (t) => {
  const { gateway, id } = await issued(t);
  await gateway.spark('/set', { id, status: 'SOMETHING_NEW' });
  assert.deepEqual((await gateway.status(id)).body, { status: 'pending', paid_at: null, spark_status: 'SOMETHING_NEW' });
});

test('without an answer of Spark there is no status, except for what is known to be paid', async (t) => {
  const gateway = await ready(t, directory(t), { SPARK_CALL_TIMEOUT_SECONDS: '0.2' });
  const { body: open } = await gateway.issue('open');
  const { body: paid } = await gateway.issue('paid');
  await gateway.spark('/pay', { id: paid.invoice_id });
  await gateway.status(paid.invoice_id);
  for (const behaviour of [{ kind: 'fail' }, { kind: 'hold' }]) {
    await gateway.spark('/behave', { read: behaviour });
    const answer = await gateway.status(open.invoice_id);
    assert.deepEqual([answer.status, answer.body.error.code], [503, 'spark_unavailable']);
  }
  await gateway.spark('/behave', { read: { kind: 'fail', times: 'always' } });
  assert.equal((await gateway.status(paid.invoice_id)).body.status, 'paid');
});

test('Spark forgets an invoice, or changes its hash: an incident, not a status', async (t) => {
  const { gateway, id } = await issued(t);
  await gateway.spark('/behave', { read: { kind: 'answer', value: { invoice: { paymentHash: '0'.repeat(64) }, status: 'TRANSFER_COMPLETED' } } });
  const changedHash = await gateway.status(id);
  await gateway.spark('/behave', { read: { kind: 'answer', value: { id: 'SparkLightningReceiveRequest:other', status: 'TRANSFER_COMPLETED' } } });
  const otherId = await gateway.status(id);
  await gateway.spark('/forget', { id });
  const forgotten = await gateway.status(id);
  for (const answer of [changedHash, otherId, forgotten]) {
    assert.deepEqual([answer.status, answer.body.error.code], [502, 'spark_bad_answer']);
  }
});

test('after a loss of the ledger Spark still knows the invoices', async (t) => {
  const dir = directory(t);
  const gateway = await ready(t, dir);
  const { body: { invoice_id: id } } = await gateway.issue('one');
  await gateway.kill();
  rmSync(join(dir, 'data'), { recursive: true });
  const next = await ready(t, dir);
  assert.equal((await next.status(id)).body.status, 'pending');
  await next.spark('/pay', { id });
  assert.equal((await next.status(id)).body.status, 'paid');
});

test('a preimage that does not fit is told, and Spark\'s word stands', async (t) => {
  const { gateway, id } = await issued(t);
  await gateway.spark('/behave', { read: { kind: 'answer', value: { status: 'TRANSFER_COMPLETED', paymentPreimage: '00'.repeat(32) } } });
  assert.equal((await gateway.status(id)).body.status, 'paid');
  await gateway.line((line) => line.event === 'invoice.proof_does_not_fit' && line.invoice_id === id);
});

test('many questions about one invoice at once are one question to Spark', async (t) => {
  const { gateway, id } = await issued(t);
  await gateway.spark('/behave', { read: { kind: 'hold' } });
  const first = gateway.status(id);
  let held;
  do ({ held } = await gateway.spark('/state')); while (held === 0);
  const others = Array.from({ length: 20 }, () => gateway.status(id));
  assert.equal((await gateway.fetch('/health')).status, 200);
  await gateway.spark('/release', {});
  const answers = await Promise.all([first, ...others]);
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  assert.ok((await gateway.spark('/state')).calls.read <= 2);
});
