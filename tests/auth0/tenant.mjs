// An empty tenant that responds to the Auth0 Deploy CLI and records the objects to create. Owns the form of the responses,
// as the Management API has it. Must never correct a request: the tests judge it.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";

// Kind: key of the list in a response (log streams have none), key of an item's id.
const KINDS = {
  "/api/v2/clients": ["clients", "client_id"],
  "/api/v2/client-grants": ["client_grants", "id"],
  "/api/v2/log-streams": [null, "id"],
  "/api/v2/resource-servers": ["resource_servers", "id"],
  "/api/v2/actions/actions": ["actions", "id"],
  "/api/v2/actions/modules": ["modules", "id"],
};
const BINDINGS = /^\/api\/v2\/actions\/triggers\/([^/]+)\/bindings$/;

// Starts a tenant on a free port of this machine. `writes` grows with each call that is not a GET; `stop` ends it.
export async function startTenant() {
  const folder = mkdtempSync(join(tmpdir(), "rolekeeper-tenant-"));
  const certificate = join(folder, "certificate.pem");
  const key = join(folder, "key.pem");
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync("openssl", ["req", "-x509", ...kind, ...subject, "-keyout", key, "-out", certificate], { stdio: "pipe" });

  const writes = [];
  const unknown = [];
  const lists = Object.fromEntries(Object.keys(KINDS).map((path) => [path, []]));
  const bindings = {};
  const answer = (method, path, body) => {
    const [kind, id] = split(path);
    const [listKey, idKey] = KINDS[kind] ?? [];
    if (method === "GET" && kind && id === undefined) {
      return listKey === null ? lists[kind] : { start: 0, limit: 100, total: lists[kind].length, [listKey]: lists[kind] };
    }
    if (method === "GET" && path === "/api/v2/actions/triggers") return { triggers: [{ id: "post-login", version: "v3" }] };
    const bound = BINDINGS.exec(path)?.[1];
    if (bound) return { bindings: method === "PATCH" ? (bindings[bound] = body.bindings) : (bindings[bound] ?? []) };
    if (method === "POST" && path.endsWith("/deploy")) return { id, deployed: true };
    if (method === "POST" && kind && id === undefined) {
      const made = { ...body, [idKey]: `${kind.split("/").pop()}_${lists[kind].length + 1}` };
      lists[kind].push(made);
      return made;
    }
    const changed = kind && lists[kind].find((item) => item[idKey] === id);
    if (method === "PATCH" && changed) return Object.assign(changed, body);
    unknown.push(`${method} ${path}`);
    return undefined;
  };
  const server = https.createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const body = text === "" ? undefined : JSON.parse(text);
    const { pathname } = new URL(request.url, "https://localhost");
    if (request.method !== "GET") writes.push({ call: `${request.method} ${pathname}`, body });
    const found = answer(request.method, pathname, body);
    response.writeHead(found === undefined ? 404 : request.method === "POST" ? 201 : 200, {
      "content-type": "application/json; charset=utf-8",
    });
    response.end(JSON.stringify(found ?? { statusCode: 404, error: "Not Found", message: "Not Found" }));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const stop = () => {
    server.closeAllConnections();
    rmSync(folder, { recursive: true });
    return new Promise((done) => server.close(done));
  };
  return { domain: `localhost:${server.address().port}`, certificate, writes, unknown, stop };
}

// Returns the kind that a path names, and the id after it.
function split(path) {
  const kind = Object.keys(KINDS).find((kind) => path === kind || path.startsWith(`${kind}/`));
  return [kind, kind && path.slice(kind.length + 1).split("/")[0] || undefined];
}
