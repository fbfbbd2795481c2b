//! Why TLS failed: who refused whom, and for what.

use std::fmt;
use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

/// One end of a TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsRole {
    /// The end that connected.
    Client,
    /// The end that accepted.
    Server,
}

impl TlsRole {
    /// The other end.
    pub(crate) fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

impl fmt::Display for TlsRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// Why a TLS connection failed.
///
/// `peer` is the other end: the server for a stream that was connected, the client for one that
/// was accepted. Errors of a TLS stream carry this inside an [`io::Error`]; see
/// [`from_io`](Self::from_io).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// We refuse the certificate of the peer.
    #[error("refused the certificate of the {peer}: {fault}")]
    PeerCertificate {
        /// Whose certificate it is.
        peer: TlsRole,
        /// What is wrong with it.
        fault: CertificateFault,
    },
    /// The peer refuses our certificate.
    #[error("the {peer} refused our certificate: {fault}")]
    OwnCertificate {
        /// Who refused it.
        peer: TlsRole,
        /// What is wrong with it, as far as the peer tells.
        fault: CertificateFault,
    },
    /// The peer wants a certificate and we have none to show.
    #[error("the {peer} requires a certificate of its peers, and none is configured here")]
    OwnCertificateMissing {
        /// Who requires it.
        peer: TlsRole,
    },
    /// We want a certificate and the peer has none to show.
    #[error("the {peer} presented no certificate")]
    PeerCertificateMissing {
        /// Who should have presented it.
        peer: TlsRole,
    },
    /// What the peer sends is not TLS at all.
    #[error("the {peer} does not speak TLS")]
    NotTls {
        /// Who does not.
        peer: TlsRole,
    },
    /// The peer hung up during the handshake and gave no reason.
    #[error("the {peer} closed the connection during the TLS handshake; does it speak TLS?")]
    HungUp {
        /// Who did.
        peer: TlsRole,
    },
    /// The peer ended the connection with an alert that is about no certificate.
    #[error("the {peer} ended the connection with the TLS alert {alert}")]
    Alert {
        /// Who sent it.
        peer: TlsRole,
        /// Its name as in RFC 8446 section 6, or its number.
        alert: String,
    },
    /// Something else: no common version or cipher, or a message that breaks the protocol.
    #[error("TLS with the {peer} failed")]
    Protocol {
        /// The other end.
        peer: TlsRole,
        /// What happened.
        source: rustls::Error,
    },
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// No trusted CA has signed it.
    #[error("no trusted CA has signed it")]
    UnknownIssuer,
    /// It is no longer valid.
    #[error("it has expired{}", ago(.since))]
    Expired {
        /// For how long; unknown when the peer says so.
        since: Option<Duration>,
    },
    /// It is not valid yet.
    #[error("it is not valid yet{}", ahead(.until))]
    NotYetValid {
        /// For how long; unknown when the peer says so.
        until: Option<Duration>,
    },
    /// It does not name the host that was asked for.
    #[error("it is not for {expected} but for {}", names(.presented))]
    WrongName {
        /// The host that was asked for.
        expected: String,
        /// The names and addresses in it.
        presented: Vec<String>,
    },
    /// A signature that should prove it does not: most often, a CA was made anew under its old
    /// name.
    #[error("its signature is wrong; was it signed by a CA of the same name with another key?")]
    BadSignature,
    /// It has been revoked.
    #[error("it has been revoked")]
    Revoked,
    /// It is not for this use: its extended key usage names the other role only.
    #[error("it may not be used for this purpose")]
    WrongPurpose,
    /// Something else, in the words of whoever refused it.
    #[error("{reason}")]
    Other {
        /// Those words.
        reason: String,
    },
}

fn ago(since: &Option<Duration>) -> String {
    since.map_or_else(String::new, |since| format!(" {} ago", rough(since)))
}

fn ahead(until: &Option<Duration>) -> String {
    until.map_or_else(String::new, |until| format!(", {} to go", rough(until)))
}

/// A duration in its largest unit.
fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        0..120 => (seconds, "s"),
        120..7200 => (seconds / 60, "min"),
        7200..172_800 => (seconds / 3600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit}")
}

fn names(presented: &[String]) -> String {
    match presented {
        [] => "no host at all".to_owned(),
        presented => presented.join(", "),
    }
}

impl TlsError {
    /// Finds the reason in an error of a TLS stream; `None` if TLS is not to blame.
    ///
    /// With TLS 1.3 a client has finished its handshake before the server has looked at its
    /// certificate (RFC 8446 section 2). A refusal comes with the first read or write after it, so
    /// that error is the one to ask.
    pub fn from_io(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().cloned()
    }

