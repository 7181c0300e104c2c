-- The tenant's log: how far the gap filler has read it, and when the log stream last delivered.
-- A worker of the version before knows neither; what it takes by the webhook while both run is not noted.
SET LOCAL lock_timeout = '5s';

CREATE TABLE log_checkpoint (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    log_id    text NOT NULL,
    record_at timestamptz,
    read_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE log_checkpoint IS 'How far the gap filler has read the tenant''s log; one row, none before its first start. Written by the worker that reconciles, once the records are stored in AUTH0_LOGS.';
COMMENT ON COLUMN log_checkpoint.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN log_checkpoint.log_id IS 'Id of the last record taken; reading goes on behind it.';
COMMENT ON COLUMN log_checkpoint.record_at IS 'Date of that record by Auth0; null where it has none.';
COMMENT ON COLUMN log_checkpoint.read_at IS 'When it was taken.';

CREATE TABLE log_deliveries (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    last_at      timestamptz NOT NULL DEFAULT now(),
    silent_since timestamptz
);
INSERT INTO log_deliveries DEFAULT VALUES;
COMMENT ON TABLE log_deliveries IS 'When Auth0''s log stream last delivered to any worker; one row.';
COMMENT ON COLUMN log_deliveries.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN log_deliveries.last_at IS 'When the webhook last stored a delivery, to a few seconds; before the first, when this table was made. The gap filler does not count.';
COMMENT ON COLUMN log_deliveries.silent_since IS 'The last delivery before a silence that has been warned of; null while deliveries come. Written by the worker that reconciles.';
