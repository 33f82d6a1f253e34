// Signed regtest invoices, as Spark's provider would make them.

import { createHash, randomBytes } from 'node:crypto';
import bolt11 from 'bolt11';

/** Key of the node that plays Spark's provider; it guards nothing. */
const PROVIDER_KEY = createHash('sha256').update('fake spark provider').digest('hex');
const REGTEST = { bech32: 'bcrt', pubKeyHash: 0x6f, scriptHash: 0xc4, validWitnessVersions: [0, 1] };

/** @param {{ amountSats: number, memo: string, expirySeconds: number, createdAt: number }} wanted `createdAt` in whole seconds */
export function signedInvoice({ amountSats, memo, expirySeconds, createdAt }) {
  const preimage = randomBytes(32);
  const paymentHash = createHash('sha256').update(preimage).digest('hex');
  const unsigned = bolt11.encode(
    {
      network: REGTEST,
      satoshis: amountSats,
      timestamp: createdAt,
      tags: [
        { tagName: 'payment_hash', data: paymentHash },
        { tagName: 'payment_secret', data: randomBytes(32).toString('hex') },
        { tagName: 'description', data: memo },
        { tagName: 'expire_time', data: expirySeconds },
        { tagName: 'min_final_cltv_expiry', data: 18 },
        {
          tagName: 'feature_bits',
          data: {
            word_length: 4,
            var_onion_optin: { required: true, supported: true },
            payment_secret: { required: true, supported: true },
          },
        },
      ],
    },
    false,
  );
  const { paymentRequest } = bolt11.sign(unsigned, PROVIDER_KEY);
  return { bolt11: paymentRequest, paymentHash, preimage: preimage.toString('hex') };
}
