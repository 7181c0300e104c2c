-- A write of ours keeps which roles it changed as managed ones, so that rules of later do not change what it was; records that
-- Auth0 gives no answer about are given up; a record about a write of ours without an answer is confirmed before it counts. A
-- worker of the version before knows neither; what it writes meanwhile is as before.
SET LOCAL lock_timeout = '5s';

ALTER TABLE profile_writes ADD COLUMN managed text[];
COMMENT ON COLUMN profile_writes.managed IS 'Roles that it gave or took away because the rules of then managed them; null for a write of a version that did not keep it.';

ALTER TABLE foreign_writes
    ADD COLUMN write_id uuid,
    DROP CONSTRAINT foreign_writes_verdict_check,
    ADD CONSTRAINT foreign_writes_verdict_check
        CHECK (verdict IN ('confirmed', 'unknown', 'differs', 'no_scope', 'unanswered')) NOT VALID;
COMMENT ON COLUMN foreign_writes.write_id IS 'The write of ours without an answer that a record under our own client id tells of, in profile_writes while that is kept; it counts once Auth0 confirms the record. Null otherwise.';
COMMENT ON COLUMN foreign_writes.verdict IS 'confirmed: Auth0 returned the same record; unknown: it did not know the log_id for ten minutes; differs: it returned another record; no_scope: our client may not read the log; unanswered: it answered nothing of use for a day. Null while not judged.';
