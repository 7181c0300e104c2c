-- What the fold and its commands keep of a stream beside the cursor.

SET LOCAL lock_timeout = '5s';

-- A constant default: no row is rewritten.
ALTER TABLE stream_cursors ADD COLUMN newest_stored_ns bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN stream_cursors.newest_stored_ns IS 'Store time of the newest message folded before the cursor was last set by hand, Unix nanoseconds; never lowered. With last_stored_ns it tells which messages of a restored stream are new, however often it is restored.';

CREATE TABLE fold_starts (
    stream     text COLLATE "C" PRIMARY KEY,
    last_seq   bigint NOT NULL,
    starts     integer NOT NULL,
    run        uuid NOT NULL,
    alone_seq  bigint,
    alone      integer NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE fold_starts IS 'Starts of a stream''s fold that have not ended in order: finds the message that ends the process. At most one row a stream, written by the worker that folds it, removed when its fold ends in order. A restored older copy only makes the next start careful.';
COMMENT ON COLUMN fold_starts.stream IS 'JetStream stream name.';
COMMENT ON COLUMN fold_starts.last_seq IS 'Where the cursor was at the last start.';
COMMENT ON COLUMN fold_starts.starts IS 'Processes in a row that started there; above 1, one of them ended without a word.';
COMMENT ON COLUMN fold_starts.run IS 'The process that started last; a second start of the same process does not count.';
COMMENT ON COLUMN fold_starts.alone_seq IS 'The message that was folded alone when this was last written; null when none was.';
COMMENT ON COLUMN fold_starts.alone IS 'Processes that began to fold that message alone, in a row.';
COMMENT ON COLUMN fold_starts.started_at IS 'When the row was last written.';
