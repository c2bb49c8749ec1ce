//! Hosts of a network of their own: network namespaces in a row, each joined with the next by a pair of veth.
//! Needs root. What is made here is gone when it is dropped; what a killed test left is taken away by the next.

use std::fs::File;
use std::io::Read as _;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::fd::AsFd as _;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The interface of a host that leads to the host before it in the row.
pub(crate) const NEAR: &str = "near";
/// The one that leads to the host behind it.
pub(crate) const FAR: &str = "far";

const PREFIX: &str = "hopscope-";
/// How long a process may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// Hosts in a row, by their numbers.
pub(crate) struct Net {
    names: Vec<String>,
}

impl Net {
    /// So many hosts. Host `n` has 198.18.n.1 on `far`, the next one 198.18.n.2 on `near`; each reaches its neighbours
    /// alone.
    pub(crate) fn row(hosts: usize) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        sweep();
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let name = |host| format!("{PREFIX}{}-{made}-{host}", std::process::id());
        let net = Net { names: (0..hosts).map(name).collect() };
        for name in &net.names {
            net.must(&["netns", "add", name]);
            // Nothing is to speak by itself.
            net.must(&["netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"]);
            net.must(&["-n", name, "link", "set", "lo", "up"]);
        }
        for (link, pair) in net.names.windows(2).enumerate() {
            let (left, right) = (pair[0].as_str(), pair[1].as_str());
            net.must(&["link", "add", FAR, "netns", left, "type", "veth", "peer", "name", NEAR, "netns", right]);
            for (host, end, last) in [(left, FAR, 1), (right, NEAR, 2)] {
                net.must(&["-n", host, "address", "add", &format!("198.18.{link}.{last}/24"), "dev", end]);
                net.must(&["-n", host, "link", "set", end, "up"]);
            }
        }
        net
    }

    /// The address at which the host before it reaches a host.
    pub(crate) fn near_address(host: usize) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, u8::try_from(host).unwrap() - 1, 2)
    }

    /// A program that will run on this host.
    pub(crate) fn command(&self, host: usize, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[host]]).arg(program).process_group(0).stdin(Stdio::null());
        command
    }

    /// Does this on that host. Sockets that it opens stay there.
    pub(crate) fn on<T: Send>(&self, host: usize, work: impl FnOnce() -> T + Send) -> T {
        let place = File::open(Path::new("/run/netns").join(&self.names[host])).expect("the namespace is there");
        let there = move || {
            move_into_link_name_space(place.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may go there");
            work()
        };
        std::thread::scope(|scope| scope.spawn(there).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs `ip`, which has to work.
    fn must(&self, arguments: &[&str]) {
        let said = Command::new("ip").args(arguments).output();
        let why = match said {
            Ok(said) if said.status.success() => return,
            Ok(said) => String::from_utf8_lossy(&said.stderr).into_owned(),
            Err(why) => why.to_string(),
        };
        panic!(
            "NETWORK NAMESPACES CANNOT BE MADE HERE, and without them nothing shows that live capture works between \
             real proxies: run this as root, with iproute2, where namespaces are permitted.\nip {}: {why}",
            arguments.join(" ")
        );
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.names.iter().for_each(|name| delete(name));
    }
}

fn delete(name: &str) {
    let _ = Command::new("ip").args(["netns", "delete", name]).stderr(Stdio::null()).status();
}

/// Takes away what tests left whose process is no more.
fn sweep() {
    let Ok(all) = std::fs::read_dir("/run/netns") else { return };
    for name in all.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            delete(&name);
        }
    }
}

/// A program that runs; dropped, it and all that it started end.
pub(crate) struct Running {
    pub(crate) child: Child,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let name = command.get_args().map(|part| part.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
        Running { child: command.spawn().unwrap_or_else(|why| panic!("{name}: {why}")) }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success(), "no such process any more");
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn interrupt(&mut self) -> ExitStatus {
        self.signal("INT");
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < 4 * GRACE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let signal = |name: &str| {
            let _ = Command::new("kill").args([name, "--", &group]).stderr(Stdio::null()).status();
        };
        signal("-TERM");
        let began = Instant::now();
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) && began.elapsed() < GRACE {
            std::thread::sleep(Duration::from_millis(5));
        }
        signal("-KILL");
        let _ = self.child.wait();
    }
}

/// Waits until this is so, for ten seconds at most.
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(10), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What a file says by now.
pub(crate) fn text_of(path: &Path) -> String {
    let mut text = String::new();
    let _ = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    text
}
