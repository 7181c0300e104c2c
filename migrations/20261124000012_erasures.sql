-- People who were erased: nothing about them may come back, and nothing here says who they are.

CREATE TABLE erasures (
    user_hash bytea PRIMARY KEY,
    erased_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE erasures IS 'People who were erased for good. What names one of them later is dropped.';
COMMENT ON COLUMN erasures.user_hash IS 'HMAC-SHA-256 of the Auth0 user id under ERASURE_KEY; the id cannot be had from it without that key.';
COMMENT ON COLUMN erasures.erased_at IS 'When.';

CREATE TABLE erasure_key (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    check_value bytea NOT NULL
);
COMMENT ON TABLE erasure_key IS 'Tells whether ERASURE_KEY is the one that people were erased with; one row from the first erasure on.';
COMMENT ON COLUMN erasure_key.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN erasure_key.check_value IS 'HMAC-SHA-256 of a fixed text under that key.';

COMMENT ON TABLE races IS 'Writes of other clients that fell between our read and our write, and what was done about them; a row goes only with its user''s erasure.';
COMMENT ON COLUMN role_changes.user_id IS 'Auth0 user id; erased: and the hash in hex once the person was erased.';
COMMENT ON COLUMN playlists.owner_id IS 'Auth0 user id of the owner; null until the playlist was saved, and once its owner was erased.';
