// Asks the gateway beside it how it is, for container engines: ends with 0 when the wallet is open, with 1 otherwise.

import { get as getPlain } from 'node:http';
import { get as getEncrypted } from 'node:https';

const TIMEOUT = 4000;
const [, host = '127.0.0.1', port = '3200'] = /^\[?(.+?)\]?:(\d+)$/.exec(process.env.LISTEN_ADDR ?? '') ?? [];
const get = process.env.TLS_CERT_FILE ? getEncrypted : getPlain;

const question = get({
  host: { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host,
  port,
  path: '/health',
  timeout: TIMEOUT,
  // It asks itself, and sends no secret; the certificate has the name that others call it by.
  rejectUnauthorized: false,
}, (answer) => process.exit(answer.statusCode === 200 ? 0 : 1));
question.on('timeout', () => process.exit(1));
question.on('error', () => process.exit(1));
