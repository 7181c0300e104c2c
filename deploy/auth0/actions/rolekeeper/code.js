// The post-login Action, which Auth0 runs at each login: it copies the profile's roles into the tokens, and gives a
// display name to a user without one. Owns the two claims. Must never write roles (only rolekeeper does: Auth0 replaces
// the whole list, so one of two writers would lose), and must never throw, since that would refuse the login.
//
// Secrets of the Action, which deploy/auth0/tenant.yaml and main.tf fill in:
//   CLAIM_NAMESPACE       an http or https address of your own, before the claims' names; without it there are no claims
//   DEFAULT_DISPLAY_NAME  for users without a name; without it no user gets one
//   CLAIM_ROLES           roles that tokens show, separated by commas or spaces; without it, or with *, all
//   CLAIM_CLIENTS         client ids whose tokens show roles, separated likewise; without it, or with *, those of all
//                         applications that request it, third-party ones too
//
// Claims:
//   <namespace>/roles        ID and access token, when the scope `roles` is requested: `app_metadata.roles`, if it is a
//                            list of strings, as far as CLAIM_ROLES and CLAIM_CLIENTS allow
//   <namespace>/displayName  ID token: `user_metadata.displayName`, or the default on the very first login

const ROLES_SCOPE = "roles";

// Auth0 leaves out claims below its own domains, without an error (Auth0 docs, create-custom-claims).
const AUTH0_DOMAINS = ["auth0.com", "webtask.io", "webtask.run"];

exports.onExecutePostLogin = async (event, api) => {
  const secrets = event?.secrets ?? {};
  const namespace = namespaceFrom(secrets.CLAIM_NAMESPACE);
  quietly("display name", () => displayName(event, api, namespace, secrets.DEFAULT_DISPLAY_NAME));
  quietly("roles", () => roles(event, api, namespace, secrets));
};

function displayName(event, api, namespace, defaultName) {
  let name = event?.user?.user_metadata?.displayName ?? null;
  if (name === null && isFilled(defaultName)) {
    name = defaultName;
    // Written at the end of the login; `event.user` does not show it, so the claim takes it from here.
    api.user.setUserMetadata("displayName", name);
  }
  if (namespace && isFilled(name)) {
    api.idToken.setCustomClaim(`${namespace}/displayName`, name);
  }
}

function roles(event, api, namespace, secrets) {
  const held = event?.user?.app_metadata?.roles;
  if (!namespace || !requestedScopes(event).has(ROLES_SCOPE) || !isListOfStrings(held)) {
    return;
  }
  const [ofClient, ofRole] = [allowed(secrets.CLAIM_CLIENTS), allowed(secrets.CLAIM_ROLES)];
  if (!ofClient(event?.client?.client_id)) {
    return;
  }
  const shown = held.filter(ofRole);
  api.idToken.setCustomClaim(`${namespace}/roles`, shown);
  api.accessToken.setCustomClaim(`${namespace}/roles`, shown);
}

// Returns true if a name is on the list. A value that is not a text allows nothing.
function allowed(names) {
  if (names === undefined || names === "*") {
    return () => true;
  }
  const listed = new Set(typeof names === "string" ? names.split(/[\s,]+/).filter(isFilled) : []);
  return (name) => listed.has(name);
}

// Auth0 shows the scopes in different places: a login in the browser in `transaction.requested_scopes`; the password
// grant and a refresh that names scopes in the request's body; a refresh that names none, on enterprise plans, as those
// that the refresh token was granted (Auth0 support, "Find Requested Scopes in Actions").
function requestedScopes(event) {
  const inBody = event?.request?.body?.scope;
  if (typeof inBody === "string" && inBody.trim() !== "") {
    return new Set(inBody.trim().split(/\s+/));
  }
  const granted = list(event?.refresh_token?.resource_servers).flatMap((server) => list(server?.scopes));
  return new Set([...list(event?.transaction?.requested_scopes), ...granted]);
}

// Returns the namespace without the final slash, or null if Auth0 would leave the claims out.
function namespaceFrom(value) {
  if (typeof value !== "string" || !/^https?:\/\//.test(value) || !URL.canParse(value)) {
    return null;
  }
  const host = new URL(value).hostname;
  const reserved = AUTH0_DOMAINS.some((domain) => host === domain || host.endsWith(`.${domain}`));
  return reserved ? null : value.replace(/\/+$/, "");
}

function isListOfStrings(value) {
  return Array.isArray(value) && value.every((entry) => typeof entry === "string");
}

function isFilled(value) {
  return typeof value === "string" && value !== "";
}

function list(value) {
  return Array.isArray(value) ? value : [];
}

// A login without a claim is better than no login.
function quietly(what, deed) {
  try {
    deed();
  } catch (error) {
    console.error(`rolekeeper: login goes on without ${what}: ${error?.message}`);
  }
}
