//! Certificates and keys in PEM.

use std::fmt;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsConfigError;

/// PEM text, or the file that holds it.
///
/// Displayed it is the path of the file, or `PEM text`: never the content, which may be a key.
#[derive(Clone)]
pub enum Pem {
    /// A file, read when the configuration is built.
    File(PathBuf),
    /// The text itself.
    Text(Vec<u8>),
}

impl Pem {
    /// The PEM file at `path`.
    ///
    /// Who may read a file with a private key is not checked.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::File(path.as_ref().to_owned())
    }

    /// PEM text that is in memory.
    pub fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(text.into())
    }

    /// All certificates, at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
        let text = self.read()?;
        let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
        match certificates {
            Ok(certificates) if certificates.is_empty() => Err(TlsConfigError::NoCertificate {
                origin: self.clone(),
            }),
            Ok(certificates) => Ok(certificates),
            Err(source) => Err(self.malformed(source)),
        }
    }

    /// The first private key.
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
        PrivateKeyDer::from_pem_slice(&self.read()?).map_err(|source| match source {
            pem::Error::NoItemsFound => TlsConfigError::NoKey {
                origin: self.clone(),
            },
            source => self.malformed(source),
        })
    }

    fn read(&self) -> Result<Vec<u8>, TlsConfigError> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => std::fs::read(path).map_err(|source| TlsConfigError::Read {
                path: path.clone(),
                source,
            }),
        }
    }

    fn malformed(&self, source: pem::Error) -> TlsConfigError {
        TlsConfigError::Malformed {
            origin: self.clone(),
            source,
        }
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Text(_) => f.write_str("PEM text"),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_named() {
        let missing = Pem::file("/nonexistent/cacert.pem");
        assert_eq!(
            missing.certificates().unwrap_err().to_string(),
            "cannot read /nonexistent/cacert.pem"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        let empty = Pem::file(file.path());
        let name = file.path().display();
        assert_eq!(
            empty.certificates().unwrap_err().to_string(),
            format!("{name} holds no certificate")
        );
        assert_eq!(
            empty.private_key().unwrap_err().to_string(),
            format!("{name} holds no private key that is free of a passphrase")
        );
        let cut = Pem::text("-----BEGIN CERTIFICATE-----\nAAAA\n");
        assert_eq!(
            cut.certificates().unwrap_err().to_string(),
            "PEM text is not PEM"
        );
    }

    #[test]
    fn a_key_in_memory_is_never_shown() {
        let key = Pem::text("-----BEGIN PRIVATE KEY-----");
        assert_eq!(format!("{key} {key:?}"), "PEM text Text(27 bytes)");
    }
}
