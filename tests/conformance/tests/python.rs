//! The `sqlite3` module of Debian's Python loads the extension and uses it, several connections at once.

use std::process::Command;

use cloudsync_conformance::required;

const SCRIPT: &str = r#"
import sqlite3, sys
path, file = sys.argv[1:]

def connect():
    db = sqlite3.connect(file, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(path)
    return db

one = connect()
one.execute("CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body TEXT DEFAULT '')")
one.execute("SELECT cloudsync_init('note')")
one.executemany("INSERT INTO note VALUES (cloudsync_uuid(), ?)", [(f"n{n}",) for n in range(100)])

# Without the extension: captured all the same.
plain = sqlite3.connect(file, isolation_level=None)
plain.execute("UPDATE note SET body = 'plain' WHERE body = 'n7'")
plain.close()

two = connect()
two.execute("BEGIN")
two.execute("DELETE FROM note WHERE body = 'n8'")
two.execute("SAVEPOINT s")
two.execute("DELETE FROM note")
two.execute("ROLLBACK TO s")
two.execute("COMMIT")

changes = one.execute("SELECT tbl, col_name, col_value FROM cloudsync_changes").fetchall()
assert ("note", "body", "plain") in changes, changes
dead = one.execute("SELECT count(DISTINCT pk) FROM cloudsync_changes WHERE cl = 2").fetchone()
assert dead == (1,), dead
alive = one.execute("SELECT count(DISTINCT pk) FROM cloudsync_changes WHERE cl = 1").fetchone()
assert alive == (99,), alive

try:
    one.execute("SELECT cloudsync_init('nothing')")
    raise SystemExit("an unknown table was taken")
except sqlite3.OperationalError as error:
    assert "nothing" in str(error), error
print("done")
"#;

#[test]
fn the_python_module_loads_the_extension() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = Command::new("/usr/bin/python3")
        .args(["-c", SCRIPT, &required("CLOUDSYNC_SQLITE_EXTENSION")])
        .arg(directory.path().join("note.db"))
        .output()
        .expect("python3 is installed");
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.trim(), "done", "{failed}");
}
