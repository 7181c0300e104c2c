"""Lets the official Python client do its calls against a tenant and prints, as JSON, what its user sees of each.

Owns no expectation: the test that starts it has those. Must never change the client's own behaviour.

Environment: DOMAIN and LIMITED_DOMAIN (host:port), CLIENT_ID, CLIENT_SECRET, KEY_CLIENT_ID, KEY_FILE (PKCS#8);
trust by SSL_CERT_FILE and REQUESTS_CA_BUNDLE.
"""

import gzip
import json
import os
import pathlib
import time
import urllib.request

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


def found(query):
    """The ids of all pages of a search."""
    page = client.users.list(
        q=query, search_engine="v3", sort="created_at:1", per_page=2, fields="user_id,app_metadata", include_fields=True
    )
    return {"total": int(page.response.total), "ids": [user.user_id for user in page]}


def exported():
    """A users export job until its file is read; the file is fetched by its link alone."""
    fields = [{"name": "user_id"}, {"name": "app_metadata", "export_as": "app"}, {"name": "identities"}]
    created = client.jobs.users_exports.create(format="json", fields=fields)
    states = [created.status]
    job = client.jobs.get(created.id)
    while True:
        if job.status != states[-1]:
            states.append(job.status)
        if job.status == "completed":
            break
        time.sleep(0.2)
        job = client.jobs.get(created.id)
    with urllib.request.urlopen(job.location) as file:
        lines = [json.loads(line) for line in gzip.decompress(file.read()).splitlines()]
    holders = [line for line in lines if "archivist" in line.get("app", {}).get("roles", [])]
    linked = [f"{one['provider']}|{one['user_id']}" for line in holders for one in line["identities"]]
    return {"type": created.type, "states": states, "ids": sorted(line["user_id"] for line in holders), "linked": sorted(linked)}


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
    "found_by_identity": found('identities.user_id:"7" AND identities.provider:"google-oauth2"'),
    "unlinked": ids(identities.delete("auth0|reader", "google-oauth2", "7")),
    "found": found('app_metadata.roles:"archivist"'),
    "found_later": found('app_metadata.roles:"archivist" AND created_at:{2024-01-01T00:00:01.000Z TO *]'),
    "bad_query": seen(lambda: client.users.list(q="roles:[", search_engine="v3")),
    "too_far": seen(lambda: client.users.list(page=10, per_page=100)),
    "exported": exported(),
    "no_job": seen(lambda: client.jobs.get("job_unknown")),
    "in_a_row": [seen(lambda: limited.users.get("auth0|reader")) for _ in range(3)],
}
print(json.dumps(result))
