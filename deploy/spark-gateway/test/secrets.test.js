import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog, newsOnly } from '../src/log.js';
import { directory, KEY, MNEMONIC, ready, receiver } from './harness.js';

const PREIMAGE = 'a79c64dfddd88ab5f091e5068d6f79fcc2475e51e346a6eac7a399ec32b7b5cb';

test('nothing secret is logged, at any level, whatever the SDK says', async (t) => {
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  const to = await receiver(t, [500]);
  const gateway = await ready(t, directory(t), { LOG_LEVEL: 'debug', GUICHE_WEBHOOK_URL: to.url, WEBHOOK_SECRET: secret });
  const leak = `seed "${MNEMONIC}" part ${MNEMONIC.slice(0, 30)} key ${KEY} hook ${secret} preimage ${PREIMAGE}`;
  const failing = (error) => ({ kind: 'fail', error, message: leak });

  for (const error of ['SparkRequestError', 'SparkValidationError', 'SparkError']) {
    await gateway.spark('/behave', { create: failing(error) });
    const answer = await gateway.issue(`leak-${error}`);
    assert.ok(answer.status >= 400);
    assertClean(answer.text, secret);
  }
  const { body: { invoice_id: id } } = await gateway.issue('one');
  await gateway.spark('/behave', { read: failing('SparkRequestError') });
  assertClean((await gateway.status(id)).text, secret);
  await gateway.spark('/reject', { message: leak });
  await gateway.spark('/console', { message: leak });
  await gateway.spark('/pay', { id });
  await gateway.status(id);
  await to.pushes(2);
  await gateway.fetch('/v1/invoices/x', { key: `${KEY}-wrong` });
  await gateway.line((line) => line.event === 'sdk.unhandled_rejection');
  assertClean((await gateway.fetch('/health')).text, secret);
  await gateway.kill('SIGTERM');

  assert.match(gateway.output, /"event":"sdk.console"[^\n]*\[redacted\]/, 'the attempt to leak was logged, redacted');
  assertClean(gateway.output, secret);
});

function assertClean(text, secret) {
  for (const needle of [MNEMONIC, 'abandon abandon', KEY, secret, secret.slice(6), PREIMAGE]) {
    assert.equal(text.includes(needle), false, `${needle.slice(0, 12)}… is in: ${text.slice(0, 300)}`);
  }
}

test('the secrets leave the environment once they are read', async (t) => {
  const gateway = await ready(t, directory(t));
  const { names } = await gateway.spark('/environment');
  assert.ok(names.includes('SPARK_NETWORK'));
  for (const name of ['SPARK_MNEMONIC', 'SPARK_API_KEYS', 'WEBHOOK_SECRET']) assert.equal(names.includes(name), false, name);
});

test('a log strikes values, runs of seed words, long hex, and fields by their names', () => {
  const lines = [];
  const log = createLog({ level: 'debug', secrets: [MNEMONIC, KEY], write: (line) => lines.push(JSON.parse(line)), now: () => 0 });
  log.info('x', { text: `a ${KEY} b`, words: 'say abandon abandon about now', preimage: 'short', nested: { preimage: PREIMAGE }, hex: PREIMAGE });
  log.error('y', { error: new Error('outer', { cause: new Error(`inner ${MNEMONIC}`) }) });
  assert.deepEqual(lines[0], {
    at: '1970-01-01T00:00:00.000Z', level: 'info', event: 'x',
    text: 'a [redacted] b', words: 'say [redacted] now', preimage: '[redacted]', nested: '[object]', hex: '[hex]',
  });
  assert.equal(lines[1].error, 'Error: outer <- Error: inner [redacted]');
});

test('levels', () => {
  const events = [];
  const log = createLog({ level: 'warn', secrets: [], write: (line) => events.push(JSON.parse(line).event) });
  for (const level of ['debug', 'info', 'warn', 'error', 'always']) log[level](level);
  assert.deepEqual(events, ['warn', 'error', 'always']);
});

test('what is said again and again is logged once a minute', () => {
  let now = 0;
  const isNews = newsOnly(() => now);
  assert.deepEqual([isNews('a'), isNews('a'), isNews('b')], [true, false, true]);
  now = 59_999;
  assert.equal(isNews('a'), false);
  now = 60_000;
  assert.deepEqual([isNews('a'), isNews('a')], [true, false]);
});
