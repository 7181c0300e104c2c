-- The data that the fold and its commands keep of a stream beside the cursor.

SET LOCAL lock_timeout = '5s';

-- A constant default: no row is rewritten.
ALTER TABLE stream_cursors ADD COLUMN newest_stored_ns bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN stream_cursors.newest_stored_ns IS 'Store time of the newest message folded before the operator last set the cursor, Unix nanoseconds; never lowered. With last_stored_ns it identifies the new messages of a restored stream, also after several restores.';

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
