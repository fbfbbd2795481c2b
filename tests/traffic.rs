//! What a cluster does while it runs.

use std::io::{BufRead, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};

use anyhow::Context;
use ofm_tests::{Place, program, wait_until_gone};

use crate::block_on;

/// How long after a stop anything of it may still be seen.
pub(crate) const GRACE: std::time::Duration = std::time::Duration::from_secs(2);

pub(crate) fn reach(place: &Place) -> anyhow::Result<()> {
    block_on(async {
        let cluster = place.builder().start().await?;
        let (a, b) = (cluster.vm("sw01p1")?, cluster.vm("sw11p1")?);
        for (from, to) in [(&a, &b), (&b, &a)] {
            for address in &to.plan().addresses {
                from.ping(address.addr()).await?;
            }
        }
        let absent: IpAddr = "21.0.0.77".parse()?;
        assert!(a.ping(absent).await.is_err(), "nobody has that address");
        let status = cluster.status().await?;
        assert!(status.ready, "{status:#?}");
        assert!(status.vms.iter().all(|vm| vm.up), "{status:#?}");
        let nodes = status.nodes.iter();
        let tunnels: Vec<_> = nodes
            .map(|node| (node.name.as_str(), node.tunnels))
            .collect();
        let expected = [
            ("ovn-central-az1", 0),
            ("ovn-gw-1", 2),
            ("ovn-chassis-1", 2),
            ("ovn-chassis-2", 2),
            ("ovnfake-ext1", 0),
            ("ovnfake-int1", 0),
        ];
        assert_eq!(tunnels, expected);
        cluster.stop().await?;
        anyhow::Ok(())
    })??;
    wait_until_gone(place, GRACE)?;
    Ok(())
}

pub(crate) fn transfer(place: &Place) -> anyhow::Result<()> {
    const SIZE: usize = 10 << 20;
    let data: Vec<u8> = (0..SIZE).map(|k| (k * 31 + k / 251) as u8).collect();
    let expected = data.clone();
    block_on(async {
        let cluster = place.builder().start().await?;
        let (a, b) = (cluster.vm("sw01p1")?, cluster.vm("sw11p1")?);
        for (listen, connect) in [
            ("0.0.0.0:5001", "21.0.0.3:5001"),
            ("[::]:5002", "[2001::3]:5002"),
        ] {
            let listener = b.run(move || TcpListener::bind(listen)).await??;
            let data = data.clone();
            let sender = a.run(move || {
                let mut stream = TcpStream::connect(connect)?;
                stream.write_all(&data)
            });
            let receiver = tokio::task::spawn_blocking(move || {
                let mut received = Vec::new();
                listener.accept()?.0.read_to_end(&mut received)?;
                std::io::Result::Ok(received)
            });
            let (sent, received) = tokio::join!(sender, receiver);
            sent??;
            assert!(received?? == expected, "what arrived differs ({connect})");
        }
        cluster.stop().await?;
        anyhow::Ok(())
    })?
}

pub(crate) fn five(place: &Place) -> anyhow::Result<()> {
    block_on(async {
        let names: Vec<String> = (1..=5).map(|k| format!("{}-{k}", place.name())).collect();
        let mut clusters = Vec::new();
        for name in &names {
            clusters.push(place.builder().name(name.parse()?).start().await?);
        }
        let listed = ofm::inventory::list(place.root()).await?.clusters;
        assert_eq!(listed.iter().filter(|c| c.running).count(), 5);
        for cluster in &clusters {
            let central = cluster.plan().central().address.to_string();
            assert_eq!(central, "170.168.0.2");
            cluster.vm("sw01p1")?.ping("21.0.0.3".parse()?).await?;
        }
        for cluster in clusters {
            cluster.stop().await?;
        }
        assert!(
            ofm::inventory::list(place.root())
                .await?
                .clusters
                .is_empty()
        );
        anyhow::Ok(())
    })?
}

