-- Roles that may write: they keep only the rights that a worker needs, see deploy/postgres/roles.sql.

DO $$
DECLARE
    grantee name;
BEGIN
    FOR grantee IN
        SELECT DISTINCT pg_get_userbyid(acl.grantee) FROM pg_class c, aclexplode(c.relacl) AS acl
        WHERE c.oid = 'role_changes'::regclass AND acl.grantee NOT IN (0, c.relowner) AND acl.privilege_type = 'UPDATE'
    LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE, TRIGGER ON role_changes, operator_acts, limits FROM %I', grantee);
        EXECUTE format('GRANT UPDATE (attempted_at, completed_at, outcome, write_id, announced_at, chain_position, chain_previous, chain_hash, user_hash,
            user_salt) ON role_changes TO %I', grantee);
        EXECUTE format('REVOKE INSERT, DELETE, TRUNCATE ON role_change_chain FROM %I', grantee);
        EXECUTE format('GRANT SELECT, INSERT ON operator_acts TO %I', grantee);
        EXECUTE format('GRANT EXECUTE ON FUNCTION erase_from_audit(text, text, text[], bigint[]), repair_playlist_keys(),
            create_event_id_partition(bigint, bigint), drop_event_id_partition(bigint) TO %I', grantee);
        IF to_regclass('_sqlx_migrations') IS NOT NULL THEN
            EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON _sqlx_migrations FROM %I', grantee);
        END IF;
    END LOOP;
END $$;
