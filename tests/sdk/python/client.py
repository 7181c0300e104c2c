"""Lets the official Python client do its calls against a tenant and prints, as JSON, what its user sees of each.

Owns no expectation: the test that starts it has those. Must never change the client's own behaviour.

Environment: DOMAIN and LIMITED_DOMAIN (host:port), CLIENT_ID, CLIENT_SECRET; trust by SSL_CERT_FILE.
"""

import json
import os

from auth0.management import ManagementClient
from auth0.management.core.api_error import ApiError

credentials = {"client_id": os.environ["CLIENT_ID"], "client_secret": os.environ["CLIENT_SECRET"]}
client = ManagementClient(domain=os.environ["DOMAIN"], **credentials)
stranger = ManagementClient(domain=os.environ["DOMAIN"], token="nobody's")
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


roles = {"roles": ["dj", "playlist_editor"]}
result = {
    "read": seen(lambda: client.users.get("auth0|reader")),
    "patched": seen(lambda: client.users.update("auth0|reader", app_metadata=roles)),
    "missing": seen(lambda: client.users.get("auth0|nobody")),
    "malformed": seen(lambda: client.users.update("auth0|reader", name="x" * 301)),
    "refused": seen(lambda: stranger.users.get("auth0|reader")),
    "limited": seen(lambda: client.users.get("auth0|limited")),
    "persevered": seen(lambda: client.users.update("auth0|unlucky", app_metadata=roles)),
    "in_a_row": [seen(lambda: limited.users.get("auth0|reader")) for _ in range(3)],
}
print(json.dumps(result))
