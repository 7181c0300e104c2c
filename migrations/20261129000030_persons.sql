-- Linked accounts: one person with several Auth0 ids. A worker of the version before does not know the table and treats each id as
-- a user of its own; it may mark a linked id as deleted, and the next read of the primary corrects that.
SET LOCAL lock_timeout = '5s';

CREATE TABLE identities (
    alias      text COLLATE "C" PRIMARY KEY,
    primary_id text COLLATE "C" NOT NULL,
    since      timestamptz NOT NULL,
    doubted    boolean NOT NULL DEFAULT false,
    CHECK (alias <> primary_id)
);
CREATE INDEX identities_primary ON identities (primary_id);
COMMENT ON TABLE identities IS 'Auth0 ids that are linked to another one, the primary. Written by reconcile alone, from the identities of a primary''s profile; a primary is never an alias itself. At 3 million users one row for each linked id, some hundred thousand. Removed when the profile no longer shows the id, when Auth0 no longer knows the primary, and by an erasure. A restored older copy is corrected by the next read of each primary.';
COMMENT ON COLUMN identities.alias IS 'Auth0 user id of the linked identity: provider and id.';
COMMENT ON COLUMN identities.primary_id IS 'Auth0 user id of the account that it is linked to.';
COMMENT ON COLUMN identities.since IS 'Time of the response that confirmed the link, by Auth0''s clock. The data API serves the person for tokens of the alias that were issued until then.';
COMMENT ON COLUMN identities.doubted IS 'A record reports an unlink, or a token of the alias was issued later than the link: the data API serves the alias alone until the primary is read again. Written by the fold of AUTH0_LOGS and by the data API.';

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
COMMENT ON TABLE counters IS 'Sums of counter_changes. Six rows, written by the worker that reconciles, once a second; never removed. A restored older copy matches the tables restored with it.';
COMMENT ON COLUMN counters.counter IS 'holdings_adopted and holdings_unadopted: held rows of assignments. users_held and users_adopted: users with at least one such row, or one that is adopted. nominations: rows of nominations. identities: rows of identities.';

-- Wider than the old check, so every existing row satisfies it: NOT VALID avoids the scan.
ALTER TABLE role_changes
    DROP CONSTRAINT role_changes_reason_check,
    ADD CONSTRAINT role_changes_reason_check CHECK (reason IN ('user_deleted', 'user_returned', 'linked')) NOT VALID;
COMMENT ON COLUMN role_changes.reason IS 'Reason of a change that no rule decided: the user was deleted at Auth0, or is known there again and still holds the role; or the id was linked to another account (revoked), or the account holds the role that a linked id had (granted). Null for a decision of a rule.';
