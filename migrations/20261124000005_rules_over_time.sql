-- Rules over all playlists, rules that wait, and removals by hand.

CREATE TABLE owner_totals (
    user_id text COLLATE "C" PRIMARY KEY,
    plays   bigint NOT NULL
) WITH (fillfactor = 85);
COMMENT ON TABLE owner_totals IS 'Plays of all of a user''s playlists together; kept only while a rule measures them.';
COMMENT ON COLUMN owner_totals.user_id IS 'Auth0 user id of the owner.';
COMMENT ON COLUMN owner_totals.plays IS 'Sum of the shown plays of the playlists that are not deleted.';

ALTER TABLE assignments
    ADD COLUMN below_since timestamptz,
    ADD COLUMN overruled boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN assignments.below_since IS 'Since when the user has been below the line while the role is kept for a while; null otherwise.';
COMMENT ON COLUMN assignments.overruled IS 'A person took the role away and the rule leaves it so until the user has fallen below the line.';
