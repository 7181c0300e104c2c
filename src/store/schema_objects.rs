//! Triggers and functions of the schema, beside those that the migrations make.
//!
//! Owns which of them do not run, and which no migration made. Must never write.

use std::collections::BTreeMap;

use super::schema::migrations;
use super::{Store, StoreError};

/// A trigger or function that is not as the migrations made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Altered {
    /// Its name and its state.
    pub what: String,
    /// The statement that ends this state.
    pub remedy: String,
}

/// A trigger of a table in the schema; names are quoted where SQL needs that.
struct Trigger {
    name: String,
    quoted: String,
    on: String,
    is_off: bool,
    /// It belongs to a constraint, such as a foreign key.
    is_internal: bool,
}

impl Store {
    /// The triggers of the migrations that do not run: disabled, or missing.
    ///
    /// # Errors
    /// Postgres is unreachable.
    pub async fn stopped_triggers(&self) -> Result<Vec<Altered>, StoreError> {
        let (made, mut altered) = (made("TRIGGER"), Vec::new());
        let there = self.triggers().await?;
        for trigger in &there {
            let Trigger {
                name,
                quoted,
                on,
                is_off,
                is_internal,
            } = trigger;
            if *is_off && (*is_internal || made.contains_key(name.as_str())) {
                let which = if *is_internal { "ALL" } else { quoted };
                altered.push(Altered {
                    what: format!("{name} on {on} is disabled"),
                    remedy: format!("ALTER TABLE {on} ENABLE TRIGGER {which}"),
                });
            }
        }
        for (name, statement) in made {
            if !there.iter().any(|trigger| trigger.name == name) {
                altered.push(Altered {
                    what: format!("{name} is missing"),
                    remedy: statement,
                });
            }
        }
        Ok(altered)
    }

    /// The triggers and functions that no migration made; those of extensions are left out.
    ///
    /// # Errors
    /// Postgres is unreachable.
    pub async fn foreign_objects(&self) -> Result<Vec<Altered>, StoreError> {
        let (triggers, functions) = (made("TRIGGER"), made("FUNCTION"));
        let is_foreign =
            |trigger: &Trigger| !trigger.is_internal && !triggers.contains_key(trigger.name.as_str());
        let there = self.triggers().await?;
        let foreign = there
            .into_iter()
            .filter(is_foreign)
            .map(|Trigger { quoted, on, .. }| Altered {
                what: format!("trigger {quoted} on {on}"),
                remedy: format!("DROP TRIGGER {quoted} ON {on}"),
            });
        let mut foreign: Vec<Altered> = foreign.collect();
        let known: Vec<&str> = functions.keys().map(String::as_str).collect();
        let there = sqlx::query_scalar!(
            r#"SELECT p.oid::regprocedure::text AS "signature!" FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
               WHERE n.nspname = current_schema() AND p.proname <> ALL($1::text[])
                   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
               ORDER BY 1"#,
            &known as &[&str]
        );
        for signature in there.fetch_all(&self.pool).await? {
            foreign.push(Altered {
                what: format!("function {signature}"),
                remedy: format!("DROP ROUTINE {signature}"),
            });
        }
        Ok(foreign)
    }

    /// The triggers of the schema; of those that belong to constraints, or to the parent of a partition, the disabled ones alone.
    async fn triggers(&self) -> Result<Vec<Trigger>, StoreError> {
        let triggers = sqlx::query_as!(
            Trigger,
            r#"SELECT t.tgname::text AS "name!", quote_ident(t.tgname) AS "quoted!", quote_ident(c.relname) AS "on!",
                   t.tgenabled IN ('D', 'R') AS "is_off!", t.tgisinternal AS is_internal
               FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = current_schema() AND (t.tgenabled IN ('D', 'R') OR NOT t.tgisinternal AND t.tgparentid = 0)
                   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND d.deptype = 'e')
               ORDER BY 3, 1"#
        );
        Ok(triggers.fetch_all(&self.pool).await?)
    }
}

/// The objects of this kind that the migrations make, by name, each with its statement up to the first semicolon.
fn made(kind: &str) -> BTreeMap<String, String> {
    let mut made = BTreeMap::new();
    for statement in migrations().flat_map(|sql| sql.split(';')) {
        for beginning in ["CREATE ", "CREATE OR REPLACE "] {
            let beginning = format!("{beginning}{kind} ");
            let Some(at) = statement.find(&beginning) else {
                continue;
            };
            let name = statement[at + beginning.len()..]
                .split([' ', '('])
                .next()
                .unwrap_or_default();
            let words: Vec<&str> = statement[at..].split_whitespace().collect();
            made.insert(name.to_owned(), words.join(" "));
        }
    }
    made
}
