// What can go wrong, named by what the caller can do about it. The text of a vendor's error never becomes part of one of
// these: it goes to the log, redacted, as `cause`.

/** A failure that the contract has a status and a code for. */
export class Failure extends Error {
  /**
   * @param {number} status the HTTP status
   * @param {string} code what a client may branch on; it never changes
   * @param {string} message for people; says nothing that came from the vendor
   * @param {{ cause?: unknown, headers?: Record<string, string> }} [more]
   */
  constructor(status, code, message, { cause, headers = {} } = {}) {
    super(message, { cause });
    this.name = 'Failure';
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

/** @param {string} message @param {unknown} [cause] */
export const invalidRequest = (message, cause) => new Failure(400, 'invalid_request', message, { cause });

export const keyReused = () =>
  new Failure(422, 'idempotency_key_reused', 'this Idempotency-Key was used for another request');

export const invoiceNotFound = () => new Failure(404, 'invoice_not_found', 'no such invoice');

/** Spark answered, and said no: nothing was made. @param {unknown} cause */
export const refused = (cause) => new Failure(502, 'spark_refused', 'Spark refused the request', { cause });

/** Spark answered something that cannot be true. @param {string} message @param {unknown} [cause] */
export const nonsense = (message, cause) => new Failure(502, 'spark_bad_answer', message, { cause });

/** Spark could not be asked, or did not answer in time: what it did is unknown. @param {unknown} cause */
export const unavailable = (cause) =>
  new Failure(503, 'spark_unavailable', 'Spark is out of reach; repeat the request with the same key', {
    cause,
    headers: { 'retry-after': '5' },
  });

export const shuttingDown = () =>
  new Failure(503, 'shutting_down', 'the gateway is shutting down', { headers: { 'retry-after': '5' } });

/** Fields of the SDK's validation errors that name what we handed in; all others are about what Spark answered. */
const INPUT_FIELDS = new Set(['amountSats', 'memo', 'expirySeconds', 'descriptionHash']);

/** The SDK wraps errors of the network layer, whose names it loses, so their words are all there is to tell them by. */
const NETWORK_WORDS = /fetch failed|network|socket|ECONN|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|timed? ?out|UNAVAILABLE|DEADLINE|shut down/i;

/** What the SDK's GraphQL client says when the provider did answer, with a list of errors. */
const ANSWERED_WITH_ERRORS = /^Request \w+ failed\. \[/;

/**
 * Sorts what the SDK threw into the contract's kinds.
 *
 * @param {unknown} error
 * @returns {Failure}
 */
export function fromSpark(error) {
  if (error instanceof Failure) return error;
  const { name, message, context, originalError } = /** @type {any} */ (error ?? {});
  if (name === 'SparkValidationError') {
    return INPUT_FIELDS.has(context?.field)
      ? invalidRequest('Spark does not take such an invoice', error)
      : nonsense('Spark answered with something that does not fit the request', error);
  }
  if (name === 'SparkRequestError' && ANSWERED_WITH_ERRORS.test(originalError?.message)) return refused(error);
  if (name === 'SparkRequestError' || name === 'SparkAuthenticationError') return unavailable(error);
  return NETWORK_WORDS.test(String(message)) ? unavailable(error) : refused(error);
}

/** Whether Spark certainly did nothing, so that the key may be used afresh. @param {Failure} failure */
export const nothingHappened = (failure) => failure.code === 'invalid_request' || failure.code === 'spark_refused';
