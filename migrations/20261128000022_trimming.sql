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

CREATE TABLE publish_budgets (
    user_id text PRIMARY KEY,
    full_at timestamptz NOT NULL
);
CREATE INDEX publish_budgets_full ON publish_budgets (full_at);
COMMENT ON TABLE publish_budgets IS 'Budget of publishing writes of each user of the data API. Written by the data API; one row for each user who published within the last day (at 3 million users, those who did); a row whose budget is full again says nothing and is removed, a few at each write. An older copy that is restored gives users back what they spent since.';
COMMENT ON COLUMN publish_budgets.user_id IS 'The user.';
COMMENT ON COLUMN publish_budgets.full_at IS 'When the budget is full again, by Postgres'' clock. Each write moves it by a day''s share; a day ahead the budget is used up.';

CREATE TABLE announced_end (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    created_ns bigint NOT NULL,
    seq bigint NOT NULL,
    change_id uuid NOT NULL,
    lost_at timestamptz,
    lost text
);
COMMENT ON TABLE announced_end IS 'Where the stream ROLE_CHANGES ended when the last change was marked as announced; one row. Written by the worker that announces, with the mark. An older copy that is restored names an earlier end, which the stream still holds.';
COMMENT ON COLUMN announced_end.only_row IS 'Always true: there is one row.';
COMMENT ON COLUMN announced_end.created_ns IS 'When the stream was made, Unix nanoseconds.';
COMMENT ON COLUMN announced_end.seq IS 'Sequence of the change in the stream.';
COMMENT ON COLUMN announced_end.change_id IS 'The change, which is its message id.';
COMMENT ON COLUMN announced_end.lost_at IS 'When the stream was found to lack announced changes; null when it does not, or they were sent again by `rolekeeper announce`.';
COMMENT ON COLUMN announced_end.lost IS 'What was expected and what was found.';

CREATE TABLE announce_again (
    change_id uuid PRIMARY KEY
);
COMMENT ON TABLE announce_again IS 'Announced changes that are sent again. Filled by `rolekeeper announce`, emptied by the worker that announces. An older copy that is restored sends some once more.';
COMMENT ON COLUMN announce_again.change_id IS 'The row of role_changes.';
