-- Facts: plays and owners of playlists.

-- An update by this short key costs the database far less than one by the playlist's id.
CREATE SEQUENCE playlist_keys;
COMMENT ON SEQUENCE playlist_keys IS 'Keys of playlists; it has gaps.';

CREATE TABLE playlists (
    playlist_id    text COLLATE "C" PRIMARY KEY,
    plays          bigint NOT NULL DEFAULT 0,
    deleted        boolean NOT NULL DEFAULT false,
    owner_id       text COLLATE "C",
    name           text,
    key            bigint DEFAULT nextval('playlist_keys'),
    saved_again_ns bigint,
    changed_ns     bigint,
    partition      smallint NOT NULL
) WITH (fillfactor = 85);  -- updates of counters stay in place while the page has room
CREATE INDEX playlists_owner ON playlists (owner_id) WHERE owner_id IS NOT NULL;
CREATE UNIQUE INDEX playlists_key ON playlists (key) WHERE key IS NOT NULL;
CREATE INDEX playlists_partition ON playlists (partition);
COMMENT ON TABLE playlists IS 'Plays and owner of each playlist that an event has named.';
COMMENT ON COLUMN playlists.playlist_id IS 'The app''s id of the playlist.';
COMMENT ON COLUMN playlists.plays IS 'Plays minus retractions; below 0 while a retraction came before its play, and then shown as 0.';
COMMENT ON COLUMN playlists.deleted IS 'A deleted playlist counts no plays; when saved again it starts at 0.';
COMMENT ON COLUMN playlists.owner_id IS 'Auth0 user id of the owner; null until the playlist was saved, and once its owner was erased.';
COMMENT ON COLUMN playlists.name IS 'Name as last saved; null until the playlist was saved.';
COMMENT ON COLUMN playlists.key IS 'Surrogate key of playlist_id inside this database: unique, never changed, its order has no meaning. Written by the fold.';
COMMENT ON COLUMN playlists.saved_again_ns IS 'When the stream stored the message that saved the playlist after it had been deleted, Unix nanoseconds; null in its first life. A retraction of an earlier play changes nothing, nor does an earlier message that is requeued. Written by the fold.';
COMMENT ON COLUMN playlists.changed_ns IS 'When the stream stored the newest message that saved or deleted the playlist, Unix nanoseconds; null without one. An earlier message that is requeued changes neither owner nor name. Written by the fold.';
COMMENT ON COLUMN playlists.partition IS 'Partition of APP_EVENTS to which the id belongs, from 0 to 63: FNV-1a of 32 bits, modulo 64. Written by the fold, or by a trigger where another client left it out.';
ALTER SEQUENCE playlist_keys OWNED BY playlists.key;

-- Modulo 64 the hash depends on the last six bits of its parts alone: 5 is its start, and 19 its factor, modulo 64.
CREATE FUNCTION set_playlist_partition() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    id   bytea := convert_to(NEW.playlist_id, 'UTF8');
    hash integer := 5;
BEGIN
    FOR at IN 0 .. length(id) - 1 LOOP
        hash := ((hash # get_byte(id, at)) * 19) % 64;
    END LOOP;
    NEW.partition := hash;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION set_playlist_partition IS 'Trigger: computes playlists.partition.';
CREATE TRIGGER playlists_partition BEFORE INSERT ON playlists FOR EACH ROW WHEN (NEW.partition IS NULL)
    EXECUTE FUNCTION set_playlist_partition();

-- The running role cannot set a sequence.
CREATE FUNCTION repair_playlist_keys() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$
    SELECT setval('playlist_keys', greatest((SELECT max(key) FROM playlists WHERE key IS NOT NULL),
        (SELECT last_value FROM playlist_keys)))
$$;
COMMENT ON FUNCTION repair_playlist_keys IS 'Moves the sequence of playlists.key past the largest key in use if it was behind, as after a logical replication without sequences; returns that key.';
-- For any name of the schema; and no other role can place a table of its own before it.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION repair_playlist_keys() SET search_path = %I, pg_temp', current_schema());
    REVOKE ALL ON FUNCTION repair_playlist_keys() FROM PUBLIC;
END $$;

CREATE TABLE owner_totals (
    user_id    text COLLATE "C" PRIMARY KEY,
    plays      bigint NOT NULL,
    generation bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 85);
COMMENT ON TABLE owner_totals IS 'Sum of the plays of all playlists of a user; kept only while a rule measures it.';
COMMENT ON COLUMN owner_totals.user_id IS 'Auth0 user id of the owner.';
COMMENT ON COLUMN owner_totals.plays IS 'Sum of the shown plays of the playlists that are not deleted.';
COMMENT ON COLUMN owner_totals.generation IS 'rules_in_force.totals_generation when the row was summed up; a row of another generation counts as missing.';

CREATE TABLE retractions (
    retracted_id text COLLATE "C" PRIMARY KEY,
    counted_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX retractions_counted ON retractions (counted_at);
COMMENT ON TABLE retractions IS 'Event ids of retracted plays; each counts once. Written by the fold of APP_EVENTS; one row for each retracted play of the stream''s age and the duplicate window, then removed by the same worker. A restored older copy matches the cursor restored with it, so missing rows are folded again.';
COMMENT ON COLUMN retractions.retracted_id IS 'Event id of the play that was retracted.';
COMMENT ON COLUMN retractions.counted_at IS 'Time at which its first retraction was folded.';
