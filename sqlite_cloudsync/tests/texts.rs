//! Columns of text that are merged by lines: what devices write apart, and what becomes of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod common;
mod text_support;

use common::{device, init, refused, rows, synced};
use rusqlite::Connection;
use sqlite_cloudsync::payload;
use text_support::{
    BLOCK, DOCUMENTS, T, assert_both, body, by_lines, exchange, fold, pair, pair_of, run, set_body, tell,
    told, write,
};

#[test]
fn edits_made_apart_all_stand() {
    // The text, what one device makes of it, what the other makes of it later, and what becomes of both.
    let cases = [
        ("a\nb\nc\n", "a1\nb\nc\n", "a\nb\nc2\nd\n", "a1\nb\nc2\nd\n"),
        ("a\nb\nc\n", "a\nb one\nc\n", "a\nb two\nc\n", "a\nb two\nc\n"),
        ("milk\nbread\neggs", "milk, 2 l\nbread\nbutter\neggs", "milk\nbread", "milk, 2 l\nbread\nbutter"),
        ("a\nbread\nz", "a\nz", "a\nbrown bread\nz", "a\nbrown bread\nz"),
        ("a\r\nb\r\nc\r\n", "a1\r\nb\r\nc\r\n", "a\r\nb\r\nc3\r\n", "a1\r\nb\r\nc3\r\n"),
        ("a\nb", "", "a\nb2", "b2"),
        ("\n\n", "x\n\n", "\n\ny", "x\n\ny"),
    ];
    for (base, one, other, both) in cases {
        for forward in [true, false] {
            let devices = pair(base);
            set_body(&devices[0], Some(one));
            set_body(&devices[1], Some(other));
            if forward {
                exchange(&devices[0], &devices[1]);
                tell(&devices[0], &devices[1]);
            } else {
                exchange(&devices[1], &devices[0]);
                tell(&devices[1], &devices[0]);
            }
            assert_both(&devices, Some(both));
        }
    }
}

#[test]
fn what_both_paste_stays_together() {
    let devices = pair("a\nz\n");
    set_body(&devices[0], Some("a\n1\n2\n3\nz\n"));
    set_body(&devices[1], Some("a\n4\n5\n6\nz\n"));
    exchange(&devices[0], &devices[1]);
    assert_eq!(body(&devices[0]), body(&devices[1]));
    let merged = body(&devices[0]).unwrap();
    assert!(merged == "a\n1\n2\n3\n4\n5\n6\nz\n" || merged == "a\n4\n5\n6\n1\n2\n3\nz\n", "{merged}");
    let devices = pair("log");
    set_body(&devices[0], Some("log\nphone\n"));
    set_body(&devices[1], Some("log\nlaptop\n"));
    exchange(&devices[0], &devices[1]);
    assert_eq!(body(&devices[0]), body(&devices[1]));
    let merged = body(&devices[0]).unwrap();
    assert!(merged == "log\nphone\nlaptop\n" || merged == "log\nlaptop\nphone\n", "{merged}");
}

#[test]
fn other_columns_and_edits_before_the_fold_go_along() {
    let devices = pair("a\nb\nc\n");
    run(&devices[0], "UPDATE t SET body = 'a1' || char(10) || 'b' || char(10) || 'c' || char(10)");
    run(&devices[0], "UPDATE t SET title = 'new', pages = 2; UPDATE t SET body = replace(body, 'a1', 'a2')");
    set_body(&devices[1], Some("a\nb\nc2\n"));
    exchange(&devices[0], &devices[1]);
    assert_both(&devices, Some("a2\nb\nc2\n"));
    assert_eq!(rows(&devices[1], "SELECT title, pages FROM t"), ["new|2"]);
}

#[test]
fn an_edit_taken_back_is_no_new_text() {
    let devices = pair("a\nb\n");
    run(&devices[0], "UPDATE t SET body = 'x'; UPDATE t SET body = 'a' || char(10) || 'b' || char(10)");
    write(&devices[0], "");
    set_body(&devices[1], Some("a\nb2\n"));
    tell(&devices[0], &devices[1]);
    assert_eq!(body(&devices[1]).as_deref(), Some("a\nb2\n"));
    exchange(&devices[1], &devices[0]);
    assert_both(&devices, Some("a\nb2\n"));
}

#[test]
fn null_and_back_begins_a_new_text() {
    for at_once in [false, true] {
        let devices = pair("a\nb\n");
        set_body(&devices[0], Some("a1\nb\n"));
        tell(&devices[0], &devices[1]);
        set_body(&devices[1], Some("a1\nb1\n"));
        run(&devices[0], "UPDATE t SET body = body || 'more'; UPDATE t SET body = NULL");
        if !at_once {
            write(&devices[0], "");
            assert_eq!(rows(&devices[0], DOCUMENTS), ["0"]);
        }
        run(&devices[0], "UPDATE t SET body = 'new'");
        set_body(&devices[0], Some("newer"));
        exchange(&devices[0], &devices[1]);
        assert_both(&devices, Some("newer"));
    }
}

