// Lets the official Node client do its calls against a tenant and prints, as JSON, what its user sees of each.
// Owns no expectation: the test that starts it has those. Must never change the client's own behaviour.
//
// Environment: DOMAIN and LIMITED_DOMAIN (host:port), CLIENT_ID, CLIENT_SECRET, KEY_CLIENT_ID, KEY_FILE (PKCS#8);
// trust by NODE_EXTRA_CA_CERTS.
// CommonJS, because NODE_PATH works for it alone.
"use strict";

const { readFileSync } = require("node:fs");
const { ManagementClient } = require("auth0");

const credentials = { clientId: process.env.CLIENT_ID, clientSecret: process.env.CLIENT_SECRET };
const client = new ManagementClient({ domain: process.env.DOMAIN, ...credentials });
const withKey = new ManagementClient({
  domain: process.env.DOMAIN,
  clientId: process.env.KEY_CLIENT_ID,
  clientAssertionSigningKey: readFileSync(process.env.KEY_FILE, "utf8"),
});
const stranger = new ManagementClient({ domain: process.env.DOMAIN, token: "nobody's" });
const limited = new ManagementClient({ domain: process.env.LIMITED_DOMAIN, ...credentials });

async function seen(call) {
  try {
    return { roles: (await call).app_metadata.roles };
  } catch (error) {
    if (error.statusCode === undefined) throw error;
    const header = (name) => error.rawResponse.headers.get(name);
    return {
      error: error.constructor.name,
      status: error.statusCode,
      code: error.body.errorCode ?? null,
      message: error.body.message,
      limit: header("x-ratelimit-limit"),
      remaining: header("x-ratelimit-remaining"),
      reset: header("x-ratelimit-reset"),
      retry_after: header("retry-after"),
    };
  }
}

const ids = (identities) => identities.map((one) => `${one.provider}|${one.user_id}`);

async function main() {
  const roles = { app_metadata: { roles: ["dj", "playlist_editor"] } };
  const result = {
    read: await seen(client.users.get("auth0|reader")),
    read_with_key: await seen(withKey.users.get("auth0|reader")),
    patched: await seen(client.users.update("auth0|reader", roles)),
    missing: await seen(client.users.get("auth0|nobody")),
    malformed: await seen(client.users.update("auth0|reader", { name: "x".repeat(301) })),
    refused: await seen(stranger.users.get("auth0|reader")),
    limited: await seen(client.users.get("auth0|limited")),
    persevered: await seen(client.users.update("auth0|unlucky", roles)),
    linked: ids(await client.users.identities.link("auth0|reader", { provider: "google-oauth2", user_id: "7" })),
    unlinked: ids(await client.users.identities.delete("auth0|reader", "google-oauth2", "7")),
    in_a_row: [],
  };
  for (let call = 0; call < 3; call += 1) {
    result.in_a_row.push(await seen(limited.users.get("auth0|reader")));
  }
  console.log(JSON.stringify(result));
}

main();
