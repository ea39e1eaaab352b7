//! What the gateway knows of a database: the functions that can be called, and its roles' settings.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

/// What was read at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Functions of the exposed schemas that may be called by name, in no order that matters.
    pub functions: Vec<Function>,
    /// `ALTER ROLE … SET`, of roles that the login role may become.
    pub role_settings: BTreeMap<String, Vec<(String, String)>>,
    /// The login role is a superuser, which could become anyone.
    pub is_superuser: bool,
}

/// A function that can be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Whether it may write, and so needs a transaction that can.
    pub is_volatile: bool,
    /// What it takes, in order.
    pub parameters: Vec<Parameter>,
    /// What it gives back.
    pub returns: Returns,
    /// `ALTER FUNCTION … SET`, of the settings that must be in force before the call.
    pub settings: Vec<(String, String)>,
}

/// One argument of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Empty if it has none.
    pub name: String,
    /// As SQL, with its schema.
    pub type_name: String,
    /// Whether a call must give it.
    pub is_required: bool,
}

/// What a function gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returns {
    /// Rows rather than one value.
    pub is_set: bool,
    /// Nothing at all.
    pub is_void: bool,
    /// The media type that its domain is named after.
    pub media_type: Option<String>,
    /// Whether that domain is over `bytea`.
    pub is_bytes: bool,
}

/// Settings of a function that come too late when the function is entered. Source: PostgREST
/// documentation, `db-hoisted-tx-settings`.
const HOISTED: &[&str] =
    &["statement_timeout", "plan_filter.statement_cost_limit", "default_transaction_isolation"];

/// Settings of a role that the gateway decides itself.
const NOT_OF_ROLES: &[&str] = &["search_path", "role", "session_authorization"];

/// Names of types are printed with their schema only if it is not in the search path.
const FUNCTIONS: &str = r#"
SELECT n.nspname::text AS schema, p.proname::text AS name, p.provolatile = 'v' AS is_volatile,
    p.pronargdefaults::int4 AS defaults, p.proretset AS is_set,
    rt.oid = 'pg_catalog.void'::pg_catalog.regtype AS is_void,
    CASE WHEN rt.typtype = 'd' AND rt.typname ~ '^[^/]+/[^/]+$' THEN rt.typname::text END AS media_type,
    rt.typbasetype = 'pg_catalog.bytea'::pg_catalog.regtype AS is_bytes,
    ARRAY(SELECT coalesce(p.proargnames[a.n], '')
        FROM pg_catalog.generate_series(1, coalesce(pg_catalog.cardinality(p.proargmodes), p.pronargs)) a(n)
        WHERE p.proargmodes IS NULL OR p.proargmodes[a.n] IN ('i', 'b', 'v') ORDER BY a.n) AS names,
    ARRAY(SELECT pg_catalog.format_type(t.oid, NULL)
        FROM pg_catalog.unnest(p.proargtypes) WITH ORDINALITY t(oid, n) ORDER BY t.n) AS types,
    coalesce(p.proconfig, '{}') AS settings
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_type rt ON rt.oid = p.prorettype
WHERE p.prokind = 'f' AND n.nspname::text = ANY ($1) AND p.proname::text = ANY ($2)
    AND rt.oid <> 'pg_catalog.trigger'::pg_catalog.regtype
ORDER BY p.oid"#;

/// A setting of the role in this database comes after, and so over, one that it has everywhere. Only
/// what the login role may set is kept.
const ROLE_SETTINGS: &str = r#"
SELECT r.rolname::text AS role, s.setting AS setting
FROM pg_catalog.pg_db_role_setting d
JOIN pg_catalog.pg_roles r ON r.oid = d.setrole
CROSS JOIN pg_catalog.unnest(d.setconfig) s(setting)
LEFT JOIN pg_catalog.pg_settings g ON g.name = pg_catalog.split_part(s.setting, '=', 1)
WHERE pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER')
    AND (d.setdatabase = 0
        OR d.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
    AND (g.context IS NULL OR g.context = 'user')
ORDER BY d.setdatabase, s.setting"#;

impl Catalog {
    /// Reads it.
    ///
    /// # Errors
    /// Those of the connection and the database.
    pub async fn read(client: &Client, schemas: &[String], names: &[String]) -> Result<Catalog, Error> {
        client.batch_execute("BEGIN READ ONLY; SET LOCAL search_path = pg_catalog").await?;
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&schemas, Type::TEXT_ARRAY), (&names, Type::TEXT_ARRAY)];
        let rows = client.query_typed(FUNCTIONS, &parameters).await?;
        let functions = rows.iter().map(function).collect::<Result<_, _>>()?;
        let mut role_settings: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for row in client.query_typed(ROLE_SETTINGS, &[]).await? {
            let (role, setting): (String, String) = (row.try_get("role")?, row.try_get("setting")?);
            let settings = role_settings.entry(role).or_default();
            if let Some((name, value)) = split_setting(&setting)
                && !NOT_OF_ROLES.contains(&name.as_str())
            {
                settings.retain(|(earlier, _)| *earlier != name);
                settings.push((name, value));
            }
        }
        let superuser = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
        let is_superuser = client.query_typed_one(superuser, &[]).await?.try_get(0)?;
        client.batch_execute("COMMIT").await?;
        Ok(Catalog { functions, role_settings, is_superuser })
    }
}

fn function(row: &Row) -> Result<Function, Error> {
    let names: Vec<String> = row.try_get("names")?;
    let types: Vec<String> = row.try_get("types")?;
    let defaults = usize::try_from(row.try_get::<_, i32>("defaults")?).unwrap_or(0);
    let required = types.len().saturating_sub(defaults);
    let parameters = names.into_iter().zip(types).enumerate();
    let settings: Vec<String> = row.try_get("settings")?;
    let settings = settings.iter().filter_map(|setting| split_setting(setting));
    Ok(Function {
        schema: row.try_get("schema")?,
        name: row.try_get("name")?,
        is_volatile: row.try_get("is_volatile")?,
        parameters: parameters
            .map(|(index, (name, type_name))| Parameter { name, type_name, is_required: index < required })
            .collect(),
        returns: Returns {
            is_set: row.try_get("is_set")?,
            is_void: row.try_get("is_void")?,
            media_type: row.try_get("media_type")?,
            is_bytes: row.try_get("is_bytes")?,
        },
        settings: settings.filter(|(name, _)| HOISTED.contains(&name.as_str())).collect(),
    })
}

fn split_setting(setting: &str) -> Option<(String, String)> {
    setting.split_once('=').map(|(name, value)| (name.to_lowercase(), value.to_owned()))
}
