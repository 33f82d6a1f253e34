import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import light from 'light-bolt11-decoder';
import { directory, INVOICE, KEY, ready } from './harness.js';

describe('the contract', () => {
  let gateway;
  let end;
  const suite = { after: (work) => { end = work; } };
  before(async () => { gateway = await ready(suite, directory(suite)); });
  after(() => end());

  const post = (headers, body = JSON.stringify(INVOICE)) =>
    gateway.fetch('/v1/invoices', { method: 'POST', headers: { 'content-type': 'application/json', 'idempotency-key': 'k', ...headers }, body });
  const assertError = (answer, status, code) => {
    assert.deepEqual([answer.status, answer.body.error.code], [status, code], answer.text);
    assert.deepEqual(Object.keys(answer.body), ['error']);
    assert.deepEqual(Object.keys(answer.body.error), ['code', 'message']);
    assert.equal(answer.headers.get('content-type'), 'application/json');
  };

  test('an invoice carries what was asked for', async () => {
    const { status, body } = await gateway.issue('carries');
    assert.equal(status, 201);
    assert.deepEqual(Object.keys(body), ['invoice_id', 'bolt11', 'payment_hash', 'expires_at']);
    assert.match(body.invoice_id, /^SparkLightningReceiveRequest:[0-9a-f-]{36}$/);
    assert.match(body.expires_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const decoded = Object.fromEntries(light.decode(body.bolt11).sections.map(({ name, value }) => [name, value]));
    assert.equal(decoded.amount, '50000000');
    assert.equal(decoded.description, INVOICE.memo);
    assert.equal(decoded.expiry, INVOICE.expiry_seconds);
    assert.equal(decoded.payment_hash, body.payment_hash);
    assert.equal(Date.parse(body.expires_at), (decoded.timestamp + decoded.expiry) * 1000);
  });

  test('the wallet is asked for no other way to pay', async () => {
    await gateway.issue('no other way', INVOICE);
    await gateway.issue('no-other-way');
    const { creates } = await gateway.spark('/state');
    for (const { includeSparkAddress, includeSparkInvoice } of creates) {
      assert.deepEqual([includeSparkAddress, includeSparkInvoice], [false, false]);
    }
    assert.deepEqual(creates.at(-1), {
      amountSats: 50_000, memo: INVOICE.memo, expirySeconds: 900, includeSparkAddress: false, includeSparkInvoice: false,
    });
  });

  test('a pending invoice', async () => {
    const { body } = await gateway.issue('pending');
    const { status, body: shown } = await gateway.status(body.invoice_id);
    assert.equal(status, 200);
    assert.deepEqual(shown, { status: 'pending', paid_at: null, spark_status: 'INVOICE_CREATED' });
  });

  test('an id may come without its colon encoded', async () => {
    const { body } = await gateway.issue('colon');
    assert.equal((await gateway.fetch(`/v1/invoices/${body.invoice_id}`)).status, 200);
  });

  test('limits of the fields', async () => {
    for (const [name, invoice] of Object.entries({
      least: { amount_sats: 1, memo: '', expiry_seconds: 1 },
      most: { amount_sats: 2_100_000_000_000_000, memo: 'x'.repeat(639), expiry_seconds: 2_592_000 },
    })) {
      assert.equal((await gateway.issue(name, invoice)).status, 201, name);
    }
    for (const [name, change] of Object.entries({
      'no amount': { amount_sats: undefined },
      'amount as a text': { amount_sats: '50000' },
      'no sats': { amount_sats: 0 },
      'negative sats': { amount_sats: -1 },
      'parts of a sat': { amount_sats: 1.5 },
      'more than there is': { amount_sats: 2_100_000_000_000_001 },
      'no memo': { memo: undefined },
      'memo is null': { memo: null },
      'memo of 640 bytes in 320 characters': { memo: 'é'.repeat(320) },
      'half a character': { memo: '\ud800' },
      'no expiry': { expiry_seconds: undefined },
      'no seconds': { expiry_seconds: 0 },
      'more than 30 days': { expiry_seconds: 2_592_001 },
      'unknown field': { includeSparkAddress: true },
    })) {
      const answer = await gateway.issue('limits', { ...INVOICE, ...change });
      assertError(answer, 400, 'invalid_request');
      assert.equal((await gateway.spark('/state')).creates.some((one) => one.memo === change.memo && change.memo), false, name);
    }
  });

  test('bodies that are none', async () => {
    for (const text of ['', '{', 'null', '[]', '"x"', '1']) assertError(await gateway.issue('bodies', text), 400, 'invalid_request');
    assertError(await post({}, Buffer.from([0x7b, 0xff, 0x7d])), 400, 'invalid_request');
    assertError(await post({ 'content-type': 'text/plain' }), 415, 'unsupported_media_type');
    assertError(await post({ 'content-type': 'application/json; charset=latin1' }), 415, 'unsupported_media_type');
    assert.equal((await post({ 'idempotency-key': 'charset', 'content-type': 'application/json; charset=UTF-8' })).status, 201);
  });

  test('a body that is too large, announced or not', async () => {
    const large = JSON.stringify({ ...INVOICE, memo: 'x'.repeat(16_400) });
    assertError(await post({}, large), 413, 'payload_too_large');
    assertError(await gateway.fetch('/v1/invoices', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'large', 'transfer-encoding': 'chunked' },
      body: large,
    }).catch(() => chunked(large)), 413, 'payload_too_large');
  });

  /** fetch refuses to send chunks by itself. */
  const chunked = (text) => new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', 'idempotency-key': 'large' };
    const call = request({ port: gateway.port, path: '/v1/invoices', method: 'POST', headers }, async (response) => {
      const body = Buffer.concat(await response.toArray()).toString();
      resolve({ status: response.statusCode, text: body, body: JSON.parse(body), headers: new Headers(response.headers) });
    });
    call.on('error', reject);
    call.write(text.slice(0, 100));
    call.end(text.slice(100));
  });

  test('the key of a request is required, once, and readable', async () => {
    assertError(await gateway.issue(null), 400, 'invalid_idempotency_key');
    for (const key of ['', 'a b', 'x'.repeat(256)]) assertError(await post({ 'idempotency-key': key }), 400, 'invalid_idempotency_key');
    assert.equal((await post({ 'idempotency-key': 'x'.repeat(255) })).status, 201);
    const twice = await raw(`POST /v1/invoices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nContent-Type: application/json\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`);
    assert.match(twice, /^HTTP\/1\.1 400 [^]*invalid_idempotency_key/);
  });

  test('nobody without a key', async () => {
    for (const authorization of ['', 'Bearer', 'Bearer ', `Basic ${KEY}`, `Bearer ${KEY}x`, `Bearer ${KEY.slice(1)}`, KEY, `Bearer ${KEY} ${KEY}`]) {
      for (const [path, method] of [['/v1/invoices', 'POST'], ['/v1/invoices/x', 'GET'], ['/v1/other', 'GET']]) {
        const answer = await gateway.fetch(path, { method, key: null, headers: { authorization } });
        assertError(answer, 401, 'unauthorized');
        assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
      }
    }
    assert.equal((await gateway.fetch('/v1/invoices/x', { key: null, headers: { authorization: `bearer ${KEY}` } })).status, 404);
  });

  test('what does not exist', async () => {
    for (const id of ['x', 'SparkLightningReceiveRequest:00000000-0000-0000-0000-000000000000', 'x'.repeat(129), 'a b', 'é', "';--"]) {
      assertError(await gateway.status(id), 404, 'invoice_not_found');
    }
    for (const path of ['/', '/v1', '/v1/', '/v1/invoices/', '/v1/invoices/a/b', '/v1/invoices/%ff', '/health/', '/metrics']) {
      assertError(await gateway.fetch(path), 404, 'not_found');
    }
    const { calls } = await gateway.spark('/state');
    await gateway.status('a b');
    assert.equal((await gateway.spark('/state')).calls.read, calls.read, 'what cannot be an id is not asked for');
  });

  test('other methods', async () => {
    for (const [path, method, allowed] of [['/v1/invoices', 'GET', 'POST'], ['/v1/invoices/x', 'DELETE', 'GET'], ['/health', 'POST', 'GET'], ['/live', 'POST', 'GET']]) {
      const answer = await gateway.fetch(path, { method });
      assertError(answer, 405, 'method_not_allowed');
      assert.equal(answer.headers.get('allow'), allowed);
    }
  });

  test('health needs no key', async () => {
    const { status, body } = await gateway.fetch('/health', { key: null });
    assert.equal(status, 200);
    assert.deepEqual([body.status, body.network, body.wallet.state, body.wallet.last_error], ['ready', 'REGTEST', 'ready', null]);
    assert.equal(typeof body.wallet.last_success_age_seconds, 'number');
  });

  test('what is not HTTP', async () => {
    assert.match(await raw('nonsense\r\n\r\n'), /^HTTP\/1\.1 400 [^]*"code":"invalid_request"/);
    assert.match(await raw(`GET /health HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(17_000)}\r\n\r\n`), /^HTTP\/1\.1 431 [^]*"code":"headers_too_large"/);
  });

  test('a request that does not arrive is not waited for', async () => {
    assert.match(await raw('POST /v1/invoices HTTP/1.1\r\nHost: x\r\n'), /^HTTP\/1\.1 408 [^]*"code":"request_timeout"/);
  });

  const raw = (text) => new Promise((resolve, reject) => {
    let answer = '';
    connect(gateway.port, '127.0.0.1')
      .on('data', (chunk) => { answer += chunk; })
      .on('end', () => resolve(answer))
      .on('error', reject)
      .write(text);
  });
});

