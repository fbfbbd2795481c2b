//! What is set on sockets.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use crate::tls::Tls;

/// How streams are opened, or accepted.
///
/// `TCP_NODELAY` is always set: calls are small and each is waited for.
#[derive(Debug, Clone)]
#[must_use]
pub struct StreamOptions {
    keepalive: Option<Duration>,
    user_timeout: Option<Duration>,
    pub(crate) tls: Option<Tls>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            keepalive: Some(Duration::from_secs(10)),
            user_timeout: Some(Duration::from_secs(30)),
            tls: None,
        }
    }
}

impl StreamOptions {
    /// Sets after how long without traffic the kernel asks a TCP peer for a sign of life, and how
    /// often from then on (`TCP_KEEPIDLE` and `TCP_KEEPINTVL`, tcp(7)). In whole seconds, at least
    /// one. Default: 10 seconds. `None` turns it off.
    ///
    /// This finds a host that vanished while nobody sends.
    pub fn keepalive(mut self, period: Option<Duration>) -> Self {
        self.keepalive = period;
        self
    }

    /// Sets how long a TCP peer may leave what was sent to it unacknowledged before the connection
    /// ends (`TCP_USER_TIMEOUT`, tcp(7)); the probes of [`keepalive`](Self::keepalive) count. In
    /// milliseconds, at least one. Default: 30 seconds. `None` leaves it to the system: about a
    /// quarter of an hour.
    ///
    /// This finds a host that vanished while something was on its way: RAFT leaders that lose
    /// their power leave connections half open, on which calls would wait for their deadlines.
    pub fn user_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.user_timeout = timeout;
        self
    }

    /// Sets whom to trust and what to show on `ssl:` and `pssl:` remotes. Default: nothing, and
    /// such remotes are refused.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets the options of a TCP socket.
    pub(crate) fn apply(&self, socket: &impl AsFd) -> io::Result<()> {
        let socket = SockRef::from(socket);
        socket.set_tcp_nodelay(true)?;
        if let Some(period) = self.keepalive {
            // The kernel takes whole seconds and refuses zero.
            let period = period.max(Duration::from_secs(1));
            let keepalive = TcpKeepalive::new().with_time(period).with_interval(period);
            socket.set_tcp_keepalive(&keepalive)?;
        }
        if let Some(timeout) = self.user_timeout {
            // Zero would mean the default of the system.
            socket.set_tcp_user_timeout(Some(timeout.max(Duration::from_millis(1))))?;
        }
        Ok(())
    }
}
