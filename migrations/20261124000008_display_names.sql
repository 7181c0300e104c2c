-- Display names: what users wish to be called, and what Auth0 did not take.
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
COMMENT ON TABLE display_names IS 'Display names that are to be written to a profile, or were refused; a row goes when its wish has come true.';
COMMENT ON COLUMN display_names.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN display_names.wish_id IS 'Names the newest wish (UUIDv7), so that one that came later is not taken for done; null when there is none.';
COMMENT ON COLUMN display_names.wished IS 'The name that the user wishes to have; null when there is no wish.';
COMMENT ON COLUMN display_names.wished_at IS 'When they said so.';
COMMENT ON COLUMN display_names.refused IS 'The name, wished or given by default, with which Auth0 last refused a write; null when none was refused. It is not sent again for a day.';
COMMENT ON COLUMN display_names.refused_at IS 'When that was.';
COMMENT ON COLUMN display_names.refusal IS 'What Auth0 said, for a person.';

-- A wish stands between grants and new users, so these and verifications move back by one. Rows that wait keep their
-- number and are looked at a little sooner. A worker of the version before leaves verifications to the others.
-- Wider than the old check, so every row there meets it: NOT VALID spares the scan.
ALTER TABLE nominations
    DROP CONSTRAINT nominations_urgency_check,
    ADD CONSTRAINT nominations_urgency_check CHECK (urgency BETWEEN 0 AND 4) NOT VALID;
COMMENT ON COLUMN nominations.urgency IS '0 a role may have to go, 1 a role may be due, 2 a display name is wished, 3 a new user, 4 verification.';
