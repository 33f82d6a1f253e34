"""Decodes the stub's invoices (`cargo run --example issue`, on standard input) with PyPI `bolt11`, which recovers the
payee from the signature, and compares every fact. Ends with 1 at the first difference."""

import json
import sys

import bolt11

count = 0
for line in sys.stdin:
    expected = json.loads(line)
    invoice = bolt11.decode(expected["bolt11"])
    found = {
        "network": invoice.currency,
        "payee": invoice.payee,
        "payment_hash": invoice.payment_hash,
        "amount_msats": str(invoice.amount_msat),
        "description": invoice.description,
        "issued_at": invoice.date,
        "lifetime_s": invoice.expiry,
        "secret_bytes": len(bytes.fromhex(invoice.payment_secret)),
        "cltv": invoice.min_final_cltv_expiry,
    }
    wanted = {"network": "bcrt", "secret_bytes": 32, "cltv": 80} | {name: expected[name] for name in found if name in expected}
    if found != wanted:
        sys.exit(f"differs:\n{found}\n{wanted}")
    count += 1
if count == 0:
    sys.exit("no invoices on standard input")
print(f"PyPI bolt11: {count} invoices agree")
