// The HTTP around the contract: limits of size and time, one form for every error, and an end in good order.

import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { Failure, shuttingDown } from '../failures.js';

const RECEIVE_TIMEOUT = 10_000;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_CONNECTIONS = 512;

/** What Node itself refuses, before there is a request to answer. */
const PARSER_FAILURES = /** @type {Record<string, [number, string, string]>} */ ({
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'request_timeout', 'the request did not arrive in time'],
  HPE_HEADER_OVERFLOW: [431, 'headers_too_large', 'too many or too long headers'],
});
const MALFORMED = /** @type {[number, string, string]} */ ([400, 'invalid_request', 'not HTTP']);
/** Codes of failures that are about HTTP; after one of TLS or of the network there is nobody to answer. */
const OF_HTTP = /^(HPE_|ERR_HTTP_)/;

/**
 * @param {object} parts
 * @param {import('./routes.js').Handler} parts.handle
 * @param {import('../log.js').Log} parts.log
 * @param {import('../tls.js').Pair | null} [parts.tls]
 */
export function createHttp({ handle, log, tls = null }) {
  let closing = false;
  const running = /** @type {Set<Promise<void>>} */ (new Set());
  const limits = {
    requestTimeout: RECEIVE_TIMEOUT,
    headersTimeout: RECEIVE_TIMEOUT,
    connectionsCheckingInterval: 1000,
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: 75_000,
  };
  const encrypted = tls && createTlsServer({ ...limits, ...tls, handshakeTimeout: RECEIVE_TIMEOUT });
  const server = encrypted ?? createServer(limits);
  server.maxConnections = MAX_CONNECTIONS;
  server.on('clientError', refuseParsing);
  server.on('request', (request, response) => {
    const work = respond(request, response).finally(() => running.delete(work));
    running.add(work);
  });

  /** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
  async function respond(request, response) {
    const started = process.hrtime.bigint();
    const path = (request.url ?? '/').replace(/\?.*$/s, '');
    let failure = /** @type {Failure | null} */ (null);
    try {
      if (closing) throw shuttingDown();
      const { status, body, headers } = await handle(request, path);
      send(response, status, body, headers);
    } catch (error) {
      failure = error instanceof Failure ? error : new Failure(500, 'internal_error', 'a defect of the gateway', { cause: error });
      send(response, failure.status, { error: { code: failure.code, message: failure.message } }, failure.headers);
    }
    // An unread rest of a body would be taken for the next request.
    if (!request.complete) request.resume();
    const fields = {
      method: request.method,
      path,
      status: response.statusCode,
      duration_ms: Number((process.hrtime.bigint() - started) / 1_000_000n),
      ...(failure ? { code: failure.code, error: failure.cause } : {}),
    };
    if (response.statusCode >= 500 && path !== '/health') log.warn('http.answered', fields);
    else log.debug('http.answered', fields);
  }

  /** @param {import('node:http').ServerResponse} response @param {number} status @param {unknown} body @param {Record<string, string>} [headers] */
  function send(response, status, body, headers = {}) {
    if (closing) headers = { ...headers, connection: 'close' };
    const bytes = Buffer.from(JSON.stringify(body));
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': bytes.length,
      'cache-control': 'no-store',
      ...headers,
    });
    response.end(bytes);
  }

  return {
    /** @param {{ host: string, port: number }} address @returns {Promise<import('node:net').AddressInfo>} */
    listen: ({ host, port }) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port, backlog: 511 }, () => resolve(/** @type {import('node:net').AddressInfo} */ (server.address())));
      }),

    /** For connections to come; those that are open go on. @param {import('../tls.js').Pair} pair */
    use: (pair) => encrypted?.setSecureContext(pair),

    /** Takes nothing new, and waits for what runs. */
    async close() {
      closing = true;
      server.close();
      server.closeIdleConnections();
      await Promise.all(running);
      server.closeIdleConnections();
    },

    /** Cuts every connection. */
    cut: () => server.closeAllConnections(),
  };
}

/** @param {NodeJS.ErrnoException} error @param {import('node:stream').Duplex} socket */
function refuseParsing(error, socket) {
  if (!OF_HTTP.test(error.code ?? '') || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, code, message] = PARSER_FAILURES[error.code ?? ''] ?? MALFORMED;
  const body = JSON.stringify({ error: { code, message } });
  socket.end(
    `HTTP/1.1 ${status} ${code}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
