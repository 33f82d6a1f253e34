// The process: reads the settings, opens the ledger, listens, keeps the wallet open, watches, pushes, and ends in order.

import { accountOpener } from './account.js';
import { ConfigError, readConfig } from './config.js';
import { bearerGuard } from './contract/keys.js';
import { createHttp } from './contract/http.js';
import { createRoutes } from './contract/routes.js';
import { Invoices } from './invoices.js';
import { Ledger } from './ledger.js';
import { captureConsole, createLog } from './log.js';
import { Pusher } from './push.js';
import { Certificate } from './tls.js';
import { Wallet } from './wallet.js';
import { Watcher } from './watcher.js';

const SHUTDOWN_LIMIT = 20_000;
const WATCH_TICK = 500;
const EXIT_CONFIG = 78;
const EXIT_LEDGER = 74;

const config = settings();
const log = createLog({ level: config.logLevel, secrets: config.secrets });
captureConsole(log);
// Children and dumps inherit the environment; nobody needs the secrets there any more.
for (const name of ['SPARK_MNEMONIC', 'SPARK_API_KEYS', 'WEBHOOK_SECRET']) delete process.env[name];

process.on('uncaughtException', (error) => {
  log.error('process.broken', { error });
  process.exit(70);
});

const openAccount = await accountOpener(config).catch((error) => refuse(error, EXIT_CONFIG));
const ledger = openLedger();
const wallet = new Wallet({ open: openAccount, isOurs: (address) => ledger.isOf('account', address), pace: config.pace, log });
process.on('unhandledRejection', (reason) => wallet.noteRejection(reason));

const pusher = config.push && new Pusher({ ledger, target: config.push, pauses: config.pace.push, log });
const invoices = new Invoices({ ledger, wallet, config, log, onChange: () => pusher?.wake() });
const watcher = new Watcher({ ledger, wallet, invoices, pace: config.pace, log });
const certificate = config.tls && new Certificate({ files: config.tls, pause: Math.max(10, config.pace.certificate), log });
const handle = createRoutes({ invoices, authorize: bearerGuard(config.apiKeys), health });
const http = createHttp({ handle, log, tls: certificate?.pair });

const address = await http.listen(config.listen).catch((error) => refuse(error, EXIT_CONFIG));
log.always('listening', { address: address.address, port: address.port, tls: certificate !== null, network: config.network, pid: process.pid });
if (config.accountModule) log.warn('account.injected', { text: 'no real wallet: for tests only' });

const tick = Math.max(10, Math.min(WATCH_TICK, ...config.pace.watch));
const work = Promise.all([wallet.run(), watcher.run(tick), pusher?.run(), certificate?.run(http.use)]);
process.on('SIGHUP', () => certificate?.reload(http.use));
process.once('SIGTERM', end);
process.once('SIGINT', end);

function health() {
  const { owed, oldest } = ledger.pushBacklog();
  const state = wallet.health();
  const report = {
    status: wallet.isReady ? 'ready' : 'unavailable',
    network: config.network,
    wallet: state,
    tls: certificate?.health() ?? null,
    push: {
      enabled: pusher !== null,
      owed,
      oldest_age_seconds: oldest === null ? null : Math.floor((Date.now() - oldest) / 1000),
    },
  };
  return { healthy: wallet.isReady, report };
}

/** Answers what was asked, keeps what Spark still answers, and leaves the rest to the next start. @param {string} signal */
async function end(signal) {
  log.info('stopping', { signal });
  const limit = setTimeout(() => {
    log.warn('stopped', { text: 'something did not end in time' });
    process.exit(1);
  }, SHUTDOWN_LIMIT);
  limit.unref();
  process.once('SIGTERM', () => process.exit(1));
  process.once('SIGINT', () => process.exit(1));
  watcher.stop();
  pusher?.stop();
  certificate?.stop();
  await http.close();
  await Promise.allSettled(invoices.running);
  wallet.stop();
  await work;
  http.cut();
  ledger.close();
  log.info('stopped');
  process.exit(0);
}

function settings() {
  try {
    return readConfig(process.env);
  } catch (error) {
    return refuse(error, EXIT_CONFIG);
  }
}

function openLedger() {
  try {
    return new Ledger({ dataDir: config.dataDir, network: config.network, wantsPushes: config.push !== null });
  } catch (error) {
    return refuse(error, EXIT_LEDGER);
  }
}

/** Says why the process does not start, and ends it. @param {unknown} error @param {number} code @returns {never} */
function refuse(error, code) {
  const told = createLog({ level: 'error', secrets: [] });
  if (error instanceof ConfigError) for (const problem of error.problems) told.error('refused', { problem });
  else told.error('refused', { error });
  process.exit(code);
}
