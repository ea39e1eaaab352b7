//! The transaction in which a request runs, in PostgREST's order: BEGIN, one SELECT of settings that
//! end with it, the function, COMMIT or ROLLBACK.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

/// A parameter of a statement with its type, so that nothing needs to be prepared on the server: that
/// would tie the session to us, which a transaction-mode pooler forbids.
pub type Bound<'a> = (&'a (dyn ToSql + Sync), Type);

/// A statement, and what it is given.
pub struct Statement<'a> {
    /// The text; names in it were quoted by us and come from the catalog.
    pub sql: String,
    /// What `$1`, `$2`, … stand for.
    pub parameters: Vec<Bound<'a>>,
}

/// What is fixed when a transaction begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Whether it may write.
    pub may_write: bool,
    /// Its isolation.
    pub isolation: Isolation,
}

/// The levels of isolation that PostgreSQL has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Each statement sees what is committed when it starts.
    #[default]
    ReadCommitted,
    /// One snapshot for all statements.
    RepeatableRead,
    /// As if transactions ran one after the other.
    Serializable,
}

impl Isolation {
    /// The value of `default_transaction_isolation`.
    pub fn from_setting(value: &str) -> Isolation {
        match value.trim().to_lowercase().as_str() {
            "repeatable read" => Isolation::RepeatableRead,
            "serializable" => Isolation::Serializable,
            _ => Isolation::ReadCommitted,
        }
    }
}

impl Mode {
    fn begin(self) -> String {
        let isolation = match self.isolation {
            Isolation::ReadCommitted => "READ COMMITTED",
            Isolation::RepeatableRead => "REPEATABLE READ",
            Isolation::Serializable => "SERIALIZABLE",
        };
        let access = if self.may_write { "READ WRITE" } else { "READ ONLY" };
        format!("BEGIN ISOLATION LEVEL {isolation} {access}")
    }
}

/// Runs `main`, which answers with one row, under these settings, each of which ends with the
/// transaction. After an error nothing of it remains.
///
/// # Errors
/// Those of the connection and of the database.
pub async fn run(
    client: &Client,
    mode: Mode,
    settings: &[(String, String)],
    main: &Statement<'_>,
) -> Result<Row, Error> {
    let outcome = steps(client, mode, settings, main).await;
    match outcome {
        Ok(row) => client.batch_execute("COMMIT").await.map(|()| row),
        Err(error) => {
            // The first error is the one to tell. If this fails too the connection is broken, which the
            // pool finds out before it lends it again.
            let _ = client.batch_execute("ROLLBACK").await;
            Err(error)
        }
    }
}

async fn steps(
    client: &Client,
    mode: Mode,
    settings: &[(String, String)],
    main: &Statement<'_>,
) -> Result<Row, Error> {
    let begin = mode.begin();
    let set = set_config(settings);
    // Sent together, as the settings mean nothing if BEGIN fails. The function waits for both: without
    // them it would run as the login role.
    tokio::try_join!(client.batch_execute(&begin), client.query_typed(&set.sql, &set.parameters))?;
    client.query_typed_one(&main.sql, &main.parameters).await
}

/// One SELECT that sets everything, names and values bound.
fn set_config(settings: &[(String, String)]) -> Statement<'_> {
    let mut parameters: Vec<Bound<'_>> = Vec::with_capacity(settings.len() * 2);
    let mut calls = Vec::with_capacity(settings.len());
    for (name, value) in settings {
        let number = parameters.len();
        calls.push(format!("pg_catalog.set_config(${}, ${}, true)", number + 1, number + 2));
        parameters.push((name, Type::TEXT));
        parameters.push((value, Type::TEXT));
    }
    Statement { sql: format!("SELECT {}", calls.join(", ")), parameters }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_bound_and_never_part_of_the_text() {
        let settings = [("role".to_owned(), "x'; DROP".to_owned()), ("a.b".to_owned(), "c".to_owned())];
        let statement = set_config(&settings);
        assert_eq!(
            statement.sql,
            "SELECT pg_catalog.set_config($1, $2, true), pg_catalog.set_config($3, $4, true)"
        );
        assert_eq!(statement.parameters.len(), 4);
    }

    #[test]
    fn begin_says_everything_itself() {
        let mode = Mode { may_write: false, isolation: Isolation::from_setting("Repeatable Read") };
        assert_eq!(mode.begin(), "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    }
}
