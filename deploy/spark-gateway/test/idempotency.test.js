import assert from 'node:assert/strict';
import { test } from 'node:test';
import { directory, INVOICE, ready, start } from './harness.js';

const creates = async (gateway) => (await gateway.spark('/state')).calls.create;

test('the same key and body give the same bytes, also after a restart, kill -9 included', async (t) => {
  const dir = directory(t);
  let gateway = await ready(t, dir);
  const first = await gateway.issue('one');
  const again = await gateway.issue('one', { expiry_seconds: 900, memo: INVOICE.memo, amount_sats: 50_000 });
  assert.deepEqual([first.status, again.status], [201, 200]);
  assert.equal(again.text, first.text);
  for (const signal of ['SIGKILL', 'SIGTERM']) {
    await gateway.kill(signal);
    gateway = await ready(t, dir);
    assert.equal((await gateway.issue('one')).text, first.text);
  }
  assert.equal(await creates(gateway), 1);
});

test('another body under the key is refused, also after a restart', async (t) => {
  const dir = directory(t);
  let gateway = await ready(t, dir);
  await gateway.issue('one');
  for (let round = 0; round < 2; round += 1) {
    for (const change of [{ amount_sats: 50_001 }, { memo: 'other' }, { expiry_seconds: 901 }]) {
      const answer = await gateway.issue('one', { ...INVOICE, ...change });
      assert.deepEqual([answer.status, answer.body.error.code], [422, 'idempotency_key_reused']);
    }
    await gateway.kill();
    gateway = await ready(t, dir);
  }
  assert.equal(await creates(gateway), 1);
});

test('an invoice that ran out is still its key\'s', async (t) => {
  const gateway = await ready(t, directory(t), { SPARK_EXPIRY_GRACE_SECONDS: '0' });
  const brief = { ...INVOICE, expiry_seconds: 1 };
  const first = await gateway.issue('one', brief);
  await gateway.line((line) => line.event === 'invoice.changed' && line.status === 'expired');
  assert.equal((await gateway.issue('one', brief)).text, first.text);
});

test('fifty at once with one key: one call to Spark', async (t) => {
  const gateway = await ready(t, directory(t));
  await gateway.spark('/behave', { create: { kind: 'hold_answer' } });
  const first = gateway.issue('one');
  await untilHeld(gateway, 1);
  const others = Array.from({ length: 49 }, () => gateway.issue('one'));
  const other = await gateway.issue('one', { ...INVOICE, amount_sats: 1 });
  assert.equal(other.status, 422, 'another body does not wait');
  await gateway.spark('/release', {});
  const answers = await Promise.all([first, ...others]);
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
  assert.equal(answers.filter(({ status }) => status === 201).length, 1);
  assert.equal(await creates(gateway), 1);
});

test('killed before Spark was asked: the next request makes the invoice', async (t) => {
  const { gateway, answer } = await killedWhile(t, 'crash_before');
  assert.equal(answer.status, 201);
  const { requests } = await gateway.spark('/state');
  assert.deepEqual(requests.map(({ id }) => id), [answer.body.invoice_id]);
});

test('killed between Spark\'s answer and the commit: at worst an invoice that nobody has seen', async (t) => {
  const { gateway, answer } = await killedWhile(t, 'crash_after');
  assert.equal(answer.status, 201);
  const { requests } = await gateway.spark('/state');
  assert.equal(requests.length, 2);
  assert.equal(requests[1].id, answer.body.invoice_id);
  assert.equal((await gateway.issue('one')).text, answer.text, 'and from now on it is this one');
  const other = await gateway.issue('one', { ...INVOICE, amount_sats: 1 });
  assert.equal(other.status, 422);
});

test('killed without an answer, the key still belongs to its body', async (t) => {
  const dir = directory(t);
  const gateway = await ready(t, dir);
  await gateway.spark('/behave', { create: { kind: 'crash_after' } });
  await assert.rejects(gateway.issue('one'));
  const next = await ready(t, dir);
  const other = await next.issue('one', { ...INVOICE, amount_sats: 1 });
  assert.deepEqual([other.status, other.body.error.code], [422, 'idempotency_key_reused']);
});

