-- Playlists get short numbers beside their ids: an update by number costs the database far less than one by text.
-- Rows that are there get theirs when the fold touches them next; workers of the version before need none.
SET LOCAL lock_timeout = '5s';

CREATE SEQUENCE playlist_numbers;
COMMENT ON SEQUENCE playlist_numbers IS 'Numbers of playlists; some are left out.';

ALTER TABLE playlists ADD COLUMN number bigint;
ALTER TABLE playlists ALTER COLUMN number SET DEFAULT nextval('playlist_numbers');
ALTER SEQUENCE playlist_numbers OWNED BY playlists.number;
COMMENT ON COLUMN playlists.number IS 'Stands for playlist_id inside this database: unique, never changed once given, in no order that means anything. Null until a playlist from before it is touched again. Written by the fold.';
CREATE UNIQUE INDEX playlists_number ON playlists (number) WHERE number IS NOT NULL;
