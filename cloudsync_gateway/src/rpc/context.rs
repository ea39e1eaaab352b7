//! The settings that a function finds about its caller and its request, in PostgREST's order.

use axum::http::request::Parts;

use crate::auth::Identity;
use crate::database::catalog::{Catalog, Function};
use crate::database::transaction::{Isolation, Mode};
use crate::rpc::request::{Call, Verb, cookies_json, headers_json};
use crate::rpc::statement::search_path;

/// What becomes the mode of the transaction, and so is not set in it.
const ISOLATION: &str = "default_transaction_isolation";
const TIMEOUT: &str = "statement_timeout";

/// What the configuration adds.
#[derive(Clone, Debug)]
pub struct Surroundings<'a> {
    /// Schemas after the called function's own.
    pub extra_search_path: &'a [String],
    /// For roles and functions that set no `statement_timeout`; 0 for none.
    pub statement_timeout_ms: u64,
}

/// The mode of a call's transaction: what may write by its volatility may, unless it was called by a
/// method that promises not to.
pub fn mode(call: &Call, function: &Function, catalog: &Catalog, identity: &Identity) -> Mode {
    let of_role = catalog.role_settings.get(&identity.role).into_iter().flatten();
    // The function's own word comes last, and counts.
    let isolation = of_role.chain(&function.settings).rfind(|(name, _)| name == ISOLATION);
    Mode {
        may_write: call.verb == Verb::Post && function.is_volatile,
        isolation: isolation.map_or(Isolation::ReadCommitted, |(_, value)| Isolation::from_setting(value)),
    }
}

/// Each setting by name and value. The role's own settings stand before the role, so that rights to set
/// them are those of the login role. Source: PostgREST, `PreQuery.hs`.
pub fn settings(
    parts: &Parts,
    call: &Call,
    function: &Function,
    catalog: &Catalog,
    identity: &Identity,
    surroundings: &Surroundings<'_>,
) -> Vec<(String, String)> {
    let mut path = vec![call.schema.clone()];
    path.extend(surroundings.extra_search_path.iter().filter(|schema| **schema != call.schema).cloned());
    let is_set_here = |setting: &&(String, String)| setting.0 != ISOLATION;
    let of_role = catalog.role_settings.get(&identity.role).into_iter().flatten().filter(is_set_here);
    let of_function = function.settings.iter().filter(is_set_here);

    let mut settings = vec![("search_path".to_owned(), search_path(&path))];
    if surroundings.statement_timeout_ms > 0 {
        settings.push((TIMEOUT.to_owned(), surroundings.statement_timeout_ms.to_string()));
    }
    settings.extend(of_role.cloned());
    let mut add = |name: &str, value: String| settings.push((name.to_owned(), value));
    add("role", identity.role.clone());
    add("request.jwt.claims", identity.claims_json());
    add("request.method", parts.method.as_str().to_owned());
    add("request.path", format!("/rpc/{}", call.function));
    add("request.headers", headers_json(&parts.headers));
    add("request.cookies", cookies_json(&parts.headers));
    settings.extend(of_function.cloned());
    settings
}
