// Plays the wallet in the gateway's own process: `SPARK_ACCOUNT_MODULE=test/fake/account.js`. What it does next is steered
// over HTTP on a loopback port of its own, which it prints as {"event":"fake_spark","port":…} before the gateway listens.

import { createServer } from 'node:http';
import { join } from 'node:path';
import { addressOf, World } from './world.js';

const world = new World(process.env.FAKE_SPARK_FILE || join(process.env.SPARK_DATA_DIR || '.', '..', 'fake-spark.json'));
for (const [operation, behaviour] of Object.entries(JSON.parse(process.env.FAKE_SPARK_BEHAVIOUR || '{}'))) {
  world.behave(operation, behaviour);
}
let held = [];

/** @returns {Promise<import('../../src/account.js').Account>} */
export async function open({ mnemonic }) {
  return act('open', () => ({
    getAddress: async () => addressOf(mnemonic),
    createLightningInvoice: (options) => act('create', () => world.create(options)),
    getLightningReceiveRequest: (id) => act('read', () => world.read(id)),
    cleanupConnections: async () => world.count('cleanup'),
  }));
}

async function act(operation, work) {
  world.count(operation);
  const behaviour = world.nextBehaviour(operation);
  switch (behaviour.kind) {
    case 'ok':
      return work();
    case 'fail':
      throw failure(behaviour);
    case 'lose':
      work();
      throw failure(behaviour);
    case 'hold':
      await released();
      return work();
    case 'hold_answer': {
      const answer = work();
      await released();
      return answer;
    }
    case 'crash_before':
      return crash();
    case 'crash_after':
      work();
      return crash();
    case 'answer':
      return behaviour.value === null ? null : merge(work(), behaviour.value);
    default:
      throw new Error(`no such behaviour: ${behaviour.kind}`);
  }
}

const released = () => new Promise((resolve) => held.push(resolve));

function crash() {
  process.kill(process.pid, 'SIGKILL');
  return new Promise(() => {});
}

/** An error as the SDK throws them: told by its name, chatty in its message. */
function failure({ error = 'SparkRequestError', message = 'fake: request failed', field, original }) {
  const originalError = original === undefined ? undefined : new Error(original);
  return Object.assign(new Error(message), { name: error, context: { field }, originalError });
}

function merge(answer, changes) {
  const merged = { ...answer };
  for (const [name, value] of Object.entries(changes)) {
    const deeper = value !== null && typeof value === 'object' && answer?.[name];
    merged[name] = deeper ? merge(answer[name], value) : value;
  }
  return merged;
}

const CONTROLS = {
  'GET /state': () => ({ ...world.state, held: held.length }),
  'GET /environment': () => ({ names: Object.keys(process.env) }),
  'POST /behave': (body) => {
    for (const [operation, behaviour] of Object.entries(body)) world.behave(operation, behaviour);
    return {};
  },
  'POST /pay': ({ status = 'LIGHTNING_PAYMENT_RECEIVED', ...which }) => world.change({ ...which, status }),
  'POST /set': (body) => world.change(body),
  'POST /forget': ({ id }) => world.forget(id) ?? {},
  'POST /release': () => {
    const count = held.length;
    for (const release of held) release();
    held = [];
    return { released: count };
  },
  'POST /reject': ({ message = 'fake: background work failed' }) => {
    Promise.reject(failure({ error: 'SparkAuthenticationError', message }));
    return {};
  },
  'POST /throw': ({ message = 'fake: nobody caught this' }) => {
    setImmediate(() => { throw new Error(message); });
    return {};
  },
  'POST /console': ({ message = 'fake: chatter' }) => {
    console.error(message, new Error(message));
    console.log(message, { some: 'object' });
    return {};
  },
};

const control = createServer(async (request, response) => {
  const handle = CONTROLS[`${request.method} ${request.url}`];
  const chunks = await request.toArray();
  const answer = handle ? handle(JSON.parse(Buffer.concat(chunks).toString() || '{}')) : null;
  response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
});
await new Promise((resolve) => control.listen(Number(process.env.FAKE_SPARK_PORT || 0), '127.0.0.1', resolve));
control.unref();
process.stdout.write(`${JSON.stringify({ event: 'fake_spark', port: control.address().port })}\n`);
