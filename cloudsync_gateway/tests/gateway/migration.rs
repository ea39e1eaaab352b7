//! The migration that exposes cloudsync's functions: what it makes, and where it refuses.

use crate::world::{FIXTURE, MIGRATION, connect, world};

/// Runs the migration in a database of its own and answers its error, if it has one.
fn migrate(name: &str, before: &str, times: usize) -> Option<String> {
    let database = format!("cs_gateway_{name}_{}", std::process::id());
    world().runtime.block_on(async {
        let admin = connect("postgres").await;
        admin.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
        connect(&database).await.batch_execute(before).await.unwrap();
        let mut outcome = Ok(());
        for _ in 0..times {
            outcome = outcome.and(connect(&database).await.batch_execute(MIGRATION).await);
        }
        admin.batch_execute(&format!("DROP DATABASE {database} WITH (FORCE)")).await.unwrap();
        outcome.err().map(|error| error.as_db_error().unwrap().message().to_owned())
    })
}

#[test]
fn it_and_the_fixture_can_be_run_again() {
    assert_eq!(migrate("again", FIXTURE, 2), None);
    assert_eq!(migrate("fixture", &format!("{FIXTURE}; {FIXTURE}"), 1), None);
}

#[test]
fn it_needs_nothing_of_supabase() {
    assert_eq!(migrate("plain", "SELECT 1", 1), None);
}

#[test]
fn an_extension_in_another_schema_is_told() {
    let error = migrate("public", "CREATE EXTENSION cloudsync SCHEMA public", 1);
    assert_eq!(error.unwrap(), "extension cloudsync is in schema public, and must be in schema extensions");
}

/// What a reviewer would look for, as the catalog says it: volatility, whose rights, a fixed search path,
/// who may call.
#[test]
fn the_functions_are_as_the_endpoint_needs_them() {
    let described = world().text(
        "SELECT string_agg(format('%s %s definer=%s %s %s', proname, provolatile, prosecdef, proconfig,
            (SELECT array_agg(r.rolname ORDER BY r.rolname) FROM pg_roles r
                WHERE r.rolname IN ('anon', 'authenticated', 'service_role', 'pg_read_all_data')
                AND has_function_privilege(r.oid, p.oid, 'EXECUTE'))), E'\n' ORDER BY proname)
         FROM pg_proc p WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'cloudsync%'",
    );
    let everyone = "{anon,authenticated,service_role}";
    let expected = [
        ("cloudsync_create_tables", "v", ""),
        ("cloudsync_pull", "s", everyone),
        ("cloudsync_pull_schema", "s", everyone),
        ("cloudsync_push", "v", everyone),
    ];
    let expected = expected.map(|(name, volatility, callers)| {
        format!("{name} {volatility} definer=f {{\"search_path=public, extensions\"}} {callers}")
    });
    assert_eq!(described, expected.join("\n"));
}
