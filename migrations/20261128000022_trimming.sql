-- Tables for the trimming of streams, the budget of publishing writes and the end of ROLE_CHANGES.

CREATE TABLE cursor_marks (
    stream text NOT NULL,
    created_ns bigint NOT NULL,
    epoch bigint NOT NULL,
    last_seq bigint NOT NULL,
    last_stored_ns bigint NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (stream, created_ns, epoch, last_seq)
);
COMMENT ON TABLE cursor_marks IS 'Positions of the cursor of a stream, once a minute while it moves. Trimming uses them to find messages that were committed long enough ago. Written by the worker that folds the stream; at most one row for each minute the stream holds (10,080 for 7 days, whatever the number of users); rows before the first message of the stream are removed by the same worker. A restored older copy has older marks, so less is trimmed.';
COMMENT ON COLUMN cursor_marks.stream IS 'Name of the stream.';
COMMENT ON COLUMN cursor_marks.created_ns IS 'Creation time of the stream, Unix nanoseconds; a mark counts for this stream alone.';
COMMENT ON COLUMN cursor_marks.epoch IS 'Epoch of the cursor; a mark from before the operator set the cursor does not count.';
COMMENT ON COLUMN cursor_marks.last_seq IS 'Sequence of the last message folded. All messages up to it were committed before marked_at.';
COMMENT ON COLUMN cursor_marks.last_stored_ns IS 'Store time of that message, Unix nanoseconds.';
COMMENT ON COLUMN cursor_marks.marked_at IS 'Time at which the mark was written, by Postgres'' clock.';

CREATE TABLE publish_budgets (
    user_id text PRIMARY KEY,
    full_at timestamptz NOT NULL
);
CREATE INDEX publish_budgets_full ON publish_budgets (full_at);
COMMENT ON TABLE publish_budgets IS 'Budget of publishing writes of each user of the data API. Written by the data API; one row for each user who published within the last day; a row whose budget is full again is redundant and is removed, a few at each write. With a restored older copy users get back the budget that they spent since.';
COMMENT ON COLUMN publish_budgets.user_id IS 'The user.';
COMMENT ON COLUMN publish_budgets.full_at IS 'Time at which the budget is full again, by Postgres'' clock. Each write moves it by a day''s share; the budget is used up when it is a day ahead.';

CREATE TABLE announced_end (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    created_ns bigint NOT NULL,
    seq bigint NOT NULL,
    change_id uuid NOT NULL,
    lost_at timestamptz,
    lost text
);
COMMENT ON TABLE announced_end IS 'End of the stream ROLE_CHANGES when the last change was marked as announced; one row. Written by the worker that announces, with the mark. A restored older copy names an earlier end, which the stream still holds.';
COMMENT ON COLUMN announced_end.only_row IS 'Always true: there is one row.';
COMMENT ON COLUMN announced_end.created_ns IS 'Creation time of the stream, Unix nanoseconds.';
COMMENT ON COLUMN announced_end.seq IS 'Sequence of the change in the stream.';
COMMENT ON COLUMN announced_end.change_id IS 'The change; also the message id.';
COMMENT ON COLUMN announced_end.lost_at IS 'Time at which the stream was found to lack announced changes; null when it lacks none, or `rolekeeper announce` sent them again.';
COMMENT ON COLUMN announced_end.lost IS 'The expected and the found state.';

CREATE TABLE announce_again (
    change_id uuid PRIMARY KEY
);
COMMENT ON TABLE announce_again IS 'Announced changes to send again. `rolekeeper announce` fills it, the worker that announces empties it. With a restored older copy some are sent another time.';
COMMENT ON COLUMN announce_again.change_id IS 'The row of role_changes.';
