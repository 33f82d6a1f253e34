import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigError, readConfig } from '../src/config.js';
import { directory, KEY, MNEMONIC, ready, start } from './harness.js';

const LEAST = { SPARK_NETWORK: 'REGTEST', SPARK_MNEMONIC: MNEMONIC, SPARK_API_KEYS: KEY };
const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;

const problems = (change) => {
  try {
    readConfig({ ...LEAST, ...change });
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
};

test('what is needed, and what is in effect without more', () => {
  const config = readConfig(LEAST);
  assert.deepEqual(config.listen, { host: '127.0.0.1', port: 3200 });
  assert.deepEqual([config.network, config.push, config.accountModule, config.logLevel], ['REGTEST', null, null, 'info']);
  assert.deepEqual(config.pace.watch, [2000, 4000, 8000, 16_000, 32_000, 60_000]);
  assert.equal(problems({ SPARK_NETWORK: '', SPARK_MNEMONIC: '', SPARK_API_KEYS: '' }).length, 3, 'all at once');
});

test('there is no default network, because one of them has real money', () => {
  assert.match(problems({ SPARK_NETWORK: undefined })[0], /SPARK_NETWORK/);
  assert.match(problems({ SPARK_NETWORK: 'mainnet' })[0], /SPARK_NETWORK/);
});

test('secrets from files', (t) => {
  const dir = directory(t);
  const file = (name, text) => { writeFileSync(join(dir, name), text); return join(dir, name); };
  const config = readConfig({
    SPARK_NETWORK: 'MAINNET',
    SPARK_MNEMONIC_FILE: file('seed', `${MNEMONIC.replaceAll(' ', '\n')}\n`),
    SPARK_API_KEYS_FILE: file('keys', `${KEY}\n${KEY}x\n`),
    WEBHOOK_SECRET_FILE: file('secret', `${SECRET}\n`),
    GUICHE_WEBHOOK_URL: 'https://guiche.example/webhooks/spark',
  });
  assert.equal(config.mnemonic, MNEMONIC);
  assert.deepEqual(config.apiKeys, [KEY, `${KEY}x`]);
  assert.deepEqual(config.push.secrets, [SECRET]);
  assert.match(problems({ SPARK_MNEMONIC_FILE: file('seed', MNEMONIC) })[0], /given twice/);
  assert.match(problems({ SPARK_MNEMONIC: '', SPARK_MNEMONIC_FILE: join(dir, 'none') })[0], /cannot be read \(ENOENT\)/);
});

test('what is unsafe or makes no sense', () => {
  for (const [change, expected] of [
    [{ SPARK_API_KEYS: 'short' }, /SPARK_API_KEYS/],
    [{ SPARK_API_KEYS: `${KEY},short` }, /SPARK_API_KEYS/],
    [{ LISTEN_ADDR: 'localhost' }, /LISTEN_ADDR/],
    [{ LISTEN_ADDR: '127.0.0.1:65536' }, /LISTEN_ADDR/],
    [{ LISTEN_ADDR: '0.0.0.0:3200' }, /LISTEN_ADDR: beyond loopback/],
    [{ LISTEN_ADDR: '10.0.0.1:3200' }, /LISTEN_ADDR: beyond loopback/],
    [{ LISTEN_ADDR: '0.0.0.0:3200', ALLOW_PLAINTEXT: 'true' }, /ALLOW_PLAINTEXT/],
    [{ TLS_CERT_FILE: '/nowhere' }, /both or neither/],
    [{ TLS_KEY_FILE: '/nowhere' }, /both or neither/],
    [{ TLS_CERT_FILE: '/nowhere', TLS_KEY_FILE: '/nowhere' }, /TLS_CERT_FILE: cannot be read \(ENOENT\)/],
    [{ TLS_CERT_FILE: '/nowhere', TLS_KEY_FILE: '/nowhere', ALLOW_PLAINTEXT: 'tls-ends-before-it' }, /ALLOW_PLAINTEXT: not together/],
    [{ LOG_LEVEL: 'trace' }, /LOG_LEVEL/],
    [{ SPARK_CALL_TIMEOUT_SECONDS: 'soon' }, /SPARK_CALL_TIMEOUT_SECONDS/],
    [{ SPARK_WATCH_SECONDS: '1,,2' }, /SPARK_WATCH_SECONDS/],
    [{ GUICHE_WEBHOOK_URL: 'https://guiche.example/' }, /both or none/],
    [{ WEBHOOK_SECRET: SECRET }, /both or none/],
    [{ GUICHE_WEBHOOK_URL: 'https://guiche.example/', WEBHOOK_SECRET: 'whsec_c2hvcnQ=' }, /WEBHOOK_SECRET/],
    [{ GUICHE_WEBHOOK_URL: 'https://guiche.example/', WEBHOOK_SECRET: `${SECRET},plain` }, /WEBHOOK_SECRET/],
    [{ GUICHE_WEBHOOK_URL: 'https://user:pass@guiche.example/', WEBHOOK_SECRET: SECRET }, /GUICHE_WEBHOOK_URL/],
    [{ GUICHE_WEBHOOK_URL: 'ftp://guiche.example/', WEBHOOK_SECRET: SECRET }, /GUICHE_WEBHOOK_URL/],
  ]) {
    const [problem] = problems(change);
    assert.match(problem, expected);
    assert.doesNotMatch(problem, /pass|short|c2hvcnQ/, 'a problem never tells a value');
  }
});

test('the contract leaves the machine in the clear only where somebody says what encrypts it', () => {
  assert.deepEqual(problems({ LISTEN_ADDR: '[::1]:3200' }), []);
  assert.deepEqual(problems({ LISTEN_ADDR: '0.0.0.0:3200', ALLOW_PLAINTEXT: 'tls-ends-before-it' }), []);
});

test('a played wallet is for tests: not on MAINNET, not for others to reach, not by accident', () => {
  const played = { SPARK_ACCOUNT_MODULE: './fake.js', NODE_ENV: 'test' };
  assert.deepEqual(problems(played), []);
  for (const change of [{ NODE_ENV: 'production' }, { NODE_ENV: undefined }, { SPARK_NETWORK: 'MAINNET' }, { LISTEN_ADDR: '0.0.0.0:3200' }]) {
    assert.match(problems({ ...played, ...change }).join(), /SPARK_ACCOUNT_MODULE/);
  }
});

test('the process says why it does not start', async (t) => {
  const dir = directory(t);
  const gateway = start(t, dir, { SPARK_NETWORK: 'MAINNET', SPARK_API_KEYS: '' });
  assert.deepEqual(await gateway.exited, { code: 78, signal: null });
  assert.match(gateway.output, /SPARK_API_KEYS[^]*required/);
  assert.match(gateway.output, /SPARK_ACCOUNT_MODULE/);
});

test('keys rotate: both, then only the new one', async (t) => {
  const dir = directory(t);
  const next = 'next-key-0123456789abcdef0123456789abcdef';
  const health = async (gateway, key) => (await gateway.fetch('/v1/invoices/x', { key })).status;
  for (const [keys, old, fresh] of [[KEY, 404, 401], [`${KEY},${next}`, 404, 404], [next, 401, 404]]) {
    const gateway = await ready(t, dir, { SPARK_API_KEYS: keys });
    assert.deepEqual([await health(gateway, KEY), await health(gateway, next)], [old, fresh], keys);
    await gateway.kill('SIGTERM');
  }
});
