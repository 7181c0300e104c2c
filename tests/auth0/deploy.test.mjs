// The files of deploy/auth0/ as the tools read them: the unmodified Auth0 Deploy CLI imports tenant.yaml into a recording
// tenant, Terraform reads main.tf, and both files define the same. `scripts/install.sh test` installs
// the CLI into .tools/auth0. Must never pass silently without a tool: the test prints that, and with CI=true the
// CLI's absence is a failure.

import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startTenant } from "./tenant.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const FOLDER = here("../../deploy/auth0/");
const PACKAGES = here("../../.tools/auth0/node_modules/");
const CLI = `${PACKAGES}auth0-deploy-cli/lib/index.js`;
const ACTION = readFileSync(`${FOLDER}actions/rolekeeper/code.js`, "utf8");

// The scopes for the worker's calls (src/auth0/users/mod.rs, src/auth0/logs.rs), and no further ones.
const SCOPES = [
  "read:users",
  "update:users",
  "read:users_app_metadata",
  "update:users_app_metadata",
  "read:logs",
  "read:logs_users",
];
// The categories of the records that the worker reads.
const FILTERS = ["auth.signup.success", "auth.login.success", "management.success", "user.success", "scim.event"];

const VALUES = {
  ROLEKEEPER_HOST: "roles.example.com",
  // Dollar signs have a meaning in a wrong replacement.
  LOG_STREAM_TOKEN: "Bearer $&$1-token",
  API_AUDIENCE: "https://api.music.example.com",
  CLAIM_NAMESPACE: "https://music.example.com",
  DEFAULT_DISPLAY_NAME: "user",
  CLAIM_ROLES: "playlist_editor, dj",
  CLAIM_CLIENTS: "*",
};
// Mostly for the CLI, which compiles its own schema twice; measured: 20 s on two busy cores.
const BOUND_MS = 120_000;

const cliIsThere = existsSync(CLI);
if (!cliIsThere) {
  const missing = `not tested: the Auth0 Deploy CLI, which \`scripts/install.sh test\` puts into .tools/auth0`;
  assert.notEqual(process.env.CI, "true", missing);
  console.error(missing);
}

async function importInto(tenant) {
  const file = `${FOLDER}tenant.yaml`;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [CLI, "import", "--input_file", file, "--env"], {
    timeout: BOUND_MS,
    env: {
      PATH: process.env.PATH,
      NODE_EXTRA_CA_CERTS: tenant.certificate,
      AUTH0_DOMAIN: tenant.domain,
      AUTH0_ACCESS_TOKEN: "of the Deploy CLI's own application",
      AUTH0_API_MAX_RETRIES: "1",
      ...VALUES,
    },
  });
  return stdout + stderr;
}

test("the Deploy CLI makes exactly this in an empty tenant", { skip: !cliIsThere }, async (context) => {
  const tenant = await startTenant();
  context.after(tenant.stop);
  const said = await importInto(tenant);
  assert.match(said, /Import Successful/);
  assert.doesNotMatch(said, /warn|error|problem/i);
  assert.deepEqual(tenant.unknown, []);

  const made = Object.fromEntries(tenant.writes.map(({ call, body }) => [call, body]));
  assert.equal(tenant.writes.length, Object.keys(made).length, "one call of each kind");
  assert.deepEqual(Object.keys(made).sort(), [
    "PATCH /api/v2/actions/triggers/post-login/bindings",
    "POST /api/v2/actions/actions",
    "POST /api/v2/actions/actions/actions_1/deploy",
    "POST /api/v2/client-grants",
    "POST /api/v2/clients",
    "POST /api/v2/log-streams",
    "POST /api/v2/resource-servers",
  ]);

  const client = made["POST /api/v2/clients"];
  assert.deepEqual([client.app_type, client.grant_types], ["non_interactive", ["client_credentials"]]);
  assert.deepEqual(made["POST /api/v2/client-grants"], {
    client_id: "clients_1",
    audience: `https://${tenant.domain}/api/v2/`,
    scope: SCOPES,
  });

  const api = made["POST /api/v2/resource-servers"];
  assert.deepEqual([api.identifier, api.signing_alg], [VALUES.API_AUDIENCE, "RS256"]);
  assert.deepEqual(api.scopes.map(({ value }) => value), ["read:app", "write:app"]);

  const stream = made["POST /api/v2/log-streams"];
  assert.deepEqual(stream.filters, FILTERS.map((name) => ({ type: "category", name })));
  assert.deepEqual([stream.type, stream.sink], [
    "http",
    {
      httpEndpoint: "https://roles.example.com/auth0/logs",
      httpAuthorization: VALUES.LOG_STREAM_TOKEN,
      httpContentType: "application/json",
      httpContentFormat: "JSONARRAY",
    },
  ]);

  const action = made["POST /api/v2/actions/actions"];
  assert.equal(action.code, ACTION, "the code goes as it stands");
  assert.deepEqual(action.supported_triggers, [{ id: "post-login", version: "v3" }]);
  assert.deepEqual(
    Object.fromEntries(action.secrets.map(({ name, value }) => [name, value])),
    {
      CLAIM_NAMESPACE: VALUES.CLAIM_NAMESPACE,
      DEFAULT_DISPLAY_NAME: VALUES.DEFAULT_DISPLAY_NAME,
      CLAIM_ROLES: VALUES.CLAIM_ROLES,
      CLAIM_CLIENTS: VALUES.CLAIM_CLIENTS,
    },
  );
  assert.deepEqual(made["PATCH /api/v2/actions/triggers/post-login/bindings"], {
    bindings: [{ ref: { type: "action_name", value: action.name }, display_name: "rolekeeper" }],
  });
});

