//! Certificates for the nodes of a cluster, by an authority that is the cluster's own.
//!
//! They serve as `--ca-cert`, `--certificate` and `--private-key` of Open vSwitch and OVN, at either end of a connection.
//! Every node trusts the authority, and shows a certificate whose common name is the node's: with role-based access
//! control a server compares it with the name of the chassis whose rows a client changes (ovn-architecture(7)).

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use ovsdb_client::tls::{Pem, Tls, TlsConfigError};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use thiserror::Error;

use crate::name::ClusterName;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// For how long certificates are already valid, for clocks that are behind.
const BEFORE: Duration = DAY.saturating_mul(365);

/// For how long certificates stay valid.
const AFTER: Duration = DAY.saturating_mul(10 * 365);

/// The certificate authority of a cluster.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// In PEM.
    certificate: String,
}

/// What a node shows of itself, in PEM.
pub(crate) struct Identity {
    /// The certificate.
    pub(crate) certificate: String,
    /// Its private key, as PKCS #8.
    pub(crate) key: String,
}

/// A certificate could not be made.
#[derive(Debug, Error)]
pub(crate) enum PkiError {
    /// There is no authority.
    #[error("making the certificate authority of cluster {cluster} failed")]
    Create {
        /// The cluster.
        cluster: ClusterName,
        /// Why not.
        source: rcgen::Error,
    },
    /// The authority's certificate and its key are not what they should be.
    #[error("the certificate authority cannot be used")]
    Unusable {
        /// Why not.
        source: Box<TlsConfigError>,
    },
    /// The authority's certificate or its key are not of the kind that signs.
    #[error("the certificate authority cannot sign")]
    CannotSign {
        /// Why not.
        source: rcgen::Error,
    },
    /// A node gets no certificate.
    #[error("making a certificate for {name} failed")]
    Issue {
        /// Name of the node.
        name: String,
        /// Why not.
        source: rcgen::Error,
    },
}

impl Authority {
    /// Makes an authority with a new key.
    ///
    /// # Errors
    /// [`PkiError::Create`]
    pub(crate) fn create(cluster: &ClusterName) -> Result<Self, PkiError> {
        let create = || {
            let mut params = params(&format!("ofm cluster {cluster}"));
            // Signs nodes and no further authorities.
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            Ok(Self {
                certificate: params.self_signed(&key)?.pem(),
                issuer: Issuer::new(params, key),
            })
        };
        create().map_err(|source| PkiError::Create {
            cluster: cluster.clone(),
            source,
        })
    }

    /// Takes up an authority that another process has made: its certificate, and its key as PKCS #8.
    ///
    /// # Errors
    /// [`PkiError::Unusable`], also for a key that belongs to another certificate; [`PkiError::CannotSign`].
    pub(crate) fn from_pem(certificate: &str, key: &str) -> Result<Self, PkiError> {
        let (certificate_pem, key_pem) = (Pem::text(certificate), Pem::text(key));
        Tls::builder()
            .ca(certificate_pem.clone())
            .identity(certificate_pem, key_pem)
            .build()
            .map_err(|source| PkiError::Unusable {
                source: Box::new(source),
            })?;
        let issuer = KeyPair::from_pem(key)
            .and_then(|key| Issuer::from_ca_cert_pem(certificate, key))
            .map_err(|source| PkiError::CannotSign { source })?;
        Ok(Self {
            issuer,
            certificate: certificate.to_owned(),
        })
    }

    /// The authority's certificate in PEM, which is what nodes trust.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The authority's private key in PEM, as PKCS #8: for [`Authority::from_pem`], not for nodes.
    pub(crate) fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Makes a key and a certificate for a node: `name` is its common name, and with the addresses its subjectAltName.
    ///
    /// # Errors
    /// [`PkiError::Issue`], also if the name is not ASCII.
    pub(crate) fn issue(&self, name: &str, addresses: &[IpAddr]) -> Result<Identity, PkiError> {
        let issue = || {
            let mut params = params(name);
            params.subject_alt_names = vec![SanType::DnsName(name.try_into()?)];
            let addresses = addresses.iter().copied().map(SanType::IpAddress);
            params.subject_alt_names.extend(addresses);
            params.is_ca = IsCa::ExplicitNoCa;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ];
            params.use_authority_key_identifier_extension = true;
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            Ok(Identity {
                certificate: params.signed_by(&key, &self.issuer)?.pem(),
                key: key.serialize_pem(),
            })
        };
        issue().map_err(|source| PkiError::Issue {
            name: name.to_owned(),
            source,
        })
    }
}

