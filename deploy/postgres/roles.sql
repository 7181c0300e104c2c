-- Owns the three roles of rolekeeper at Postgres: rolekeeper_migrate owns the schema and runs `rolekeeper migrate`;
-- rolekeeper_run runs `rolekeeper serve` and all other commands, with the rights they need and no more; rolekeeper_read
-- runs the commands that only read, such as `rolekeeper explain`. It must never give rolekeeper_run a way to change or
-- remove rows of the audit, or to change the schema, nor rolekeeper_read a way to write.
--
--   psql -v ON_ERROR_STOP=1 -d DATABASE -f deploy/postgres/roles.sql
--
-- Run it as a superuser, or as a role that may create roles and owns the database, before the first `migrate` or later;
-- it is safe to repeat. The schema (`public`, or the first of the search path) must be rolekeeper's alone: the
-- script gives everything in it to rolekeeper_migrate. Then give each a password: \password rolekeeper_migrate,
-- \password rolekeeper_run, \password rolekeeper_read.

BEGIN;
-- Two runs in two databases create the same roles.
SELECT pg_advisory_xact_lock(hashtext('rolekeeper roles'));

DO $$
DECLARE
    schema name := current_schema();
    made name;
    thing record;
BEGIN
    FOREACH made IN ARRAY ARRAY['rolekeeper_migrate', 'rolekeeper_run', 'rolekeeper_read'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = made) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE', made);
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), made);
    END LOOP;
    -- Only a member of a role can give tables to it, and set its defaults.
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AND NOT pg_has_role('rolekeeper_migrate', 'MEMBER') THEN
        EXECUTE format('GRANT rolekeeper_migrate TO %I', current_user);
    END IF;

    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC, rolekeeper_run, rolekeeper_read', schema);
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO rolekeeper_migrate', schema);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO rolekeeper_run, rolekeeper_read', schema);

    -- Objects that an earlier `migrate` created under another role.
    FOR thing IN
        SELECT format('TABLE %I.%I', schema, relname) AS named FROM pg_class
        WHERE relnamespace = schema::regnamespace AND relkind IN ('r', 'p') AND relowner <> 'rolekeeper_migrate'::regrole
        UNION ALL
        -- A sequence of a column goes with its table.
        SELECT format('SEQUENCE %I.%I', schema, relname) FROM pg_class c
        WHERE relnamespace = schema::regnamespace AND relkind = 'S' AND relowner <> 'rolekeeper_migrate'::regrole
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i'))
        UNION ALL
        SELECT format('TYPE %I.%I', schema, relname) FROM pg_class
        WHERE relnamespace = schema::regnamespace AND relkind = 'c' AND relowner <> 'rolekeeper_migrate'::regrole
        UNION ALL
        SELECT format('FUNCTION %s', p.oid::regprocedure) FROM pg_proc p
        WHERE pronamespace = schema::regnamespace AND proowner <> 'rolekeeper_migrate'::regrole
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('ALTER %s OWNER TO rolekeeper_migrate', thing.named);
    END LOOP;

    -- Existing objects, and objects of later migrations.
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO rolekeeper_run', schema);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO rolekeeper_read', schema);
    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO rolekeeper_run', schema);
    EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA %I TO rolekeeper_run', schema);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE rolekeeper_migrate IN SCHEMA %I
        GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO rolekeeper_run', schema);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE rolekeeper_migrate IN SCHEMA %I
        GRANT SELECT ON TABLES TO rolekeeper_read', schema);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE rolekeeper_migrate IN SCHEMA %I
        GRANT USAGE ON SEQUENCES TO rolekeeper_run', schema);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE rolekeeper_migrate IN SCHEMA %I
        GRANT EXECUTE ON FUNCTIONS TO rolekeeper_run', schema);

    -- The audit is append-only. Before the first `migrate` there is none; its migration does the same.
    IF to_regclass('operator_acts') IS NOT NULL THEN
        REVOKE UPDATE, DELETE, TRUNCATE ON role_changes, operator_acts, limits FROM rolekeeper_run;
        GRANT UPDATE (attempted_at, completed_at, outcome, write_id, announced_at, chain_position, chain_previous, chain_hash, user_hash,
            user_salt) ON role_changes TO rolekeeper_run;
        REVOKE INSERT, DELETE, TRUNCATE ON role_change_chain FROM rolekeeper_run;
    END IF;
    IF to_regclass('_sqlx_migrations') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON _sqlx_migrations FROM rolekeeper_run;
    END IF;
END $$;
COMMIT;