    /// Judges an error of `rustls` at the end that plays `role`.
    pub(crate) fn judge(error: &rustls::Error, role: TlsRole, has_certificate: bool) -> Self {
        let peer = role.peer();
        match error {
            rustls::Error::InvalidCertificate(error) => Self::PeerCertificate {
                peer,
                fault: CertificateFault::of(error),
            },
            rustls::Error::NoCertificatesPresented => Self::PeerCertificateMissing { peer },
            rustls::Error::AlertReceived(alert) => Self::heard(*alert, peer, has_certificate),
            // A record that is none, or a handshake that begins with something else.
            rustls::Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => Self::NotTls { peer },
            error => Self::Protocol {
                peer,
                source: error.clone(),
            },
        }
    }

    /// What an alert of the peer means (RFC 8446 section 6.2; RFC 5246 section 7.2.2).
    fn heard(alert: AlertDescription, peer: TlsRole, has_certificate: bool) -> Self {
        use AlertDescription as Alert;

        let fault = match alert {
            Alert::CertificateRequired => return Self::OwnCertificateMissing { peer },
            // TLS 1.2 has no alert of its own for this: OpenSSL sends the one, Go the other.
            Alert::HandshakeFailure | Alert::BadCertificate if !has_certificate => {
                return Self::OwnCertificateMissing { peer };
            }
            Alert::UnknownCA => CertificateFault::UnknownIssuer,
            Alert::CertificateExpired => CertificateFault::Expired { since: None },
            Alert::DecryptError => CertificateFault::BadSignature,
            Alert::CertificateRevoked => CertificateFault::Revoked,
            Alert::UnsupportedCertificate => CertificateFault::WrongPurpose,
            // What OpenSSL also says of a certificate that is not valid yet.
            Alert::BadCertificate => CertificateFault::Other {
                reason: "it is not valid (bad_certificate)".to_owned(),
            },
            Alert::CertificateUnknown => CertificateFault::Other {
                reason: "it is not acceptable (certificate_unknown)".to_owned(),
            },
            alert => {
                return Self::Alert {
                    peer,
                    alert: format!("{alert:?}"),
                };
            }
        };
        Self::OwnCertificate { peer, fault }
    }
}

impl CertificateFault {
    fn of(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::BadSignature => Self::BadSignature,
            CertificateError::Expired => Self::Expired { since: None },
            CertificateError::ExpiredContext { time, not_after } => Self::Expired {
                since: Some(Duration::from_secs(
                    time.as_secs().saturating_sub(not_after.as_secs()),
                )),
            },
            CertificateError::NotValidYet => Self::NotYetValid { until: None },
            CertificateError::NotValidYetContext { time, not_before } => Self::NotYetValid {
                until: Some(Duration::from_secs(
                    not_before.as_secs().saturating_sub(time.as_secs()),
                )),
            },
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => Self::WrongName {
                expected: expected.to_str().into_owned(),
                presented: presented.clone(),
            },
            CertificateError::Revoked => Self::Revoked,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::WrongPurpose
            }
            error => Self::Other {
                reason: error.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_read_for_what_they_mean() {
        use AlertDescription as Alert;

        let cases = [
            (
                Alert::CertificateRequired,
                true,
                "the server requires a certificate of its peers, and none is configured here",
            ),
            (
                Alert::BadCertificate,
                false,
                "the server requires a certificate of its peers, and none is configured here",
            ),
            (
                Alert::BadCertificate,
                true,
                "the server refused our certificate: it is not valid (bad_certificate)",
            ),
            (
                Alert::HandshakeFailure,
                true,
                "the server ended the connection with the TLS alert HandshakeFailure",
            ),
            (
                Alert::UnsupportedCertificate,
                true,
                "the server refused our certificate: it may not be used for this purpose",
            ),
            (
                Alert::CertificateRevoked,
                true,
                "the server refused our certificate: it has been revoked",
            ),
            (
                Alert::ProtocolVersion,
                true,
                "the server ended the connection with the TLS alert ProtocolVersion",
            ),
        ];
        for (alert, has_certificate, text) in cases {
            let error = rustls::Error::AlertReceived(alert);
            let error = TlsError::judge(&error, TlsRole::Client, has_certificate);
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn durations_are_told_in_their_largest_unit() {
        let cases = [
            (0, "0 s"),
            (119, "119 s"),
            (7199, "119 min"),
            (172_799, "47 h"),
            (172_800, "2 days"),
        ];
        for (seconds, text) in cases {
            assert_eq!(rough(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn an_error_of_the_system_is_none_of_tls() {
        assert_eq!(TlsError::from_io(&io::ErrorKind::TimedOut.into()), None);
        assert_eq!(TlsError::from_io(&io::Error::other("else")), None);
    }
}
