// Decodes the stub's invoices (`cargo run --example issue`, on standard input) with npm `bolt11`, which recovers the
// payee from the signature and compares every fact. Ends with 1 at the first difference.
import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'
import { decode } from 'bolt11'

let count = 0
for await (const line of createInterface({ input: process.stdin })) {
  const expected = JSON.parse(line)
  const invoice = decode(expected.bolt11)
  const tags = invoice.tagsObject
  assert.deepEqual(
    {
      network: invoice.network.bech32,
      complete: invoice.complete,
      payee: invoice.payeeNodeKey,
      payment_hash: tags.payment_hash,
      amount_msats: invoice.millisatoshis,
      description: tags.description,
      issued_at: invoice.timestamp,
      lifetime_s: tags.expire_time,
      secret_bytes: tags.payment_secret.length / 2,
      features: [tags.feature_bits.var_onion_optin, tags.feature_bits.payment_secret].map((bit) => bit.required),
      cltv: tags.min_final_cltv_expiry,
    },
    {
      network: 'bcrt',
      complete: true,
      payee: expected.payee,
      payment_hash: expected.payment_hash,
      amount_msats: expected.amount_msats,
      description: expected.description,
      issued_at: expected.issued_at,
      lifetime_s: expected.lifetime_s,
      secret_bytes: 32,
      features: [true, true],
      cltv: 80,
    },
  )
  count += 1
}
assert(count > 0, 'no invoices on standard input')
console.log(`npm bolt11: ${count} invoices agree`)
