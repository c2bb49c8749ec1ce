//! What a live capture gives up once its devices are open: all capabilities, the ways to get any back, and files that it
//! has no business with (landlock). A parser of what strangers send is no place for root's rights. Feature `live`.
//!
//! Each of these holds for the thread that asks, and for those that it starts: no other may exist yet. Where the system
//! cannot do a part, that is said, and the capture goes on; only what the user asked for by name must work.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::cli::Report;

/// What the capture may still do, in words. Unset: nothing was given up.
static CONFINED: OnceLock<String> = OnceLock::new();

/// What may be opened from now on.
#[derive(Debug, Default)]
struct Places {
    /// Files, and folders with all below.
    read: Vec<PathBuf>,
    /// Folders with all below, to read as well.
    write: Vec<PathBuf>,
}

/// Gives up what a capture by these arguments does not need any more. Called on the only thread that there is.
pub(super) fn enter(args: &Report) -> anyhow::Result<()> {
    let notes = system::enter(&places(args), args.live.user.as_deref())?;
    let folders: Vec<String> = places(args).write.iter().map(|path| super::out_file::name(path)).collect();
    let whom = args.live.user.as_deref().map(|user| format!(" as {user}")).unwrap_or_default();
    let _ = CONFINED.set(format!(
        "a live capture gave up its rights when its devices were open, and writes{whom} only what its user may write \
         in {}; see --user",
        if folders.is_empty() { "no folder".to_owned() } else { folders.join(", ") }
    ));
    if !args.quiet {
        notes.iter().for_each(|note| super::complain(note));
        for log in key_logs(args).iter().filter(|log| is_refused(log)) {
            let log = super::out_file::name(log);
            super::complain(&format!(
                "{log}: what is added to it from now on cannot be read; let its user capture: --user"
            ));
        }
    }
    Ok(())
}

/// Why something may be refused that would have worked before, to stand behind the system's words. Empty: nothing was
/// given up.
pub(super) fn why_refused() -> String {
    CONFINED.get().map(|words| format!(" ({words})")).unwrap_or_default()
}

fn places(args: &Report) -> Places {
    let mut places = Places::default();
    // A pipe without a name, as of `<(…)`, has no place to be kept out of: it has no real path.
    places.read.extend(args.inputs.files.iter().filter_map(|path| path.canonicalize().ok()));
    places.read.extend(key_logs(args).iter().map(|log| folder(log)));
    // Time zones, which are looked at again now and then.
    places.read.extend(["/etc/localtime", "/usr/share/zoneinfo"].map(PathBuf::from));
    // Where libpcap counts what a device dropped.
    let counts = |name: &String| Path::new("/sys/class/net").join(name).join("statistics");
    places.read.extend(args.live.interfaces.iter().filter(|name| !name.contains('/')).map(counts));
    // A service runs in /, and that would be everything; `-o /dev/stdout` would open all devices.
    let narrow = |dir: &PathBuf| dir.parent().is_some() && !dir.starts_with("/dev");
    for file in [&args.output, &args.live.write].into_iter().flatten() {
        let folder = folder(file);
        // Of such a folder, the file alone, where it is there.
        places.write.push(if folder.canonicalize().is_ok_and(|folder| narrow(&folder)) {
            folder
        } else {
            file.clone()
        });
    }
    places.write.extend(std::env::current_dir().ok().filter(narrow));
    places.write.sort();
    places.write.dedup();
    places
}

