//! A keeper, nodes below it, and what dies with what. Needs root.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ofm_netns::{Keeper, Node, NodeError, Nursery, Process, RootFs};

fn root(stage: &tempfile::TempDir, name: &str) -> RootFs {
    RootFs::new(name, stage.path()).private("/run", 0o755)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_has_its_own_name_processes_and_files() {
    let stage = tempfile::tempdir().unwrap();
    let keeper = Keeper::create(&[]).unwrap();
    let node = Node::create(&keeper, &root(&stage, "alpha")).unwrap();
    let script = "hostname; touch /etc/mine /run/mine; ls /run; echo $$ >&2; exit 7";
    let output = node.command("sh").args(["-c", script]).spawn().unwrap();
    let output = output.output().await.unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.text(), "alpha\nmine\n");
    let pid: u32 = output.error_text().trim().parse().unwrap();
    assert!(pid < 10, "the node counts its own processes, not {pid}");
    assert!(!std::path::Path::new("/etc/mine").exists());
    let name = |pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(name(keeper.process().pid()), "ofm-keeper\n");
    assert_eq!(name(node.process().pid()), "ofm-node\n");
    keeper.process().kill();
    assert!(keeper.process().wait_blocking(Duration::from_secs(10)));
    assert!(!node.process().is_alive());
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_keeper_ends_its_nodes() {
    let stage = tempfile::tempdir().unwrap();
    let keeper = Keeper::create(&[]).unwrap();
    let nodes: Vec<Node> = ["a", "b"]
        .iter()
        .map(|name| Node::create(&keeper, &root(&stage, name)).unwrap())
        .collect();
    drop(keeper);
    for node in nodes {
        assert!(node.process().wait_blocking(Duration::from_secs(10)));
    }
}

#[test]
fn a_nursery_makes_many_nodes_at_once_which_then_are_the_keepers() {
    let keeper = Keeper::create(&[]).unwrap();
    let names: Vec<String> = (0..20).map(|k| format!("node-{k}")).collect();
    let stages: Vec<_> = names.iter().map(|_| tempfile::tempdir().unwrap()).collect();
    let roots: Vec<RootFs> = names
        .iter()
        .zip(&stages)
        .map(|(name, stage)| root(stage, name))
        .collect();
    let nursery = Nursery::create(&keeper, &roots).unwrap();
    let nodes: Vec<Node> = std::thread::scope(|scope| {
        let threads: Vec<_> = names
            .iter()
            .map(|name| scope.spawn(|| nursery.make(name).unwrap()))
            .collect();
        let threads = threads.into_iter();
        threads.map(|thread| thread.join().unwrap()).collect()
    });
    let error = nursery.make("stranger").unwrap_err();
    assert!(matches!(error, NodeError::Unprepared { .. }), "{error}");

    let used = nursery.end();
    assert!(used.total > Duration::ZERO, "{used:?}");
    let pids = |processes: &[Process]| processes.iter().map(Process::pid).collect::<BTreeSet<_>>();
    let made: Vec<_> = nodes.iter().map(|node| node.process().clone()).collect();
    assert_eq!(pids(&keeper.nodes().unwrap()), pids(&made));
    for (node, name) in nodes.iter().zip(&names) {
        let read = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(node.namespaces().run(read).unwrap().trim(), name);
    }
    drop(keeper);
    for node in nodes {
        assert!(node.process().wait_blocking(Duration::from_secs(10)));
    }
}

#[test]
fn a_nursery_ends_with_its_keeper() {
    let stage = tempfile::tempdir().unwrap();
    let keeper = Keeper::create(&[]).unwrap();
    let nursery = Nursery::create(&keeper, [&root(&stage, "late")]).unwrap();
    keeper.process().kill();
    // It takes the kernel a moment; until then it may still make nodes.
    let began = Instant::now();
    while nursery.make("late").is_ok() {
        assert!(began.elapsed() < Duration::from_secs(10), "it lives on");
    }
    // Who waits for the keeper's end waits for the nursery's too, which is for us to take notice of.
    drop(nursery);
    assert!(keeper.process().wait_blocking(Duration::from_secs(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_keeper_outlives_its_handle() {
    let keeper = Keeper::create(&[]).unwrap();
    keeper.detach().unwrap();
    let id = keeper.process().id();
    drop(keeper);
    let again = Keeper::open(id).unwrap();
    assert!(!again.process().wait_blocking(Duration::from_millis(200)));
    again.process().kill();
    assert!(again.process().wait_blocking(Duration::from_secs(10)));
}

#[test]
fn a_step_that_fails_is_named() {
    let stage = tempfile::tempdir().unwrap();
    let keeper = Keeper::create(&[]).unwrap();
    let spec = root(&stage, "broken").share("/no/such/folder", "/data");
    let error = Node::create(&keeper, &spec).unwrap_err().to_string();
    assert!(error.contains("bind \"/no/such/folder\""), "{error}");
}

#[test]
fn an_inner_namespace_is_named_and_empty() {
    let stage = tempfile::tempdir().unwrap();
    let keeper = Keeper::create(&[]).unwrap();
    let node = Node::create(&keeper, &root(&stage, "vms")).unwrap();
    let inner = node.create_netns("vm1").unwrap();
    let again = node.open_netns("vm1").unwrap();
    let inode = |fd: &std::os::fd::OwnedFd| rustix::fs::fstat(fd).unwrap().st_ino;
    assert_eq!(inode(&inner), inode(&again));
    let vm = node.namespaces().with_network(inner);
    assert_eq!(inode(&vm.network_fd().unwrap()), inode(&again));
    assert_ne!(
        inode(&node.namespaces().network_fd().unwrap()),
        inode(&again)
    );
    assert!(node.open_netns("vm1").is_ok());
    assert!(node.create_netns("vm1").is_err());
}
