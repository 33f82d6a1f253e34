// From bytes to a request that makes sense. Whatever Spark or BOLT11 could not carry is refused here, before anything is
// written down.

import { Failure, invalidRequest } from '../failures.js';

const MAX_BODY_BYTES = 16 * 1024;
/** The longest description that a BOLT11 invoice carries, in bytes of UTF-8. */
const MAX_MEMO_BYTES = 639;
/** All the satoshis there can be. */
const MAX_SATS = 21_000_000 * 100_000_000;
/** Spark's own default, and its longest. */
const MAX_EXPIRY_SECONDS = 30 * 24 * 60 * 60;
const KEY = /^[\x21-\x7e]{1,255}$/;
const FIELDS = ['amount_sats', 'memo', 'expiry_seconds'];

/**
 * @param {import('node:http').IncomingMessage} request
 * @returns {string}
 */
export function idempotencyKey(request) {
  const [value, ...others] = request.headersDistinct['idempotency-key'] ?? [];
  if (value === undefined || others.length > 0) throw badKey('Idempotency-Key: required, once');
  if (!KEY.test(value)) throw badKey('Idempotency-Key: 1 to 255 visible ASCII characters');
  return value;
}

/** @param {string} message */
const badKey = (message) => new Failure(400, 'invalid_idempotency_key', message);

/**
 * @param {import('node:http').IncomingMessage} request
 * @returns {Promise<import('../invoices.js').NewInvoice>}
 */
export async function newInvoice(request) {
  if (!/^application\/json\s*(;\s*charset=utf-8\s*)?$/i.test(request.headers['content-type'] ?? '')) {
    throw new Failure(415, 'unsupported_media_type', 'Content-Type: application/json');
  }
  return parseNewInvoice(await body(request));
}

/**
 * @param {string} text
 * @returns {import('../invoices.js').NewInvoice}
 */
export function parseNewInvoice(text) {
  const fields = parseObject(text);
  const unknown = Object.keys(fields).find((name) => !FIELDS.includes(name));
  if (unknown !== undefined) throw invalidRequest('unknown field; known are amount_sats, memo, expiry_seconds');
  const { amount_sats: amountSats, memo, expiry_seconds: expirySeconds } = fields;
  if (!isWhole(amountSats, 1, MAX_SATS)) throw invalidRequest('amount_sats: a whole number of satoshis, at least 1');
  if (!isWhole(expirySeconds, 1, MAX_EXPIRY_SECONDS)) throw invalidRequest('expiry_seconds: a whole number from 1 to 2592000');
  if (typeof memo !== 'string' || !memo.isWellFormed() || Buffer.byteLength(memo) > MAX_MEMO_BYTES) {
    throw invalidRequest('memo: a text of at most 639 bytes in UTF-8');
  }
  return { amountSats, memo, expirySeconds };
}

/** @param {string} text @returns {Record<string, unknown>} */
function parseObject(text) {
  try {
    const value = JSON.parse(text);
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value;
  } catch {
    // told below
  }
  throw invalidRequest('the body is not a JSON object');
}

/** @param {unknown} value @param {number} least @param {number} most @returns {value is number} */
const isWhole = (value, least, most) => Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most;

/** @param {import('node:http').IncomingMessage} request */
async function body(request) {
  const tooLarge = () => new Failure(413, 'payload_too_large', `a body of at most ${MAX_BODY_BYTES} bytes`, { headers: { connection: 'close' } });
  if (Number(request.headers['content-length']) > MAX_BODY_BYTES) throw tooLarge();
  const chunks = /** @type {Buffer[]} */ ([]);
  let size = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof Failure ? error : invalidRequest('the body did not arrive', error);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch {
    throw invalidRequest('the body is not UTF-8');
  }
}
