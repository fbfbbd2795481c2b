use crate::unixctl::ClusterStatus;

/// A line of unknown meaning changes nothing, wherever it stands, and neither does the kind of line
/// ends; every server of the text is in the status.
///
/// The first byte says below which line the unknown one is put.
pub fn cluster_status(data: &[u8]) {
    let Some((&place, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    if text.contains('\r') {
        // The end of a line, or a part of it, by what follows.
        return;
    }
    let status = text.parse::<ClusterStatus>();

    let mut lines: Vec<_> = text.lines().collect();
    let place = 1 + usize::from(place) % lines.len().max(1);
    lines.insert(place.min(lines.len()), "Omen: 13 (of old)");
    assert_eq!(lines.join("\n").parse(), status);
    assert_eq!(lines.join("\r\n").parse(), status);

    if let Ok(status) = status {
        let servers = text.lines().skip_while(|line| *line != "Servers:");
        let servers = servers.filter(|line| line.starts_with("    ") && !line.starts_with("     "));
        assert_eq!(status.servers.len(), servers.count());
    }
}
