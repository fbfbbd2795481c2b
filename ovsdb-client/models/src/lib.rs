#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

/// `Open_vSwitch`: the configuration of a switch, its bridges, ports and interfaces.
#[cfg(feature = "open_vswitch")]
#[rustfmt::skip]
pub mod open_vswitch;

/// `OVN_Northbound`: logical switches and routers as a cloud management system writes them.
#[cfg(feature = "ovn_northbound")]
#[rustfmt::skip]
pub mod ovn_northbound;

/// `OVN_Southbound`: logical flows and bindings, chassis and tunnels.
#[cfg(feature = "ovn_southbound")]
#[rustfmt::skip]
pub mod ovn_southbound;

/// `OVN_IC_Northbound`: transit switches between availability zones.
#[cfg(feature = "ovn_ic_northbound")]
#[rustfmt::skip]
pub mod ovn_ic_northbound;

/// `OVN_IC_Southbound`: what availability zones tell each other.
#[cfg(feature = "ovn_ic_southbound")]
#[rustfmt::skip]
pub mod ovn_ic_southbound;

/// `_Server`: the databases of an ovsdb-server, and its part in their clusters.
#[cfg(feature = "server")]
#[rustfmt::skip]
pub mod server;
