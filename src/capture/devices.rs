//! The devices that this machine could capture from. Feature `live`.

use std::fmt;
use std::net::IpAddr;

use super::error::Error;

/// A network device as libpcap sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// As `--interface` takes it.
    pub name: String,
    /// In the system's words; `None` where it has none.
    pub description: Option<String>,
    pub addresses: Vec<IpAddr>,
    pub up: bool,
    pub running: bool,
    pub loopback: bool,
}

/// `eth0  up  10.0.0.1, fe80::1  (description)`.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (self.up, self.running) {
            (true, true) => "up",
            (true, false) => "up, no link",
            (false, _) => "down",
        };
        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        write!(f, "{:<16} {:<12} {}", self.name, state, addresses.join(", "))?;
        match &self.description {
            Some(words) => write!(f, "  ({words})"),
            None => Ok(()),
        }
    }
}

/// All devices in libpcap's order, the usual default first. Needs no special right.
pub fn list() -> Result<Vec<Device>, Error> {
    let devices = pcap::Device::list().map_err(|e| Error::Devices(e.to_string()))?;
    Ok(devices
        .into_iter()
        .map(|device| Device {
            addresses: device.addresses.iter().map(|a| a.addr).collect(),
            up: device.flags.is_up(),
            running: device.flags.is_running(),
            loopback: device.flags.is_loopback(),
            description: device.desc,
            name: device.name,
        })
        .collect())
}
