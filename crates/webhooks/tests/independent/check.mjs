// Lines of signed requests on standard input: the published JavaScript library must accept each as it is, and refuse it with another
// body, another id, another secret, or a timestamp of ten minutes ago.
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

let checked = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const { secret, id, timestamp, signature, body } = JSON.parse(line);
  const headers = { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature };
  const webhook = new Webhook(secret);
  const event = webhook.verify(body, headers);
  if (!event.type.startsWith("ticket.")) throw new Error(`a strange event: ${line}`);
  const old = String(Number(timestamp) - 600);
  for (const [what, attempt] of [
    ["body", () => webhook.verify(body.replace("50000", "1"), headers)],
    ["id", () => webhook.verify(body, { ...headers, "webhook-id": "another" })],
    ["timestamp", () => webhook.verify(body, { ...headers, "webhook-timestamp": old })],
    ["secret", () => new Webhook("whsec_" + Buffer.alloc(32, 7).toString("base64")).verify(body, headers)],
  ]) {
    let accepted = true;
    try { attempt(); } catch { accepted = false; }
    if (accepted) throw new Error(`another ${what} was accepted: ${line}`);
  }
  checked += 1;
}
if (checked === 0) throw new Error("there was nothing to check");
console.log(`${checked} requests: accepted, and refused once changed, by standardwebhooks (JavaScript)`);
