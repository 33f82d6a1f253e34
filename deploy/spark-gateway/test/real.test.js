// The real wallet, as far as it goes without the network. Whatever the machine can reach, these processes are sent to a
// proxy that does not exist.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { accountOpener } from '../src/account.js';
import { directory, MNEMONIC, start } from './harness.js';

const NOWHERE = 'http://127.0.0.1:1';
const OFFLINE = { grpc_proxy: NOWHERE, https_proxy: NOWHERE, http_proxy: NOWHERE };
const real = (t, env = {}) => start(t, directory(t), { ...OFFLINE, NODE_ENV: 'production', SPARK_RESTART_SECONDS: '0.1', ...env }, { fake: false });

for (const network of ['REGTEST', 'MAINNET']) {
  test(`on ${network} it serves without the network, backs off, says so, and outlives the SDK's rejections`, async (t) => {
    const gateway = real(t, { SPARK_NETWORK: network });
    await gateway.listening();
    await gateway.line((line) => line.event === 'wallet.start_failed' && line.attempt === 2);
    await gateway.line((line) => line.event === 'sdk.unhandled_rejection');
    const { status, body } = await gateway.fetch('/health');
    assert.equal(status, 503);
    assert.deepEqual([body.status, body.network, body.wallet.last_error], ['unavailable', network, 'spark_unavailable']);
    assert.ok(body.wallet.unhandled_rejections > 0);
    assert.equal((await gateway.issue('one')).status, 503);
    assert.equal(gateway.output.includes('abandon'), false);
    await gateway.kill('SIGTERM');
    assert.deepEqual(await gateway.exited, { code: 0, signal: null });
  });
}

test('a phrase that is none is refused before anything else', async (t) => {
  const words = MNEMONIC.replace(/about$/, 'abandon');
  const gateway = real(t, { SPARK_MNEMONIC: words });
  assert.deepEqual(await gateway.exited, { code: 78, signal: null });
  assert.match(gateway.output, /not a valid BIP-39 phrase/);
  assert.equal(gateway.output.includes('abandon'), false);
});

test('the methods that the gateway calls exist', async () => {
  const { WalletAccountSpark } = await import('@tetherto/wdk-wallet-spark');
  for (const name of ['getAddress', 'createLightningInvoice', 'getLightningReceiveRequest', 'cleanupConnections']) {
    assert.equal(typeof WalletAccountSpark.prototype[name], 'function', name);
  }
  assert.equal(typeof await accountOpener({ network: 'REGTEST', mnemonic: MNEMONIC, accountModule: null }), 'function');
});

test('every status that the SDK names is one that the gateway has decided about', async () => {
  const sdk = new URL('../node_modules/@buildonspark/spark-sdk/dist/', import.meta.url);
  const types = readFileSync(new URL('../src/graphql/objects/LightningReceiveRequestStatus.ts', sdk), 'utf8');
  const named = [...types.matchAll(/^([A-Z_]+) = /gm)].map((match) => match[1]).concat([...types.matchAll(/ ([A-Z_]+) = "/g)].map((match) => match[1]));
  const decided = readFileSync(new URL('./rules.test.js', import.meta.url), 'utf8');
  assert.ok(named.length >= 10);
  for (const status of named) assert.ok(decided.includes(`${status}:`), status);
});
