// TLS by the process itself, with certificates of `make-certificate`, the tool that deployments use.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { directory, here, KEY, ready, start } from './harness.js';

const SLOW = '3600';
const QUICK = '0.02';

/** An authority and a certificate for `localhost`, in files of their own. */
function certified(t) {
  const dir = directory(t);
  const files = {
    dir,
    ca: join(dir, 'authority/ca.crt'),
    cert: join(dir, 'tls/tls.crt'),
    key: join(dir, 'tls/tls.key'),
    renew: () => execFileSync(here('../make-certificate'), [join(dir, 'authority'), join(dir, 'tls'), 'localhost'], { stdio: 'pipe' }),
  };
  files.renew();
  files.env = { TLS_CERT_FILE: files.cert, TLS_KEY_FILE: files.key, TLS_LOOK_SECONDS: SLOW };
  return files;
}

const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe' });
const serial = (files) => openssl('x509', '-noout', '-serial', '-in', files.cert).toString().trim().slice('serial='.length);

/** A certificate of the same key that ran out yesterday. */
function expired(files) {
  const wish = join(files.dir, 'wish.csr');
  openssl('req', '-new', '-key', files.key, '-subj', '/CN=localhost', '-config', '/dev/null', '-out', wish);
  return openssl('x509', '-req', '-in', wish, '-signkey', files.key, '-days', '-1');
}

/** What a connection shows of the certificate in use, over a connection that `agent` may keep. */
function ask(gateway, files, { path = '/health', key = KEY, agent, servername = 'localhost' } = {}) {
  return new Promise((resolve, reject) => {
    const question = request({
      host: '127.0.0.1', port: gateway.port, path, agent, servername, ca: readFileSync(files.ca), headers: { authorization: `Bearer ${key}` },
    }, async (answer) => {
      const { socket } = question;
      const shown = { serial: socket.getPeerCertificate().serialNumber, protocol: socket.getProtocol(), port: socket.localPort };
      const body = JSON.parse(Buffer.concat(await answer.toArray()).toString());
      resolve({ status: answer.statusCode, body, ...shown });
    });
    question.on('error', reject);
    question.end();
  });
}

const outcome = (options) => new Promise((resolve) => {
  const socket = connect({ host: '127.0.0.1', rejectUnauthorized: false, ...options }, () => { resolve(socket.getProtocol()); socket.destroy(); });
  socket.on('error', (error) => resolve(error.code));
});

