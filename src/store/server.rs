//! The server behind the address, and the rights of its user: read from the catalogue of Postgres.
//!
//! Owns which rights a worker needs. Must never write.

use super::session::Session;
use super::{Store, StoreError};

/// A server of Postgres.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its version, as it states it.
    pub version: String,
    /// Its version as a number, such as 160003.
    pub number: i32,
    /// Whether it is a standby, which cannot be written.
    pub is_standby: bool,
    /// Whether commits are on disk before they are acknowledged.
    pub syncs: bool,
}

/// A setting of the user's sessions with which a worker cannot work.
#[derive(Clone, Debug)]
pub struct SessionSetting {
    /// Its name and value.
    pub what: String,
    /// The statement or edit that takes it back.
    pub remedy: String,
}

impl Store {
    /// The settings with which each session of this user cannot write, or leaves triggers out.
    ///
    /// # Errors
    /// Postgres is unreachable.
    pub async fn unusable_sessions(&self) -> Result<Vec<SessionSetting>, StoreError> {
        let settings = sqlx::query_as!(
            SessionSetting,
            r#"SELECT format('%s = %s', name, setting) AS "what!", format(CASE source
                   WHEN 'user' THEN 'ALTER ROLE %1$I RESET %3$s'
                   WHEN 'database' THEN 'ALTER DATABASE %2$I RESET %3$s'
                   WHEN 'database user' THEN 'ALTER ROLE %1$I IN DATABASE %2$I RESET %3$s'
                   WHEN 'client' THEN 'take %3$s out of the options in DATABASE_URL'
                   ELSE 'ALTER SYSTEM RESET %3$s, or take it out of the configuration of Postgres, and SELECT pg_reload_conf()' END,
                   session_user, current_database(), name) AS "remedy!"
               FROM pg_settings
               WHERE (name = 'default_transaction_read_only' AND setting = 'on') OR (name = 'session_replication_role' AND setting = 'replica')
               ORDER BY name"#
        );
        Ok(settings.fetch_all(&self.pool).await?)
    }

    /// The reason why no connection to `DATABASE_URL` can be opened; `None` if one can. The pool reports only that the time is
    /// over.
    pub async fn unreachable(&self) -> Option<StoreError> {
        Session::open(&self.pooled).await.err()
    }

    /// The server behind `DATABASE_URL`.
    ///
    /// # Errors
    /// Postgres is unreachable.
    pub async fn server(&self) -> Result<Server, StoreError> {
        let server = sqlx::query_as!(
            Server,
            r#"SELECT current_setting('server_version') AS "version!", current_setting('server_version_num')::integer AS "number!",
                   pg_is_in_recovery() AS "is_standby!", current_setting('fsync') = 'on' AS "syncs!""#
        );
        Ok(server.fetch_one(&self.pool).await?)
    }

    /// The rights that this user lacks on the tables, sequences and functions of the schema, one text each. The audit and the
    /// limits are only added to, and a partition of event ids is reached by its table.
    ///
    /// # Errors
    /// Postgres is unreachable.
    pub async fn missing_rights(&self) -> Result<Vec<String>, StoreError> {
        let missing = sqlx::query_scalar!(
            r#"WITH here AS (SELECT oid FROM pg_namespace WHERE nspname = current_schema()),
               tables AS (
                   SELECT c.oid, c.relname::text AS name, unnest(CASE
                       WHEN c.relname IN ('role_changes', 'operator_acts', 'limits') THEN ARRAY['SELECT', 'INSERT']
                       WHEN c.relname = 'role_change_chain' THEN ARRAY['SELECT', 'UPDATE']
                       WHEN c.relname = '_sqlx_migrations' THEN ARRAY['SELECT']
                       ELSE ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] END) AS needed
                   FROM pg_class c JOIN here ON c.relnamespace = here.oid
                   WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
               )
               SELECT needed || ' on ' || name AS "missing!" FROM tables WHERE NOT has_table_privilege(oid, needed)
               UNION ALL
               SELECT 'UPDATE of ' || a.attname || ' on role_changes' FROM tables JOIN pg_attribute a ON a.attrelid = oid
               WHERE name = 'role_changes' AND needed = 'SELECT' AND a.attname IN ('outcome', 'chain_position')
                   AND NOT has_column_privilege(oid, a.attnum, 'UPDATE')
               UNION ALL
               SELECT 'USAGE on ' || c.relname FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
                   JOIN here ON c.relnamespace = here.oid
               WHERE NOT has_sequence_privilege(s.seqrelid, 'USAGE')
               UNION ALL
               SELECT 'EXECUTE on ' || p.proname FROM pg_proc p JOIN here ON p.pronamespace = here.oid
               WHERE p.prorettype <> 'trigger'::regtype AND NOT has_function_privilege(p.oid, 'EXECUTE')
               UNION ALL
               SELECT 'USAGE on the schema' WHERE NOT EXISTS (SELECT FROM here)
               ORDER BY 1"#
        );
        Ok(missing.fetch_all(&self.pool).await?)
    }
}
