-- Erased users: their data must not return, and these tables do not identify them.

CREATE TABLE erasures (
    user_hash bytea PRIMARY KEY,
    erased_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE erasures IS 'Permanently erased users. Later data that names one of them is dropped.';
COMMENT ON COLUMN erasures.user_hash IS 'HMAC-SHA-256 of the Auth0 user id under ERASURE_KEY; the id cannot be derived from it without that key.';
COMMENT ON COLUMN erasures.erased_at IS 'Time of the erasure.';

CREATE TABLE erasure_key (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    check_value bytea NOT NULL
);
COMMENT ON TABLE erasure_key IS 'Verifies that ERASURE_KEY is the key of the erasures; one row from the first erasure on.';
COMMENT ON COLUMN erasure_key.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN erasure_key.check_value IS 'HMAC-SHA-256 of a fixed text under that key.';

COMMENT ON TABLE races IS 'Writes of other clients between our read and our write, and how each case ended; only the erasure of its user removes a row.';
COMMENT ON COLUMN role_changes.user_id IS 'Auth0 user id; erased: and the hash in hex once the user was erased.';
COMMENT ON COLUMN playlists.owner_id IS 'Auth0 user id of the owner; null until the playlist was saved, and once its owner was erased.';
