//! What the engine is told to do: the Dockerfile, and the script that its steps run.

use super::packages::{
    DEBIAN_BUILD, DEBIAN_LIBRARIES, DEBIAN_OVN, DEBIAN_TOOLS, FEDORA_BUILD, FEDORA_LIBRARIES,
    FEDORA_OVN, FEDORA_TOOLS,
};
use super::{BUILD, Source, UNFINISHED};

/// Where the script and what it works on are in the image.
const PLACE: &str = "/opt/ofm";

/// The script of the steps.
const INSTALL: &str = include_str!("install.sh");

/// The files that a build needs besides packages and trees: names and contents.
pub(super) fn files() -> Vec<(String, String)> {
    let list = |name: &str, packages: &[&str]| (name.to_owned(), packages.join("\n") + "\n");
    vec![
        ("steps/install".to_owned(), INSTALL.to_owned()),
        list("steps/apt-get-ovn", &DEBIAN_OVN),
        list("steps/apt-get-tools", &DEBIAN_TOOLS),
        list("steps/apt-get-libraries", &DEBIAN_LIBRARIES),
        list("steps/apt-get-compilers", &DEBIAN_BUILD),
        list("steps/dnf-ovn", &FEDORA_OVN),
        list("steps/dnf-tools", &FEDORA_TOOLS),
        list("steps/dnf-libraries", &FEDORA_LIBRARIES),
        list("steps/dnf-compilers", &FEDORA_BUILD),
    ]
}

/// Writes the Dockerfile of an image on `base`.
pub(super) fn dockerfile(base: &str, source: &Source) -> String {
    let first =
        |name: &str| format!("FROM {base}{name}\nLABEL {BUILD}={UNFINISHED}\nCOPY steps {PLACE}\n");
    let run = |step: &str| format!("RUN [\"/bin/sh\", \"{PLACE}/install\", \"{step}\"]\n");
    let body = match source {
        Source::Distribution => first("") + &run("distribution"),
        Source::Packages(_) => {
            let copy = format!("COPY packages {PLACE}/packages\n");
            first("") + &run("tools") + &copy + &run("packages")
        }
        Source::Trees { cflags, .. } => {
            let environment = format!("ENV CFLAGS={}\n", quoted(cflags));
            let copy = |tree: &str| format!("COPY {tree} {PLACE}/{tree}\n");
            first(" AS tools")
                + &run("tools")
                + "FROM tools AS compiled\n"
                + &run("compilers")
                + &environment
                + &copy("ovs")
                + &run("ovs")
                + &copy("ovn")
                + &run("ovn")
                + "FROM tools\nCOPY --from=compiled /out /\n"
        }
    };
    body + &format!("CMD [\"sleep\", \"infinity\"]\nLABEL {BUILD}=\n")
}

/// A value as a Dockerfile reads it back.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$') {
            text.push('\\');
        }
        text.push(c);
    }
    text + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::CFLAGS;

    #[test]
    fn packages_of_the_distribution_are_one_step() {
        let text = dockerfile("debian:12", &Source::Distribution);
        let expected = "FROM debian:12\n\
                        LABEL ofm.build=unfinished\n\
                        COPY steps /opt/ofm\n\
                        RUN [\"/bin/sh\", \"/opt/ofm/install\", \"distribution\"]\n\
                        CMD [\"sleep\", \"infinity\"]\n\
                        LABEL ofm.build=\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn every_stage_is_marked_until_the_last_step() {
        let trees = Source::Trees {
            ovs: "/a".into(),
            ovn: "/b".into(),
            cflags: CFLAGS.to_owned(),
        };
        for source in [trees, Source::Packages(Vec::new())] {
            let text = dockerfile("base", &source);
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines[1], "LABEL ofm.build=unfinished", "{text}");
            assert_eq!(lines.last(), Some(&"LABEL ofm.build="), "{text}");
            // A stage that begins with an image of another one has its labels.
            let bases = lines.iter().filter(|line| line.starts_with("FROM base"));
            assert_eq!(bases.count(), 1, "{text}");
        }
    }

    #[test]
    fn flags_are_passed_on_as_they_are() {
        let source = Source::Trees {
            ovs: "/a".into(),
            ovn: "/b".into(),
            cflags: r#"-DX="y z" $A"#.to_owned(),
        };
        let text = dockerfile("base", &source);
        assert!(text.contains(r#"ENV CFLAGS="-DX=\"y z\" \$A""#), "{text}");
    }

    #[test]
    fn every_list_that_the_script_reads_is_there() {
        let files = files();
        for manager in ["apt-get", "dnf"] {
            for list in ["ovn", "tools", "libraries", "compilers"] {
                let name = format!("steps/{manager}-{list}");
                assert!(files.iter().any(|(file, _)| *file == name), "{name}");
                assert!(INSTALL.contains(&format!("list {list}")), "{list}");
            }
        }
    }
}
