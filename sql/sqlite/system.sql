-- The extension's own tables, created by the first cloudsync_init and dropped with the last
-- cloudsync_cleanup. Each synced table T has "T_cloudsync" (clocks) and "T_cloudsync_journal"
-- (local writes not yet folded) besides.

CREATE TABLE IF NOT EXISTS main.cloudsync_settings(
  key TEXT PRIMARY KEY NOT NULL COLLATE NOCASE, value) WITHOUT ROWID;
-- Sites met, by ordinal; 0 is this database.
CREATE TABLE IF NOT EXISTS main.cloudsync_site_id(id INTEGER PRIMARY KEY, site_id BLOB UNIQUE NOT NULL);
-- base: rows may stand here without a clock. base_done: those have all been pushed.
-- bulk_unsent: rows of a bulk write are unsent, which the index on unsent leaves out. pulled: 0 the
-- server's rows must be downloaded as a whole, 1 they were, 2 all must be compared, since what the user
-- may see has changed. view_*: what decided that when they were last downloaded or compared.
CREATE TABLE IF NOT EXISTS main.cloudsync_tables(
  id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, algorithm TEXT NOT NULL,
  enabled INTEGER NOT NULL DEFAULT 1, base INTEGER NOT NULL DEFAULT 0,
  base_done INTEGER NOT NULL DEFAULT 0, bulk_unsent INTEGER NOT NULL DEFAULT 0,
  pulled INTEGER NOT NULL DEFAULT 0, view_columns INTEGER, view_rows INTEGER);
-- The numbers of columns in clocks and journals; never reused.
CREATE TABLE IF NOT EXISTS main.cloudsync_columns(
  table_id INTEGER NOT NULL, name TEXT NOT NULL, id INTEGER NOT NULL,
  PRIMARY KEY(table_id, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS main.cloudsync_table_settings(
  tbl_name TEXT NOT NULL COLLATE NOCASE, col_name TEXT NOT NULL COLLATE NOCASE,
  key TEXT NOT NULL COLLATE NOCASE, value, PRIMARY KEY(tbl_name, col_name, key)) WITHOUT ROWID;
-- Holds a row only inside a transaction that applies remote changes: triggers note nothing then.
CREATE TABLE IF NOT EXISTS main.cloudsync_guard(applying INTEGER PRIMARY KEY);
-- Unsent rows of tables with the setting atomic, and the transactions that wrote them: rows that are
-- linked by transactions are one group.
CREATE TABLE IF NOT EXISTS main.cloudsync_groups(
  table_id INTEGER NOT NULL, key BLOB NOT NULL, txn INTEGER NOT NULL,
  PRIMARY KEY(table_id, key, txn)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS main.cloudsync_groups_txn ON cloudsync_groups(txn);