pub(crate) fn isolated(place: &Place) -> anyhow::Result<()> {
    block_on(async {
        let cluster = place.builder().start().await?;
        let victim = cluster.node("ovn-chassis-1")?;
        let script =
            "ip --all netns delete; killall -9 --wait ovs-vswitchd; touch /etc/victim /usr/victim";
        let output = victim.exec(["sh", "-c", script]).await?;
        assert!(output.status.success(), "{}", output.error_text());
        assert!(!std::path::Path::new("/etc/victim").exists());
        let status = cluster.status().await?;
        assert!(!status.ready, "a chassis without ovs-vswitchd is not ready");
        for node in &status.nodes {
            let dead = node.daemons.iter().filter(|daemon| !daemon.alive);
            let dead: Vec<_> = dead.map(|daemon| daemon.name.as_str()).collect();
            let expected: &[&str] = match node.name.as_str() {
                "ovn-chassis-1" => &["ovs-vswitchd"],
                _ => &[],
            };
            assert_eq!(dead, expected, "{}", node.name);
        }
        cluster.vm("sw11p1")?.ping("21.0.0.1".parse()?).await?;
        cluster.stop().await?;
        anyhow::Ok(())
    })?
}

pub(crate) fn exec(place: &Place) -> anyhow::Result<()> {
    place.run(&["start", "--no-fake-vms"])?;
    let output = place
        .ofm(&[
            "exec",
            "ovn-chassis-1",
            "--",
            "sh",
            "-c",
            "hostname; echo oops >&2; exit 7",
        ])
        .output()?;
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stdout, b"ovn-chassis-1\n");
    assert_eq!(output.stderr, b"oops\n");
    let mut cat = place.ofm(&["exec", "-i", "ovn-gw-1", "--", "cat"]);
    cat.stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut child = cat.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(b"through")?;
    }
    assert_eq!(child.wait_with_output()?.stdout, b"through");
    let tty = place.run(&["exec", "-it", "ovn-gw-1", "--", "tty"])?;
    assert_eq!(tty.trim(), "/dev/pts/0");
    let status: serde_json::Value = serde_json::from_str(&place.run(&["status", "--json"])?)?;
    assert_eq!(status["ready"], true, "{status:#}");
    assert_eq!(status["nodes"][0]["ip"], "170.168.0.2");
    place.run(&["stop"])?;
    wait_until_gone(place, GRACE)?;
    Ok(())
}

/// Traces execve over a start and a stop.
pub(crate) fn executed(place: &Place) -> anyhow::Result<()> {
    let traced = |verb: &str, trace: &std::path::Path| {
        let ofm = place.ofm(&[verb]);
        let mut strace = program(std::path::Path::new("strace"));
        strace.args(["-f", "-qq", "-e", "trace=execve,execveat", "-o"]);
        strace
            .arg(trace)
            .arg(ofm.get_program())
            .args(ofm.get_args());
        strace
    };
    // strace goes on as long as any process of the cluster does, so its end comes with the stop.
    let (first, second) = (place.root().join("start"), place.root().join("stop"));
    let mut start = traced("start", &first);
    let mut start = start.stdout(std::process::Stdio::piped()).spawn()?;
    let stdout = start.stdout.take().context("no standard output")?;
    let summary = std::io::BufReader::new(stdout).lines();
    let complete = summary
        .map_while(Result::ok)
        .any(|line| line.starts_with("total"));
    assert!(complete, "the start did not succeed");
    let stop = traced("stop", &second).output()?;
    assert!(stop.status.success(), "{}", ofm_tests::describe(&stop));
    assert!(start.wait()?.success());
    let seen = std::fs::read_to_string(&first)? + &std::fs::read_to_string(&second)?;
    let programs: Vec<&str> = seen
        .lines()
        .filter_map(|line| line.split_once("execve")?.1.split('"').nth(1))
        .collect();
    let allowed = [
        "ofm",
        "ovsdb-server",
        "ovs-vswitchd",
        "ovn-northd",
        "ovn-ic",
        "ovn-controller",
    ];
    let name = |path: &&str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let strangers: Vec<_> = programs
        .iter()
        .filter(|p| !allowed.contains(&name(p).as_str()))
        .collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    // Twice ofm, four database servers, northd and ovn-ic of the central, three daemons of each gateway and chassis.
    assert_eq!(programs.len(), 2 + 6 + 3 * 3, "{programs:?}");
    Ok(())
}
