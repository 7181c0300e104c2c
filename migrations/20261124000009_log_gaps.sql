-- The tenant's log: how far the gap filler has read it, and when the log stream last delivered.
-- A worker of the version before knows neither; the deliveries that it stores while both run are not recorded.
SET LOCAL lock_timeout = '5s';

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
INSERT INTO log_deliveries DEFAULT VALUES;
COMMENT ON TABLE log_deliveries IS 'Time of the last delivery of Auth0''s log stream to any worker; one row.';
COMMENT ON COLUMN log_deliveries.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN log_deliveries.last_at IS 'Time at which the webhook last stored a delivery, to a few seconds; before the first, the creation time of this table. The gap filler does not count.';
COMMENT ON COLUMN log_deliveries.silent_since IS 'The last delivery before a reported silence; null while deliveries come. Written by the worker that reconciles.';
