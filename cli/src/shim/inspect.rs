//! `podman inspect` and `podman version`

use std::process::ExitCode;

use clap::Args;
use ipnet::IpNet;
use ofm::Cluster;
use ofm::plan::NodePlan;
use serde_json::{Map, Value, json};

use super::Engine;
use super::ps::{image, state};
use super::template::Format;
use crate::commands::Global;
use crate::output;

/// Show what is known of nodes
///
/// Without a format it is JSON, with the fields Id, Name, Image, State, Config, HostConfig, NetworkSettings and Mounts as
/// engines have them.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// What to print of each, as a Go template such as {{.State.Pid}}
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// What is inspected; there are containers only
    #[arg(long, alias = "type", value_name = "KIND", value_parser = ["container", "all"])]
    kind: Option<String>,
    /// The nodes
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<String>,
}

impl Inspect {
    pub(super) fn run(self, engine: Engine, global: &Global) -> anyhow::Result<ExitCode> {
        let format = self.format.as_deref().map(Format::parse).transpose()?;
        let cluster = global.open()?;
        let shown = self
            .nodes
            .iter()
            .map(|name| describe(engine, &cluster, name));
        let shown = shown.collect::<anyhow::Result<Vec<_>>>()?;
        match format {
            None => output::print_json(&shown)?,
            Some(format) => {
                for value in &shown {
                    output::print(format.fill(value)?)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn describe(engine: Engine, cluster: &Cluster, name: &str) -> anyhow::Result<Value> {
    let Some(plan) = cluster.plan().node_named(name) else {
        // It says which there are.
        cluster.node(name)?;
        anyhow::bail!("{name} is planned no more");
    };
    let handle = cluster.node(name).ok();
    let pid = handle.as_ref().map(|handle| handle.node().process().pid());
    let running = pid.is_some();
    let name = match engine {
        Engine::Podman => name.to_owned(),
        // A relic of links between containers.
        Engine::Docker => format!("/{name}"),
    };
    let env = plan.env.iter().map(|(key, value)| format!("{key}={value}"));
    Ok(json!({
        "Id": plan.name,
        "Name": name,
        "Image": image(plan),
        "State": {
            "Status": state(running),
            "Running": running,
            "Paused": false,
            "Restarting": false,
            "Dead": false,
            "Pid": pid.unwrap_or(0),
        },
        "Config": {
            "Hostname": plan.hostname,
            "Image": image(plan),
            "Env": env.collect::<Vec<_>>(),
            "Labels": {
                "ofm.cluster": cluster.name(),
                "ofm.role": plan.role.as_str(),
                "ofm.zone": plan.zone.to_string(),
            },
        },
        "HostConfig": { "Privileged": true },
        "NetworkSettings": {
            "IPAddress": plan.address,
            "Networks": networks(plan),
        },
        "Mounts": mounts(cluster, plan),
    }))
}

/// The interfaces of a node on the bridges of the underlay, by name.
fn networks(plan: &NodePlan) -> Map<String, Value> {
    let described = |mac: String, address: Option<&IpNet>| {
        json!({
            "IPAddress": address.map_or_else(String::new, |net| net.addr().to_string()),
            "IPPrefixLen": address.map_or(0, |net| net.prefix_len()),
            "MacAddress": mac,
        })
    };
    let links = plan.links.iter().map(|link| {
        let address = link.addresses.first();
        (
            link.node_name.clone(),
            described(link.mac.to_string(), address),
        )
    });
    let taps = plan.tap.iter().map(|tap| {
        (
            tap.name.clone(),
            described(tap.mac.to_string(), Some(&tap.address)),
        )
    });
    links.chain(taps).collect()
}

/// The folders that a node shares with the host.
fn mounts(cluster: &Cluster, plan: &NodePlan) -> Vec<Value> {
    let shared = [
        (plan.dir.join("run"), "/run"),
        (plan.dir.join("log"), "/var/log"),
        (cluster.plan().data.clone(), "/data"),
    ];
    let described = shared.into_iter().map(|(source, destination)| {
        json!({ "Type": "bind", "Source": source, "Destination": destination, "RW": true })
    });
    described.collect()
}

/// Show the version of ofm
#[derive(Debug, Args)]
pub(super) struct Version {
    /// What to print, as a Go template such as {{.Client.Version}}
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<String>,
}

impl Version {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let version = json!({ "Version": env!("CARGO_PKG_VERSION"), "Os": "linux" });
        match self.format {
            None => output::print(format_args!("ofm {}", env!("CARGO_PKG_VERSION")))?,
            Some(format) => {
                let value = json!({ "Client": version, "Server": version });
                output::print(Format::parse(&format)?.fill(&value)?)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
