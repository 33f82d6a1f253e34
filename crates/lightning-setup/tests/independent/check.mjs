// An address of a running server, paid through two published LNURL libraries: each resolves it, asks for an invoice, and accepts
// its amount and (where it checks that) the hash of its description; once paid, it is told so with a preimage that proves it.
//   node check.mjs SERVER ADDRESS BTCPAY      the last is where the played store host is told to pay
import { createHash } from "node:crypto";
import { LightningAddress } from "@getalby/lightning-tools/lnurl";
import { requestInvoiceWithServiceParams, requestPayServiceParams } from "lnurl-pay";

const [server, address, btcpay] = process.argv.slice(2);
const [name, domain] = address.split("@");
const expect = (what, fine) => { if (!fine) throw new Error(what); };

// Everything that is said to be at the domain is asked of the server under test.
const here = (url) => { const to = new URL(url); return `${server}${to.pathname}${to.search}`; };
const ask = async ({ url, params }) => {
  const to = new URL(here(url));
  for (const [key, value] of Object.entries(params ?? {})) to.searchParams.set(key, value);
  return (await fetch(to)).json();
};
const pay = async (paymentHash) => {
  const paid = await fetch(`${btcpay}/_fake/pay`, { method: "POST", body: JSON.stringify({ invoice: paymentHash }) });
  expect(`the store host would not pay: ${paid.status}`, paid.ok);
};
const proves = (preimage, hash) => createHash("sha256").update(Buffer.from(preimage, "hex")).digest("hex") === hash;

// lnurl-pay: checks amount and description hash.
const params = await requestPayServiceParams({ lnUrlOrAddress: address, fetchGet: ask });
expect("the identifier is not the address", params.identifier === address);
const sats = Math.max(21, Math.ceil(params.min));
const first = await requestInvoiceWithServiceParams({
  params, tokens: sats, comment: "obrigado", fetchGet: ask, validateInvoice: true,
});
expect("lnurl-pay: amount", first.hasValidAmount === true);
expect("lnurl-pay: description hash", first.hasValidDescriptionHash === true);
console.log(`lnurl-pay: ${sats} sats to ${params.identifier}, amount and hash accepted`);

// Alby's tools: verification of the payment (LUD-21). They ask the domain themselves.
const original = globalThis.fetch;
globalThis.fetch = (url, options) => original(new URL(url).hostname === domain ? here(url) : url, options);
const alby = new LightningAddress(address, { proxy: false });
await alby.fetchLnurlData();
expect("lightning-tools: no address", alby.lnurlpData?.identifier === address || alby.lnurlpData?.callback !== undefined);
const invoice = await alby.requestInvoice({ satoshi: sats });
expect("lightning-tools: amount", invoice.satoshi === sats);
expect("lightning-tools: unpaid", (await invoice.isPaid()) === false);
await pay(invoice.paymentHash);
expect("lightning-tools: paid", (await invoice.isPaid()) === true);
expect("the preimage proves nothing", proves(invoice.preimage, invoice.paymentHash));
console.log(`lightning-tools: ${sats} sats, unpaid, then paid with a preimage that proves it`);

// What wallets on web pages need, and what they show when something is wrong.
for (const path of [`/.well-known/lnurlp/${name}`, `/.well-known/lnurlp/nobody-at-all`, `/lnurlp/${name}/callback?amount=1`]) {
  const answer = await fetch(`${server}${path}`, { headers: { origin: "https://wallet.example" } });
  expect(`${path}: HTTP ${answer.status}`, answer.status === 200);
  expect(`${path}: CORS`, answer.headers.get("access-control-allow-origin") === "*");
}
