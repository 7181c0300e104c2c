// The post-login Action of deploy/auth0/ as a table: the event, and the result of the login. Needs only node.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { login } from "./login.mjs";

const { onExecutePostLogin: action } = createRequire(import.meta.url)(
  "../../deploy/auth0/actions/rolekeeper/code.js",
);

const NS = "https://music.example.com";
const ROLES = `${NS}/roles`;
const NAME = `${NS}/displayName`;
const SECRETS = { CLAIM_NAMESPACE: NS, DEFAULT_DISPLAY_NAME: "user" };
const asks = (...requested_scopes) => ({ transaction: { requested_scopes } });
const ASKS = asks("openid", "roles");
const user = (roles, displayName = "Ann") => ({ app_metadata: { roles, plan: "gold" }, user_metadata: { displayName } });

const NOTHING = { id: {}, access: {}, update: null };
const ANN = { id: { [NAME]: "Ann" }, access: {}, update: null };
const both = (roles) => ({ id: { [NAME]: "Ann", [ROLES]: roles }, access: { [ROLES]: roles }, update: null });
const NAMED = { id: { [NAME]: "user" }, access: {}, update: { user_metadata: { displayName: "user" } } };

const CASES = {
  "an editor who asks": [{ ...ASKS, user: user(["playlist_editor", "dj"]) }, both(["playlist_editor", "dj"])],
  "somebody who has none": [{ ...ASKS, user: user([]) }, both([])],
  "an editor who does not ask": [{ ...asks("openid", "profile"), user: user(["playlist_editor"]) }, ANN],
  "a scope that only begins like it": [{ ...asks("roles:read"), user: user(["dj"]) }, ANN],
  "no transaction": [{ user: user(["dj"]) }, ANN],

  "the password grant asks in the body": [
    { request: { body: { scope: "openid roles" } }, transaction: { requested_scopes: [] }, user: user(["dj"]) },
    both(["dj"]),
  ],
  "a refresh that asks in the body": [{ request: { body: { scope: " roles " } }, user: user(["dj"]) }, both(["dj"])],
  "a refresh that asks for less than it was granted": [
    {
      request: { body: { scope: "openid" } },
      refresh_token: { resource_servers: [{ scopes: ["roles"] }] },
      user: user(["dj"]),
    },
    ANN,
  ],
  "a refresh that names nothing": [
    {
      request: { body: {} },
      refresh_token: { resource_servers: [{ audience: "a", scopes: ["openid"] }, { audience: "b", scopes: ["roles"] }] },
      user: user(["dj"]),
    },
    both(["dj"]),
  ],

  "only the roles of a list": [
    { ...ASKS, user: user(["playlist_editor", "admin", "dj"]), secrets: { ...SECRETS, CLAIM_ROLES: "dj, playlist_editor" } },
    both(["playlist_editor", "dj"]),
  ],
  "all roles by a star": [{ ...ASKS, user: user(["admin"]), secrets: { ...SECRETS, CLAIM_ROLES: "*" } }, both(["admin"])],
  "an application of the list": [
    { ...ASKS, client: { client_id: "app" }, user: user(["dj"]), secrets: { ...SECRETS, CLAIM_CLIENTS: "web app" } },
    both(["dj"]),
  ],
  "a third party's application": [
    { ...ASKS, client: { client_id: "third" }, user: user(["dj"]), secrets: { ...SECRETS, CLAIM_CLIENTS: "web,app" } },
    ANN,
  ],
  "a list that is no text": [{ ...ASKS, user: user(["dj"]), secrets: { ...SECRETS, CLAIM_CLIENTS: ["app"] } }, ANN],

  "roles as a string": [{ ...ASKS, user: user("playlist_editor") }, ANN],
  "roles as an object": [{ ...ASKS, user: user({ 0: "playlist_editor" }) }, ANN],
  "roles with a number": [{ ...ASKS, user: user(["dj", 7]) }, ANN],
  "roles with a list": [{ ...ASKS, user: user([["dj"]]) }, ANN],
  "roles with null": [{ ...ASKS, user: user([null]) }, ANN],
  "roles null": [{ ...ASKS, user: user(null) }, ANN],
  "no roles": [{ ...ASKS, user: user(undefined) }, ANN],
  "no app_metadata": [{ ...ASKS, user: { user_metadata: { displayName: "Ann" } } }, ANN],

  "the very first login": [{ ...asks("openid"), user: {} }, NAMED],
  "a name that was removed": [{ user: user([], null) }, NAMED],
  "an empty name is the user's own": [{ user: user([], "") }, NOTHING],
  "a name that is none": [{ user: user([], { first: "Ann" }) }, NOTHING],
  "no default is configured": [{ user: {}, secrets: { CLAIM_NAMESPACE: NS } }, NOTHING],
  "an empty default": [{ user: {}, secrets: { ...SECRETS, DEFAULT_DISPLAY_NAME: "" } }, NOTHING],

  "no namespace: the name is given all the same": [
    { ...ASKS, user: { app_metadata: { roles: ["dj"] } }, secrets: { DEFAULT_DISPLAY_NAME: "user" } },
    { ...NOTHING, update: NAMED.update },
  ],
  "no secrets": [{ ...ASKS, user: user(["dj"]), secrets: undefined }, NOTHING],
  "a namespace with a slash at the end": [
    { ...ASKS, user: user(["dj"]), secrets: { CLAIM_NAMESPACE: `${NS}/` } },
    both(["dj"]),
  ],
  "an empty event": [{ secrets: undefined }, NOTHING],
};

