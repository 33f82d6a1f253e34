// The real process with the played wallet, in a directory of its own. Tests wait for lines of its log, never for time.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const here = (path) => fileURLToPath(new URL(path, import.meta.url));
export const KEY = 'test-key-0123456789abcdef0123456789abcdef';
export const MNEMONIC = 'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about';
export const INVOICE = { amount_sats: 50_000, memo: 'Guichê: renovação', expiry_seconds: 900 };

const endings = new WeakMap();

/** Runs with the end of the test, the last one first: a process ends before its directory goes. */
export function atEnd(t, work) {
  if (!endings.has(t)) {
    endings.set(t, []);
    t.after(async () => { for (const ending of endings.get(t).reverse()) await ending(); });
  }
  endings.get(t).push(work);
}

/** A directory that goes with the test. */
export function directory(t) {
  const path = mkdtempSync(join(tmpdir(), 'spark-gateway-'));
  atEnd(t, () => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Starts the process and returns before it does anything. */
export function start(t, dir, env = {}, { fake = true } = {}) {
  const child = spawn(process.execPath, [here('../src/server.js')], {
    cwd: dir,
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'test',
      LISTEN_ADDR: '127.0.0.1:0',
      SPARK_NETWORK: 'REGTEST',
      SPARK_MNEMONIC: MNEMONIC,
      SPARK_API_KEYS: KEY,
      SPARK_DATA_DIR: join(dir, 'data'),
      SPARK_WATCH_SECONDS: '3600',
      SPARK_RESTART_SECONDS: '0.02',
      PUSH_RETRY_SECONDS: '0.02',
      LOG_LEVEL: 'debug',
      FAKE_SPARK_FILE: join(dir, 'spark.json'),
      ...(fake ? { SPARK_ACCOUNT_MODULE: here('fake/account.js') } : {}),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const gateway = new Gateway(child);
  atEnd(t, () => gateway.kill());
  return gateway;
}

/** Starts the process with the played wallet and waits until it can issue invoices. */
export async function ready(t, dir, env) {
  const gateway = start(t, dir, env);
  await gateway.listening();
  await gateway.line((line) => line.event === 'wallet.ready');
  return gateway;
}

class Gateway {
  output = '';
  #lines = [];
  #waiting = [];

  constructor(child) {
    this.child = child;
    this.exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
    child.stderr.on('data', (text) => { this.output += text; });
    createInterface(child.stdout).on('line', (text) => this.#take(text));
    this.exited.then(() => this.#waiting.forEach(({ reject }) => reject(new Error(`the gateway ended:\n${this.output}`))));
  }

  #take(text) {
    this.output += `${text}\n`;
    const line = JSON.parse(text);
    this.#lines.push(line);
    this.#waiting = this.#waiting.filter(({ matches, resolve }) => !matches(line) || resolve(line));
  }

  /** The first line of the log that matches, of those already written or to come. */
  line(matches) {
    const found = this.#lines.find(matches);
    if (found) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ matches, resolve: (line) => void resolve(line), reject });
    });
  }

  async listening() {
    const { port } = await this.line((line) => line.event === 'listening');
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  async fetch(path, { method = 'GET', body, headers = {}, key = KEY } = {}) {
    const response = await fetch(this.url + path, {
      method,
      headers: { ...(key ? { authorization: `Bearer ${key}` } : {}), ...headers },
      body,
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: text ? JSON.parse(text) : null };
  }

  issue(key, invoice = INVOICE) {
    return this.fetch('/v1/invoices', {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key === null ? {} : { 'idempotency-key': key }) },
      body: typeof invoice === 'string' ? invoice : JSON.stringify(invoice),
    });
  }

  status(id) {
    return this.fetch(`/v1/invoices/${encodeURIComponent(id)}`);
  }

  /** Steers the played wallet. */
  async spark(path, body) {
    const { port } = await this.line((line) => line.event === 'fake_spark');
    const response = await fetch(`http://127.0.0.1:${port}${path}`, body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) });
    return response.json();
  }

  async kill(signal = 'SIGKILL') {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    return this.exited;
  }
}

/** A receiver of pushes that answers as told, in turn, and then with 202. */
export async function receiver(t, answers = []) {
  const seen = [];
  const waiting = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    response.writeHead(answers[seen.length] ?? 202, { location: '/elsewhere' }).end();
    seen.push({ path: request.url, headers: request.headers, body });
    waiting.filter(({ count }) => seen.length >= count).forEach(({ resolve }) => resolve(seen));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(t, () => { server.closeAllConnections(); server.close(); });
  return {
    url: `http://127.0.0.1:${server.address().port}/webhooks/spark`,
    /** Resolves when this many pushes have arrived. */
    pushes: (count) => (seen.length >= count ? Promise.resolve(seen) : new Promise((resolve) => waiting.push({ count, resolve }))),
  };
}
