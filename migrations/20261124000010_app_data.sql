-- The app's data of its users, written through the data API: songs, favourite genre, featured playlist.
-- New tables only; a worker of the version before does not know them.
SET LOCAL lock_timeout = '5s';

CREATE TABLE songs (
    song_id  text COLLATE "C" PRIMARY KEY,
    user_id  text COLLATE "C" NOT NULL,
    songname text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX songs_user ON songs (user_id, song_id);
COMMENT ON TABLE songs IS 'Songs that users added; only the data API writes them.';
COMMENT ON COLUMN songs.song_id IS 's_ and a UUIDv7, so ids are in order of adding.';
COMMENT ON COLUMN songs.user_id IS 'Auth0 user id of the user who added it; only this user sees it.';
COMMENT ON COLUMN songs.songname IS 'Name from the request.';
COMMENT ON COLUMN songs.added_at IS 'When it was added.';

CREATE TABLE user_data (
    user_id         text COLLATE "C" PRIMARY KEY,
    favourite_genre text NOT NULL,
    changed_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE user_data IS 'Choices of users through the data API that Auth0 does not need.';
COMMENT ON COLUMN user_data.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN user_data.favourite_genre IS 'One of the genres that were configured when it was chosen.';
COMMENT ON COLUMN user_data.changed_at IS 'When it was last chosen.';

CREATE TABLE featured_playlists (
    user_id     text COLLATE "C" PRIMARY KEY,
    playlist_id text COLLATE "C" NOT NULL,
    featured_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE featured_playlists IS 'The featured playlist of each editor: one per user. It counts only while the user owns the playlist and it is not deleted.';
COMMENT ON COLUMN featured_playlists.user_id IS 'Auth0 user id of the editor.';
COMMENT ON COLUMN featured_playlists.playlist_id IS 'A playlist of that user when it was featured.';
COMMENT ON COLUMN featured_playlists.featured_at IS 'When it was featured.';
