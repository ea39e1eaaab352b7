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