test('Spark\'s answer was lost: the next request makes another, and stays with it', async (t) => {
  const gateway = await ready(t, directory(t));
  await gateway.spark('/behave', { create: { kind: 'lose' } });
  assert.equal((await gateway.issue('one')).status, 503);
  const second = await gateway.issue('one');
  assert.equal(second.status, 201);
  assert.equal((await gateway.issue('one')).text, second.text);
  assert.equal((await gateway.spark('/state')).requests.length, 2);
});

test('Spark refused: nothing happened, so the key is free for another body', async (t) => {
  const gateway = await ready(t, directory(t));
  await gateway.spark('/behave', { create: { kind: 'fail', error: 'SparkError', message: 'no' } });
  assert.equal((await gateway.issue('one')).status, 502);
  assert.equal((await gateway.issue('one', { ...INVOICE, amount_sats: 1 })).status, 201);
});

test('a refusal after a lost answer does not free the key', async (t) => {
  const gateway = await ready(t, directory(t));
  await gateway.spark('/behave', { create: { kind: 'lose' } });
  assert.equal((await gateway.issue('one')).status, 503);
  await gateway.spark('/behave', { create: { kind: 'fail', error: 'SparkError', message: 'no' } });
  assert.equal((await gateway.issue('one')).status, 502);
  assert.equal((await gateway.issue('one', { ...INVOICE, amount_sats: 1 })).status, 422);
});

test('an answer that comes after the caller gave up is kept for the next request', async (t) => {
  const gateway = await ready(t, directory(t), { SPARK_CALL_TIMEOUT_SECONDS: '0.3' });
  await gateway.spark('/behave', { create: { kind: 'hold_answer' } });
  const slow = await gateway.issue('one');
  assert.deepEqual([slow.status, slow.body.error.code], [503, 'spark_unavailable']);
  await gateway.spark('/release', {});
  const { invoice_id: id } = await gateway.line((line) => line.event === 'invoice.issued');
  const next = await gateway.issue('one');
  assert.deepEqual([next.status, next.body.invoice_id], [200, id]);
  assert.equal(await creates(gateway), 1);
});

test('a call that never answers is abandoned, and the first invoice written down wins', async (t) => {
  const gateway = await ready(t, directory(t), { SPARK_CALL_TIMEOUT_SECONDS: '0.1' });
  await gateway.spark('/behave', { create: { kind: 'hold_answer' } });
  let answer;
  do answer = await gateway.issue('one'); while (answer.status === 503);
  assert.equal(answer.status, 201);
  await gateway.spark('/release', {});
  const unseen = await gateway.line((line) => line.event === 'invoice.unseen');
  assert.notEqual(unseen.invoice_id, answer.body.invoice_id);
  assert.equal((await gateway.issue('one')).text, answer.text);
});

test('asked to stop, it answers what is running and writes it down', async (t) => {
  const dir = directory(t);
  const gateway = await ready(t, dir);
  await gateway.spark('/behave', { create: { kind: 'hold_answer' } });
  const running = gateway.issue('one');
  await untilHeld(gateway, 1);
  gateway.child.kill('SIGTERM');
  await gateway.line((line) => line.event === 'stopping');
  await gateway.spark('/release', {});
  const answer = await running;
  assert.equal(answer.status, 201);
  assert.deepEqual(await gateway.exited, { code: 0, signal: null });
  const next = await ready(t, dir);
  assert.equal((await next.issue('one')).text, answer.text);
});

async function killedWhile(t, kind) {
  const dir = directory(t);
  const first = await ready(t, dir);
  await first.spark('/behave', { create: { kind } });
  await assert.rejects(first.issue('one'));
  assert.deepEqual(await first.exited, { code: null, signal: 'SIGKILL' });
  const gateway = start(t, dir);
  await gateway.listening();
  await gateway.line((line) => line.event === 'wallet.ready');
  return { gateway, answer: await gateway.issue('one') };
}

/** The played wallet answers this one only when so many calls are held. */
async function untilHeld(gateway, count) {
  let held;
  do ({ held } = await gateway.spark('/state')); while (held < count);
}
