//! Certificates for tests.

use ovsdb_client::tls::{Pem, Tls, TlsBuilder};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

/// A CA.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// When a certificate is valid.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Valid {
    Now,
    Before,
    Later,
}

/// A certificate and its key, in PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Signs a certificate that names no host, like those of Open vSwitch.
    pub(crate) fn sign(&self, valid: Valid) -> Identity {
        self.sign_for(&[], valid)
    }

    /// Signs a certificate for hosts.
    pub(crate) fn sign_for(&self, hosts: &[&str], valid: Valid) -> Identity {
        let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, "daemon");
        let (begin, end) = match valid {
            Valid::Now => (1990, 2090),
            Valid::Before => (1990, 2000),
            Valid::Later => (2080, 2090),
        };
        params.not_before = date_time_ymd(begin, 1, 1);
        params.not_after = date_time_ymd(end, 1, 1);
        let key = KeyPair::generate().unwrap();
        Identity {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn certificate(&self) -> String {
        self.0.pem()
    }

    /// Trusts this CA.
    pub(crate) fn trusted(&self) -> TlsBuilder {
        Tls::builder().ca(Pem::text(self.certificate()))
    }
}

impl Identity {
    /// Shows this certificate, and trusts a CA.
    pub(crate) fn trusting(&self, ca: &Authority) -> Tls {
        self.builder(ca).build().unwrap()
    }

    /// The same, with more to come.
    pub(crate) fn builder(&self, ca: &Authority) -> TlsBuilder {
        let (certificate, key) = (Pem::text(&*self.certificate), Pem::text(&*self.key));
        ca.trusted().identity(certificate, key)
    }
}
