//! A scenario as Rust source, to paste into a test.

use std::fmt::Write;

use cloudsync_shared::value::Value;

use crate::scenario::{Action, BaseRow, Scenario, TableSpec, Tells};

/// Writes the scenario as a Rust expression. It needs
/// `use Action::*; use Value::*;` and the names of [`crate::scenario`] around it.
pub fn to_rust(scenario: &Scenario) -> String {
    let mut out = String::new();
    let Scenario { seed, replicas, tables, actions } = scenario;
    line(&mut out, 0, "Scenario {");
    line(&mut out, 1, &format!("seed: {seed},"));
    line(&mut out, 1, &format!("replicas: {replicas},"));
    line(&mut out, 1, "tables: vec![");
    for table in tables {
        print_table(&mut out, table);
    }
    line(&mut out, 1, "],");
    line(&mut out, 1, "actions: vec![");
    for action in actions {
        line(&mut out, 2, &format!("{},", print_action(action)));
    }
    line(&mut out, 1, "],");
    line(&mut out, 0, "}");
    out
}

fn line(out: &mut String, depth: usize, text: &str) {
    writeln!(out, "{:indent$}{text}", "", indent = depth * 4).expect("a string takes every text");
}

fn print_table(out: &mut String, table: &TableSpec) {
    let TableSpec { name, algorithm, key_columns, columns, base } = table;
    line(out, 2, "TableSpec {");
    line(out, 3, &format!("name: {name:?}.into(),"));
    line(out, 3, &format!("algorithm: Algorithm::{algorithm:?},"));
    line(out, 3, &format!("key_columns: {key_columns},"));
    line(out, 3, &format!("columns: {columns},"));
    line(out, 3, "base: vec![");
    for BaseRow { replica, key, values } in base {
        let (key, values) = (print_values(key), print_values(values));
        line(out, 4, &format!("BaseRow {{ replica: {replica}, key: {key}, values: {values} }},"));
    }
    line(out, 3, "],");
    line(out, 2, "},");
}

fn print_action(action: &Action) -> String {
    match action {
        Action::Insert { replica, table, key, values } => {
            print_write("Insert", *replica, *table, key) + &format!(", values: {} }}", print_values(values))
        }
        Action::Replace { replica, table, key, values } => {
            print_write("Replace", *replica, *table, key) + &format!(", values: {} }}", print_values(values))
        }
        Action::Update { replica, table, key, values } => {
            let set = values.iter().map(|(column, value)| format!("({column}, {})", print_value(value)));
            let set: Vec<String> = set.collect();
            print_write("Update", *replica, *table, key) + &format!(", values: vec![{}] }}", set.join(", "))
        }
        Action::Delete { replica, table, key } => print_write("Delete", *replica, *table, key) + " }",
        Action::During(write) => format!("During(Box::new({}))", print_action(write)),
        Action::Send { from, to, tells: Tells::Since(times) } => {
            format!("Send {{ from: {from}, to: {to}, tells: Tells::Since(vec!{times:?}) }}")
        }
        Action::Send { from, to, tells: Tells::Everything } => {
            format!("Send {{ from: {from}, to: {to}, tells: Tells::Everything }}")
        }
        // For these Rust's own debug form is an expression already.
        Action::Crash { .. }
        | Action::Wait { .. }
        | Action::SetClock { .. }
        | Action::Deliver { .. }
        | Action::Drop { .. }
        | Action::Sync { .. } => format!("{action:?}"),
    }
}

fn print_write(name: &str, replica: usize, table: usize, key: &[Value]) -> String {
    format!("{name} {{ replica: {replica}, table: {table}, key: {}", print_values(key))
}

fn print_values(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(print_value).collect();
    format!("vec![{}]", values.join(", "))
}

fn print_value(value: &Value) -> String {
    match value {
        Value::Null => "Null".into(),
        Value::Integer(number) => format!("Integer({number})"),
        Value::Real(number) => format!("Real(f64::from_bits({:#x}))", number.to_bits()),
        Value::Text(text) => format!("Text({text:?}.into())"),
        Value::Blob(bytes) => format!("Blob(vec!{bytes:?})"),
    }
}
