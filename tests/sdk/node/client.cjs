// Lets the official Node client do its calls against a tenant and prints, as JSON, what its user sees of each.
// Owns no expectation: the test that starts it has those. Must never change the client's own behaviour.
//
// Environment: DOMAIN and LIMITED_DOMAIN (host:port), CLIENT_ID, CLIENT_SECRET, KEY_CLIENT_ID, KEY_FILE (PKCS#8);
// trust by NODE_EXTRA_CA_CERTS.
// CommonJS, because NODE_PATH works for it alone.
"use strict";

const { readFileSync } = require("node:fs");
const { gunzipSync } = require("node:zlib");
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

// The ids of all pages of a search.
async function found(q) {
  const page = await client.users.list({
    q, search_engine: "v3", sort: "created_at:1", per_page: 2, fields: "user_id,app_metadata", include_fields: true,
  });
  const result = { total: page.response.total, ids: [] };
  for await (const user of page) result.ids.push(user.user_id);
  return result;
}

// A users export job until its file is read; the file is fetched by its link alone.
async function exported() {
  const fields = [{ name: "user_id" }, { name: "app_metadata", export_as: "app" }, { name: "identities" }];
  const { id, type, status } = await client.jobs.usersExports.create({ format: "json", fields });
  const states = [status];
  let job = await client.jobs.get(id);
  for (; ; job = await client.jobs.get(id)) {
    if (job.status !== states.at(-1)) states.push(job.status);
    if (job.status === "completed") break;
    await new Promise((resume) => setTimeout(resume, 200));
  }
  const file = await fetch(job.location);
  const lines = gunzipSync(Buffer.from(await file.arrayBuffer())).toString().trim().split("\n").map((line) => JSON.parse(line));
  const holders = lines.filter((line) => line.app?.roles?.includes("archivist"));
  return { type, states, ids: holders.map((line) => line.user_id).sort(), linked: holders.flatMap((line) => ids(line.identities)).sort() };
}

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
    found_by_identity: await found('identities.user_id:"7" AND identities.provider:"google-oauth2"'),
    unlinked: ids(await client.users.identities.delete("auth0|reader", "google-oauth2", "7")),
    found: await found('app_metadata.roles:"archivist"'),
    found_later: await found('app_metadata.roles:"archivist" AND created_at:{2024-01-01T00:00:01.000Z TO *]'),
    bad_query: await seen(client.users.list({ q: "roles:[", search_engine: "v3" })),
    too_far: await seen(client.users.list({ page: 10, per_page: 100 })),
    exported: await exported(),
    no_job: await seen(client.jobs.get("job_unknown")),
    in_a_row: [],
  };
  for (let call = 0; call < 3; call += 1) {
    result.in_a_row.push(await seen(limited.users.get("auth0|reader")));
  }
  console.log(JSON.stringify(result));
}

main();
