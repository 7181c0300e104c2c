-- What the trimming of streams, the budget of publishing writes and the end of ROLE_CHANGES need.

CREATE TABLE cursor_marks (
    stream text NOT NULL,
    created_ns bigint NOT NULL,
    epoch bigint NOT NULL,
    last_seq bigint NOT NULL,
    last_stored_ns bigint NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (stream, created_ns, epoch, last_seq)
);
COMMENT ON TABLE cursor_marks IS 'Where the cursor of a stream stood, once a minute while it moves. Trimming reads from it what was committed long enough ago. Written by the worker that folds the stream; at most one row for each minute the stream holds (10,080 for 7 days, whatever the number of users); rows before the first message of the stream are removed by the same worker. An older copy that is restored has older marks, so less is trimmed.';
COMMENT ON COLUMN cursor_marks.stream IS 'Name of the stream.';
COMMENT ON COLUMN cursor_marks.created_ns IS 'When the stream was made, Unix nanoseconds; a mark counts for this stream alone.';
COMMENT ON COLUMN cursor_marks.epoch IS 'Epoch of the cursor; a mark from before the cursor was set by hand does not count.';
COMMENT ON COLUMN cursor_marks.last_seq IS 'Sequence of the last message folded. All up to it were committed before marked_at.';
COMMENT ON COLUMN cursor_marks.last_stored_ns IS 'When the stream stored that message, Unix nanoseconds.';
COMMENT ON COLUMN cursor_marks.marked_at IS 'When the mark was written, by Postgres'' clock.';
