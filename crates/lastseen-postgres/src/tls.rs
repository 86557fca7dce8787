//! Who is trusted to be the database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::AddressError;

/// How much of the server's certificate is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Trust {
    /// Nothing: against listeners on the wire, not against somebody in between.
    Anybody,
    /// One of the roots has signed it, for whatever name.
    Chain,
    /// One of the roots has signed it, for the host that was asked for.
    ChainAndName,
}

/// Files that an address names, in PEM.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// Whose signatures count. `system` is the system's; nothing named is the system's too.
    pub(crate) roots: Option<PathBuf>,
    /// Our own certificate, where the server asks for one.
    pub(crate) certificate: Option<PathBuf>,
    /// Its key.
    pub(crate) key: Option<PathBuf>,
}

impl Files {
    /// Whether the roots are the ones that the system trusts, said in so many words.
    pub(crate) fn are_the_systems(&self) -> bool {
        self.roots.as_deref() == Some(Path::new("system"))
    }
}

/// How connections to the database are secured, where they are.
pub(crate) fn configuration(trust: Trust, files: &Files) -> Result<ClientConfig, AddressError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| AddressError::Tls(error.to_string().into()))?;
    let builder = match trust {
        Trust::ChainAndName => builder.with_root_certificates(roots(files)?),
        Trust::Chain => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Lenient {
                roots: Some(roots(files)?),
                provider,
            })),
        Trust::Anybody => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Lenient {
                roots: None,
                provider,
            })),
    };
    let (Some(certificate), Some(key)) = (&files.certificate, &files.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let key_of = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
    builder
        .with_client_auth_cert(certificates(certificate)?, key_of)
        .map_err(|error| AddressError::Tls(error.to_string().into()))
}

fn roots(files: &Files) -> Result<RootCertStore, AddressError> {
    let mut roots = RootCertStore::empty();
    match &files.roots {
        Some(path) if !files.are_the_systems() => {
            for certificate in certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| unreadable(path, &error))?;
            }
        }
        _ => {
            // A system's store may hold what nobody can read; what is left counts.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(AddressError::NoRoots);
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AddressError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> AddressError {
    AddressError::File {
        path: path.to_owned(),
        reason: error.to_string().into(),
    }
}

/// Looks at less than the whole certificate: what `require` and `verify-ca` ask for.
#[derive(Debug)]
struct Lenient {
    /// `None`: whoever answers is trusted.
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(end_entity)?,
                roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    // Whoever shows a certificate has to hold its key, in every mode.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