#[test]
fn a_text_written_over_null_before_the_fold_is_told_whole() {
    let devices = pair("a\n");
    set_body(&devices[0], None);
    exchange(&devices[0], &devices[1]);
    run(&devices[0], "UPDATE t SET body = 'new' || char(10); UPDATE t SET body = body || 'line'");
    exchange(&devices[0], &devices[1]);
    assert_both(&devices, Some("new\nline"));
}

#[test]
fn paragraphs_are_parted_by_their_delimiter() {
    let paragraphs = || {
        let conn = by_lines();
        run(&conn, "SELECT cloudsync_set_column('t', 'body', 'delimiter', char(10) || char(10))");
        conn
    };
    let devices = pair_of([paragraphs(), paragraphs()], "one\nmore\n\ntwo\n");
    set_body(&devices[0], Some("one\nmuch more\n\ntwo\n"));
    set_body(&devices[1], Some("one\nmore\n\ntwo\n\nthree\n"));
    exchange(&devices[0], &devices[1]);
    assert_both(&devices, Some("one\nmuch more\n\ntwo\n\nthree\n"));
}

fn by_words() -> Connection {
    let conn = by_lines();
    run(&conn, "SELECT cloudsync_set_column('t', 'body', 'merge', 'WORD')");
    conn
}

#[test]
fn words_of_one_line_are_merged_where_a_column_says_so() {
    let devices = pair_of([by_words(), by_words()], "one two three\n");
    set_body(&devices[0], Some("1 two three\n"));
    set_body(&devices[1], Some("one two 3 4\n"));
    exchange(&devices[0], &devices[1]);
    assert_both(&devices, Some("1 two 3 4\n"));
    // A delimiter is of no account, and what was known of words is forgotten with the choice of them.
    for device in &devices {
        let clocks = || rows(device, "SELECT count(*) FROM cloudsync_texts");
        run(device, "SELECT cloudsync_set_column('t', 'body', 'delimiter', char(10) || char(10))");
        assert_eq!(clocks(), ["1"]);
        run(device, "SELECT cloudsync_set_column('t', 'body', 'merge', NULL)");
        assert_eq!(clocks(), ["0"]);
    }
    set_body(&devices[0], Some("1 two 3 4\n\nfive"));
    exchange(&devices[0], &devices[1]);
    assert_both(&devices, Some("1 two 3 4\n\nfive"));
}

#[test]
fn a_column_is_switched_with_data_present_and_back() {
    let devices = pair_of([synced(T), synced(T)], "a\nb\nc");
    let plain = "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'cloudsync_texts' ORDER BY name";
    let before = rows(&devices[0], plain);
    devices.iter().for_each(|device| run(device, BLOCK));
    set_body(&devices[0], Some("a1\nb\nc"));
    set_body(&devices[1], Some("a\nb\nc1"));
    exchange(&devices[0], &devices[1]);
    assert_both(&devices, Some("a1\nb\nc1"));
    assert_eq!(rows(&devices[0], DOCUMENTS), ["1"]);
    devices.iter().for_each(|device| run(device, "SELECT cloudsync_set_column('t', 'body', 'algo', 'cls')"));
    assert_eq!(rows(&devices[0], DOCUMENTS), ["0"]);
    assert_eq!(rows(&devices[0], plain), before, "nothing is left of it");
    set_body(&devices[0], Some("a2\nb\nc1"));
    set_body(&devices[1], Some("a1\nb\nc2"));
    exchange(&devices[0], &devices[1]);
    assert_both(&devices, Some("a1\nb\nc2"));
}

#[test]
fn a_text_that_stood_there_before_it_was_synced_is_edited_by_line() {
    let first = device(T);
    run(&first, "INSERT INTO t VALUES('x', 'title', 'a' || char(10) || 'b', 1)");
    init(&first, "t", 3);
    run(&first, BLOCK);
    let devices = [first, by_lines()];
    tell(&devices[0], &devices[1]);
    set_body(&devices[0], Some("a1\nb"));
    set_body(&devices[1], Some("a\nb1"));
    exchange(&devices[0], &devices[1]);
    assert_both(&devices, Some("a1\nb1"));
}

#[test]
fn a_connection_without_the_extension_and_one_that_comes_later_edit_by_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.db");
    let open = || {
        let conn = Connection::open(&path).unwrap();
        sqlite_cloudsync::register(&conn).unwrap();
        conn
    };
    let first = open();
    run(&first, T);
    init(&first, "t", 3);
    run(&first, BLOCK);
    let [first, other] = pair_of([first, by_lines()], "a\nb\nc");
    drop(first);
    let plain = Connection::open(&path).unwrap();
    run(&plain, "UPDATE t SET body = replace(body, 'a', 'a1')");
    drop(plain);
    set_body(&other, Some("a\nb\nc1"));
    let devices = [open(), other];
    exchange(&devices[0], &devices[1]);
    assert_both(&devices, Some("a1\nb\nc1"));
}