test("main.tf says what tenant.yaml says", { skip: !cliIsThere }, () => {
  const yaml = createRequire(PACKAGES)("js-yaml").load(readFileSync(`${FOLDER}tenant.yaml`, "utf8"));
  const terraform = readFileSync(`${FOLDER}main.tf`, "utf8");
  const [client] = yaml.clients;
  const [grant] = yaml.clientGrants;
  const [stream] = yaml.logStreams;
  const [action] = yaml.actions;
  const [bound] = yaml.triggers["post-login"];
  const is = (type) => block(terraform, `resource "${type}" "rolekeeper"`);

  assert.deepEqual(
    ["name", "description", "app_type"].map((key) => text(is("auth0_client"), key)),
    [client.name, client.description, client.app_type],
  );
  assert.deepEqual(texts(is("auth0_client"), "grant_types"), client.grant_types);
  assert.equal(text(is("auth0_client_credentials"), "authentication_method"), client.token_endpoint_auth_method);

  const [always] = lists(is("auth0_client_grant"));
  assert.deepEqual(always, grant.scope);
  assert.match(is("auth0_client_grant"), /var\.gap_filler \? \["read:logs"\] : \[\]/);
  assert.match(block(terraform, 'variable "gap_filler"'), /default\s+= false/);
  assert.equal(text(is("auth0_client_grant"), "audience"), grant.audience.replace("##AUTH0_DOMAIN##", "${var.auth0_domain}"));

  const [api] = yaml.resourceServers;
  const scopes = [...is("auth0_resource_server_scopes").matchAll(/name\s+= "(.*)"\n\s+description = "(.*)"/g)];
  assert.deepEqual(scopes.map(([, value, description]) => ({ value, description })), api.scopes);
  assert.deepEqual(
    ["name", "signing_alg"].map((key) => text(is("auth0_resource_server"), key)),
    [api.name, api.signing_alg],
  );

  const filters = [...is("auth0_log_stream").matchAll(/\{ type = "(.*)", name = "(.*)" \}/g)];
  assert.deepEqual(filters.map(([, type, name]) => ({ type, name })), stream.filters);
  assert.equal(text(is("auth0_log_stream"), "http_endpoint"), stream.sink.httpEndpoint.replace("##ROLEKEEPER_HOST##", "${var.rolekeeper_host}"));
  assert.equal(text(is("auth0_log_stream"), "http_content_format"), stream.sink.httpContentFormat);
  assert.equal(text(is("auth0_log_stream"), "http_content_type"), stream.sink.httpContentType);

  assert.match(is("auth0_action"), new RegExp(`file\\("\\$\\{path.module\\}/${action.code.replace("./", "")}"\\)`));
  assert.equal(text(is("auth0_action"), "runtime"), action.runtime);
  const [trigger] = action.supported_triggers;
  const supported = block(is("auth0_action"), "supported_triggers");
  assert.deepEqual([text(supported, "id"), text(supported, "version")], [trigger.id, trigger.version]);
  const secrets = [...is("auth0_action").matchAll(/name\s+= "(.*)"\n\s+value = var\.(.*)/g)].map(([, name, from]) => [name, from]);
  assert.deepEqual(secrets, action.secrets.map(({ name }) => [name, name.toLowerCase()]));
  assert.equal(text(is("auth0_trigger_action"), "trigger"), Object.keys(yaml.triggers)[0]);
  assert.equal(text(is("auth0_trigger_action"), "display_name"), bound.display_name);
});

// Terraform's provider is needed for `validate`, and `terraform init` downloads it once: a test does not do that.
test("terraform reads main.tf", (context) => {
  const terraform = (...args) => spawnSync("terraform", [`-chdir=${FOLDER}`, ...args], { encoding: "utf8", timeout: BOUND_MS });
  const skip = (what) => {
    console.error(`not tested: ${what}`);
    context.skip(what);
  };
  if (terraform("version").error) return skip("main.tf: there is no terraform");
  const form = terraform("fmt", "-check", "-diff");
  assert.equal(form.status, 0, form.stdout + form.stderr);
  if (!existsSync(`${FOLDER}.terraform`)) {
    return skip("main.tf against the provider: run `terraform -chdir=deploy/auth0 init -backend=false` first");
  }
  const valid = terraform("validate");
  assert.equal(valid.status, 0, valid.stdout + valid.stderr);
});

// Returns the text between the braces after `head`.
function block(source, head) {
  const from = source.indexOf(`${head} {`);
  assert.notEqual(from, -1, head);
  let depth = 0;
  for (let at = source.indexOf("{", from); at < source.length; at += 1) {
    depth += { "{": 1, "}": -1 }[source[at]] ?? 0;
    if (depth === 0) return source.slice(from, at);
  }
  throw new Error(`${head} does not end`);
}

function text(source, key) {
  return new RegExp(`^\\s+${key}\\s+= "(.*)"$`, "m").exec(source)?.[1];
}

function texts(source, key) {
  return lists(new RegExp(`^\\s+${key}\\s+= (\\[.*\\])$`, "m").exec(source)?.[1] ?? "")[0];
}

// Returns each list of texts in `source`.
function lists(source) {
  return [...source.matchAll(/\[([^\]]*)\]/g)].map(([, inner]) => [...inner.matchAll(/"([^"]*)"/g)].map(([, text]) => text));
}
