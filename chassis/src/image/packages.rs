//! The packages that an image is made of.

/// A distribution, for its image and the names of its packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// Debian.
    Debian,
    /// Ubuntu, with the packages of Debian.
    Ubuntu,
    /// Fedora.
    Fedora,
}

impl Distribution {
    /// The image that a build begins with unless it is told another one.
    pub const fn image(self) -> &'static str {
        match self {
            Distribution::Debian => "debian:stable-slim",
            Distribution::Ubuntu => "ubuntu:latest",
            Distribution::Fedora => "fedora:latest",
        }
    }

    /// Everything that a node needs, and what OVN's multi-node tests use in it.
    pub fn packages(self) -> Vec<&'static str> {
        let lists = match self {
            Distribution::Debian | Distribution::Ubuntu => [&DEBIAN_OVN[..], &DEBIAN_TOOLS],
            Distribution::Fedora => [&FEDORA_OVN[..], &FEDORA_TOOLS],
        };
        lists.concat()
    }
}

pub(super) const DEBIAN_OVN: [&str; 7] = [
    "openvswitch-common",
    "openvswitch-switch",
    "ovn-central",
    "ovn-common",
    "ovn-host",
    "ovn-ic",
    "ovn-ic-db",
];

/// In the order of what they are for: first of all the image's own needs, then tests'.
pub(super) const DEBIAN_TOOLS: [&str; 16] = [
    "util-linux",
    "iproute2",
    "iputils-ping",
    "procps",
    "psmisc",
    "kmod",
    "hostname",
    "tcpdump",
    "net-tools",
    "ncat",
    "curl",
    "python3",
    "conntrack",
    "ethtool",
    "less",
    "frr",
];

/// What compiled trees need beside the tools.
pub(super) const DEBIAN_LIBRARIES: [&str; 4] = [
    "libssl3",
    "libunbound8",
    "libnuma1",
    "python3-sortedcontainers",
];

pub(super) const DEBIAN_BUILD: [&str; 11] = [
    "autoconf",
    "automake",
    "gcc",
    "libc6-dev",
    "libnuma-dev",
    "libssl-dev",
    "libtool",
    "libunbound-dev",
    "make",
    "pkg-config",
    "python3",
];

pub(super) const FEDORA_OVN: [&str; 4] = ["openvswitch", "ovn", "ovn-central", "ovn-host"];

pub(super) const FEDORA_TOOLS: [&str; 17] = [
    "util-linux",
    "iproute",
    "iproute-tc",
    "iputils",
    "procps-ng",
    "psmisc",
    "kmod",
    "hostname",
    "tcpdump",
    "net-tools",
    "nmap-ncat",
    "curl",
    "python3",
    "conntrack-tools",
    "ethtool",
    "less",
    "frr",
];

pub(super) const FEDORA_LIBRARIES: [&str; 4] = [
    "openssl-libs",
    "unbound-libs",
    "numactl-libs",
    "python3-sortedcontainers",
];

pub(super) const FEDORA_BUILD: [&str; 11] = [
    "autoconf",
    "automake",
    "gcc",
    "glibc-devel",
    "libtool",
    "make",
    "numactl-devel",
    "openssl-devel",
    "pkgconf",
    "python3",
    "unbound-devel",
];