for (const [name, [given, expected]] of Object.entries(CASES)) {
  test(name, async () => {
    const event = { secrets: SECRETS, ...given };
    const before = structuredClone(event);
    const { calls, ...left } = await login(action, event);
    assert.deepEqual(left, expected);
    assert.deepEqual(event, before, "the Action changes what it is shown");
  });
}

test("a namespace that Auth0 would leave out in silence is not tried", async () => {
  for (const namespace of [
    "music.example.com",
    "urn:music",
    "ftp://music.example.com",
    "https://",
    "https://music.eu.auth0.com",
    "https://auth0.com/music",
    "http://x.webtask.io",
    "https://webtask.run:8080/x",
    7,
  ]) {
    const { calls } = await login(action, { ...ASKS, user: user(["dj"]), secrets: { CLAIM_NAMESPACE: namespace } });
    assert.deepEqual(calls, [], String(namespace));
  }
  for (const namespace of ["http://music.example.com", "https://notauth0.com", "https://auth0.com.example.com/x"]) {
    const { id } = await login(action, { ...ASKS, user: user(["dj"]), secrets: { CLAIM_NAMESPACE: namespace } });
    assert.deepEqual(id[`${namespace}/roles`], ["dj"], namespace);
  }
});

test("whatever an event holds, a login passes, claims are texts, and roles are never written", async () => {
  const odd = [undefined, null, 0, 7, true, "", "roles", "a b", [], ["roles"], ["roles", 1], {}, { roles: ["x"] }, [[]], [{}]];
  const places = [
    "secrets", "secrets.CLAIM_NAMESPACE", "secrets.DEFAULT_DISPLAY_NAME", "user", "user.app_metadata",
    "user.app_metadata.roles", "user.user_metadata", "user.user_metadata.displayName", "transaction",
    "transaction.requested_scopes", "request", "request.body", "request.body.scope", "refresh_token",
    "refresh_token.resource_servers", "refresh_token.resource_servers.0", "refresh_token.resource_servers.0.scopes",
  ];
  const whole = {
    ...ASKS,
    secrets: SECRETS,
    user: user(["dj"]),
    request: { body: { scope: "openid roles" } },
    refresh_token: { resource_servers: [{ scopes: ["roles"] }] },
  };
  const text = (value) => typeof value === "string" || (Array.isArray(value) && value.every((e) => typeof e === "string"));
  let logins = 0;
  for (const [first, second] of pairs(places)) {
    for (const one of odd) {
      for (const other of odd) {
        const event = structuredClone(whole);
        put(event, first, structuredClone(one));
        put(event, second, structuredClone(other));
        const where = `${first} ${JSON.stringify(one)}, ${second} ${JSON.stringify(other)}`;
        const { id, access, update, calls } = await login(action, event);
        assert.ok(calls.every(([call]) => !["user.set app_metadata", "access.deny"].includes(call)), where);
        assert.ok([...Object.values(id), ...Object.values(access)].every(text), where);
        assert.ok(update === null || text(update.user_metadata.displayName), where);
        logins += 1;
      }
    }
  }
  assert.equal(logins, (places.length * (places.length - 1) / 2) * odd.length ** 2);
  for (const event of [undefined, null, 7, "x"]) {
    assert.deepEqual((await login(action, event)).calls, []);
  }
});

test("an Auth0 that refuses a call does not refuse the login, and the other claim is still there", async (context) => {
  const said = context.mock.method(console, "error", () => {}).mock;
  const refuses = () => {
    throw new Error("no such call");
  };
  const claims = {};
  const takes = { setCustomClaim: (name, value) => (claims[name] = value) };
  const event = { ...ASKS, secrets: SECRETS, user: { app_metadata: { roles: ["dj"] } } };
  await action(event, { user: { setUserMetadata: refuses }, idToken: takes, accessToken: takes });
  assert.deepEqual(claims, { [ROLES]: ["dj"] });
  await action(event, {});
  assert.deepEqual(
    said.calls.map(({ arguments: [line] }) => line.split(":").slice(0, 2).join(":")),
    ["display name", "display name", "roles"].map((what) => `rolekeeper: login goes on without ${what}`),
  );
});

function* pairs(list) {
  for (const [at, first] of list.entries()) {
    for (const second of list.slice(at + 1)) yield [first, second];
  }
}

// Sets a value at a path, if its parent still exists.
function put(event, place, value) {
  const path = place.split(".");
  const last = path.pop();
  const inner = path.reduce((at, key) => at?.[key], event);
  if (typeof inner === "object" && inner !== null) inner[last] = value;
}
