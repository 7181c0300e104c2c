-- Debounce: the delay before an attempt for a user whose count oscillates around a threshold.

SET LOCAL lock_timeout = '5s';

ALTER TABLE nominations ADD COLUMN rest_until timestamptz;
COMMENT ON COLUMN nominations.rest_until IS 'Debounce: no attempt before this time, for any enqueue, since the count oscillates around a threshold. Null for a steady count.';