#[test]
fn what_is_rolled_back_was_no_edit() {
    let devices = pair("a\nb\nc");
    run(&devices[0], "BEGIN; UPDATE t SET body = 'gone'; ROLLBACK");
    run(
        &devices[0],
        "BEGIN; SAVEPOINT s; UPDATE t SET body = 'gone'; ROLLBACK TO s; \
         UPDATE t SET body = replace(body, 'a', 'a1'); COMMIT",
    );
    set_body(&devices[1], Some("a\nb\nc1"));
    exchange(&devices[0], &devices[1]);
    assert_both(&devices, Some("a1\nb\nc1"));
}

#[test]
fn a_row_written_anew_begins_a_new_text() {
    let rewrites = [
        "REPLACE INTO t VALUES('x', 'title', 'whole' || char(10) || 'new', 1)",
        "DELETE FROM t; INSERT INTO t VALUES('x', 'title', 'whole', 1); \
         UPDATE t SET body = body || char(10) || 'new'",
        "UPDATE t SET body = 'whole'; REPLACE INTO t VALUES('x', 'title', 'old', 1); \
         UPDATE t SET body = 'whole' || char(10) || 'new'",
    ];
    for rewrite in rewrites {
        let devices = pair("a\nb");
        set_body(&devices[0], Some("a1\nb"));
        exchange(&devices[0], &devices[1]);
        set_body(&devices[1], Some("a1\nb1"));
        write(&devices[0], rewrite);
        assert_eq!(rows(&devices[0], DOCUMENTS), ["0"]);
        exchange(&devices[0], &devices[1]);
        assert_both(&devices, Some("whole\nnew"));
    }
}

#[test]
fn a_row_with_another_key_takes_its_text_along() {
    let devices = pair("a\nb");
    set_body(&devices[0], Some("a1\nb"));
    write(&devices[0], "UPDATE t SET id = 'y', body = body || char(10) || 'c'");
    assert_eq!(rows(&devices[0], DOCUMENTS), ["0"]);
    exchange(&devices[0], &devices[1]);
    assert_eq!(rows(&devices[1], "SELECT id FROM t"), ["y"]);
    set_body(&devices[0], Some("a1\nb\nc1"));
    set_body(&devices[1], Some("a2\nb\nc"));
    exchange(&devices[0], &devices[1]);
    assert_both(&devices, Some("a2\nb\nc1"));
}

#[test]
fn a_deleted_row_and_the_end_of_syncing_leave_nothing() {
    let devices = pair("a\nb");
    set_body(&devices[0], Some("a1\nb"));
    exchange(&devices[0], &devices[1]);
    assert_eq!(rows(&devices[1], DOCUMENTS), ["1"]);
    write(&devices[0], "DELETE FROM t");
    tell(&devices[0], &devices[1]);
    devices.iter().for_each(|device| assert_eq!(rows(device, DOCUMENTS), ["0"]));
    run(&devices[0], "SELECT cloudsync_cleanup('t')");
    assert_eq!(rows(&devices[0], "SELECT name FROM sqlite_schema WHERE name LIKE '%cloudsync%'"), [""; 0]);
}

#[test]
fn logging_out_keeps_the_choice() {
    let [device, _] = pair("a\nb");
    set_body(&device, Some("a1\nb"));
    sqlite_cloudsync::init::logout(&device).unwrap();
    assert_eq!(rows(&device, DOCUMENTS), ["0"]);
    let devices = pair_of([device, by_lines()], "a\nb");
    set_body(&devices[0], Some("a1\nb"));
    set_body(&devices[1], Some("a\nb1"));
    exchange(&devices[0], &devices[1]);
    assert_both(&devices, Some("a1\nb1"));
}

#[test]
fn logging_out_keeps_the_choice_of_words() {
    let device = by_words();
    sqlite_cloudsync::init::logout(&device).unwrap();
    let devices = pair_of([device, by_words()], "one two three");
    set_body(&devices[0], Some("1 two three"));
    set_body(&devices[1], Some("one two 3"));
    exchange(&devices[0], &devices[1]);
    assert_both(&devices, Some("1 two 3"));
}

