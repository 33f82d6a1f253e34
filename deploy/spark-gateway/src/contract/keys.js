import { createHash, timingSafeEqual } from 'node:crypto';
import { Failure } from '../failures.js';

/** @param {string} text */
const digest = (text) => createHash('sha256').update(text).digest();

/**
 * Who may call: the bearer of any of the keys. Every key is compared, in constant time, so that the time taken tells
 * neither how much of a key was right nor which one it was.
 *
 * @param {string[]} keys
 * @returns {(request: import('node:http').IncomingMessage) => void} throws a `Failure`
 */
export function bearerGuard(keys) {
  const digests = keys.map(digest);
  return (request) => {
    const given = digest(/^Bearer +([^\s]+) *$/i.exec(request.headers.authorization ?? '')?.[1] ?? '');
    let matches = 0;
    for (const key of digests) matches += Number(timingSafeEqual(key, given));
    if (matches === 0) {
      throw new Failure(401, 'unauthorized', 'a valid key is required', { headers: { 'www-authenticate': 'Bearer' } });
    }
  };
}
