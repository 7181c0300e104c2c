-- A write of ours keeps the managed roles that it changed, so that later rules do not change its meaning; records without a
-- response of Auth0 are given up; a record of a write of ours without a response is confirmed before it counts. A worker of the
-- version before knows neither; it works as before.
SET LOCAL lock_timeout = '5s';

ALTER TABLE profile_writes ADD COLUMN managed text[];
COMMENT ON COLUMN profile_writes.managed IS 'Roles that it granted or revoked because the rules at that time managed them; null for a write of an earlier version.';

ALTER TABLE foreign_writes
    ADD COLUMN write_id uuid,
    DROP CONSTRAINT foreign_writes_verdict_check,
    ADD CONSTRAINT foreign_writes_verdict_check
        CHECK (verdict IN ('confirmed', 'unknown', 'differs', 'no_scope', 'unanswered')) NOT VALID;
COMMENT ON COLUMN foreign_writes.write_id IS 'The write of ours without a response that a record under our own client id reports, in profile_writes while that row is kept; it counts once Auth0 confirms the record. Null otherwise.';
COMMENT ON COLUMN foreign_writes.verdict IS 'confirmed: Auth0 returned the same record; unknown: it did not know the log_id for ten minutes; differs: it returned another record; no_scope: our client cannot read the log; unanswered: it returned nothing useful for a day. Null before the verdict.';
