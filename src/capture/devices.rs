//! The devices that this machine could capture from. Feature `live`.

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
