//! Statuses as servers of Open vSwitch 3.1.0 print them.

use std::time::Duration;

use super::*;

const LEADER: &str = "\
s1
Name: OVN_Northbound
Cluster ID: 53d8 (53d8a21f-da71-4776-8730-caad3a184d3c)
Server ID: 916e (916ea64a-c7bf-498e-8d7f-b60346fa6763)
Address: unix:/tmp/raft/s1.raft
Status: cluster member
Role: leader
Term: 1
Leader: self
Vote: self

Last Election started 5007 ms ago, reason: timeout
Last Election won: 5007 ms ago
Election timer: 1000
Log: [2, 5]
Entries not yet committed: 0
Entries not yet applied: 0
Connections: <-s3 ->s3 <-s2 ->s2
Disconnections: 0
Servers:
    s1 (916e at unix:/tmp/raft/s1.raft) (self) next_index=2 match_index=4
    s3 (3dc6 at unix:/tmp/raft/s3.raft) next_index=5 match_index=4 last msg 330 ms ago
    s2 (ba62 at unix:/tmp/raft/s2.raft) next_index=5 match_index=4 last msg 330 ms ago
";

const FOLLOWER: &str = "\
s2
Name: OVN_Northbound
Cluster ID: 53d8 (53d8a21f-da71-4776-8730-caad3a184d3c)
Server ID: ba62 (ba626537-75d6-4711-9c92-6fce0befe364)
Address: unix:/tmp/raft/s2.raft
Status: cluster member
Role: follower
Term: 1
Leader: s1
Vote: unknown

Election timer: 1000
Log: [2, 5]
Entries not yet committed: 0
Entries not yet applied: 0
Connections: ->s1 ->s3 <-s1 <-s3
Disconnections: 0
Servers:
    s1 (916e at unix:/tmp/raft/s1.raft) last msg 3 ms ago
    s3 (3dc6 at unix:/tmp/raft/s3.raft) last msg 4010 ms ago
    s2 (ba62 at unix:/tmp/raft/s2.raft) (self)
";

const JOINING: &str = "\
s2
Name: OVN_Northbound
Cluster ID: not yet known
Server ID: 9163 (91633379-a1d1-4658-9011-6e4c6fde38d9)
Address: unix:s2.raft
Status: joining cluster
Remotes for joining: unix:s1.raft
Role: follower
Term: 0
Leader: unknown
Vote: unknown

Election timer: 1000
Log: [1, 1]
Entries not yet committed: 0
Entries not yet applied: 0
Connections: (->s1)
Disconnections: 0
Servers:
";

const CANDIDATE: &str = "\
s3
Name: OVN_Northbound
Cluster ID: 53d8 (53d8a21f-da71-4776-8730-caad3a184d3c)
Server ID: 3dc6 (3dc6c872-62d2-4bbe-83fc-c75454744f96)
Address: unix:/tmp/raft/s3.raft
Status: disconnected from the cluster (election timeout)
Role: candidate
Term: 6
Leader: unknown
Vote: self

Last Election started 18 ms ago, reason: timeout
Election timer: 1000
Log: [2, 6]
Entries not yet committed: 0
Entries not yet applied: 0
Connections: (->s1) (->s2)
Disconnections: 2
Servers:
    s1 (916e at unix:/tmp/raft/s1.raft) last msg 8869 ms ago
    s3 (3dc6 at unix:/tmp/raft/s3.raft) (self) (voted for s3)
    s2 (ba62 at unix:/tmp/raft/s2.raft) last msg 6014 ms ago
";

fn parse(text: &str) -> ClusterStatus {
    text.parse().unwrap()
}

/// A server of which nothing is known but who it is.
fn server(nickname: &str, short_id: &str) -> ClusterServer {
    ClusterServer {
        nickname: nickname.to_owned(),
        short_id: short_id.to_owned(),
        address: format!("unix:/tmp/raft/{nickname}.raft"),
        is_self: false,
        next_index: None,
        match_index: None,
        vote: None,
        phase: None,
        last_message: None,
    }
}

fn connection(peer: &str, incoming: bool, connected: bool) -> ClusterConnection {
    ClusterConnection {
        peer: peer.to_owned(),
        incoming,
        connected,
    }
}

