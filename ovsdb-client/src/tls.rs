//! TLS with mutual authentication, as `ssl:` and `pssl:` remotes use it.
//!
//! A [`Tls`] holds what Open vSwitch takes as `--ca-cert`, `--certificate` and `--private-key`, and
//! serves for streams that are connected and for those that are accepted. As there,
//!
//! - both ends show a certificate that a CA of the other end has signed. A client without one can
//!   be made, for servers that run with `--peer-ca-cert=none`; a listener without one cannot;
//! - whom the CA has signed is trusted, whatever host its certificate names, unless
//!   [`verify_name`](TlsBuilder::verify_name) is asked for;
//! - the versions are TLS 1.2 and 1.3. No session is resumed, so each connection verifies anew.
//!
//! The files are read once. When they change, a new [`Tls`] is needed.
//!
//! ```
//! use ovsdb_client::tls::{Pem, Tls};
//!
//! let error = Tls::builder()
//!     .ca(Pem::file("/nonexistent/cacert.pem"))
//!     .identity(Pem::file("/nonexistent/cert.pem"), Pem::file("/nonexistent/privkey.pem"))
//!     .build()
//!     .unwrap_err();
//! assert_eq!(error.to_string(), "cannot read /nonexistent/cacert.pem");
//! ```
//!
//! What goes wrong with a peer is a [`TlsError`]: it says who refused whom, and why.

mod error;
mod source;
mod verify;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, InconsistentKeys, RootCertStore, ServerConfig};

use verify::ChainVerifier;

pub use error::{CertificateFault, TlsError, TlsRole};
pub use source::Pem;

/// Whom to trust, and what to show; see the [module](self). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tls {
    client: Arc<ClientConfig>,
    /// Only with a certificate: a server must show one.
    server: Option<Arc<ServerConfig>>,
}

/// The description of a [`Tls`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct TlsBuilder {
    ca: Option<Pem>,
    identity: Option<(Pem, Pem)>,
    verify_name: bool,
}

impl Tls {
    /// Starts a description.
    pub fn builder() -> TlsBuilder {
        TlsBuilder::default()
    }

    /// For connecting.
    pub(crate) fn client(&self) -> &Arc<ClientConfig> {
        &self.client
    }

    /// For accepting; `None` without a certificate.
    pub(crate) fn server(&self) -> Option<&Arc<ServerConfig>> {
        self.server.as_ref()
    }

    /// Whether there is a certificate to show.
    pub(crate) fn has_certificate(&self) -> bool {
        self.server.is_some()
    }
}

impl TlsBuilder {
    /// Sets the certificates of the CAs that sign the peers: `--ca-cert` of Open vSwitch.
    pub fn ca(mut self, certificates: Pem) -> Self {
        self.ca = Some(certificates);
        self
    }

    /// Sets what is shown to peers: a certificate, perhaps with the chain that leads to its CA
    /// behind it, and its private key. `--certificate` and `--private-key` of Open vSwitch.
    pub fn identity(mut self, certificate: Pem, private_key: Pem) -> Self {
        self.identity = Some((certificate, private_key));
        self
    }

    /// Demands that the certificate of a server names the host of the remote (subjectAltName).
    ///
    /// Open vSwitch does not look at the name, and the certificates of ovs-pki(8) name no host.
    pub fn verify_name(mut self) -> Self {
        self.verify_name = true;
        self
    }

    /// Reads the files and checks that the parts fit together.
    ///
    /// # Errors
    ///
    /// [`TlsConfigError`].
    pub fn build(self) -> Result<Tls, TlsConfigError> {
        let ca = self.ca.ok_or(TlsConfigError::NoCa)?;
        let mut roots = RootCertStore::empty();
        for certificate in ca.certificates()? {
            let added = roots.add(certificate);
            added.map_err(|source| TlsConfigError::UnusableCa {
                origin: ca.clone(),
                source: Box::new(source),
            })?;
        }
        let parts = Parts {
            roots: Arc::new(roots),
            // Given explicitly, because a default of the process is not a library's to choose.
            provider: Arc::new(ring::default_provider()),
            identity: self.identity.map(Identity::load).transpose()?,
        };
        Ok(Tls {
            client: Arc::new(parts.client(self.verify_name)?),
            server: parts.server()?.map(Arc::new),
        })
    }
}

