-- Event ids remembered beyond the stream's own duplicate window, if DEDUP_HORIZON is set.
-- Workers of the version before know neither table: the events that they fold are not remembered.
SET LOCAL lock_timeout = '5s';

CREATE TABLE event_id_slices (
    slice_from bigint PRIMARY KEY,
    slice_to   bigint NOT NULL CHECK (slice_to > slice_from)
);
COMMENT ON TABLE event_id_slices IS 'Existing partitions of event_ids; a row and its table are created and dropped in one transaction. Written by the worker that folds APP_EVENTS.';
COMMENT ON COLUMN event_id_slices.slice_from IS 'Unix seconds, by the store time of events: the first that belong to the partition. Names its table: event_ids_<slice_from>.';
COMMENT ON COLUMN event_id_slices.slice_to IS 'Unix seconds: the first that no longer belong to it.';

CREATE TABLE event_ids (
    slice_from bigint NOT NULL,
    payload    bigint NOT NULL,
    event_id   text COLLATE "C" NOT NULL
) PARTITION BY LIST (slice_from);
COMMENT ON TABLE event_ids IS 'Ids of events that were counted, while DEDUP_HORIZON is set; one partition per period of time, each unique by event_id, dropped as a whole. Written by the fold in the transaction of the counts.';
COMMENT ON COLUMN event_ids.slice_from IS 'The partition.';
COMMENT ON COLUMN event_ids.payload IS 'First 8 bytes of the SHA-256 of the message''s payload: distinguishes a repeat from another event under the same id.';
COMMENT ON COLUMN event_ids.event_id IS 'The publisher''s id of the event.';
