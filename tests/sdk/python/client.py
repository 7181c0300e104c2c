"""Lets the official Python client do its calls against a tenant and prints, as JSON, what its user sees of each.

Owns no expectation: the test that starts it has those. Must never change the client's own behaviour.

Environment: DOMAIN and LIMITED_DOMAIN (host:port), CLIENT_ID, CLIENT_SECRET, KEY_CLIENT_ID, KEY_FILE (PKCS#8);
trust by SSL_CERT_FILE and REQUESTS_CA_BUNDLE.
"""

import json
import os
import pathlib

from auth0.authentication import GetToken
from auth0.management import ManagementClient
from auth0.management.core.api_error import ApiError

domain = os.environ["DOMAIN"]
credentials = {"client_id": os.environ["CLIENT_ID"], "client_secret": os.environ["CLIENT_SECRET"]}
client = ManagementClient(domain=domain, **credentials)
# The management client takes a secret or a token; the token for a key comes from its sister.
key = pathlib.Path(os.environ["KEY_FILE"]).read_text()
get_token = GetToken(domain, os.environ["KEY_CLIENT_ID"], client_assertion_signing_key=key)
token = get_token.client_credentials(f"https://{domain}/api/v2/")["access_token"]
with_key = ManagementClient(domain=domain, token=token)
stranger = ManagementClient(domain=domain, token="nobody's")
limited = ManagementClient(domain=os.environ["LIMITED_DOMAIN"], **credentials)


def seen(call):
    try:
        return {"roles": call().app_metadata["roles"]}
    except ApiError as error:
        return {
            "error": type(error).__name__,
            "status": error.status_code,
            "code": error.body.get("errorCode"),
            "message": error.body["message"],
            "limit": error.headers.get("x-ratelimit-limit"),
            "remaining": error.headers.get("x-ratelimit-remaining"),
            "reset": error.headers.get("x-ratelimit-reset"),
            "retry_after": error.headers.get("retry-after"),
        }


def ids(identities):
    return [f"{one.provider}|{one.user_id}" for one in identities]


identities = client.users.identities
roles = {"roles": ["dj", "playlist_editor"]}
result = {
    "read": seen(lambda: client.users.get("auth0|reader")),
    "read_with_key": seen(lambda: with_key.users.get("auth0|reader")),
    "patched": seen(lambda: client.users.update("auth0|reader", app_metadata=roles)),
    "missing": seen(lambda: client.users.get("auth0|nobody")),
    "malformed": seen(lambda: client.users.update("auth0|reader", name="x" * 301)),
    "refused": seen(lambda: stranger.users.get("auth0|reader")),
    "limited": seen(lambda: client.users.get("auth0|limited")),
    "persevered": seen(lambda: client.users.update("auth0|unlucky", app_metadata=roles)),
    "linked": ids(identities.link("auth0|reader", provider="google-oauth2", user_id="7")),
    "unlinked": ids(identities.delete("auth0|reader", "google-oauth2", "7")),
    "in_a_row": [seen(lambda: limited.users.get("auth0|reader")) for _ in range(3)],
}
print(json.dumps(result))
