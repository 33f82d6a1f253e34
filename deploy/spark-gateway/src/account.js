// Where the account comes from: the real wallet, or in tests a module that plays one. The only file that knows the vendor.

import { pathToFileURL } from 'node:url';
import { ConfigError } from './config.js';

/**
 * The part of a WDK Spark account that the gateway uses; a stand-in implements this and nothing else.
 *
 * @typedef {object} Account
 * @property {() => Promise<string>} getAddress
 * @property {(options: CreateOptions) => Promise<ReceiveRequest>} createLightningInvoice
 * @property {(id: string) => Promise<ReceiveRequest | null>} getLightningReceiveRequest
 * @property {() => Promise<void>} cleanupConnections
 *
 * @typedef {object} CreateOptions
 * @property {number} amountSats
 * @property {string} memo
 * @property {number} expirySeconds
 * @property {boolean} includeSparkAddress
 * @property {boolean} includeSparkInvoice
 *
 * @typedef {object} ReceiveRequest
 * @property {string} id
 * @property {string} status
 * @property {string} updatedAt
 * @property {{ encodedInvoice: string, paymentHash: string, createdAt: string, expiresAt: string }} invoice
 * @property {string} [paymentPreimage]
 *
 * @typedef {() => Promise<Account>} Opener
 */

/**
 * Loads the wallet code and checks the seed, both without the network.
 *
 * @param {Pick<import('./config.js').Config, 'network' | 'mnemonic' | 'accountModule'>} config
 * @returns {Promise<Opener>}
 */
export async function accountOpener({ network, mnemonic, accountModule }) {
  if (accountModule) {
    const { open } = await import(pathToFileURL(accountModule).href);
    return () => open({ network, mnemonic });
  }
  const { default: WalletManagerSpark } = await import('@tetherto/wdk-wallet-spark');
  const manager = () => new WalletManagerSpark(mnemonic, { network });
  try {
    manager();
  } catch {
    throw new ConfigError(['SPARK_MNEMONIC: not a valid BIP-39 phrase']);
  }
  // A manager remembers its accounts, so each attempt takes a new one: the next account must have connections of its own.
  return async () => /** @type {Account} */ (/** @type {unknown} */ (await manager().getAccount(0)));
}
