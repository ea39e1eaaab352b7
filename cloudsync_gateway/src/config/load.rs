//! Reading the configuration: the file, the environment over it, and the files that secrets are in.

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use toml::Table;

use crate::config::{ApiKey, Config, check, environment};

/// What is wrong with the configuration, and at which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The key, with dots; or the environment variable; empty if the file as a whole is meant.
    pub key: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl ConfigError {
    /// An error at a key.
    pub fn at(key: impl Into<String>, problem: impl Into<String>) -> ConfigError {
        ConfigError { key: key.into(), problem: problem.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" | "." => write!(formatter, "configuration: {}", self.problem),
            key => write!(formatter, "configuration: {key}: {}", self.problem),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Reads the file, if there is one, and the process's environment.
///
/// # Errors
/// The file or a file that it names cannot be read, or something in it cannot be meant.
pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
    let text = match file {
        Some(path) => fs::read_to_string(path)
            .map_err(|error| ConfigError::at("", format!("{} cannot be read: {error}", path.display())))?,
        None => String::new(),
    };
    parse(
        &text,
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    )
}

/// Reads a configuration out of its text and these variables.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, variables: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    // The parser quotes the line it stumbles over, which may hold a secret: only its place is told.
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line =
            error.span().map_or(0, |span| text.get(..span.start).unwrap_or_default().lines().count().max(1));
        ConfigError::at("", format!("line {line} is not TOML: {}", error.message()))
    })?;
    environment::overlay(&mut table, variables)?;
    let mut config: Config = serde_path_to_error::deserialize(table)
        .map_err(|error| ConfigError::at(error.path().to_string(), error.inner().message().to_owned()))?;
    read_secret_files(&mut config)?;
    check(&config)?;
    Ok(config)
}

fn read_secret_files(config: &mut Config) -> Result<(), ConfigError> {
    if let Some(jwt) = &mut config.jwt {
        fill("jwt.secret", &mut jwt.secret, &jwt.secret_file)?;
    }
    fill_api_keys("api_keys", &mut config.api_keys)?;
    for (id, database) in &mut config.databases {
        fill(&format!("databases.{id}.url"), &mut database.url, &database.url_file)?;
        if let Some(jwt) = &mut database.jwt {
            fill(&format!("databases.{id}.jwt.secret"), &mut jwt.secret, &jwt.secret_file)?;
        }
        if let Some(keys) = &mut database.api_keys {
            fill_api_keys(&format!("databases.{id}.api_keys"), keys)?;
        }
    }
    Ok(())
}

fn fill_api_keys(place: &str, keys: &mut [ApiKey]) -> Result<(), ConfigError> {
    for (index, key) in keys.iter_mut().enumerate() {
        fill(&format!("{place}[{index}].key"), &mut key.key, &key.key_file)?;
    }
    Ok(())
}

