-- A user whose count goes to and fro across a line is left to rest before anybody looks.

SET LOCAL lock_timeout = '5s';

ALTER TABLE nominations ADD COLUMN rest_until timestamptz;
COMMENT ON COLUMN nominations.rest_until IS 'Not looked at before, whoever nominates: the count went to and fro across a line. Null when it did not.';
