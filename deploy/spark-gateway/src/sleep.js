import { setTimeout as pause } from 'node:timers/promises';

/** Waits, but not longer than until the signal. @param {number} milliseconds @param {AbortSignal} signal */
export async function sleep(milliseconds, signal) {
  await pause(milliseconds, undefined, { signal }).catch(() => {});
}
