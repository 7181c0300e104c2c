-- Event ids remembered beyond the stream's own duplicate window, where DEDUP_HORIZON says so.
-- Workers of the version before know neither table: what they fold is not remembered.
SET LOCAL lock_timeout = '5s';

CREATE TABLE event_id_slices (
    slice_from bigint PRIMARY KEY,
    slice_to   bigint NOT NULL CHECK (slice_to > slice_from)
);
COMMENT ON TABLE event_id_slices IS 'Slices of event_ids there are; a row and its table come and go in one transaction. Written by the worker that folds APP_EVENTS.';
COMMENT ON COLUMN event_id_slices.slice_from IS 'Unix seconds, by the time the stream stored events: the first that belong to the slice. Names its table: event_ids_<slice_from>.';
COMMENT ON COLUMN event_id_slices.slice_to IS 'Unix seconds: the first that no longer belong to it.';

CREATE TABLE event_ids (
    slice_from bigint NOT NULL,
    payload    bigint NOT NULL,
    event_id   text COLLATE "C" NOT NULL
) PARTITION BY LIST (slice_from);
COMMENT ON TABLE event_ids IS 'Ids of events that were counted, while DEDUP_HORIZON is set; a partition a slice of time, each unique by event_id, dropped as a whole. Written by the fold in the transaction of the counts.';
COMMENT ON COLUMN event_ids.slice_from IS 'The slice.';
COMMENT ON COLUMN event_ids.payload IS 'First 8 bytes of the SHA-256 of the message''s payload: tells a repeat from another event under the same id.';
COMMENT ON COLUMN event_ids.event_id IS 'The publisher''s id of the event.';
