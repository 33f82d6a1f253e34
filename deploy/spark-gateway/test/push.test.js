import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { directory, ready, receiver } from './harness.js';

const OLD = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const NEW = `whsec_${Buffer.alloc(32, 2).toString('base64')}`;
const pushing = (to, secret = NEW) => ({ GUICHE_WEBHOOK_URL: to.url, WEBHOOK_SECRET: secret });

/** Issues and pays an invoice, and lets the gateway see it. */
async function paid(gateway, key = 'one') {
  const { body: { invoice_id: id } } = await gateway.issue(key);
  await gateway.spark('/pay', { id });
  await gateway.status(id);
  return id;
}

test('a push is a Standard Webhook that carries an id', async (t) => {
  const to = await receiver(t);
  const gateway = await ready(t, directory(t), pushing(to));
  const id = await paid(gateway);
  const [push] = await to.pushes(1);
  const verified = new Webhook(NEW).verify(push.body, push.headers);
  assert.deepEqual(Object.keys(verified), ['type', 'timestamp', 'data']);
  assert.deepEqual([verified.type, verified.data], ['invoice.updated', { invoice_id: id }]);
  assert.match(verified.timestamp, /Z$/);
  assert.match(push.headers['webhook-id'], /^msg_[0-9a-f-]{36}$/);
  assert.equal(push.headers['content-type'], 'application/json');
  assert.throws(() => new Webhook(OLD).verify(push.body, push.headers));
  assert.throws(() => new Webhook(NEW).verify(`${push.body} `, push.headers));
});

test('while a secret rotates, both the old and the new one fit', async (t) => {
  const to = await receiver(t);
  const gateway = await ready(t, directory(t), pushing(to, `${NEW},${OLD}`));
  await paid(gateway);
  const [push] = await to.pushes(1);
  for (const secret of [OLD, NEW]) new Webhook(secret).verify(push.body, push.headers);
});

test('one push per change: expired, then paid late', async (t) => {
  const to = await receiver(t);
  const gateway = await ready(t, directory(t), { ...pushing(to), SPARK_EXPIRY_GRACE_SECONDS: '0' });
  const { body: { invoice_id: id } } = await gateway.issue('one', { amount_sats: 1, memo: '', expiry_seconds: 1 });
  await gateway.line((line) => line.event === 'invoice.changed' && line.status === 'expired');
  await to.pushes(1);
  await gateway.spark('/pay', { id });
  for (let asked = 0; asked < 3; asked += 1) await gateway.status(id);
  const pushes = await to.pushes(2);
  assert.equal(new Set(pushes.map(({ headers }) => headers['webhook-id'])).size, 2);
  assert.equal((await gateway.fetch('/health')).body.push.owed <= 1, true);
});

test('a push is repeated until it is taken, under the same id', async (t) => {
  const to = await receiver(t, [500, 401, 302, 404]);
  const gateway = await ready(t, directory(t), pushing(to));
  await paid(gateway);
  const pushes = await to.pushes(5);
  assert.equal(new Set(pushes.map(({ headers }) => headers['webhook-id'])).size, 1);
  for (const { body, headers } of pushes) new Webhook(NEW).verify(body, headers);
  assert.ok(pushes.every(({ path }) => path === '/webhooks/spark'), 'a redirect is not followed');
  await gateway.line((line) => line.event === 'push.delivered');
  const { push } = (await gateway.fetch('/health')).body;
  assert.deepEqual(push, { enabled: true, owed: 0, oldest_age_seconds: null });
});

test('a push that is owed survives kill -9', async (t) => {
  const dir = directory(t);
  const away = { GUICHE_WEBHOOK_URL: 'http://127.0.0.1:1/', WEBHOOK_SECRET: NEW };
  const gateway = await ready(t, dir, away);
  const id = await paid(gateway);
  const { push_id: pushId } = await gateway.line((line) => line.event === 'push.failed' && line.problem === 'no connection');
  assert.equal((await gateway.fetch('/health')).body.push.owed, 1);
  await gateway.kill();
  const to = await receiver(t);
  await ready(t, dir, pushing(to));
  const [push] = await to.pushes(1);
  assert.equal(push.headers['webhook-id'], pushId);
  assert.equal(JSON.parse(push.body).data.invoice_id, id);
});

test('one that fails holds up no other', async (t) => {
  const to = await receiver(t, [500]);
  const gateway = await ready(t, directory(t), { ...pushing(to), PUSH_RETRY_SECONDS: '3600' });
  const poison = await paid(gateway, 'one');
  await gateway.line((line) => line.event === 'push.failed');
  const other = await paid(gateway, 'two');
  const pushes = await to.pushes(2);
  assert.deepEqual(pushes.map(({ body }) => JSON.parse(body).data.invoice_id), [poison, other]);
  await gateway.line((line) => line.event === 'push.delivered' && line.invoice_id === other);
});

test('without an address nothing is owed', async (t) => {
  const gateway = await ready(t, directory(t));
  await paid(gateway);
  assert.deepEqual((await gateway.fetch('/health')).body.push, { enabled: false, owed: 0, oldest_age_seconds: null });
});
