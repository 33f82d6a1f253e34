"""Makes sealing-vector.txt with libsodium (PyPI: pynacl) and nothing of ours: python3 sealing-vector.py > sealing-vector.txt"""

import base64, hashlib, hmac, struct
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

ring_key, key_id, nonce = bytes(range(32)), b"vector", bytes(range(100, 124))
service, column, owner = b"webhooks", b"webhook_endpoints.secret", (7).to_bytes(16, "big")

extracted = hmac.new(bytes(32), ring_key, hashlib.sha256).digest()  # RFC 5869 without salt
key = hmac.new(extracted, b"guiche sealing v1\0" + service + b"\1", hashlib.sha256).digest()
aad = b"".join(struct.pack(">I", len(part)) + part for part in (b"v1", key_id, service, column, owner))
text = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
print(f"v1.{key_id.decode()}.{text(nonce)}.{text(encrypt(b'segredo', aad, nonce, key))}")
