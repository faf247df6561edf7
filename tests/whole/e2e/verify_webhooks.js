// Reads [{"headers": {...}, "body": "..."}] and verifies each with the standardwebhooks package; the secret comes from
// HOOK_SECRET. Prints how many verified; exits 1 at the first that does not.
const { Webhook } = require("standardwebhooks");
const fs = require("fs");

const webhook = new Webhook(process.env.HOOK_SECRET);
const messages = JSON.parse(fs.readFileSync(0, "utf8"));
for (const { headers, body } of messages) {
  webhook.verify(body, headers); // throws when it does not verify
}
console.log(messages.length);
