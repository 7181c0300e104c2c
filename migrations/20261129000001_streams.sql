-- Streams: how far each is folded, what was lost from it, and what could not be read.
-- Ids compare byte by byte (collation "C"): cheaper, and the same on every machine.

CREATE TABLE stream_cursors (
    stream             text COLLATE "C" PRIMARY KEY,
    created_ns         bigint NOT NULL,
    last_seq           bigint NOT NULL CHECK (last_seq >= 0),
    last_stored_ns     bigint NOT NULL,
    epoch              bigint NOT NULL DEFAULT 1,
    moved_at           timestamptz NOT NULL DEFAULT now(),
    newest_stored_ns   bigint NOT NULL DEFAULT 0,
    last_hash          bigint,
    dedup_until_ns     bigint NOT NULL DEFAULT 0,
    duplicate_window_s bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE stream_cursors IS 'How far each stream is folded; it moves in the transaction of the facts up to it.';
COMMENT ON COLUMN stream_cursors.stream IS 'JetStream stream name.';
COMMENT ON COLUMN stream_cursors.created_ns IS 'Creation time of that stream, Unix nanoseconds by the server; another value means another stream.';
COMMENT ON COLUMN stream_cursors.last_seq IS 'Stream sequence of the last message folded; 0 when none was.';
COMMENT ON COLUMN stream_cursors.last_stored_ns IS 'Store time of that message, Unix nanoseconds; 0 when none was read. It distinguishes a restored stream from the known one.';
COMMENT ON COLUMN stream_cursors.epoch IS 'Raised whenever the operator sets the cursor, a loss is recorded, or other rules come into force, so that a worker that missed the change cannot commit.';
COMMENT ON COLUMN stream_cursors.moved_at IS 'Time at which the cursor last moved.';
COMMENT ON COLUMN stream_cursors.newest_stored_ns IS 'Store time of the newest message folded before the operator last set the cursor, Unix nanoseconds; never lowered. With last_stored_ns it identifies the new messages of a restored stream, also after several restores.';
COMMENT ON COLUMN stream_cursors.last_hash IS 'First eight bytes of the SHA-256 of subject, headers of the event and payload of the message at last_seq; null when none was read. It distinguishes a promoted mirror from another stream.';
COMMENT ON COLUMN stream_cursors.dedup_until_ns IS 'Messages that the stream stored before this, Unix nanoseconds, are compared with the ids of earlier ones, because a promoted mirror starts with an empty duplicate window. 0 without a promotion.';
COMMENT ON COLUMN stream_cursors.duplicate_window_s IS 'Duplicate window of that stream, in seconds.';

CREATE TABLE cursor_marks (
    stream         text NOT NULL,
    created_ns     bigint NOT NULL,
    epoch          bigint NOT NULL,
    last_seq       bigint NOT NULL,
    last_stored_ns bigint NOT NULL,
    marked_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (stream, created_ns, epoch, last_seq)
);
COMMENT ON TABLE cursor_marks IS 'Positions of the cursor of a stream, once a minute while it moves. Trimming uses them to find messages that were committed long enough ago. Written by the worker that folds the stream; at most one row for each minute the stream holds (10,080 for 7 days, whatever the number of users); rows before the first message of the stream are removed by the same worker. A restored older copy has older marks, so less is trimmed.';
COMMENT ON COLUMN cursor_marks.stream IS 'Name of the stream.';
COMMENT ON COLUMN cursor_marks.created_ns IS 'Creation time of the stream, Unix nanoseconds; a mark counts for this stream alone.';
COMMENT ON COLUMN cursor_marks.epoch IS 'Epoch of the cursor; a mark from before the operator set the cursor does not count.';
COMMENT ON COLUMN cursor_marks.last_seq IS 'Sequence of the last message folded. All messages up to it were committed before marked_at.';
COMMENT ON COLUMN cursor_marks.last_stored_ns IS 'Store time of that message, Unix nanoseconds.';
COMMENT ON COLUMN cursor_marks.marked_at IS 'Time at which the mark was written, by Postgres'' clock.';

CREATE TABLE fold_starts (
    stream     text COLLATE "C" PRIMARY KEY,
    last_seq   bigint NOT NULL,
    starts     integer NOT NULL,
    run        uuid NOT NULL,
    alone_seq  bigint,
    alone      integer NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE fold_starts IS 'Starts of a stream''s fold that did not end regularly: they identify the message that ends the process. At most one row per stream, written by the worker that folds it, removed when its fold ends regularly. With a restored older copy the next start is only more careful.';
COMMENT ON COLUMN fold_starts.stream IS 'JetStream stream name.';
COMMENT ON COLUMN fold_starts.last_seq IS 'Position of the cursor at the last start.';
COMMENT ON COLUMN fold_starts.starts IS 'Processes in a row that started there; above 1, one of them ended without a message.';
COMMENT ON COLUMN fold_starts.run IS 'The process that started last; a second start of the same process does not count.';
COMMENT ON COLUMN fold_starts.alone_seq IS 'The message that was folded alone at the last write of this row; null when none was.';
COMMENT ON COLUMN fold_starts.alone IS 'Processes that began to fold that message alone, in a row.';
COMMENT ON COLUMN fold_starts.started_at IS 'Time at which the row was last written.';

CREATE TABLE stream_losses (
    loss_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream      text COLLATE "C" NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('recreated', 'rewound', 'purged', 'overtaken', 'hole', 'replaced')),
    detail      text NOT NULL,
    found_at    timestamptz NOT NULL DEFAULT now(),
    accepted_at timestamptz
);
CREATE UNIQUE INDEX stream_losses_open ON stream_losses (stream) WHERE accepted_at IS NULL;
COMMENT ON TABLE stream_losses IS 'Events that were lost from a stream before they were folded; while a loss is open, its fold is stopped and revokes are held.';
COMMENT ON COLUMN stream_losses.loss_id IS 'Number of the loss.';
COMMENT ON COLUMN stream_losses.stream IS 'JetStream stream name.';
COMMENT ON COLUMN stream_losses.kind IS 'Kind of the loss.';
COMMENT ON COLUMN stream_losses.detail IS 'The expected and the found state, for the operator.';
COMMENT ON COLUMN stream_losses.found_at IS 'Time at which the fold found it.';
COMMENT ON COLUMN stream_losses.accepted_at IS 'Time at which the operator accepted it with accept-stream; null while it is open.';

CREATE TABLE dead_letters (
    stream     text COLLATE "C" NOT NULL,
    stream_seq bigint NOT NULL,
    subject    text NOT NULL,
    reason     text NOT NULL,
    detail     text NOT NULL,
    headers    text,
    payload    bytea NOT NULL,
    size_bytes bigint NOT NULL,
    stored_at  timestamptz NOT NULL,
    kept_at    timestamptz NOT NULL DEFAULT now(),
    kept_by    text,
    handled    text CHECK (handled IN ('folded', 'duplicate', 'superseded', 'other_tenant', 'discarded')),
    handled_at timestamptz,
    event_id   text COLLATE "C",
    CHECK ((handled IS NULL) = (handled_at IS NULL)),
    -- a stream that was created again, or restored, repeats sequences
    PRIMARY KEY (stream, stream_seq, stored_at)
);
CREATE INDEX dead_letters_kept ON dead_letters (kept_at);
CREATE INDEX dead_letters_waiting ON dead_letters (stream, reason, stream_seq, stored_at) WHERE handled IS NULL;
CREATE INDEX dead_letters_in_order ON dead_letters (stream, stream_seq, stored_at) WHERE handled IS NULL;
-- an event counts once, however many of its messages are requeued
CREATE UNIQUE INDEX dead_letters_event ON dead_letters (event_id) WHERE event_id IS NOT NULL;
COMMENT ON TABLE dead_letters IS 'Messages that could not be read, kept for the operator for 30 days; capped per reason and hour, see dead_letter_totals. Written by the fold, marked by the commands `dead-letters requeue` and `discard`, removed by the sweep; at most 24,000 rows a day, stream and reason. A restored older copy matches the counts restored with it, so a letter that is waiting there was not counted.';
COMMENT ON COLUMN dead_letters.stream IS 'Stream of the message.';
COMMENT ON COLUMN dead_letters.stream_seq IS 'Its stream sequence.';
COMMENT ON COLUMN dead_letters.subject IS 'Subject under which it was published.';
COMMENT ON COLUMN dead_letters.reason IS 'Closed set of reasons; the label of the metric.';
COMMENT ON COLUMN dead_letters.detail IS 'Names the field and what was expected.';
COMMENT ON COLUMN dead_letters.headers IS 'The headers that say how the event is written, one a line; null for the plain form. Without them its payload could not be read again.';
COMMENT ON COLUMN dead_letters.payload IS 'First 4 KiB of the received message.';
COMMENT ON COLUMN dead_letters.size_bytes IS 'Size of the whole message.';
COMMENT ON COLUMN dead_letters.stored_at IS 'Store time in the stream.';
COMMENT ON COLUMN dead_letters.kept_at IS 'Time at which the fold read it.';
COMMENT ON COLUMN dead_letters.kept_by IS 'Host and process id of the worker, or of the command, that stored the row.';
COMMENT ON COLUMN dead_letters.handled IS 'What the operator did with it: folded (requeued), duplicate, superseded or other_tenant (requeued, without an effect), discarded. Null while it waits. Written in the transaction of its effect.';
COMMENT ON COLUMN dead_letters.handled_at IS 'Time at which it was handled.';
COMMENT ON COLUMN dead_letters.event_id IS 'The publisher''s id of the event, once this row was folded: a second message of that event does not count.';

CREATE TABLE dead_letter_totals (
    stream text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    hour   timestamptz NOT NULL,
    total  bigint NOT NULL,
    PRIMARY KEY (stream, reason, hour)
);
COMMENT ON TABLE dead_letter_totals IS 'How many messages could not be read, by reason and hour, for 30 days; also those beyond the cap on dead_letters. Written by the fold, removed by the sweep; at most 24 rows a day, stream and reason.';
COMMENT ON COLUMN dead_letter_totals.stream IS 'Stream of the messages.';
COMMENT ON COLUMN dead_letter_totals.reason IS 'Closed set of reasons.';
COMMENT ON COLUMN dead_letter_totals.hour IS 'Start of the hour in which the fold read them.';
COMMENT ON COLUMN dead_letter_totals.total IS 'Number of messages.';

-- Event ids remembered beyond the stream's own duplicate window, if DEDUP_WINDOW is set.
CREATE TABLE event_id_partitions (
    partition_from bigint PRIMARY KEY,
    partition_to   bigint NOT NULL CHECK (partition_to > partition_from)
);
COMMENT ON TABLE event_id_partitions IS 'Existing partitions of event_ids; a row and its table are created and dropped in one transaction. Written by the worker that folds APP_EVENTS.';
COMMENT ON COLUMN event_id_partitions.partition_from IS 'Unix seconds, by the store time of events: the first that belong to the partition. Names its table: event_ids_<partition_from>.';
COMMENT ON COLUMN event_id_partitions.partition_to IS 'Unix seconds: the first that no longer belong to it.';

CREATE TABLE event_ids (
    partition_from bigint NOT NULL,
    payload        bigint NOT NULL,
    event_id       text COLLATE "C" NOT NULL,
    stored_ns      bigint
) PARTITION BY LIST (partition_from);
COMMENT ON TABLE event_ids IS 'Ids of events that were counted, while DEDUP_WINDOW is set; one partition per period of time, each unique by event_id, dropped as a whole. Written by the fold in the transaction of the counts.';
COMMENT ON COLUMN event_ids.partition_from IS 'The partition.';
COMMENT ON COLUMN event_ids.payload IS 'First 8 bytes of the SHA-256 of the event''s fields, in whatever form they were published: distinguishes a duplicate from another event under the same id.';
COMMENT ON COLUMN event_ids.event_id IS 'The publisher''s id of the event.';
COMMENT ON COLUMN event_ids.stored_ns IS 'When the stream stored the event, Unix nanoseconds: it determines to which life of a playlist a play belongs.';

-- Only the role that owns the table can create and drop partitions.
CREATE FUNCTION create_event_id_partition(first bigint, behind bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO event_id_partitions (partition_from, partition_to) VALUES (first, behind);
    EXECUTE format('CREATE TABLE event_ids_%s (LIKE event_ids INCLUDING COMMENTS, UNIQUE (event_id))', first);
    EXECUTE format('COMMENT ON TABLE event_ids_%s IS %L', first,
        format('Ids of events that the stream stored from Unix second %s up to %s.', first, behind));
    EXECUTE format('ALTER TABLE event_ids ATTACH PARTITION event_ids_%s FOR VALUES IN (%s)', first, first);
END $$;
COMMENT ON FUNCTION create_event_id_partition IS 'Creates a partition of event_ids. Runs as the migrating role, which owns the table.';

CREATE FUNCTION drop_event_id_partition(first bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM event_id_partitions WHERE partition_from = first;
    EXECUTE format('DROP TABLE event_ids_%s', first);
END $$;
COMMENT ON FUNCTION drop_event_id_partition IS 'Drops a partition of event_ids with all its ids. Runs as the migrating role, which owns the table.';

-- For any name of the schema; and no other role can place a table of its own before it.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION create_event_id_partition(bigint, bigint) SET search_path = %I, pg_temp', current_schema());
    REVOKE ALL ON FUNCTION create_event_id_partition(bigint, bigint) FROM PUBLIC;
    EXECUTE format('ALTER FUNCTION drop_event_id_partition(bigint) SET search_path = %I, pg_temp', current_schema());
    REVOKE ALL ON FUNCTION drop_event_id_partition(bigint) FROM PUBLIC;
END $$;

-- The tenant's log: how far the gap filler has read it, and when the log stream last delivered.
CREATE TABLE log_checkpoint (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    log_id    text NOT NULL,
    record_at timestamptz,
    read_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE log_checkpoint IS 'How far the gap filler has read the tenant''s log; one row, none before its first start. Written by the worker that reconciles, once the records are stored in AUTH0_LOGS.';
COMMENT ON COLUMN log_checkpoint.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN log_checkpoint.log_id IS 'Id of the last record read; reading continues after it.';
COMMENT ON COLUMN log_checkpoint.record_at IS 'Date of that record by Auth0; null if it has none.';
COMMENT ON COLUMN log_checkpoint.read_at IS 'Time at which it was read.';

CREATE TABLE log_deliveries (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    last_at      timestamptz NOT NULL DEFAULT now(),
    silent_since timestamptz
);
COMMENT ON TABLE log_deliveries IS 'Time of the last delivery of Auth0''s log stream to any worker; one row.';
COMMENT ON COLUMN log_deliveries.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN log_deliveries.last_at IS 'Time at which the webhook last stored a delivery, to a few seconds; before the first, the creation time of this table. The gap filler does not count.';
COMMENT ON COLUMN log_deliveries.silent_since IS 'The last delivery before a reported silence; null while deliveries come. Written by the worker that reconciles.';
INSERT INTO log_deliveries DEFAULT VALUES;
