//! The devices that this machine could capture from. Feature `live`.

use std::fmt;
use std::net::IpAddr;

use super::error::Error;
use crate::base::escape::escape;

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
    pub access: Access,
}

/// Whether this user may capture from a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// It was opened, and closed again.
    Granted,
    /// [`permission_hint`] says what to do.
    Denied,
    /// It cannot be opened by anybody, for this reason.
    Impossible(String),
    /// It was not tried.
    #[default]
    Untried,
}

/// `eth0  up  can be captured  10.0.0.1, fe80::1  (description)`.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (self.up, self.running) {
            (true, true) => "up",
            (true, false) => "up, no link",
            (false, _) => "down",
        };
        let access = match &self.access {
            Access::Granted => "can be captured".into(),
            Access::Denied => "no permission".into(),
            Access::Impossible(why) => format!("cannot be captured: {}", escape(why.as_bytes())),
            Access::Untried => String::new(),
        };
        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        let name = escape(self.name.as_bytes());
        write!(f, "{name:<16} {state:<12} {access:<16} {}", addresses.join(", "))?;
        match &self.description {
            Some(words) => write!(f, "  ({})", escape(words.as_bytes())),
            None => Ok(()),
        }
    }
}

/// What somebody does who may not capture: `run as root, or: sudo setcap …`, with the path of this program.
pub fn permission_hint() -> String {
    let path = std::env::current_exe().ok();
    let path = path.as_deref().and_then(std::path::Path::to_str).map(quoted);
    let path = path.unwrap_or_else(|| "$(command -v hopscope)".to_owned());
    format!("run as root, or: sudo setcap cap_net_raw,cap_net_admin+ep {path}")
}

/// A word for a shell.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", escape(path.as_bytes()).replace('\'', "'\\''"))
    }
}

/// All devices, each opened for a moment to know whether that is allowed.
pub fn tried() -> Result<Vec<Device>, Error> {
    let mut devices = list()?;
    for device in &mut devices {
        device.access = access(&device.name);
    }
    Ok(devices)
}

fn access(name: &str) -> Access {
    match pcap::Capture::from_device(name).and_then(|capture| capture.promisc(false).open()) {
        Ok(_) => Access::Granted,
        Err(error) => {
            let why = error.to_string();
            let why = why.strip_prefix("libpcap error: ").unwrap_or(&why);
            if is_denial(why) { Access::Denied } else { Access::Impossible(why.to_owned()) }
        }
    }
}

/// Whether libpcap's words are of a missing right.
pub(super) fn is_denial(words: &str) -> bool {
    words.to_lowercase().contains("permi")
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
            access: Access::Untried,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_tells_its_state_and_whether_it_may_be_captured() {
        let mut device = Device { name: "eth0".into(), up: true, running: true, ..Device::default() };
        device.addresses = vec![IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        device.access = Access::Granted;
        assert_eq!(device.to_string(), "eth0             up           can be captured  192.0.2.1, 192.0.2.2");
        device.access = Access::Impossible("it is odd".into());
        (device.running, device.description) = (false, Some("a word\n".into()));
        let text = device.to_string();
        assert!(text.starts_with("eth0             up, no link  cannot be captured: it is odd 192"), "{text}");
        assert!(text.ends_with("  (a word\\x0a)"), "{text}");
        device.up = false;
        assert!(device.to_string().contains(" down "));
    }

    #[test]
    fn a_path_is_a_word_of_the_shell() {
        assert_eq!([quoted("/usr/bin/hopscope"), quoted("/a b/it's")], ["/usr/bin/hopscope", "'/a b/it'\\''s'"]);
    }
}