test('the contract over TLS, for whoever trusts its authority and calls it by its name', async (t) => {
  const files = certified(t);
  const gateway = await ready(t, files.dir, files.env);
  const { status, body, protocol } = await ask(gateway, files);
  assert.deepEqual([status, protocol, body.tls.last_error], [200, 'TLSv1.3', null]);
  const days = (Date.parse(body.tls.expires_at) - Date.now()) / 86_400_000;
  assert.ok(days > 396 && days < 398, body.tls.expires_at);
  assert.equal((await ask(gateway, files, { path: '/v1/invoices/x', key: 'wrong' })).status, 401);
  await assert.rejects(ask(gateway, files, { servername: 'elsewhere.example' }), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  await assert.rejects(ask(gateway, certified(t)), /signature|self.signed|unable to/i);
});

test('TLS 1.2 and newer; in the clear nobody is answered', async (t) => {
  const files = certified(t);
  const gateway = await ready(t, files.dir, files.env);
  assert.equal(await outcome({ port: gateway.port, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }), 'TLSv1.2');
  // This client would speak the old versions; it is the gateway that does not.
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
  assert.match(await outcome({ port: gateway.port, ...old }), /ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION/);

  const heard = await new Promise((resolve) => {
    const socket = connectPlain(gateway.port, '127.0.0.1', () => socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n'));
    let bytes = '';
    socket.on('data', (chunk) => { bytes += chunk.toString('latin1'); });
    socket.on('error', () => {});
    socket.on('close', () => resolve(bytes));
  });
  assert.doesNotMatch(heard, /HTTP|status/);
  assert.equal((await ask(gateway, files)).status, 200, 'and it goes on');
});

test('a renewed certificate is for new connections; those that are open go on', async (t) => {
  const files = certified(t);
  const gateway = await ready(t, files.dir, files.env);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const before = await ask(gateway, files, { agent });
  assert.equal(before.serial, serial(files));

  files.renew();
  gateway.child.kill('SIGHUP');
  await gateway.line((line) => line.event === 'tls.renewed');
  const open = await ask(gateway, files, { agent });
  assert.deepEqual([open.status, open.port, open.serial], [200, before.port, before.serial]);
  const fresh = await ask(gateway, files);
  assert.equal(fresh.serial, serial(files));
  assert.notEqual(fresh.serial, before.serial);
});

test('a renewal is noticed without a signal, too', async (t) => {
  const files = certified(t);
  const gateway = await ready(t, files.dir, { ...files.env, TLS_LOOK_SECONDS: QUICK });
  files.renew();
  const renewed = serial(files);
  await gateway.line((line) => line.event === 'tls.renewed');
  assert.equal((await ask(gateway, files)).serial, renewed);
});

test('whatever is wrong with a new file, the old certificate stays, and log and health say so', async (t) => {
  const files = certified(t);
  const gateway = await ready(t, files.dir, files.env);
  const good = serial(files);
  const [cert, key] = [readFileSync(files.cert), readFileSync(files.key)];
  const put = (file, content) => { execFileSync('rm', ['-f', file]); if (content !== null) writeFileSync(file, content); };
  const mistakes = [
    [() => put(files.cert, null), /TLS_CERT_FILE: cannot be read \(ENOENT\)/],
    [() => put(files.cert, ''), /not a certificate and its key/],
    [() => put(files.cert, cert.subarray(0, cert.length / 2)), /not a certificate and its key/],
    [() => put(files.key, null), /TLS_KEY_FILE: cannot be read \(ENOENT\)/],
    [() => put(files.key, openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256')), /not a certificate and its key/],
    [() => put(files.key, openssl('genpkey', '-algorithm', 'RSA')), /not a certificate and its key/],
    [() => put(files.cert, expired(files)), /not valid yet, or no longer/],
  ];
  let told = 0;
  for (const [make, expected] of mistakes) {
    make();
    gateway.child.kill('SIGHUP');
    told += 1;
    // Two neighbouring mistakes with one text are told once, so the health is what shows each of them.
    for (;;) {
      const { body, serial: shown } = await ask(gateway, files);
      assert.equal(shown, good);
      if (expected.test(body.tls.last_error ?? '')) break;
    }
    put(files.cert, cert);
    put(files.key, key);
    gateway.child.kill('SIGHUP');
    for (;;) if ((await ask(gateway, files)).body.tls.last_error === null) break;
  }
  assert.equal(gateway.output.match(/"event":"tls\.kept"/g).length, told);
  assert.doesNotMatch(gateway.output, /tls\.renewed|PRIVATE KEY/);
});

test('a mistake that stays is told once, not at every look', async (t) => {
  const files = certified(t);
  const gateway = await ready(t, files.dir, { ...files.env, TLS_LOOK_SECONDS: QUICK });
  writeFileSync(`${files.cert}.new`, 'no certificate');
  execFileSync('mv', ['-f', `${files.cert}.new`, files.cert]);
  await gateway.line((line) => line.event === 'tls.kept');
  for (let looks = 0; looks < 5; looks += 1) {
    gateway.child.kill('SIGHUP');
    await ask(gateway, files);
  }
  files.renew();
  await gateway.line((line) => line.event === 'tls.renewed');
  assert.equal(gateway.output.match(/"event":"tls\.kept"/g).length, 1);
});

test('a pair that is none does not start; one that has run out does, and says so', async (t) => {
  const files = certified(t);
  const other = certified(t);
  copyFileSync(other.key, join(files.dir, 'other.key'));
  const refused = start(t, files.dir, { ...files.env, TLS_KEY_FILE: join(files.dir, 'other.key') });
  assert.deepEqual(await refused.exited, { code: 78, signal: null });
  assert.match(refused.output, /not a certificate and its key/);

  execFileSync('rm', ['-f', files.cert]);
  writeFileSync(files.cert, expired(files));
  const late = await ready(t, files.dir, files.env);
  assert.equal((await late.line((line) => line.event === 'tls.not_valid_now')).level, 'error');
  await assert.rejects(ask(late, { ca: files.cert }), { code: 'CERT_HAS_EXPIRED' });
});

test('without TLS SIGHUP changes nothing', async (t) => {
  const gateway = await ready(t, directory(t));
  gateway.child.kill('SIGHUP');
  const { status, body } = await gateway.fetch('/health');
  assert.deepEqual([status, body.tls], [200, null]);
});

test('the health check of containers asks as the gateway speaks', async (t) => {
  const files = certified(t);
  const ended = (env) => new Promise((resolve) => spawn(process.execPath, [here('../src/healthcheck.js')], { env }).once('exit', resolve));
  for (const env of [files.env, {}]) {
    const gateway = await ready(t, directory(t), env);
    const asks = { ...env, LISTEN_ADDR: `0.0.0.0:${gateway.port}` };
    assert.equal(await ended(asks), 0);
    assert.equal(await ended(env.TLS_CERT_FILE ? { LISTEN_ADDR: asks.LISTEN_ADDR } : { ...asks, ...files.env }), 1, 'in the other way');
    await gateway.kill('SIGTERM');
    assert.equal(await ended(asks), 1);
  }
});
