-- Linked accounts: one person with several Auth0 ids.

CREATE TABLE identities (
    alias      text COLLATE "C" PRIMARY KEY,
    primary_id text COLLATE "C" NOT NULL,
    since      timestamptz NOT NULL,
    doubted    boolean NOT NULL DEFAULT false,
    undone     boolean NOT NULL DEFAULT false,
    CHECK (alias <> primary_id)
);
CREATE INDEX identities_primary ON identities (primary_id);
COMMENT ON TABLE identities IS 'Auth0 ids that are linked to another one, the primary. Written by reconcile alone, from the identities of a primary''s profile; a primary is never an alias itself. At 3 million users one row for each linked id, some hundred thousand. Removed when the profile no longer shows the id, when Auth0 no longer knows the primary, and by an erasure. A restored older copy is corrected by the next read of each primary.';
COMMENT ON COLUMN identities.alias IS 'Auth0 user id of the linked identity: provider and id.';
COMMENT ON COLUMN identities.primary_id IS 'Auth0 user id of the account that it is linked to.';
COMMENT ON COLUMN identities.since IS 'Time of the response that confirmed the link, by Auth0''s clock. The data API serves the person for tokens of the alias that were issued until then.';
COMMENT ON COLUMN identities.doubted IS 'A record reports an unlink, or a token of the alias was issued later than the link: the data API serves the alias alone until the primary is read again. Written by the fold of AUTH0_LOGS and by the data API.';
COMMENT ON COLUMN identities.undone IS 'The operator has undone the move by which the id is linked: the next read of the primary ends the link, and the ids were never one person. Written by `rolekeeper move --undo`, removed by that read.';

CREATE FUNCTION count_identities() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO counter_changes (counter, change) SELECT 'identities', count(*) FROM added HAVING count(*) > 0;
    ELSE
        INSERT INTO counter_changes (counter, change) SELECT 'identities', -count(*) FROM removed HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION count_identities IS 'Trigger: updates the counter of identities.';
CREATE TRIGGER identities_added AFTER INSERT ON identities REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION count_identities();
CREATE TRIGGER identities_removed AFTER DELETE ON identities REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION count_identities();
INSERT INTO counters (counter, value) VALUES ('identities', 0);

CREATE TABLE former_identities (
    alias      text COLLATE "C" PRIMARY KEY,
    primary_id text COLLATE "C" NOT NULL,
    ended_at   timestamptz NOT NULL DEFAULT now(),
    CHECK (alias <> primary_id)
);
CREATE INDEX former_identities_primary ON former_identities (primary_id);
COMMENT ON TABLE former_identities IS 'Ids that were linked to an account when it was deleted at Auth0: `rolekeeper erase`, `rolekeeper export` and ERASE_AFTER_DELETION_D take them as one person; nothing else does. Written by reconcile; one row for each linked id of a deleted account. Removed when Auth0 shows the id or the account again, when the id is linked to another account, and by an erasure. A restored older copy lacks the later rows, so erase each id by itself then.';
COMMENT ON COLUMN former_identities.alias IS 'Auth0 user id of the linked identity.';
COMMENT ON COLUMN former_identities.primary_id IS 'Auth0 user id of the account that it was linked to.';
COMMENT ON COLUMN former_identities.ended_at IS 'Time at which the account was found to be deleted, by Postgres'' clock.';
