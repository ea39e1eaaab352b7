//! A database's address, with the meanings that PostgreSQL users know from `sslmode`.
//!
//! `disable` none; `prefer` (the default) and `require` encrypt without looking at the certificate, as
//! libpq does; `verify-ca` and `verify-full` check it, and its name, against `sslrootcert` or, without
//! that, the public authorities. Source: PostgreSQL documentation, "SSL Support".

use std::time::Duration;

use tokio_postgres::Config;

/// How long a connection may take to open, if the address does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How the server's certificate is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Not at all: the connection is private from those who only listen.
    None,
    /// Against the public authorities.
    Public,
    /// Against the authorities in this PEM file.
    File(String),
}

/// Why an address cannot be used; nothing of it is repeated, as it holds a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads an address.
///
/// # Errors
/// It is not `postgres://…`, or an option is unknown.
pub fn parse(url: &str) -> Result<(Config, Verification), Malformed> {
    let (url, verification) = split_options(url)?;
    let mut config: Config = url.parse().map_err(|_| Malformed)?;
    if config.get_hosts().is_empty() {
        return Err(Malformed);
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_application_name().is_none() {
        config.application_name("cloudsync_gateway");
    }
    Ok((config, verification))
}

/// Takes the options that the driver does not know out of the address.
fn split_options(url: &str) -> Result<(String, Verification), Malformed> {
    let Some((address, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), Verification::None));
    };
    let (mut kept, mut verify, mut root) = (Vec::new(), false, None);
    for option in query.split('&') {
        match option.split_once('=') {
            Some(("sslmode", "verify-ca" | "verify-full")) => {
                verify = true;
                kept.push("sslmode=require");
            }
            Some(("sslmode", "disable" | "prefer" | "require")) => kept.push(option),
            Some(("sslmode", _)) => return Err(Malformed),
            Some(("sslrootcert", file)) => root = Some(file.to_owned()),
            _ => kept.push(option),
        }
    }
    let verification = match (verify, root) {
        (false, _) => Verification::None,
        (true, None) => Verification::Public,
        (true, Some(file)) => Verification::File(file),
    };
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    Ok((format!("{address}{query}"), verification))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_libpq_are_understood() {
        let verification = |url: &str| parse(url).map(|(_, verification)| verification);
        assert_eq!(verification("postgres://u@h/d"), Ok(Verification::None));
        assert_eq!(
            verification("postgres://u@h/d?sslmode=verify-full&options=-cjit%3Doff"),
            Ok(Verification::Public)
        );
        assert_eq!(
            verification("postgres://u@h/d?sslrootcert=/ca.pem&sslmode=verify-ca"),
            Ok(Verification::File("/ca.pem".into()))
        );
        for malformed in ["postgres://u@h/d?sslmode=maybe", "mysql://h/d", "", "postgres://u@h/d?unknown=1"] {
            assert_eq!(verification(malformed), Err(Malformed), "{malformed}");
        }
    }
}