/// What both configurations are made of.
struct Parts {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    identity: Option<Identity>,
}

/// What is shown to peers, read, and where it was read from.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    private_key: PrivateKeyDer<'static>,
    certificate_origin: Pem,
    key_origin: Pem,
}

impl Identity {
    fn load((certificate, key): (Pem, Pem)) -> Result<Self, TlsConfigError> {
        Ok(Self {
            chain: certificate.certificates()?,
            private_key: key.private_key()?,
            certificate_origin: certificate,
            key_origin: key,
        })
    }

    /// Says why `rustls` does not take it.
    fn unfit(&self, source: rustls::Error) -> TlsConfigError {
        let (certificate, key) = (self.certificate_origin.clone(), self.key_origin.clone());
        match source {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsConfigError::Mismatch { certificate, key }
            }
            source => TlsConfigError::UnusableIdentity {
                certificate,
                key,
                source: Box::new(source),
            },
        }
    }
}

impl Parts {
    fn client(&self, verify_name: bool) -> Result<ClientConfig, TlsConfigError> {
        let verifier = ChainVerifier {
            roots: Arc::clone(&self.roots),
            provider: Arc::clone(&self.provider),
            verify_name,
        };
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(unsupported)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.identity {
            None => config.with_no_client_auth(),
            Some(identity) => config
                .with_client_auth_cert(identity.chain.clone(), identity.private_key.clone_key())
                .map_err(|source| identity.unfit(source))?,
        };
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn server(&self) -> Result<Option<ServerConfig>, TlsConfigError> {
        let Some(identity) = &self.identity else {
            return Ok(None);
        };
        let (roots, provider) = (Arc::clone(&self.roots), Arc::clone(&self.provider));
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|error| unsupported(rustls::Error::General(error.to_string())))?;
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(unsupported)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(identity.chain.clone(), identity.private_key.clone_key())
            .map_err(|source| identity.unfit(source))?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Some(config))
    }
}

fn unsupported(source: rustls::Error) -> TlsConfigError {
    TlsConfigError::Unsupported {
        source: Box::new(source),
    }
}

/// Why a [`Tls`] cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// Nobody would be trusted.
    #[error("no CA certificates are configured for TLS")]
    NoCa,
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A text is not PEM.
    #[error("{origin} is not PEM")]
    Malformed {
        /// Where it is from.
        origin: Pem,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// There is no certificate where one should be.
    #[error("{origin} holds no certificate")]
    NoCertificate {
        /// Where it should be.
        origin: Pem,
    },
    /// There is no private key where one should be, or only one with a passphrase.
    #[error("{origin} holds no private key that is free of a passphrase")]
    NoKey {
        /// Where it should be.
        origin: Pem,
    },
    /// A CA certificate is not understood.
    #[error("{origin} holds a CA certificate that cannot be used")]
    UnusableCa {
        /// Where it is from.
        origin: Pem,
        /// What is wrong with it.
        source: Box<rustls::Error>,
    },
    /// The private key belongs to another certificate.
    #[error("the private key in {key} does not belong to the certificate in {certificate}")]
    Mismatch {
        /// Where the certificate is from.
        certificate: Pem,
        /// Where the key is from.
        key: Pem,
    },
    /// The certificate or the key is not understood.
    #[error("the certificate in {certificate} with the private key in {key} cannot be used")]
    UnusableIdentity {
        /// Where the certificate is from.
        certificate: Pem,
        /// Where the key is from.
        key: Pem,
        /// What is wrong with them.
        source: Box<rustls::Error>,
    },
    /// The library for TLS refuses what it is given.
    #[error("TLS cannot be set up")]
    Unsupported {
        /// Its reason.
        source: Box<rustls::Error>,
    },
}
