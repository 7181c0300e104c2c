-- Display names: requested names, and names that Auth0 refused.
SET LOCAL lock_timeout = '5s';

CREATE TABLE display_names (
    user_id    text COLLATE "C" PRIMARY KEY,
    wish_id    uuid,
    wished     text,
    wished_at  timestamptz,
    refused    text,
    refused_at timestamptz,
    refusal    text,
    CHECK ((wish_id IS NULL) = (wished IS NULL) AND (wish_id IS NULL) = (wished_at IS NULL)),
    CHECK ((refused IS NULL) = (refused_at IS NULL) AND (refused IS NULL) = (refusal IS NULL)),
    CHECK (wish_id IS NOT NULL OR refused IS NOT NULL)
);
COMMENT ON TABLE display_names IS 'Display names that will be written to a profile, or were refused; a row is removed when its request is applied.';
COMMENT ON COLUMN display_names.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN display_names.wish_id IS 'Identifies the newest request (UUIDv7), so that a later one does not count as applied; null when there is none.';
COMMENT ON COLUMN display_names.wished IS 'The requested name; null when there is no request.';
COMMENT ON COLUMN display_names.wished_at IS 'Time of the request.';
COMMENT ON COLUMN display_names.refused IS 'The name, requested or default, with which Auth0 last refused a write; null when none was refused. It is not sent again for a day.';
COMMENT ON COLUMN display_names.refused_at IS 'Time of that refusal.';
COMMENT ON COLUMN display_names.refusal IS 'Auth0''s error text, for the operator.';

-- A name request comes between grants and new users, so these and verifications move back by one. Queued rows keep their
-- number and get their attempt a little sooner. A worker of the version before leaves verifications to the others.
-- Wider than the old check, so every existing row satisfies it: NOT VALID avoids the scan.
ALTER TABLE nominations
    DROP CONSTRAINT nominations_urgency_check,
    ADD CONSTRAINT nominations_urgency_check CHECK (urgency BETWEEN 0 AND 4) NOT VALID;
COMMENT ON COLUMN nominations.urgency IS '0 a role may have to be revoked, 1 a role may be due, 2 a display name is requested, 3 a new user, 4 verification.';
