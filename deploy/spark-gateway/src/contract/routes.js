// The contract: four calls and their answers.

import { Failure } from '../failures.js';
import { idempotencyKey, newInvoice } from './requests.js';

/**
 * @typedef {{ status: number, body: unknown, headers?: Record<string, string> }} Answer
 * @typedef {(request: import('node:http').IncomingMessage, path: string) => Promise<Answer>} Handler
 */

const notFound = () => new Failure(404, 'not_found', 'no such address');

/**
 * @param {object} parts
 * @param {import('../invoices.js').Invoices} parts.invoices
 * @param {(request: import('node:http').IncomingMessage) => void} parts.authorize
 * @param {() => { healthy: boolean, report: object }} parts.health
 * @returns {Handler}
 */
export function createRoutes({ invoices, authorize, health }) {
  return async (request, path) => {
    if (path === '/live') return allow(request, 'GET', async () => ({ status: 200, body: { status: 'live' } }));
    if (path === '/health') return allow(request, 'GET', () => showHealth(health));
    if (!path.startsWith('/v1/')) throw notFound();
    authorize(request);
    if (path === '/v1/invoices') return allow(request, 'POST', () => issue(invoices, request));
    const id = /^\/v1\/invoices\/([^/]+)$/.exec(path)?.[1];
    if (id === undefined) throw notFound();
    return allow(request, 'GET', () => show(invoices, id));
  };
}

/** @param {import('node:http').IncomingMessage} request @param {string} method @param {() => Promise<Answer>} handle */
function allow(request, method, handle) {
  if (request.method === method) return handle();
  throw new Failure(405, 'method_not_allowed', `only ${method}`, { headers: { allow: method } });
}

/** @param {import('../invoices.js').Invoices} invoices @param {import('node:http').IncomingMessage} request @returns {Promise<Answer>} */
async function issue(invoices, request) {
  const key = idempotencyKey(request);
  const { invoice, isNew } = await invoices.issue(key, await newInvoice(request));
  const body = {
    invoice_id: invoice.id,
    bolt11: invoice.bolt11,
    payment_hash: invoice.payment_hash,
    expires_at: iso(invoice.expires_at),
  };
  return { status: isNew ? 201 : 200, body };
}

/** @param {import('../invoices.js').Invoices} invoices @param {string} encodedId @returns {Promise<Answer>} */
async function show(invoices, encodedId) {
  const invoice = await invoices.find(decoded(encodedId));
  const paidAt = invoice.paid_at === null ? null : iso(invoice.paid_at);
  return { status: 200, body: { status: invoice.status, paid_at: paidAt, spark_status: invoice.spark_status } };
}

/** @param {() => { healthy: boolean, report: object }} health @returns {Promise<Answer>} */
async function showHealth(health) {
  const { healthy, report } = health();
  return { status: healthy ? 200 : 503, body: report };
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    throw notFound();
  }
}

/** @param {number} at */
const iso = (at) => new Date(at).toISOString();