/// What all certificates have in common: a common name, and when they are valid.
fn params(common_name: &str) -> CertificateParams {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let moment = |since_epoch: Duration| {
        date_time_ymd(1970, 1, 1) + Duration::from_secs(since_epoch.as_secs())
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = moment(now.saturating_sub(BEFORE));
    params.not_after = moment(now + AFTER);
    params
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::crypto::ring;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::server::WebPkiClientVerifier;
    use rustls::{CertificateError, RootCertStore};

    use super::*;

    const NODE: &str = "ovn-chassis-1";
    const ADDRESS: &str = "170.168.0.4";

    fn authority() -> Authority {
        Authority::create(&ClusterName::default()).unwrap()
    }

    fn issue(authority: &Authority) -> Identity {
        let addresses = [ADDRESS.parse().unwrap(), "fd00::4".parse().unwrap()];
        authority.issue(NODE, &addresses).unwrap()
    }

    fn now() -> Duration {
        SystemTime::UNIX_EPOCH.elapsed().unwrap()
    }

    /// Verifies a certificate as that of a server of a name, and as that of a client, some time after the epoch.
    fn verify(
        ca: &str,
        identity: &Identity,
        server: &str,
        moment: Duration,
    ) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(ca.as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let (roots, provider) = (Arc::new(roots), Arc::new(ring::default_provider()));
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        let moment = UnixTime::since_unix_epoch(moment);

        let client = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
        let client = client.build().unwrap();
        client.verify_client_cert(&certificate, &[], moment)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider);
        let server = ServerName::try_from(server).unwrap();
        let verifier = verifier.build().unwrap();
        verifier.verify_server_cert(&certificate, &[], &server, &[], moment)?;
        Ok(())
    }

    /// The common names in a certificate: those of the issuer and of the subject.
    fn common_names(certificate: &str) -> Vec<String> {
        // The object identifier 2.5.4.3, and the tag of a UTF8String.
        const ID: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03, 0x0c];
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        der.windows(ID.len())
            .enumerate()
            .filter(|(_, window)| *window == ID)
            .map(|(at, _)| {
                let name = &der[at + ID.len()..];
                let length = usize::from(name[0]);
                String::from_utf8(name[1..=length].to_vec()).unwrap()
            })
            .collect()
    }

    #[test]
    fn a_certificate_serves_both_ends_by_its_name_and_its_addresses() {
        let authority = authority();
        let identity = issue(&authority);
        for name in [NODE, ADDRESS, "fd00::4"] {
            verify(authority.certificate(), &identity, name, now()).unwrap();
        }
        let error = verify(authority.certificate(), &identity, "ovn-chassis-2", now());
        assert!(
            matches!(
                error,
                Err(rustls::Error::InvalidCertificate(
                    CertificateError::NotValidForNameContext { .. }
                ))
            ),
            "{error:?}"
        );
    }

    #[test]
    fn the_common_name_is_that_of_the_node() {
        let identity = issue(&authority());
        let expected = ["ofm cluster default", NODE];
        assert_eq!(common_names(&identity.certificate), expected);
        let longest = "n".repeat(63);
        let identity = authority().issue(&longest, &[]).unwrap();
        assert_eq!(common_names(&identity.certificate)[1], longest);
    }

    #[test]
    fn certificates_hold_on_clocks_that_are_off_and_not_for_ever() {
        let authority = authority();
        let identity = issue(&authority);
        let year = DAY * 365;
        for moment in [now() - DAY * 300, now() + year * 9] {
            verify(authority.certificate(), &identity, NODE, moment).unwrap();
        }
        for moment in [now() - year * 2, now() + year * 11] {
            verify(authority.certificate(), &identity, NODE, moment).unwrap_err();
        }
    }

    #[test]
    fn an_authority_of_another_cluster_of_the_same_name_is_not_trusted() {
        let identity = issue(&authority());
        verify(authority().certificate(), &identity, NODE, now()).unwrap_err();
    }

    #[test]
    fn an_authority_goes_on_in_another_process() {
        let first = authority();
        let again = Authority::from_pem(first.certificate(), &first.key()).unwrap();
        assert_eq!(again.certificate(), first.certificate());
        assert_eq!(again.key(), first.key());
        for issuer in [&first, &again] {
            let identity = issue(issuer);
            verify(first.certificate(), &identity, NODE, now()).unwrap();
            let tls = Tls::builder().ca(Pem::text(first.certificate()));
            let (certificate, key) = (Pem::text(identity.certificate), Pem::text(identity.key));
            tls.identity(certificate, key).build().unwrap();
        }
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        let (authority, other) = (authority(), authority());
        let refused = |certificate: &str, key: &str| {
            let error = Authority::from_pem(certificate, key).unwrap_err();
            let source = std::error::Error::source(&error).unwrap();
            format!("{error}: {source}")
        };
        let message = refused(authority.certificate(), &other.key());
        assert!(message.contains("does not belong"), "{message}");
        let message = refused("nonsense", &authority.key());
        assert!(message.contains("no certificate"), "{message}");
        let message = refused(authority.certificate(), "nonsense");
        assert!(message.contains("no private key"), "{message}");
    }

    #[test]
    fn no_key_shows_up_in_debug_output() {
        let authority = authority();
        let identity = issue(&authority);
        let shown = format!("{authority:?} {authority:#?} {identity:?} {identity:#?}");
        assert!(!shown.contains("PRIVATE"), "{shown}");
        for key in [authority.key(), identity.key] {
            let line = key.lines().nth(1).unwrap();
            assert!(!shown.contains(line), "{shown}");
        }
    }

    #[test]
    fn a_name_that_no_certificate_can_have_is_refused() {
        let error = authority().issue("köln", &[]).unwrap_err();
        assert_eq!(error.to_string(), "making a certificate for köln failed");
    }
}
