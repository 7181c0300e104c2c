-- Rules over all playlists, rules that wait, and removals by hand.

CREATE TABLE owner_totals (
    user_id text COLLATE "C" PRIMARY KEY,
    plays   bigint NOT NULL
) WITH (fillfactor = 85);
COMMENT ON TABLE owner_totals IS 'Sum of the plays of all playlists of a user; kept only while a rule measures it.';
COMMENT ON COLUMN owner_totals.user_id IS 'Auth0 user id of the owner.';
COMMENT ON COLUMN owner_totals.plays IS 'Sum of the shown plays of the playlists that are not deleted.';

ALTER TABLE assignments
    ADD COLUMN below_since timestamptz,
    ADD COLUMN overruled boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN assignments.below_since IS 'Time since which the user is below the threshold while the role is still kept; null otherwise.';
COMMENT ON COLUMN assignments.overruled IS 'Another client removed the role, and the rule leaves it removed until the user has fallen below the threshold.';
