import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const ALLOWED = new Set([
  'MIT', 'Apache-2.0', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'Unlicense',
  'MIT OR Apache-2.0', '(Apache-2.0 AND BSD-3-Clause)', '(MIT AND BSD-3-Clause)',
]);

const { packages } = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'));
const others = Object.entries(packages).filter(([path, { link }]) => path !== '' && !link);

test('every package of the tree may be used and passed on', () => {
  assert.ok(others.length > 150);
  for (const [path, { license }] of others) assert.ok(ALLOWED.has(license), `${path}: ${license}`);
});

test('every package is pinned by its hash, and none names a place of its own to come from', () => {
  for (const [path, { resolved, integrity }] of others) {
    if (path.startsWith('absent/')) continue;
    assert.equal(resolved, undefined, path);
    assert.match(integrity, /^sha512-/, path);
  }
});
