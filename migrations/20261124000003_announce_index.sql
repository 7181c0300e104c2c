-- no-transaction
-- What is to be announced, in its order; holds only that, so it stays small however long the audit grows.
CREATE INDEX CONCURRENTLY role_changes_unannounced ON role_changes (completed_at, change_id)
    WHERE completed_at IS NOT NULL AND announced_at IS NULL;
