// JSON lines on standard output. Secrets are kept out twice: values of the settings are struck from every text, and whatever
// looks like key material (long hex, runs of seed words) is struck from texts that the SDK wrote.

const LEVELS = ['debug', 'info', 'warn', 'error'];
const MAX_TEXT = 400;
const LONG_HEX = /(?:0x)?[0-9a-f]{48,}/gi;
const SECRET_NAMES = /mnemonic|seed|preimage|secret|authorization|api_?key|password|private/i;

/**
 * @typedef {Record<string, unknown>} Fields
 * @typedef {{ debug: Write, info: Write, warn: Write, error: Write, always: Write, redact: (text: string) => string }} Log
 * @typedef {(event: string, fields?: Fields) => void} Write
 */

/**
 * Strikes secrets from a text: each one whole, and any three neighbouring words of a phrase.
 *
 * @param {string[]} secrets
 * @returns {(text: string) => string}
 */
export function redactor(secrets) {
  const needles = new Set(secrets.filter((secret) => secret.length > 0));
  for (const secret of secrets) {
    const words = secret.split(/\s+/);
    for (let at = 0; at + 3 <= words.length; at += 1) needles.add(words.slice(at, at + 3).join(' '));
  }
  const longestFirst = [...needles].sort((a, b) => b.length - a.length);
  return (text) => {
    let clean = text;
    for (const needle of longestFirst) clean = clean.replaceAll(needle, '[redacted]');
    return clean.replace(LONG_HEX, '[hex]');
  };
}

/**
 * @param {{ level: string, secrets: string[], write?: (line: string) => void, now?: () => number }} options
 * @returns {Log}
 */
export function createLog({ level, secrets, write = (line) => process.stdout.write(line), now = Date.now }) {
  const redact = redactor(secrets);
  const least = LEVELS.indexOf(level);
  /** @type {(level: string) => Write} */
  const at = (name) => (event, fields = {}) => {
    if (name !== 'always' && LEVELS.indexOf(name) < least) return;
    const line = { at: new Date(now()).toISOString(), level: name === 'always' ? 'info' : name, event, ...plain(fields, redact) };
    write(`${JSON.stringify(line)}\n`);
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), always: at('always'), redact };
}

/**
 * @param {Fields} fields
 * @param {(text: string) => string} redact
 * @returns {Fields}
 */
function plain(fields, redact) {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, scalar(name, value, redact)]));
}

/** @param {string} name @param {unknown} value @param {(text: string) => string} redact */
function scalar(name, value, redact) {
  if (SECRET_NAMES.test(name)) return '[redacted]';
  if (value === null || ['number', 'boolean', 'undefined'].includes(typeof value)) return value;
  return redact(describe(value)).slice(0, MAX_TEXT);
}

/** One line about an error and what caused it; of other objects only that there was one. @param {unknown} value @returns {string} */
function describe(value) {
  if (value instanceof Error) {
    const cause = value.cause === undefined ? '' : ` <- ${describe(value.cause)}`;
    return `${value.name}: ${value.message}${cause}`;
  }
  return typeof value === 'object' ? '[object]' : String(value);
}

/**
 * The SDK writes to the console. Its lines become ours, redacted: warnings and errors at `warn`, the rest at `debug`.
 *
 * @param {Log} log
 */
export function captureConsole(log) {
  const isNews = newsOnly();
  const capture = (/** @type {Write} */ write) => (/** @type {unknown[]} */ ...words) => {
    const text = words.map(describe).join(' ');
    if (isNews(text)) write('sdk.console', { text });
  };
  console.error = console.warn = capture(log.warn);
  console.log = console.info = console.debug = console.trace = console.dir = capture(log.debug);
}

const NEWS_AGAIN_AFTER = 60_000;
const REMEMBERED_TEXTS = 200;

/**
 * Without a network the SDK says the same dozens of times a minute; once a minute is enough.
 *
 * @param {() => number} [now]
 * @returns {(text: string) => boolean}
 */
export function newsOnly(now = Date.now) {
  const said = /** @type {Map<string, number>} */ (new Map());
  return (text) => {
    const last = said.get(text);
    if (last !== undefined && now() - last < NEWS_AGAIN_AFTER) return false;
    if (said.size >= REMEMBERED_TEXTS) said.clear();
    said.set(text, now());
    return true;
  };
}
