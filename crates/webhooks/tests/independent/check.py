"""As check.mjs, with the published Python library; and an honestly signed request of ten minutes ago is refused as well."""
import base64
import datetime
import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

checked = 0
for line in sys.stdin:
    request = json.loads(line)
    body, secret = request["body"], request["secret"]
    headers = {f"webhook-{name}": request[name] for name in ("id", "timestamp", "signature")}
    webhook = Webhook(secret)
    assert webhook.verify(body, headers)["type"].startswith("ticket."), line
    then = datetime.datetime.fromtimestamp(int(request["timestamp"]) - 600, tz=datetime.timezone.utc)
    replayed = {
        "webhook-id": request["id"],
        "webhook-timestamp": str(int(then.timestamp())),
        "webhook-signature": webhook.sign(request["id"], then, body),
    }
    other = Webhook("whsec_" + base64.b64encode(bytes([7]) * 32).decode())
    for what, verifier, a_body, a_head in [
        ("body", webhook, body.replace("50000", "1"), headers),
        ("id", webhook, body, {**headers, "webhook-id": "another"}),
        ("timestamp", webhook, body, replayed),
        ("secret", other, body, headers),
    ]:
        try:
            verifier.verify(a_body, a_head)
        except WebhookVerificationError:
            continue
        raise AssertionError(f"another {what} was accepted: {line}")
    checked += 1
assert checked, "there was nothing to check"
print(f"{checked} requests: accepted, and refused once changed or old, by standardwebhooks (Python)")
