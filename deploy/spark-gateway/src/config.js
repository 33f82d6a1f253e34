// Settings come from the environment, each secret from a variable or from the file that NAME_FILE names. All mistakes are
// told at once, without the values.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { readPair } from './tls.js';

/**
 * @typedef {object} Config
 * @property {{ host: string, port: number }} listen
 * @property {import('./tls.js').Files | null} tls without it the contract is spoken in the clear
 * @property {'MAINNET' | 'REGTEST'} network
 * @property {string} mnemonic
 * @property {string[]} apiKeys
 * @property {string} dataDir
 * @property {{ url: URL, secrets: string[] } | null} push
 * @property {string} logLevel
 * @property {string | null} accountModule a stand-in for the wallet, in tests
 * @property {{ call: number, grace: number, probe: number, certificate: number, watch: number[], restart: number[], push: number[] }} pace milliseconds
 * @property {string[]} secrets everything that must not appear in a log
 */

export class ConfigError extends Error {
  /** @param {string[]} problems */
  constructor(problems) {
    super(problems.join('; '));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

const API_KEY = /^[\x21-\x2b\x2d-\x7e]{32,512}$/;
const LOOPBACK = new Set(['127.0.0.1', '::1']);
const PLAINTEXT_MEANT = 'tls-ends-before-it';

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {Config}
 */
export function readConfig(env) {
  const problems = /** @type {string[]} */ ([]);
  const read = new Reader(env, problems);

  const listen = read.address('LISTEN_ADDR', '127.0.0.1:3200');
  const tls = read.tls(listen);
  const network = read.oneOf('SPARK_NETWORK', ['MAINNET', 'REGTEST']);
  const mnemonic = read.secret('SPARK_MNEMONIC', true).split(/\s+/).filter(Boolean).join(' ');
  const apiKeys = read.list('SPARK_API_KEYS', true);
  if (apiKeys.some((key) => !API_KEY.test(key))) problems.push('SPARK_API_KEYS: each key is 32 to 512 visible ASCII characters');
  const push = read.push();
  const accountModule = env.SPARK_ACCOUNT_MODULE ? resolve(env.SPARK_ACCOUNT_MODULE) : null;
  if (accountModule) {
    const allowed = env.NODE_ENV === 'test' && network === 'REGTEST' && LOOPBACK.has(listen.host);
    if (!allowed) problems.push('SPARK_ACCOUNT_MODULE: only with NODE_ENV=test, on REGTEST, listening on loopback');
  }
  const pace = {
    call: read.seconds('SPARK_CALL_TIMEOUT_SECONDS', '15')[0] ?? 0,
    grace: read.seconds('SPARK_EXPIRY_GRACE_SECONDS', '30')[0] ?? 0,
    probe: read.seconds('SPARK_PROBE_SECONDS', '60')[0] ?? 0,
    certificate: read.seconds('TLS_LOOK_SECONDS', '60')[0] ?? 0,
    watch: read.seconds('SPARK_WATCH_SECONDS', '2,4,8,16,32,60'),
    restart: read.seconds('SPARK_RESTART_SECONDS', '1,2,5,10,30,60'),
    push: read.seconds('PUSH_RETRY_SECONDS', '5,30,120,600,1800,3600,21600'),
  };
  const logLevel = read.oneOf('LOG_LEVEL', ['debug', 'info', 'warn', 'error'], 'info');
  const dataDir = resolve(env.SPARK_DATA_DIR || '.spark-gateway');
  if (problems.length > 0) throw new ConfigError(problems);

  const secrets = [mnemonic, ...apiKeys, ...(push?.secrets ?? [])];
  return Object.freeze({
    listen, tls, network: /** @type {Config['network']} */ (network), mnemonic, apiKeys, dataDir, push, logLevel, accountModule, pace, secrets,
  });
}

class Reader {
  /** @param {NodeJS.ProcessEnv} env @param {string[]} problems */
  constructor(env, problems) {
    this.env = env;
    this.problems = problems;
  }

  /** @param {string} name @param {boolean} required */
  secret(name, required) {
    const file = this.env[`${name}_FILE`];
    const direct = this.env[name];
    if (file && direct) this.problems.push(`${name}: given twice, also as ${name}_FILE`);
    let value = direct ?? '';
    if (file) {
      try {
        value = readFileSync(file, 'utf8');
      } catch (error) {
        this.problems.push(`${name}_FILE: cannot be read (${/** @type {NodeJS.ErrnoException} */ (error).code})`);
        return '';
      }
    }
    value = value.trim();
    if (required && value === '') this.problems.push(`${name} or ${name}_FILE: required`);
    return value;
  }

  /** @param {string} name @param {boolean} required */
  list(name, required) {
    return this.secret(name, required).split(/[\s,]+/).filter(Boolean);
  }

  /** @param {string} name @param {string[]} words @param {string} [fallback] */
  oneOf(name, words, fallback) {
    const value = this.env[name] || fallback;
    if (value !== undefined && words.includes(value)) return value;
    this.problems.push(`${name}: one of ${words.join(', ')}`);
    return words[0] ?? '';
  }

  /** @param {string} name @param {string} fallback */
  address(name, fallback) {
    const match = /^(\[[0-9a-f:]+\]|[^:]+):(\d{1,5})$/i.exec(this.env[name] || fallback);
    const port = Number(match?.[2]);
    if (!match || port > 65535) this.problems.push(`${name}: host:port`);
    return { host: (match?.[1] ?? '').replace(/^\[|\]$/g, ''), port };
  }

  /** A list of seconds, decimals allowed, as milliseconds. @param {string} name @param {string} fallback */
  seconds(name, fallback) {
    const parts = (this.env[name] || fallback).split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part) * 1000));
    if (parts.every((part) => part >= 0 && part <= 604_800_000)) return parts;
    this.problems.push(`${name}: seconds, separated by commas`);
    return [0];
  }

  /**
   * Keys travel here, so beyond this machine it is TLS, unless somebody says that something before it has ended it.
   *
   * @param {Config['listen']} listen
   */
  tls({ host }) {
    const { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile, ALLOW_PLAINTEXT: plaintext } = this.env;
    if (plaintext && plaintext !== PLAINTEXT_MEANT) this.problems.push(`ALLOW_PLAINTEXT: only "${PLAINTEXT_MEANT}"`);
    if (!certFile !== !keyFile) this.problems.push('TLS_CERT_FILE and TLS_KEY_FILE: both or neither');
    if (!certFile || !keyFile) {
      const isOpen = !certFile && !keyFile && !plaintext && !LOOPBACK.has(host);
      if (isOpen) this.problems.push('LISTEN_ADDR: beyond loopback only with TLS_CERT_FILE and TLS_KEY_FILE');
      return null;
    }
    if (plaintext) this.problems.push('ALLOW_PLAINTEXT: not together with TLS_CERT_FILE');
    const files = { certFile, keyFile };
    try {
      readPair(files);
    } catch (error) {
      this.problems.push(/** @type {Error} */ (error).message);
    }
    return files;
  }

  push() {
    const text = this.env.GUICHE_WEBHOOK_URL;
    const secrets = this.list('WEBHOOK_SECRET', false);
    if (!text && secrets.length === 0) return null;
    if (!text || secrets.length === 0) {
      this.problems.push('GUICHE_WEBHOOK_URL and WEBHOOK_SECRET: both or none');
      return null;
    }
    const strong = (/** @type {string} */ secret) =>
      /^whsec_[A-Za-z0-9+/]+={0,2}$/.test(secret) && Buffer.from(secret.slice(6), 'base64').length >= 24;
    if (!secrets.every(strong)) this.problems.push('WEBHOOK_SECRET: whsec_ and at least 24 bytes in base64');
    const url = URL.canParse(text) ? new URL(text) : null;
    if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.hash) {
      this.problems.push('GUICHE_WEBHOOK_URL: an http or https address without user and fragment');
      return null;
    }
    return { url, secrets };
  }
}
