//! Variables that ovn-fake-multinode reads and that mean nothing here.

use std::ffi::OsString;

/// Names, or beginnings of names with a `*`, and what to do instead.
const WITHOUT_MEANING: [(&str, &str); 19] = [
    ("OVN_BR_CLEANUP", "a cluster's bridges always end with it"),
    ("IPV6_UNDERLAY", "give --underlay an IPv6 subnet"),
    (
        "CENTRAL_IC_ID",
        "the first central has the databases of the interconnection",
    ),
    (
        "CENTRAL_IC_IP",
        "the first central has the databases of the interconnection",
    ),
    ("ENABLE_ETCD", "ofm runs no ovsdb-etcd"),
    ("USE_OVSDB_ETCD", "ofm runs no ovsdb-etcd"),
    ("OVSDB_ETCD_*", "ofm runs no ovsdb-etcd"),
    ("ETCD_VERSION", "ofm runs no ovsdb-etcd"),
    ("USE_OVN_RPMS", "give the files to ofm build --package"),
    ("USE_OVN_DEBS", "give the files to ofm build --package"),
    (
        "INSTALL_UTILS_FROM_SOURCES",
        "ofm build takes tools from packages",
    ),
    ("VM_MEMORY", "ofm starts no virtual machines"),
    ("VM_CPUS", "ofm starts no virtual machines"),
    ("VM_MOUNT_NFS", "ofm starts no virtual machines"),
    ("OVS_DIR", "ofm build --ovs takes a source tree"),
    ("OVN_DIR", "ofm build --ovn takes a source tree"),
    ("OVS_GIT_REPO", "ofm downloads no sources"),
    ("OVS_BRANCH", "ofm downloads no sources"),
    ("OVN_BRANCH", "ofm downloads no sources"),
];

/// What to tell about variables that are set.
pub(crate) fn warnings(set: impl Iterator<Item = OsString>) -> Vec<String> {
    let mut warnings: Vec<String> = set
        .filter_map(|name| {
            let name = name.into_string().ok()?;
            let (_, instead) =
                WITHOUT_MEANING
                    .iter()
                    .find(|(pattern, _)| match pattern.strip_suffix('*') {
                        Some(beginning) => name.starts_with(beginning),
                        None => name == *pattern,
                    })?;
            Some(format!("{name} means nothing to ofm: {instead}"))
        })
        .collect();
    warnings.sort();
    warnings
}

/// Tells on standard error of variables that a user of ovn-fake-multinode may expect to work.
pub(crate) fn warn() {
    for warning in warnings(std::env::vars_os().map(|(name, _)| name)) {
        crate::output::warn(&warning);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_are_told_of() {
        let set = [
            "OVSDB_ETCD_SCHEMA",
            "PATH",
            "OVN_BR_CLEANUP",
            "CHASSIS_COUNT",
        ];
        let told = warnings(set.iter().map(OsString::from));
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[1].starts_with("OVSDB_ETCD_SCHEMA means nothing"));
    }
}