#[test]
fn writes_that_were_not_captured_end_as_a_whole_text() {
    for (from, to) in [("disable", "enable"), ("begin_alter", "commit_alter")] {
        let devices = pair("a\nb");
        set_body(&devices[0], Some("a1\nb"));
        exchange(&devices[0], &devices[1]);
        run(&devices[0], &format!("SELECT cloudsync_{from}('t')"));
        run(&devices[0], "UPDATE t SET body = 'more' || char(10) || 'lines' || char(10) || 'now'");
        run(&devices[0], &format!("SELECT cloudsync_{to}('t')"));
        set_body(&devices[0], Some("more\nlines\nthen"));
        exchange(&devices[0], &devices[1]);
        assert_both(&devices, Some("more\nlines\nthen"));
        set_body(&devices[1], Some("more\nwords\nthen"));
        exchange(&devices[1], &devices[0]);
        assert_both(&devices, Some("more\nwords\nthen"));
    }
}

#[test]
fn a_renamed_column_is_one_like_others_until_it_is_chosen_again() {
    let [device, _] = pair("a\nb");
    set_body(&device, Some("a1\nb"));
    run(&device, "UPDATE t SET body = 'a2' || char(10) || 'b'; ALTER TABLE t RENAME COLUMN body TO text");
    run(&device, "UPDATE t SET text = 'a3'");
    fold(&device);
    run(&device, "UPDATE t SET text = 'a4'");
    fold(&device);
    run(&device, "SELECT cloudsync_set_column('t', 'text', 'algo', 'block')");
    write(&device, "UPDATE t SET text = 'a4' || char(10) || 'b4'");
    assert_eq!(rows(&device, "SELECT count(*) FROM t_cloudsync_before"), ["0"]);
    tell(&device, &by_lines());
}

#[test]
fn a_table_without_such_columns_has_nothing_of_it() {
    let conn = synced(T);
    let sql = "SELECT count(*) FROM sqlite_schema
               WHERE (name LIKE '%before' OR name LIKE 'cloudsync_text\\_%' ESCAPE '\\' OR name = 'cloudsync_texts')";
    assert_eq!(rows(&conn, sql), ["0"]);
    run(&conn, "CREATE TABLE u(id TEXT PRIMARY KEY NOT NULL, body TEXT)");
    init(&conn, "u", 3);
    run(&conn, BLOCK);
    assert_eq!(rows(&conn, &format!("{sql} AND tbl_name = 'u'")), ["0"]);
}

#[test]
fn a_choice_that_cannot_be_is_refused() {
    let conn = by_lines();
    let set = |column: &str, key: &str, value: &str| {
        refused(&conn, &format!("SELECT cloudsync_set_column('t', '{column}', '{key}', {value})"))
    };
    assert!(set("id", "algo", "'block'").contains("key"));
    assert!(set("pages", "algo", "'block'").contains("declare it TEXT"));
    assert!(set("none", "algo", "'block'").contains("no column none"));
    assert!(set("title", "algo", "'lines'").contains("'block' or 'cls'"));
    assert!(set("title", "delimiter", "''").contains("must not be empty"));
    assert!(set("title", "delimiter", "5").contains("must be a text"));
    assert!(set("title", "merge", "'letter'").contains("'line' or 'word', not 'letter'"));
    assert!(set("title", "merge", "5").contains("must be a text"));
    assert!(set("pages", "merge", "'word'").contains("declare it TEXT"));
    run(&conn, "INSERT INTO t VALUES('x', 't', 'b', 1)");
    assert_eq!(rows(&conn, "SELECT cloudsync_text_materialize('t', 'body', 'x')"), ["1"]);
    assert!(
        refused(&conn, "SELECT cloudsync_text_materialize('t', 'title', 'x')")
            .contains("not merged by lines")
    );
}

#[test]
fn the_list_of_changes_shows_the_whole_text() {
    let devices = pair("a\nb");
    set_body(&devices[0], Some("a1\nb"));
    let value = "SELECT col_value FROM cloudsync_changes WHERE col_name = 'body'";
    assert_eq!(rows(&devices[0], value), ["a1\nb"]);
    common::send(&devices[0], &devices[1]);
    assert_eq!(body(&devices[1]).as_deref(), Some("a1\nb"));
}

/// Lines of an unknown text: the rest of the row is kept, and the table is asked for again.
#[test]
fn a_row_told_in_part_waits_for_its_text() {
    let [device, _] = pair("a\nb");
    run(&device, "UPDATE t SET title = 'later'");
    let seen = fold(&device);
    set_body(&device, Some("a1\nb"));
    run(&device, "UPDATE t SET pages = 7");
    let stranger = by_lines();
    run(&stranger, "UPDATE cloudsync_tables SET pulled = 1");
    payload::apply(&stranger, &told(&device, seen)).unwrap();
    assert_eq!(rows(&stranger, "SELECT title, body, pages FROM t"), ["NULL|NULL|7"]);
    assert_eq!(rows(&stranger, "SELECT pulled FROM cloudsync_tables"), ["0"]);
    let devices = [device, stranger];
    tell(&devices[0], &devices[1]);
    assert_both(&devices, Some("a1\nb"));
}