fn key_logs(args: &Report) -> Vec<PathBuf> {
    let named = std::env::var_os(super::keys::VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    if args.inputs.keylogs.is_empty() { named.into_iter().collect() } else { args.inputs.keylogs.clone() }
}

fn is_refused(path: &Path) -> bool {
    std::fs::File::open(path).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

/// The folder that a file stands in.
fn folder(file: &Path) -> PathBuf {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

#[cfg(target_os = "linux")]
mod system {
    use anyhow::Context as _;
    use caps::CapSet;
    use landlock::{
        ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope,
        path_beneath_rules,
    };
    use rustix::thread as this;
    use rustix::thread::{Gid, Uid};

    use super::Places;

    /// The rights of the kernel that are known here; an older one has fewer.
    const KNOWN: ABI = ABI::V6;

    /// What could not be done, in words.
    pub(super) fn enter(places: &Places, user: Option<&str>) -> anyhow::Result<Vec<String>> {
        // While everything can still be looked up.
        let user = user.map(find).transpose()?;
        let sandbox = sandbox(places);
        rustix::thread::set_no_new_privs(true).context("cannot give up the way to new rights")?;
        // Only who may has something to lose there: without the right this fails, and nothing could be regained either.
        let _ = caps::clear(None, CapSet::Bounding);
        if let Some(user) = user {
            become_user(&user).with_context(|| format!("--user {}: cannot become this user", user.name))?;
        }
        // Not every kernel has this set.
        let _ = caps::clear(None, CapSet::Ambient);
        for set in [CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
            caps::clear(None, set).context("cannot give up capabilities")?;
        }
        let mut notes = Vec::new();
        match sandbox.and_then(|ruleset| Ok(ruleset.restrict_self()?)) {
            Ok(status) => match status.ruleset {
                RulesetStatus::FullyEnforced => {}
                RulesetStatus::PartiallyEnforced => {
                    notes.push(
                        "this kernel's landlock is old: some of what the capture does not need stays open".into(),
                    );
                }
                RulesetStatus::NotEnforced => notes.push(
                    "this kernel has no landlock: which files the capture may open is up to its user's rights".into(),
                ),
            },
            Err(error) => {
                notes.push(format!("landlock: {error:#}: which files the capture may open is up to its user's rights"))
            }
        }
        Ok(notes)
    }

    /// Somebody whom the system knows.
    #[derive(Debug, PartialEq, Eq)]
    struct User {
        name: String,
        id: u32,
        group: u32,
        /// With its own.
        groups: Vec<u32>,
    }

    fn find(name: &str) -> anyhow::Result<User> {
        let read = |path: &str| std::fs::read_to_string(path).with_context(|| format!("--user {name}: {path}"));
        let user = user_of(name, &read("/etc/passwd")?, &read("/etc/group")?);
        user.with_context(|| format!("--user {name}: there is no such user in /etc/passwd"))
    }

    /// By what the two files say, whose forms are those of passwd(5) and group(5).
    fn user_of(name: &str, passwd: &str, group: &str) -> Option<User> {
        let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        let user = passwd.lines().map(fields).find(|user| user.first().is_some_and(|first| first == name))?;
        let (id, own) = (user.get(2)?.parse().ok()?, user.get(3)?.parse().ok()?);
        let mut groups = vec![own];
        for group in group.lines().map(fields) {
            let members = group.get(3).map(String::as_str).unwrap_or_default();
            if members.split(',').any(|member| member == name) {
                groups.extend(group.get(2).and_then(|id| id.parse::<u32>().ok()));
            }
        }
        Some(User { name: name.to_owned(), id, group: own, groups })
    }

    /// Of the thread that asks, which is the only one.
    fn become_user(user: &User) -> anyhow::Result<()> {
        let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
        let (id, group) = (Uid::from_raw(user.id), Gid::from_raw(user.group));
        this::set_thread_groups(&groups).context("only root can")?;
        this::set_thread_res_gid(group, group, group)?;
        this::set_thread_res_uid(id, id, id)?;
        Ok(())
    }

    fn sandbox(places: &Places) -> anyhow::Result<landlock::RulesetCreated> {
        let read = AccessFs::from_read(KNOWN) & !AccessFs::Execute;
        let write = AccessFs::from_all(KNOWN) & !AccessFs::Execute;
        let ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(KNOWN))?
            .handle_access(AccessNet::from_all(KNOWN))?
            .scope(Scope::from_all(KNOWN))?
            .create()?
            // What is not there is passed over.
            .add_rules(path_beneath_rules(&places.read, read))?
            .add_rules(path_beneath_rules(&places.write, write))?
            .add_rules(path_beneath_rules(["/dev/tty", "/dev/null"], write))?;
        Ok(ruleset)
    }

    #[cfg(test)]
    #[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
    mod tests {
        use std::fs::File;
        use std::io::ErrorKind;
        use std::net::{TcpListener, TcpStream};

        use super::*;

        #[test]
        fn a_user_has_the_groups_that_name_it() {
            let passwd = "root:x:0:0::/root:/bin/sh\nweb:x:33:34:a:/:/bin/false\nodd\n";
            let group = "adm:x:4:web,root\nweb:x:34:\nwebs:x:7:aweb\nlast:x:8:root,web\n";
            let web = User { name: "web".into(), id: 33, group: 34, groups: vec![34, 4, 8] };
            assert_eq!(user_of("web", passwd, group), Some(web));
            assert_eq!(user_of("we", passwd, group), None);
            assert_eq!(user_of("odd", passwd, group), None);
        }

        /// On a thread of its own: the others keep their rights.
        #[test]
        #[ignore = "needs a kernel with landlock: .ci/run"]
        fn only_named_places_can_be_opened_and_nothing_be_connected_to() {
            let place = tempfile::tempdir().unwrap();
            let (read, write, other) = ("read", "write", "other");
            for name in [read, write, other] {
                std::fs::create_dir(place.path().join(name)).unwrap();
                std::fs::write(place.path().join(name).join("file"), "x").unwrap();
            }
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let file = |name: &str| place.path().join(name).join("file");
            let places = Places { read: vec![place.path().join(read)], write: vec![place.path().join(write)] };
            std::thread::scope(|scope| {
                let confined = scope.spawn(|| {
                    let notes = enter(&places, None).unwrap();
                    for set in [CapSet::Inheritable, CapSet::Effective, CapSet::Permitted, CapSet::Ambient] {
                        assert!(caps::read(None, set).unwrap().is_empty());
                    }
                    assert!(
                        notes.is_empty(),
                        "this kernel's landlock is missing or old, so that nothing is tested: {notes:?}"
                    );
                    let refused = |result: std::io::Result<File>| result.unwrap_err().kind();
                    assert_eq!(refused(File::open(file(other))), ErrorKind::PermissionDenied);
                    assert_eq!(refused(File::create(file(read))), ErrorKind::PermissionDenied);
                    assert_eq!(refused(File::open("/etc/passwd")), ErrorKind::PermissionDenied);
                    assert!(File::open(file(read)).is_ok() && File::create(file(write)).is_ok());
                    assert!(File::create(place.path().join(write).join("new")).is_ok());
                    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::PermissionDenied);
                });
                confined.join().unwrap();
            });
            assert!(File::open(file(other)).is_ok() && TcpStream::connect(address).is_ok());
        }

        #[test]
        fn a_user_that_is_not_there_is_named() {
            let words = format!("{:#}", enter(&Places::default(), Some("no such user")).unwrap_err());
            assert!(words.starts_with("--user no such user: "), "{words}");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::Places;

    pub(super) fn enter(places: &Places, user: Option<&str>) -> anyhow::Result<Vec<String>> {
        let _ = (&places.read, &places.write);
        match user {
            Some(user) => anyhow::bail!("--user {user}: only on Linux"),
            None => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_the_working_directory_stands_in_it() {
        assert_eq!(["a", "b/a", "/b/a"].map(|file| folder(Path::new(file))), [".", "b", "/b"].map(PathBuf::from));
    }
}
