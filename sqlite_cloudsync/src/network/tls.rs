//! TLS by rustls, with the meanings that PostgreSQL users know from `sslmode`.
//!
//! `disable` none; `prefer` (the default) and `require` encrypt without looking at the certificate,
//! as libpq does; `verify-ca` and `verify-full` check it, and its name, against `sslrootcert` or, without
//! that, the public authorities.
//! Source: PostgreSQL documentation, "SSL Support", table of `sslmode` values.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, Result};

/// How the server's certificate is judged.
#[derive(Debug, PartialEq, Eq)]
pub enum Verification {
    /// Not at all: the connection is private from those who only listen.
    None,
    /// Against the public authorities.
    Public,
    /// Against the authorities in this PEM file.
    File(String),
}

/// Takes the options that the driver does not know out of the address.
///
/// # Errors
/// `sslmode` has an unknown value.
pub fn split_options(url: &str) -> Result<(String, Verification)> {
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
            Some(("sslmode", other)) => {
                return Err(Error::network(format!(
                    "sslmode '{other}' is unknown: use disable, prefer, require, verify-ca or verify-full"
                )));
            }
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

/// The connector for [`tokio_postgres`].
///
/// # Errors
/// The file of authorities cannot be read.
pub fn connector(verification: &Verification) -> Result<MakeRustlsConnect> {
    Ok(MakeRustlsConnect::new(config(verification)?))
}

/// What a TLS client needs.
///
/// # Errors
/// The file of authorities cannot be read.
pub fn config(verification: &Verification) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::network(format!("TLS cannot be set up: {error}")))?;
    let config = match verification {
        Verification::None => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth(),
        Verification::Public => {
            let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Verification::File(path) => builder.with_root_certificates(read_roots(path)?).with_no_client_auth(),
    };
    Ok(config)
}

fn read_roots(path: &str) -> Result<RootCertStore> {
    let unreadable =
        |reason: String| Error::state(format!("the file of authorities '{path}' cannot be read: {reason}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unreadable("it holds no certificate in PEM form".to_owned()));
    }
    Ok(roots)
}

/// Accepts every certificate, but still checks that the server holds its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_libpq_are_understood() {
        let split = |url| split_options(url).unwrap();
        assert_eq!(split("postgres://h/d"), ("postgres://h/d".into(), Verification::None));
        assert_eq!(
            split("postgres://h/d?sslmode=verify-full&application_name=x"),
            ("postgres://h/d?sslmode=require&application_name=x".into(), Verification::Public)
        );
        assert_eq!(
            split("postgres://h/d?sslrootcert=/ca.pem&sslmode=verify-ca").1,
            Verification::File("/ca.pem".into())
        );
        assert!(split_options("postgres://h/d?sslmode=maybe").is_err());
    }
}