#[test]
fn a_leader_knows_how_far_the_others_are() {
    let heard = Some(Duration::from_millis(330));
    assert_eq!(
        parse(LEADER),
        ClusterStatus {
            nickname: "s1".to_owned(),
            database: "OVN_Northbound".to_owned(),
            cluster_id: Some(Uuid::from_u128(0x53d8a21f_da71_4776_8730_caad3a184d3c)),
            server_id: Uuid::from_u128(0x916ea64a_c7bf_498e_8d7f_b60346fa6763),
            address: "unix:/tmp/raft/s1.raft".to_owned(),
            status: MemberStatus::Member,
            joining_through: vec![],
            role: Role::Leader,
            term: 1,
            leader: ServerName::Itself,
            vote: ServerName::Itself,
            election_timer: Some(Duration::from_secs(1)),
            log: 2..5,
            not_committed: 0,
            not_applied: 0,
            connections: vec![
                connection("s3", true, true),
                connection("s3", false, true),
                connection("s2", true, true),
                connection("s2", false, true),
            ],
            disconnections: Some(0),
            servers: vec![
                ClusterServer {
                    is_self: true,
                    next_index: Some(2),
                    match_index: Some(4),
                    ..server("s1", "916e")
                },
                ClusterServer {
                    next_index: Some(5),
                    match_index: Some(4),
                    last_message: heard,
                    ..server("s3", "3dc6")
                },
                ClusterServer {
                    next_index: Some(5),
                    match_index: Some(4),
                    last_message: heard,
                    ..server("s2", "ba62")
                },
            ],
        }
    );
}

#[test]
fn a_follower_names_its_leader() {
    let status = parse(FOLLOWER);
    assert_eq!(status.role, Role::Follower);
    assert_eq!(status.leader, ServerName::Other("s1".to_owned()));
    assert_eq!(status.vote, ServerName::Unknown);
    assert_eq!(
        status.servers[0],
        ClusterServer {
            last_message: Some(Duration::from_millis(3)),
            ..server("s1", "916e")
        }
    );
}

#[test]
fn a_joining_server_knows_little() {
    let status = parse(JOINING);
    assert_eq!(status.cluster_id, None);
    assert_eq!(status.status, MemberStatus::Joining);
    assert_eq!(status.joining_through, ["unix:s1.raft"]);
    assert_eq!(status.leader, ServerName::Unknown);
    assert_eq!(status.log, 1..1);
    assert_eq!(status.connections, [connection("s1", false, false)]);
    assert_eq!(status.servers, []);
}

#[test]
fn a_candidate_counts_votes() {
    let status = parse(CANDIDATE);
    assert_eq!(status.status, MemberStatus::Disconnected);
    assert_eq!((status.role, status.term), (Role::Candidate, 6));
    assert_eq!(status.disconnections, Some(2));
    assert_eq!(
        status.servers[1],
        ClusterServer {
            is_self: true,
            vote: Some("s3".to_owned()),
            ..server("s3", "3dc6")
        }
    );
}

#[test]
fn what_is_rarely_printed_is_read_too() {
    let text = LEADER
        .replace("timer: 1000", "timer: 1000 (changing to 2000)")
        .replace(") next_index=5", ") (adding: caught up) next_index=5")
        .replace("Status: cluster member", "Status: resting");
    let status = parse(&text);
    assert_eq!(status.election_timer, Some(Duration::from_secs(1)));
    assert_eq!(
        status.servers[1].phase.as_deref(),
        Some("adding: caught up")
    );
    assert_eq!(status.servers[1].match_index, Some(4));
    assert_eq!(status.status, MemberStatus::Other("resting".to_owned()));
}

#[test]
fn lines_and_remarks_of_unknown_meaning_are_skipped() {
    let status = parse(LEADER);
    let omens = LEADER
        .replace("Role:", "Omen: 13\nRole:")
        .replace(" next_index", " omen=13 next_index")
        .replace("Servers:\n", "Servers:\nOmen\n      omen\n");
    assert_eq!(parse(&omens), status);

    let old = LEADER
        .replace("Disconnections: 0\n", "")
        .replace("Election timer: 1000\n", "");
    let old = parse(&old);
    assert_eq!((old.disconnections, old.election_timer), (None, None));
    assert_eq!(old.servers, status.servers);
}

#[test]
fn the_line_to_blame_is_named() {
    let cases = [
        ("", "", "the line \"Name\" is missing"),
        ("Term: 1\n", "", "the line \"Term\" is missing"),
        (
            "Term: 1\n",
            "Term: -1\n",
            "\"-1\" is no value of the line \"Term\"",
        ),
        (
            "leader",
            "king",
            "\"king\" is no value of the line \"Role\"",
        ),
        ("[2, 5]", "[2]", "\"[2]\" is no value of the line \"Log\""),
        (
            "->s3",
            "s3",
            "\"<-s3 s3 <-s2 ->s2\" is no value of the line \"Connections\"",
        ),
        ("(916e at", "(916e", "is no value of the line \"Servers\""),
        (
            "last msg 330",
            "last msg x",
            "is no value of the line \"Servers\"",
        ),
    ];
    for (given, instead, message) in cases {
        let text = match given {
            "" => String::new(),
            given => LEADER.replace(given, instead),
        };
        let error = text.parse::<ClusterStatus>().unwrap_err();
        assert!(error.to_string().ends_with(message), "{error}");
    }
}
