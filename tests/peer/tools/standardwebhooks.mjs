// Verifies webhooks with the reference implementation of Standard Webhooks (npm package
// standardwebhooks). One JSON object per line on stdin, {secret, headers, body (base64)}; one
// per line on stdout, {ok: true} or {ok: false, error}. zkt.peer_verifies() of tests/lib uses it.
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body } = JSON.parse(line);
  let answer = { ok: true };
  try {
    new Webhook(secret).verify(Buffer.from(body, "base64").toString("utf8"), headers);
  } catch (e) {
    answer = { ok: false, error: e.message };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