test('what Spark does wrong has a status of its own, and none of its words', async (t) => {
  const gateway = await ready(t, directory(t));
  const vendor = 'vendor says: secret detail';
  const cases = [
    [{ kind: 'fail', error: 'SparkValidationError', field: 'memo', message: vendor }, 400, 'invalid_request'],
    [{ kind: 'fail', error: 'SparkValidationError', field: 'paymentHash', message: vendor }, 502, 'spark_bad_answer'],
    [{ kind: 'fail', error: 'SparkError', message: vendor }, 502, 'spark_refused'],
    [{ kind: 'fail', error: 'SparkRequestError', message: vendor, original: 'Request RequestLightningReceive failed. [{"message":"too much"}]' }, 502, 'spark_refused'],
    [{ kind: 'fail', error: 'SparkRequestError', message: vendor, original: 'Request RequestLightningReceive failed. Bad Gateway' }, 503, 'spark_unavailable'],
    [{ kind: 'fail', error: 'SparkRequestError', message: vendor }, 503, 'spark_unavailable'],
    [{ kind: 'fail', error: 'SparkAuthenticationError', message: vendor }, 503, 'spark_unavailable'],
    [{ kind: 'fail', error: 'SparkError', message: 'fetch failed' }, 503, 'spark_unavailable'],
    [{ kind: 'answer', value: null }, 502, 'spark_bad_answer'],
    [{ kind: 'answer', value: { invoice: { encodedInvoice: 'lnbc500u1x' } } }, 502, 'spark_bad_answer'],
    [{ kind: 'answer', value: { invoice: { paymentHash: 'x' } } }, 502, 'spark_bad_answer'],
    [{ kind: 'answer', value: { invoice: { expiresAt: 'soon' } } }, 502, 'spark_bad_answer'],
  ];
  for (const [index, [behaviour, status, code]] of cases.entries()) {
    await gateway.spark('/behave', { create: behaviour });
    const answer = await gateway.issue(`case-${index}`);
    assert.deepEqual([answer.status, answer.body.error.code], [status, code]);
    assert.doesNotMatch(answer.text, /vendor|detail|fetch failed/);
    assert.equal(answer.headers.get('retry-after'), status === 503 ? '5' : null);
    assert.equal((await gateway.issue(`case-${index}`)).status, 201, 'the same key may be used again');
  }
});
