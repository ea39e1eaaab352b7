//! What `cloudsync_changes` shows to a user, against what `SELECT` shows.

use std::collections::BTreeSet;

use postgres::Client;

use crate::rls::content::{self, Content};

/// Every line that the caller is shown, its key and value as text.
const LINES: &str = "SELECT tbl, cloudsync_pk_decode(pk, 1), col_name, cloudsync_pk_decode(col_value, 1) \
    FROM cloudsync_changes";

/// The tables whose tombstones the caller may see: no policy could bind it there.
const OWNED: &str = "SELECT t.name FROM unnest($1::text[]) AS t(name) \
    WHERE pg_has_role((SELECT relowner FROM pg_class WHERE oid = to_regclass(t.name)), 'USAGE') \
    OR (SELECT rolbypassrls FROM pg_roles WHERE rolname = current_user)";

/// How the two differ, a line each; empty if they do not.
///
/// # Errors
/// The server refuses; the error in words.
pub fn differences(
    client: &mut Client,
    tables: &[String],
    visible: &Content,
) -> Result<Vec<String>, postgres::Error> {
    let owned: BTreeSet<String> =
        client.query(OWNED, &[&tables])?.iter().map(|row| row.get::<_, String>(0)).collect();
    let mut lines = Vec::new();
    let mut alive = BTreeSet::new();
    for row in client.query(LINES, &[])? {
        let (table, key, column): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let told: Option<String> = row.get(3);
        if column == "__[RIP]__" {
            if !owned.contains(&table) {
                lines.push(format!("{table} {key}: a tombstone is shown to one whom policies bind"));
            }
            continue;
        }
        let shown = visible.get(&table).and_then(|rows| rows.get(&key));
        match shown {
            None => lines.push(format!("{table} {key}: {column} is shown of a hidden row")),
            Some(cells) if column != "__[NEW]__" && content::cell(cells, &column) != told.as_deref() => {
                lines.push(format!("{table} {key}: {column} is {told:?} among the changes"));
            }
            Some(_) => {}
        }
        alive.insert((table, key));
    }
    let keys =
        visible.iter().flat_map(|(table, rows)| rows.keys().map(move |key| (table.clone(), key.clone())));
    let missing = keys.filter(|row| !alive.contains(row));
    lines.extend(missing.map(|(table, key)| format!("{table} {key}: visible, but without changes")));
    Ok(lines)
}
