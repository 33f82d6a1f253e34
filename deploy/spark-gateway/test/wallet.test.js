import assert from 'node:assert/strict';
import { test } from 'node:test';
import { directory, MNEMONIC, ready, start } from './harness.js';

const behaviour = (value) => ({ FAKE_SPARK_BEHAVIOUR: JSON.stringify(value) });

test('the gateway listens before the wallet is open, and keeps trying', async (t) => {
  const gateway = start(t, directory(t), behaviour({ open: { kind: 'fail', error: 'SparkAuthenticationError', times: 'always' } }));
  await gateway.listening();
  await gateway.line((line) => line.event === 'wallet.start_failed' && line.attempt === 3);
  const health = await gateway.fetch('/health');
  assert.equal(health.status, 503);
  assert.equal(health.body.status, 'unavailable');
  const live = await gateway.fetch('/live', { key: null });
  assert.deepEqual([live.status, live.body], [200, { status: 'live' }], 'a restart would not mend Spark');
  assert.ok(health.body.wallet.attempts >= 3);
  assert.equal(health.body.wallet.last_error, 'spark_unavailable');
  assert.equal(health.body.wallet.last_success_age_seconds, null);
  for (const answer of [await gateway.issue('one'), await gateway.status('SparkLightningReceiveRequest:x')]) {
    assert.deepEqual([answer.status, answer.body.error.code], [503, 'spark_unavailable']);
  }
  await gateway.spark('/behave', { open: null });
  await gateway.line((line) => line.event === 'wallet.ready');
  assert.equal((await gateway.issue('one')).status, 201);
  assert.equal((await gateway.fetch('/health')).status, 200);
});

test('the pauses between attempts grow', async (t) => {
  const gateway = start(t, directory(t), { ...behaviour({ open: { kind: 'fail', times: 4 } }), SPARK_RESTART_SECONDS: '0.01,0.02,0.03' });
  const failed = (attempt) => gateway.line((line) => line.event === 'wallet.start_failed' && line.attempt === attempt);
  const pauses = [];
  for (const attempt of [1, 2, 3, 4]) pauses.push((await failed(attempt)).next_attempt_in_ms);
  assert.deepEqual(pauses, [10, 20, 30, 30]);
});

test('an opening that hangs is given up, and closed when it comes after all', async (t) => {
  const gateway = start(t, directory(t), { ...behaviour({ open: { kind: 'hold' } }), SPARK_CALL_TIMEOUT_SECONDS: '0.05' });
  await gateway.line((line) => line.event === 'wallet.start_failed' && line.error.includes('timed out'));
  await gateway.line((line) => line.event === 'wallet.ready');
  await gateway.spark('/release', {});
  let calls;
  do ({ calls } = await gateway.spark('/state')); while (calls.cleanup === 0);
  assert.equal(calls.open, 2);
});

test('an account that stops working is replaced', async (t) => {
  const gateway = await ready(t, directory(t));
  const { body: { invoice_id: id } } = await gateway.issue('one');
  await gateway.spark('/behave', { read: { kind: 'fail', times: 5 } });
  for (let failed = 1; failed <= 4; failed += 1) assert.equal((await gateway.status(id)).status, 503);
  assert.equal((await gateway.fetch('/health')).body.wallet.consecutive_failures, 4);
  assert.equal((await gateway.status(id)).status, 503);
  await gateway.line((line) => line.event === 'wallet.reopening');
  let calls;
  do ({ calls } = await gateway.spark('/state')); while (calls.open < 2);
  let health;
  do health = await gateway.fetch('/health'); while (health.status !== 200);
  assert.equal(calls.cleanup, 1);
  assert.equal(health.body.wallet.consecutive_failures, 0);
  assert.equal((await gateway.status(id)).status, 200);
});

test('one that was opened just now is given time', async (t) => {
  const gateway = await ready(t, directory(t), { SPARK_RESTART_SECONDS: '3600' });
  const { body: { invoice_id: id } } = await gateway.issue('one');
  await gateway.spark('/behave', { read: { kind: 'fail', times: 12 } });
  for (let failed = 0; failed < 12; failed += 1) assert.equal((await gateway.status(id)).status, 503);
  assert.equal((await gateway.spark('/state')).calls.open, 1);
  assert.equal((await gateway.status(id)).status, 200);
});

test('answers that Spark does give are no failures of the connection', async (t) => {
  const gateway = await ready(t, directory(t));
  const refusal = { kind: 'fail', error: 'SparkRequestError', original: 'Request RequestLightningReceive failed. [{}]', times: 8 };
  await gateway.spark('/behave', { create: refusal });
  for (let refused = 0; refused < 8; refused += 1) assert.equal((await gateway.issue(`k${refused}`)).status, 502);
  assert.equal((await gateway.fetch('/health')).body.wallet.consecutive_failures, 0);
});

test('an unhandled rejection of the SDK shows in the health and ends nothing', async (t) => {
  const gateway = await ready(t, directory(t));
  await gateway.spark('/reject', { message: 'one' });
  await gateway.spark('/reject', { message: 'two' });
  await gateway.line((line) => line.event === 'sdk.unhandled_rejection' && line.count === 2);
  const { status, body } = await gateway.fetch('/health');
  assert.deepEqual([status, body.wallet.unhandled_rejections], [200, 2]);
  assert.equal((await gateway.issue('one')).status, 201);
});

test('an exception that nobody caught ends the process, and the next one goes on', async (t) => {
  const dir = directory(t);
  const gateway = await ready(t, dir);
  const { text } = await gateway.issue('one');
  await gateway.spark('/throw', { message: MNEMONIC });
  assert.deepEqual(await gateway.exited, { code: 70, signal: null });
  assert.match(gateway.output, /"event":"process.broken"[^\n]*\[redacted\]/);
  assert.equal((await (await ready(t, dir)).issue('one')).text, text);
});

test('when nobody asks, the newest invoice is looked at, so that the health knows', async (t) => {
  const gateway = await ready(t, directory(t), { SPARK_PROBE_SECONDS: '0' });
  await gateway.issue('one');
  const before = (await gateway.spark('/state')).calls.read;
  let calls;
  do ({ calls } = await gateway.spark('/state')); while (calls.read <= before);
});

test('another seed over the same ledger is refused, and asks Spark for nothing', async (t) => {
  const dir = directory(t);
  const gateway = await ready(t, dir);
  const { body: { invoice_id: id } } = await gateway.issue('one');
  await gateway.kill();
  const other = start(t, dir, { SPARK_MNEMONIC: 'legal winner thank year wave sausage worth useful legal winner thank yellow' });
  await other.listening();
  await other.line((line) => line.event === 'wallet.wrong_account');
  const health = await other.fetch('/health');
  assert.deepEqual([health.status, health.body.wallet.state], [503, 'wrong_account']);
  assert.equal((await other.issue('two')).status, 503);
  assert.equal((await other.status(id)).status, 503);
  await other.kill('SIGTERM');
  assert.deepEqual(await other.exited, { code: 0, signal: null });
});

test('asked to stop, it does not wait for an opening that hangs', async (t) => {
  const gateway = start(t, directory(t), behaviour({ open: { kind: 'hold' } }));
  await gateway.listening();
  let calls;
  do ({ calls } = await gateway.spark('/state')); while (calls.open === 0);
  await gateway.kill('SIGTERM');
  assert.deepEqual(await gateway.exited, { code: 0, signal: null });
});