/// Puts the content of the file where the value is missing. A last line break is not part of a secret.
fn fill(key: &str, value: &mut Option<String>, file: &Option<PathBuf>) -> Result<(), ConfigError> {
    let Some(file) = file else { return Ok(()) };
    let key_of_file = format!("{key}_file");
    if value.is_some() {
        return Err(ConfigError::at(key_of_file, format!("{key} is given too: keep one of them")));
    }
    let text = fs::read_to_string(file).map_err(|error| {
        ConfigError::at(key_of_file, format!("{} cannot be read: {error}", file.display()))
    })?;
    *value = Some(text.trim_end_matches(['\r', '\n']).to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
        [jwt]
        secret = 'a secret of thirty-two bytes or more'
        [databases.main]
        url = 'postgres://u:the-password@h/d'
        anon_role = 'anon'
    ";

    fn with(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        parse(GOOD, owned.collect::<Vec<_>>().into_iter())
    }

    fn problem(text: &str) -> String {
        parse(text, std::iter::empty()).expect_err(text).to_string()
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let config = with(&[]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:3000");
        assert_eq!(config.limits.body_bytes, 1_114_112);
        let database = &config.databases["main"];
        assert_eq!(
            database.functions,
            ["cloudsync_push", "cloudsync_pull", "cloudsync_pull_schema", "cloudsync_create_tables"]
        );
        assert_eq!((database.pool_size, database.pool_wait_seconds), (10, 10));
    }

    #[test]
    fn the_environment_wins() {
        let config = with(&[
            ("CLOUDSYNC_GATEWAY_LISTEN", "0.0.0.0:80"),
            ("CLOUDSYNC_GATEWAY_CONFIG", "/etc/file"),
            ("CLOUDSYNC_GATEWAY_JWT__SECRET", "00000000000000000000000000000000"),
            ("CLOUDSYNC_GATEWAY_LIMITS__BODY_BYTES", "5"),
            ("CLOUDSYNC_GATEWAY_DATABASES__MAIN__SCHEMAS", "a, b"),
            ("CLOUDSYNC_GATEWAY_DATABASES__MAIN__JWT__SECRET_IS_BASE64", "false"),
            ("CLOUDSYNC_GATEWAY_DATABASES__MAIN__JWT__SECRET", "11111111111111111111111111111111"),
            ("PATH", "/bin"),
        ])
        .unwrap();
        assert_eq!((config.listen.port(), config.limits.body_bytes), (80, 5));
        // A secret of digits stays a text.
        assert_eq!(config.jwt.unwrap().secret.unwrap().len(), 32);
        assert_eq!(config.databases["main"].schemas, ["a", "b"]);
    }

    #[test]
    fn errors_name_the_key() {
        let cases = [
            ("", "databases: no database is named"),
            ("[databases.main]\n", "databases.main.url: is missing"),
            ("listen = 'here'", "listen: "),
            ("lissen = 'x'", "lissen: unknown field"),
            ("[limits]\nbody_bytes = 'x'", "limits.body_bytes: invalid type"),
            ("[databases.main]\npool_size = -1", "databases.main.pool_size: "),
            (
                "default_database = 'x'\n[databases.main]\nurl = 'postgres://h/d'",
                "default_database: there is no [databases.x]",
            ),
            ("[databases.'a/b']\nurl = 'postgres://h/d'", "databases.a/b: an id is made of"),
            ("[databases.main]\nurl = 'postgres://h/d'", "databases.main.jwt: nobody could call"),
            (
                "[databases.main]\nurl = 'postgres://h/d'\nschemas = ['pg_catalog']",
                "databases.main.schemas: pg_catalog cannot be exposed",
            ),
            (
                "[jwt]\n[databases.main]\nurl = 'postgres://h/d'",
                "jwt: name secret, secret_file, jwks_file or jwks_url",
            ),
            (
                "[jwt]\nsecret = 'short'\n[databases.main]\nurl = 'postgres://h/d'",
                "jwt.secret: has 5 bytes, and needs at least 32",
            ),
            (
                "[jwt]\njwks_url = 'ftp://x'\n[databases.main]\nurl = 'postgres://h/d'",
                "jwt.jwks_url: must begin with https://",
            ),
            (
                "[jwt]\njwks_url = 'https://x'\nrole_claim = 'role'\n[databases.main]\nurl = 'postgres://h/d'",
                "jwt.role_claim: is no path",
            ),
            (
                "[jwt]\nsecret_file = '/missing'\n[databases.main]\nurl = 'postgres://h/d'",
                "jwt.secret_file: /missing cannot be read",
            ),
            (
                "[[api_keys]]\nrole = 'anon'\n[databases.main]\nurl = 'postgres://h/d'",
                "api_keys[0].key: is missing",
            ),
            (
                "[databases.main]\nurl = 'postgres://h/d'\nanon_role = 'a'\nrequire_api_key = true",
                "databases.main.require_api_key: there are no api_keys",
            ),
            ("a = b", "line 1 is not TOML"),
        ];
        for (text, expected) in cases {
            let problem = problem(text);
            assert!(problem.starts_with(&format!("configuration: {expected}")), "{text:?}: {problem}");
        }
    }

    #[test]
    fn errors_of_variables_name_them() {
        let problem = |name, value| with(&[(name, value)]).unwrap_err().to_string();
        let name = "CLOUDSYNC_GATEWAY_LIMITS__BURST";
        assert_eq!(problem(name, "x"), format!("configuration: {name}: must be a whole number"));
        assert!(problem("CLOUDSYNC_GATEWAY_LISTEN__X", "1").contains("listen"));
        assert!(problem("CLOUDSYNC_GATEWAY_NONSENSE", "1").contains("nonsense: unknown field"));
        let name = "CLOUDSYNC_GATEWAY_JWT__SECRET__X";
        assert_eq!(problem(name, "1"), format!("configuration: {name}: is no key of the configuration"));
    }

    #[test]
    fn no_error_repeats_a_secret() {
        for text in [
            "[databases.main]\nurl = 'postgres://u:hunter2@h:port/d'",
            "[databases.main]\nurl = 'postgres://u:hunter2@h/d?sslmode=hunter2'",
            "[jwt]\nsecret = 'hunter2'\n[databases.main]\nurl = 'postgres://h/d'",
            "[jwt]\nsecret = 'hunter2",
            "[jwt]\nsecret = 'hunter2' x",
        ] {
            assert!(!problem(text).contains("hunter2"), "{}", problem(text));
        }
        assert!(!format!("{:?}", with(&[]).unwrap()).contains("the-password"));
    }

    #[test]
    fn a_secret_may_be_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "postgres://u:p@h/d\n").unwrap();
        let text = format!("[databases.main]\nanon_role = 'a'\nurl_file = '{}'", file.path().display());
        let config = parse(&text, std::iter::empty()).unwrap();
        assert_eq!(config.databases["main"].url.as_deref(), Some("postgres://u:p@h/d"));
        assert!(
            problem(&format!("{text}\nurl = 'postgres://h/d'"))
                .contains("databases.main.url_file: databases.main.url is given too")
        );
    }
}
