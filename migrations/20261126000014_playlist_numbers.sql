-- Playlists get short numbers beside their ids: an update by number costs the database far less than one by text.
-- Existing rows get theirs when the fold next updates them; workers of the version before need none.
SET LOCAL lock_timeout = '5s';

CREATE SEQUENCE playlist_numbers;
COMMENT ON SEQUENCE playlist_numbers IS 'Numbers of playlists; it has gaps.';

ALTER TABLE playlists ADD COLUMN number bigint;
ALTER TABLE playlists ALTER COLUMN number SET DEFAULT nextval('playlist_numbers');
ALTER SEQUENCE playlist_numbers OWNED BY playlists.number;
COMMENT ON COLUMN playlists.number IS 'Surrogate key of playlist_id inside this database: unique, never changed, its order has no meaning. Null until the fold updates a playlist from before this column. Written by the fold.';
CREATE UNIQUE INDEX playlists_number ON playlists (number) WHERE number IS NOT NULL;
