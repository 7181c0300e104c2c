// One login with a post-login Action, as Auth0 documents it: Auth0 silently omits claims with restricted names, makes one
// update of the metadata at the end, and does not change the event meanwhile. Owns no
// expectation about the Action. Must never be kinder than Auth0.

// "Create custom claims": these names without a namespace, and namespaces below Auth0's own domains, do nothing.
const RESTRICTED = new Set([
  ..."iss sub aud exp nbf iat jti auth_time nonce acr amr azp at_hash c_hash sid scope client_id".split(" "),
  ..."roles groups permissions entitlements org_id org_name cnf act".split(" "),
]);
const RESERVED_NAMESPACE = /^https?:\/\/([^/]*\.)?(auth0\.com|webtask\.io|webtask\.run)([:/]|$)|^urn:auth0/i;

const shown = (name) => !RESTRICTED.has(name) && !RESERVED_NAMESPACE.test(name);

// Runs the Action and returns the result of the login: the claims of both tokens, the one update of the user (null without
// one), and every call. Refuses, as a login does, when the Action throws.
export async function login(action, event) {
  const calls = [];
  const token = { id: {}, access: {} };
  const update = {};
  const claim = (which) => ({
    setCustomClaim(name, value) {
      calls.push([`${which}Token.setCustomClaim`, name]);
      if (shown(name)) token[which][name] = structuredClone(value);
    },
  });
  const metadata = (kind) => (key, value) => {
    calls.push([`user.set ${kind}`, key]);
    update[kind] = { ...update[kind], [key]: structuredClone(value) };
  };
  const api = {
    idToken: claim("id"),
    accessToken: claim("access"),
    user: { setUserMetadata: metadata("user_metadata"), setAppMetadata: metadata("app_metadata") },
    access: { deny: (...reason) => calls.push(["access.deny", ...reason]) },
  };
  await action(event, api);
  return { id: token.id, access: token.access, update: Object.keys(update).length ? update : null, calls };
}
