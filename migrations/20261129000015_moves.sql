-- Ids that a person had before: the operator's word, for an account that was made again or came from another connection.

CREATE TABLE moves (
    old_id   text COLLATE "C" PRIMARY KEY,
    new_id   text COLLATE "C" NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    moved_by text NOT NULL,
    why      text NOT NULL,
    with_account boolean NOT NULL DEFAULT false,
    CHECK (old_id <> new_id)
);
CREATE INDEX moves_new ON moves (new_id);
COMMENT ON TABLE moves IS 'Ids whose person has another id since. Written by `rolekeeper move`, removed by `rolekeeper move --undo`, by the attempt that reads a profile that shows the old id, as an account or as a linked one, and by an erasure: some rows a year, or as many as a migration of connections has users. Each row stays as the operator said it: a new id may be the old one of a later move, and readers follow such a chain to its end; it forms no circle. The attempt that reads the last id stores the others in identities, as if the profile showed them. A restored older copy lacks the later rows: operator_acts has them.';
COMMENT ON COLUMN moves.old_id IS 'Auth0 user id of the former account, which Auth0 no longer knew.';
COMMENT ON COLUMN moves.new_id IS 'Auth0 user id of the person since. If it is linked to another account, the old id belongs to that account too.';
COMMENT ON COLUMN moves.moved_at IS 'Time of the command, by Postgres'' clock.';
COMMENT ON COLUMN moves.moved_by IS 'The operator, as in operator_acts.';
COMMENT ON COLUMN moves.why IS 'The reason.';
COMMENT ON COLUMN moves.with_account IS 'The id was linked to new_id until that account was deleted at Auth0, and came along with its move, whose end removes this row.';

-- The ids that were moved to one of these, also by way of other ids. An id is followed once, so this ends.
CREATE FUNCTION moved_ids(ids text[]) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN ARRAY(
        WITH RECURSIVE moved(id) AS (
            SELECT m.old_id FROM moves m WHERE m.new_id = ANY(ids)
            UNION SELECT m.old_id FROM moved CROSS JOIN LATERAL (SELECT old_id FROM moves WHERE new_id = moved.id OFFSET 0) AS m
        )
        SELECT id FROM moved);
END $$;

-- Decisions to go back to at the end of a move or a link.
CREATE TABLE own_decisions (
    user_id    text COLLATE "C" NOT NULL,
    primary_id text COLLATE "C" NOT NULL,
    role       text COLLATE "C" NOT NULL,
    wanted     boolean NOT NULL,
    ours       boolean NOT NULL,
    by_hand    boolean NOT NULL,
    suppressed boolean NOT NULL,
    moved      boolean NOT NULL,
    account_wanted boolean NOT NULL DEFAULT false,
    stored_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (user_id, primary_id, role)
);
CREATE INDEX own_decisions_primary ON own_decisions (primary_id);
COMMENT ON TABLE own_decisions IS 'Decisions of a moved id and of the account that it was moved to, from before the move: its end limits those of the account to what it and its other ids had. Also a suppressed role of a linked id, and each role of it that its rule never revokes, or keeps between its thresholds: the end of the link gives both back. Written by the attempt that stores a move or a link, removed by the one that stores its end, when another account gets the id, by an erasure, and by `rolekeeper tenant move`. One row for each id and role of the persons in moves, and for each linked id and role of such a rule. With a restored older copy the end of a later move keeps what the move changed.';
COMMENT ON COLUMN own_decisions.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN own_decisions.primary_id IS 'Auth0 user id of the account that the id was moved or linked to; the same id for the row of the account.';
COMMENT ON COLUMN own_decisions.role IS 'The role.';
COMMENT ON COLUMN own_decisions.wanted IS 'The rules, or a grant under way, gave it the role.';
COMMENT ON COLUMN own_decisions.ours IS 'It had the role from us.';
COMMENT ON COLUMN own_decisions.by_hand IS 'The profile of the account had the role, and not from us.';
COMMENT ON COLUMN own_decisions.suppressed IS 'As in assignments.';
COMMENT ON COLUMN own_decisions.moved IS 'The id was moved; false for the account, and for a linked id.';
COMMENT ON COLUMN own_decisions.account_wanted IS 'Of a linked id: the account had the role by the rules before the link, for another reason than an id that has left it since.';
COMMENT ON COLUMN own_decisions.stored_at IS 'Time at which the move or the link was stored, by Postgres'' clock.';

ALTER TABLE role_changes DROP CONSTRAINT role_changes_reason_check;
ALTER TABLE role_changes ADD CONSTRAINT role_changes_reason_check
    CHECK (reason IN ('user_deleted', 'user_returned', 'linked', 'moved', 'pinned'));
COMMENT ON COLUMN role_changes.reason IS 'Reason of a change that no rule decided. user_deleted: the user was deleted at Auth0; user_returned: the user is known there again and still holds the role; linked: the id was linked to another account (revoked), or the account holds the role that a linked id had (granted); moved: the same after `rolekeeper move`; pinned: a pin stands. Null for a decision of a rule.';

-- The users who were deleted at Auth0 for the longest time, for ERASE_AFTER_DELETION_D.
CREATE INDEX users_gone ON users (gone_since, user_id) WHERE gone_since IS NOT NULL;
COMMENT ON COLUMN users.gone_since IS 'Time of the request for the first of the uninterrupted responses that Auth0 does not know the user; null while it knows the user, and for an id that is linked to another account. The next read comes after as much time as has passed since, after 30 days at the latest. ERASE_AFTER_DELETION_D counts from here.';
COMMENT ON TABLE erasures IS 'Permanently erased users, until `rolekeeper readmit`. Later data that names one of them is dropped.';
