//! What an engine is asked for when it is to make a node's container.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, HealthConfig, HostConfig, HostConfigLogConfig, Mount,
    MountType, ResourcesUlimits,
};

use super::EngineKind;
use super::labels::{CLUSTER, NODE, OWNER, Owner, STATE};
use crate::plan::container::{BindPlan, Limits, TIE};
use crate::plan::{ContainerPlan, EnginePlan, NodePlan, Plan};

/// The program that every container runs. It waits for the lock that the cluster's keeper holds, so that the container
/// ends with the keeper, whether or not the engine answers then.
pub(crate) const WAITER: &str = "flock";

/// The request for a node's container: an idle first process, no network, and what its daemons need.
pub(super) fn body(
    engine: &EnginePlan,
    plan: &Plan,
    node: &NodePlan,
    container: &ContainerPlan,
    owner: Owner,
) -> ContainerCreateBody {
    let labels = [
        (CLUSTER, plan.cluster.to_string()),
        (STATE, plan.state_dir.to_string_lossy().into_owned()),
        (NODE, node.name.to_string()),
        (OWNER, owner.to_string()),
    ];
    let words = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
    ContainerCreateBody {
        hostname: Some(node.hostname.clone()),
        image: Some(container.image.clone()),
        // The image's own user, program and check are for other uses than this.
        user: Some("0:0".to_owned()),
        entrypoint: words(&[WAITER]),
        cmd: words(&["--shared", TIE, "true"]),
        healthcheck: Some(HealthConfig {
            test: words(&["NONE"]),
            ..HealthConfig::default()
        }),
        labels: Some(
            labels
                .map(|(key, value)| (key.to_owned(), value))
                .into_iter()
                .collect(),
        ),
        host_config: Some(host_config(engine, container)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(engine: &EnginePlan, container: &ContainerPlan) -> HostConfig {
    let device = |path: &std::path::PathBuf| {
        let path = path.to_string_lossy().into_owned();
        DeviceMapping {
            path_on_host: Some(path.clone()),
            path_in_container: Some(path),
            cgroup_permissions: Some("rwm".to_owned()),
        }
    };
    // A privileged container would have all of this, but an engine refuses to make one on a host whose own bounding set
    // lacks a capability.
    let mut security = vec![
        "seccomp=unconfined".to_owned(),
        "apparmor=unconfined".to_owned(),
        "label=disable".to_owned(),
    ];
    // sysctl(8) works in a node; each engine has its own word for that.
    let open = match engine.kind {
        EngineKind::Docker => Some(Vec::new()),
        EngineKind::Podman => {
            security.push("unmask=ALL".to_owned());
            None
        }
    };
    let tmpfs = container.tmpfs.iter();
    let tmpfs: HashMap<_, _> = tmpfs
        .map(|(path, options)| (path.to_string_lossy().into_owned(), options.clone()))
        .collect();
    HostConfig {
        network_mode: Some("none".to_owned()),
        init: Some(true),
        // What the keeper's death ends is forgotten by the engine without being asked.
        auto_remove: Some(true),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(engine.capabilities.clone()),
        security_opt: Some(security),
        masked_paths: open.clone(),
        readonly_paths: open,
        devices: Some(engine.devices.iter().map(device).collect()),
        mounts: Some(container.binds.iter().map(bind).collect()),
        tmpfs: Some(tmpfs),
        ulimits: Some(ulimits(engine.limits)),
        pids_limit: Some(-1),
        // The first process says nothing, and the daemons have their own logs.
        log_config: Some(HostConfigLogConfig {
            typ: Some("none".to_owned()),
            config: None,
        }),
        ..HostConfig::default()
    }
}

/// Limits that an engine can set: its defaults may be above its own, which the kernel refuses.
pub(super) fn ulimits(limits: Limits) -> Vec<ResourcesUlimits> {
    let limit = |name: &str, most: u64| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: i64::try_from(most).ok(),
        hard: i64::try_from(most).ok(),
    };
    vec![
        limit("nofile", limits.open_files),
        limit("nproc", limits.processes),
    ]
}

/// As a mount, because of what an engine does where the folder is gone: it refuses the mount, but would make the folder
/// for a bind of the older kind, and so bring a cluster's state back when a request is served after its end.
fn bind(bind: &BindPlan) -> Mount {
    let text = |path: &Path| Some(path.to_string_lossy().into_owned());
    Mount {
        source: text(&bind.host),
        target: text(&bind.path),
        typ: Some(MountType::BIND),
        read_only: Some(bind.read_only),
        ..Mount::default()
    }
}
