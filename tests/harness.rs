//! A test harness as somebody else would write it, to be killed: starts a cluster and then does as it is told.
//!
//! `harness SPEC ROOT wait|panic`, where SPEC is a cluster spec as JSON
#![expect(clippy::print_stdout, reason = "it tells the test that it is ready")]

use ofm::Cluster;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, spec, root, what] = args.as_slice() else {
        return Err("usage: harness SPEC ROOT wait|panic".into());
    };
    let cluster = Cluster::builder()
        .spec(serde_json::from_str(spec)?)
        .state_root(root)
        .start()
        .await?;
    println!("ready");
    assert!(what != "panic", "as it was told");
    std::future::pending::<()>().await;
    drop(cluster);
    Ok(())
}
