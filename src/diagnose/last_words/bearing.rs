//! What the container shows of a claim, in words: whether it bears the claim out, and what that means for the reader.

#![forbid(unsafe_code)]

use std::fmt::{self, Arguments, Display, Formatter};

use super::super::case::Case;
use super::super::registry::COMMAND_NOT_EXECUTABLE_IN_SCRIPT as NOT_EXECUTABLE;
use super::super::{memory, registry, why_not, wording};
use crate::evidence::checks::{Bound, Checked, FileSystem, Library, Look, Peer, PidFile, PortUse, Resolver, Variable};
use crate::evidence::files::Inspection;
use crate::evidence::limits::Limit;
use crate::evidence::mountinfo::Mount;
use crate::evidence::tail::Claim;
use crate::evidence::user::{CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_NET_BIND_SERVICE, User, capability_names};
use crate::evidence::walk::{Directory, Permissions, Place};
use crate::signals::Sender;
use Fit::{Consistent, Contradicted};

/// How a claim and what was found go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fit {
    /// Nothing was found that speaks against it.
    #[default]
    Consistent,
    /// It is otherwise, now at least.
    Contradicted,
}

/// What was found, for a report.
#[derive(Debug, Default)]
pub(super) struct Bearing {
    pub fit: Fit,
    pub facts: Vec<String>,
    pub not_known: Vec<String>,
    pub next: Option<String>,
}

/// Something from outside, made fit for a sentence.
struct Name<'a>(&'a [u8]);
/// The first few of a list of those.
struct Names<'a>(&'a [Vec<u8>]);
/// `uid 101 gid 101`
struct Ids<'a>(&'a User);
/// `/data (ext4)`: where it is mounted, or else the path.
struct At<'a>(&'a FileSystem);
/// ` (ext4)`
struct Kind<'a>(Option<&'a Mount>);
/// `1024`, `unlimited`
struct Bounds(Option<u64>);

impl Display for Name<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        to.write_str(&wording::name(self.0))
    }
}

impl Display for Names<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        to.write_str(&wording::list(self.0.iter().map(|name| wording::name(name))))
    }
}

impl Display for Ids<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        write!(to, "uid {} gid {}", self.0.uid, self.0.gid)
    }
}

impl Display for At<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let mount = self.0.mount.as_ref();
        write!(to, "{}{}", Name(mount.map_or(&self.0.path, |mount| &mount.mount_point)), Kind(mount))
    }
}

impl Display for Kind<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        match self.0.and_then(|mount| mount.file_system.as_deref()) {
            Some(kind) => write!(to, " ({})", Name(kind)),
            None => Ok(()),
        }
    }
}

impl Display for Bounds {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(limit) => write!(to, "{limit}"),
            None => to.write_str("unlimited"),
        }
    }
}

impl Bearing {
    /// What `case` shows of `claim`.
    pub fn of(case: &Case<'_>, claim: &Claim) -> Self {
        let mut bearing = Self::default();
        let user = case.evidence.zombie.as_ref().and_then(|zombie| zombie.user.as_ref());
        bearing.look(case, claim, user);
        bearing
    }

    // Not generic, and not inlined: there are many callers.
    #[inline(never)]
    fn fact(&mut self, fit: Fit, fact: Arguments<'_>) {
        self.fit = fit;
        self.facts.push(fact.to_string());
    }

    /// One more, which changes nothing.
    #[inline(never)]
    fn also(&mut self, fact: Arguments<'_>) {
        self.facts.push(fact.to_string());
    }

    #[inline(never)]
    fn not_known(&mut self, question: &str) {
        self.not_known.push(question.to_owned());
    }

    #[inline(never)]
    fn next(&mut self, advice: Arguments<'_>) {
        self.next = Some(advice.to_string());
    }

    fn look(&mut self, case: &Case<'_>, claim: &Claim, user: Option<&User>) {
        match (claim, case.evidence.checked.as_ref()) {
            (Claim::AddressInUse { port: Some(port), .. }, Some(Checked::Port(ports))) => self.port(case, *port, ports),
            (Claim::AddressInUse { port: None, path: None }, checked) => self.some_port(checked),
            (Claim::AddressInUse { .. }, Some(Checked::SocketFile(look, bound))) => {
                self.socket_file(look, bound.as_ref())
            }
            (Claim::MayNotBind { port }, Some(Checked::Privileged(first))) => self.may_not_bind(user, *port, *first),
            (Claim::ConnectionRefused { host: Some(host), port }, Some(Checked::Peer(peer))) => {
                self.refused(host, *port, peer)
            }
            (Claim::NameResolution { name, temporary }, Some(Checked::Resolver(resolver))) => {
                self.unresolved(name.as_deref(), *temporary, resolver)
            }
            (Claim::NoSpace { .. }, Some(Checked::Watches(watches, instances, systems))) => {
                self.no_watches(*watches, *instances, systems)
            }
            (Claim::NoInstances, Some(Checked::Watches(_, instances, _))) => self.no_instances(case, *instances),
            (Claim::NoSpace { path, .. }, Some(Checked::Space(systems))) => self.no_space(path.is_some(), systems),
            (Claim::ReadOnly { path }, Some(Checked::Space(systems))) => self.read_only(path.is_some(), systems),
            (Claim::Denied { .. }, Some(Checked::Path(look))) => self.denied(case, user, look),
            (Claim::Missing { .. }, Some(Checked::Path(look))) => self.missing(look),
            (
                Claim::Missing { path: Some(name) }
                | Claim::NotExecutable { path: Some(name) }
                | Claim::NoCommand { name },
                Some(Checked::Command(inspection)),
            ) => self.command(name, inspection),
            (Claim::NoVariable { name }, Some(Checked::Variable(variable))) => self.no_variable(case, name, variable),
            (Claim::NoLibrary { name }, Some(Checked::Library(library))) => self.no_library(name, library),
            (Claim::NoUser, Some(Checked::Passwd(listed))) => self.no_user(user, *listed),
            (Claim::StalePidFile { .. }, Some(Checked::PidFile(file))) => self.pid_file(case, file),
            (Claim::TooManyFiles, _) => self.too_many_files(case),
            (Claim::NotPermitted, _) => self.not_permitted(case, user),
            (Claim::NoMemory, _) => self.no_memory(case),
            (Claim::NoThreads, _) => self.no_threads(case),
            (Claim::HeapLimit { bytes }, _) => self.heap_limit(case, *bytes),
            _ => {}
        }
    }

    fn port(&mut self, case: &Case<'_>, port: u16, ports: &PortUse) {
        let kind = if ports.udp { "UDP port" } else { "port" };
        let those = if case.evidence.is_init { "of this container" } else { "that can be seen from here" };
        if let Some(holder) = ports.holders.iter().find_map(|holder| holder.process.as_ref()) {
            let holder = process(holder);
            self.fact(Consistent, format_args!("right after, {kind} {port} is held by {holder} in this container"));
            self.next(format_args!("stop {holder}, or give one of the two another port"));
        } else if !ports.holders.is_empty() {
            let nobody = match ports.looked_at {
                None => "whose it is was not to be seen".to_owned(),
                Some(0) => format!("no process {those} holds it, none but rinit is left"),
                Some(all) => {
                    format!("no process {those} holds it ({} looked at)", wording::count(all, "was", "were all"))
                }
            };
            self.fact(
                Consistent,
                format_args!("right after, {kind} {port} is still in use in this network namespace, and {nobody}"),
            );
            if case.evidence.is_init && ports.looked_at.is_some() {
                self.not_known("which container holds it. All containers of a pod share one port space, with the host's network the host's programs share it too");
                self.next(format_args!("give one of the two another port: a sidecar (mesh proxies use 15000-15090, 4140-4191), a second copy of the program, or with the host's network the previous one still stopping. containerPort in the manifest changes nothing"));
            }
        } else if ports.complete {
            self.fact(
                Contradicted,
                format_args!("right after, nothing listens on port {port} in this network namespace"),
            );
            if ports.connections > 0 {
                let connections = wording::count(ports.connections, "connection", "connections");
                self.also(format_args!("{connections} still had it as their own port"));
                self.next(format_args!("set SO_REUSEADDR on the socket that listens: connections of a server that has ended keep its port for a minute"));
            } else {
                self.not_known(
                    "who had it: the program itself may have bound it twice, or a process that ended with it",
                );
                self.next(format_args!("look for a second listener on this port in the program itself (a reloader, a worker, a metrics server), or in what else it started"));
            }
        }
    }

    /// The line names no port: those that are taken.
    fn some_port(&mut self, checked: Option<&Checked>) {
        if let Some(Checked::Listening(ports)) = checked
            && !ports.is_empty()
        {
            let list = wording::list(ports.iter().map(u16::to_string));
            self.fact(
                Consistent,
                format_args!("right after, these TCP ports are taken in this network namespace: {list}"),
            );
        }
        self.not_known("which port it wanted: its line names none");
    }

    fn socket_file(&mut self, look: &Look, bound: Option<&Bound>) {
        let path = Name(&look.path);
        match (look.file(), bound) {
            (None, _) => self.fact(Contradicted, format_args!("right after, {path} does not exist")),
            (_, None) => self.fact(Consistent, format_args!("{path} exists")),
            (_, Some(Bound { bound: true, process: Some(holder) })) => {
                self.fact(Consistent, format_args!("right after, {} has the socket {path}", process(holder)))
            }
            (_, Some(Bound { bound: true, .. })) => self.fact(
                Consistent,
                format_args!("right after, a socket is bound to {path}, whose it is was not to be seen"),
            ),
            (_, Some(_)) => {
                self.fact(
                    Consistent,
                    format_args!("{path} is there, and no socket is bound to it: an earlier run left it"),
                );
                self.next(format_args!(
                    "delete it before the start (rm -f {path}), or keep it on a tmpfs, which comes back empty"
                ));
            }
        }
    }

    fn may_not_bind(&mut self, user: Option<&User>, port: Option<u16>, first: u16) {
        let Some(user) = user else { return };
        if port.is_some_and(|port| port >= first) || first == 0 {
            self.fact(
                Contradicted,
                format_args!("ports from {first} on take no right here (ip_unprivileged_port_start)"),
            );
            return self.not_known("who refused it: a security module or a seccomp profile is one possibility");
        }
        match user.lacks(&[CAP_NET_BIND_SERVICE]) {
            Some(true) => {
                self.fact(
                    Consistent,
                    format_args!(
                        "ports below {first} take CAP_NET_BIND_SERVICE, and it ran as {} without that",
                        Ids(user)
                    ),
                );
                self.next(format_args!("let it listen on a port from 1024 on and map the outer one to it (targetPort of a Service, docker run -p 80:8080), set the sysctl net.ipv4.ip_unprivileged_port_start=0, or add the capability NET_BIND_SERVICE"));
            }
            Some(false) => {
                self.fact(Contradicted, format_args!("it ran as {} with CAP_NET_BIND_SERVICE", Ids(user)));
                self.not_known(
                    "who refused it: a security module, or a network namespace in which its capabilities do not count",
                );
            }
            None => {}
        }
    }

    fn refused(&mut self, host: &[u8], port: Option<u16>, peer: &Peer) {
        const WHY: &str = "why it was refused. Nothing listened there at that moment, a Service had no ready endpoint, or a firewall rejected it";
        let shown = Name(host);
        let from_hosts = if peer.from_hosts { ", by /etc/hosts" } else { "" };
        match peer.own {
            None if peer.is_known => {}
            None => {
                self.fact(Consistent, format_args!("{shown} is not in /etc/hosts, a name server gave its address"));
                self.not_known(WHY);
                // In which namespace its Service is, the name need not say.
                let service = Name(host.split(|byte| *byte == b'.').next().unwrap_or_default());
                self.next(format_args!("kubectl get endpointslices -A -l kubernetes.io/service-name={service} (is one ready?), elsewhere check that the server runs. If it only comes up later, retry in the program instead of exiting"));
            }
            Some(false) => {
                self.fact(Consistent, format_args!("{shown} is no address of this container or pod{from_hosts}"));
                self.not_known(WHY);
                self.next(format_args!("check that the server is up and listens on more than its own 127.0.0.1 (behind a Service: kubectl get endpointslices, is one ready?). If it only comes up later, retry in the program instead of exiting"));
            }
            Some(true) => {
                let listens = port.zip(peer.listens.as_ref());
                let there = match &listens {
                    Some((port, ports)) => match ports.holders.first() {
                        Some(holder) => {
                            let who = holder.process.as_ref().map_or_else(|| "something".to_owned(), process);
                            format!(", and by now {who} listens on port {port}")
                        }
                        None if ports.complete => format!(", and nothing listens on port {port} there"),
                        None => String::new(),
                    },
                    None => String::new(),
                };
                let late = listens.is_some_and(|(_, ports)| !ports.holders.is_empty());
                self.fact(
                    Consistent,
                    format_args!("{shown} is this container (in a pod, all of it) itself{from_hosts}{there}"),
                );
                self.next(if late {
                    format_args!("most likely the server came up later than it was asked: retry in the program instead of exiting, or start it after the server (a native sidecar, depends_on with a healthcheck)")
                } else {
                    format_args!("give the program the server's own name (a Service, a Compose service, host.docker.internal): localhost is never another pod, another container of Docker or the host")
                });
            }
        }
    }

    fn unresolved(&mut self, host: Option<&[u8]>, temporary: bool, resolver: &Resolver) {
        let shown = Name(host.unwrap_or(b"the name"));
        if resolver.only_loopback == Some(true) {
            self.fact(
                Consistent,
                format_args!("there is no network device but the loopback, so no name server can be reached"),
            );
            return self.next(format_args!("give the container a network (docker run without --network none)"));
        }
        if resolver.in_hosts == Some(true) {
            self.fact(Contradicted, format_args!("/etc/hosts has {shown}"));
            return self.not_known(
                "why it was not found there: the program may have a resolver of its own, or the file has changed",
            );
        }
        match resolver.servers.as_slice() {
            _ if !resolver.readable => self.fact(Consistent, format_args!("/etc/resolv.conf cannot be read")),
            [] => self.fact(Consistent, format_args!("/etc/resolv.conf names no server, so 127.0.0.1 is asked")),
            servers => self.fact(Consistent, format_args!("/etc/resolv.conf names {}", Names(servers))),
        }
        if resolver.in_hosts == Some(false) {
            self.also(format_args!("/etc/hosts has no {shown}"));
        }
        let stray = |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') || *byte >= 0x80);
        if host.is_some_and(|host| host.iter().any(stray)) {
            return self.next(format_args!("correct the name: it has characters in it that no host name has (a scheme, a port, quotation marks, a line end)"));
        }
        if temporary {
            self.also(format_args!("no server gave a usable answer (EAI_AGAIN)"));
            self.next(format_args!("check that this server can be reached from here: the DNS pods, a NetworkPolicy that lets port 53 out (UDP and TCP), and whether the network was up yet at the start"));
        } else if let Some(name) = host.filter(|host| !host.contains(&b'.') && !resolver.search.is_empty()) {
            self.also(format_args!("searched in {}", Names(&resolver.search)));
            self.next(format_args!("check the spelling. A Service of another namespace is {}.NAMESPACE, a Compose service is known only on its own networks and while it runs", Name(name)));
        }
    }

    fn no_watches(&mut self, watches: Option<u64>, instances: Option<u64>, systems: &[FileSystem]) {
        let full = systems.iter().find(|system| system.is_full());
        if let Some(full) = full {
            self.room(Contradicted, "right after, ", full);
            self.not_known("whether a watch was refused, or this file system had no room");
        }
        if let (Some(watches), Some(instances)) = (watches, instances) {
            self.also(format_args!("fs.inotify.max_user_watches is {watches}, max_user_instances {instances}{SHARED}"));
        }
        if full.is_none() && !systems.is_empty() {
            let list = wording::list(systems.iter().map(|system| At(system).to_string()));
            self.also(format_args!("no file system is full: {list}"));
        }
    }

    /// inotify_init(2) has one errno for two limits.
    fn no_instances(&mut self, case: &Case<'_>, instances: Option<u64>) {
        self.too_many_files(case);
        if let Some(instances) = instances {
            self.also(format_args!("fs.inotify.max_user_instances is {instances}{SHARED}"));
        }
        self.not_known(
            "which of the two limits it was, that on its own open files or that on the user's inotify instances",
        );
        self.next(format_args!("raise fs.inotify.max_user_instances on the node, which programs that watch files reach first. If it has many files open: ulimit -n"));
    }

    /// `/data (ext4) has 3 MiB of 64 MiB free`
    fn room(&mut self, fit: Fit, when: &str, system: &FileSystem) {
        let place = At(system);
        let (free, size) = (wording::kib(system.free / 1024), wording::kib(system.size / 1024));
        match system {
            FileSystem { inodes: all @ 1.., free_inodes: 0, .. } => {
                self.fact(fit, format_args!("{when}{place} has none of its {all} inodes free"))
            }
            FileSystem { size: 0, .. } => self.fact(fit, format_args!("{when}{place} has no limit of its own")),
            _ => self.fact(fit, format_args!("{when}{place} has {free} of {size} free")),
        }
    }

    fn no_space(&mut self, named: bool, systems: &[FileSystem]) {
        // So little that the next write may have been too much.
        let is_short = |system: &&FileSystem| system.is_full() || system.free < (system.size / 64).min(64 << 20);
        let candidates = candidates(named, systems);
        if let Some(system) = candidates.iter().find(is_short) {
            self.room(Consistent, "right after, ", system);
            match system.mount.as_ref().map_or(&b"/"[..], |mount| &mount.mount_point) {
                b"/dev/shm" => self.next(format_args!("{}", registry::SHM_FULL.next)),
                b"/" => self.next(format_args!("this is the image's own file system, hence the node's disk: delete what piles up (logs, caches, core dumps), write to a volume, and look at the node's disk")),
                mount => self.next(format_args!("enlarge the volume at {0}, or delete what fills it: du -x {0}", Name(mount))),
            }
        } else if let Some((first, others)) = candidates.split_first() {
            self.room(Contradicted, "right after, ", first);
            for system in others {
                self.room(Contradicted, "", system);
            }
            self.not_known(
                "whether its own end freed the space (deleted files that were still open), a quota refused it, or it was a watch on files that was refused (fs.inotify.max_user_watches)",
            );
            self.next(format_args!("watch it while it runs (df, df -i). A quota does not show in df"));
        }
    }

    fn read_only(&mut self, named: bool, systems: &[FileSystem]) {
        let candidates = candidates(named, systems);
        match candidates.iter().find(|system| system.read_only) {
            Some(system) if system.mount.as_ref().is_some_and(|mount| mount.mount_point == b"/") => {
                self.fact(Consistent, format_args!("the container's root file system is read-only"));
                let directory = Name(if named { &system.path } else { b"the directory" });
                self.next(format_args!("mount a volume where it has to write (an emptyDir or docker run --tmpfs at {directory}), or take readOnlyRootFilesystem (docker run --read-only) away"));
            }
            Some(system) => {
                self.fact(Consistent, format_args!("{} is mounted read-only", At(system)));
                self.next(format_args!("mount it writable (readOnly: false, no :ro), or let the program write elsewhere. A ConfigMap or Secret is always read-only"));
            }
            None => {
                if let Some(system) = candidates.first().filter(|_| named) {
                    self.fact(Contradicted, format_args!("right after, {} is not mounted read-only", At(system)));
                }
            }
        }
    }

    fn denied(&mut self, case: &Case<'_>, user: Option<&User>, look: &Look) {
        let Some(last) = look.steps.last() else { return };
        let (path, permissions) = (Name(&last.path), &last.permissions);
        let is_file = look.file().is_some();
        let is_directory = permissions.mode & libc::S_IFMT == libc::S_IFDIR;
        // What is no program for anybody was not to be executed, unless the line says so: not even root may then.
        let executable = is_directory || permissions.mode & 0o111 != 0;
        let to_execute = case.signature.as_ref().is_some_and(|line| line.cause.id == NOT_EXECUTABLE.id);
        if to_execute && is_file && is_directory {
            self.fact(Consistent, format_args!("{path} is a directory"));
            return self.next(format_args!("give the path of the program in it"));
        }
        if to_execute && is_file && !executable {
            self.fact(Consistent, format_args!("{path} is {}, so nobody may execute it", permissions));
            return self.next(format_args!("make it executable (chmod +x, COPY --chmod=755, git update-index --chmod=+x), or give it to its interpreter (sh {path})"));
        }
        let Some(user) = user else { return self.fact(Consistent, format_args!("{path} is {}", permissions)) };
        let refuses = |permissions: &Permissions, right: u32| {
            // What is asked for is x.
            let mode = permissions.mode >> right.trailing_zeros();
            user.is_denied_by_mode(mode, permissions.uid, permissions.gid) == Some(true)
        };
        let overrides = user.lacks(&[CAP_DAC_OVERRIDE]);
        let volume = look.file_system.as_ref().and_then(|system| system.mount.as_ref());
        let volume = volume.filter(|mount| mount.mount_point != b"/");
        let on_the_way = look.steps.get(..look.steps.len() - usize::from(is_file)).unwrap_or_default();
        let closed = on_the_way.iter().find(|step| refuses(&step.permissions, SEARCH));
        let lacks = |right: u32, applies: bool| applies && refuses(permissions, right);
        let lacking = match (lacks(READ, is_file), lacks(WRITE, true), lacks(SEARCH, is_file && executable)) {
            (true, true, _) if !is_directory => "read or write it",
            (true, ..) => "read it",
            (_, true, _) if is_directory => "create files in it",
            (_, true, _) => "write to it",
            (_, _, true) if is_directory => "search it",
            (_, _, true) => "execute it",
            _ => "",
        };
        let (step, may_not) =
            match closed.filter(|_| user.lacks(&[CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH]) == Some(true)) {
                Some(closed) => (closed, "search it"),
                None => (last, lacking),
            };
        let (path, owner, who) = (Name(&step.path), &step.permissions, Ids(user));
        if overrides == Some(false) {
            self.fact(
                Contradicted,
                format_args!("{path} is {owner}, and it ran as {who} with CAP_DAC_OVERRIDE, which no mode stops"),
            );
            return self.not_known(if to_execute {
                "who refused it: a mount with noexec, its interpreter's mode, or a security module (AppArmor, SELinux)"
            } else {
                "who refused it: a security module (AppArmor, SELinux), the server of a network volume, or a user namespace in which its capabilities do not count"
            });
        }
        if may_not.is_empty() {
            let fit = if executable { Contradicted } else { Consistent };
            self.fact(
                fit,
                format_args!("{path} is {owner}, it ran as {who}, and no mode on the way denies it to read or write"),
            );
            return self.not_known("who refused it: an access control list, a security module (AppArmor, SELinux), or it wanted to execute, chmod or chown it");
        }
        let on = match volume {
            Some(mount) => format!("on the volume at {}{}", Name(&mount.mount_point), Kind(Some(mount))),
            None => "on the image's own file system".to_owned(),
        };
        let without = if overrides == Some(true) { " without CAP_DAC_OVERRIDE" } else { "" };
        self.fact(
            Consistent,
            format_args!("{path} is {owner}, {on}, it ran as {who}{without}, so it may not {may_not}"),
        );
        if step.has_acl {
            self.also(format_args!("it has an access control list (getfacl)"));
        }
        let (uid, gid) = (user.uid, user.gid);
        match volume {
            Some(_) => self.next(format_args!("give the volume to that user: securityContext.fsGroup: {gid} (Docker: chown what is mounted), for a ConfigMap or Secret defaultMode")),
            None if may_not == "create files in it" => self.next(format_args!("mount an emptyDir or tmpfs at {path}, give that user the right in the image (COPY --chown={uid}:{gid}), or run as another user (USER, runAsUser)")),
            None => self.next(format_args!("give that user the right in the image (COPY --chown={uid}:{gid} or --chmod), or run as another user (USER, runAsUser)")),
        }
    }

    fn missing(&mut self, look: &Look) {
        let path = Name(&look.path);
        let Some(obstacle) = &look.obstacle else {
            self.fact(Contradicted, format_args!("{path} exists"));
            return self.not_known("whether it came later, or something that it leads to was missing");
        };
        if look.path.ends_with(b"\r") {
            self.fact(Consistent, format_args!("the name ends with a carriage return"));
            return self.next(format_args!("the file that names it has Windows line ends: sed -i 's/\\r$//' FILE. To keep it so: \"*.sh text eol=lf\" in .gitattributes"));
        }
        match &obstacle.place {
            Some(Place::Missing(missing, directory)) => {
                match &obstacle.link {
                    Some((link, target)) => self.fact(
                        Consistent,
                        format_args!("{} is a link to {}, which does not exist", Name(link), Name(target)),
                    ),
                    None => self.fact(Consistent, format_args!("{} does not exist", Name(missing))),
                }
                self.directory(missing == &look.path, directory);
            }
            Some(Place::File(file)) => self.fact(Consistent, format_args!("{} is a file and no directory", Name(file))),
            Some(Place::Closed(closed, _)) => {
                self.fact(Consistent, format_args!("{} may not be searched by rinit either", Name(closed)))
            }
            None => {}
        }
    }

    /// The directory that lacks a name.
    fn directory(&mut self, is_last: bool, directory: &Directory) {
        let parent = Name(&directory.path);
        match directory.entries {
            Some(0) => self.also(format_args!("{parent} is empty")),
            Some(entries) => self.also(format_args!("{parent} has {}", wording::count(entries, "entry", "entries"))),
            None => {}
        }
        if let Some(mount) = directory.mount_over().filter(|mount| mount.mount_point == directory.path) {
            let kind = Kind(Some(mount));
            self.also(format_args!("a volume{kind} is mounted at {parent} and hides what the image has there"));
        }
        if let Some(near) = directory.near.first().filter(|_| is_last) {
            let slash = if directory.path.ends_with(b"/") { "" } else { "/" };
            self.also(format_args!("{} is there", Name(near)));
            self.next(format_args!(
                "correct the path (did you mean {parent}{slash}{}?), COPY the file, or mount it",
                Name(near)
            ));
        }
    }

    /// What rinit would have said, had it been told to start it.
    fn command(&mut self, given: &[u8], inspection: &Inspection) {
        if let Some((name, reason)) = why_not(given, inspection) {
            self.fact(Consistent, format_args!("{name} cannot be started: {}", reason.verdict));
            self.facts.extend(reason.evidence);
            self.not_known = reason.not_known;
            self.next = Some(reason.next);
        } else if let Some(found) = inspection.candidates.iter().find(|candidate| candidate.target.file.is_ok()) {
            let path = Name(&found.target.path);
            self.fact(Contradicted, format_args!("{path} is there, and nothing was seen that keeps it from starting"));
        }
    }

    fn no_variable(&mut self, case: &Case<'_>, variable: &[u8], found: &Variable) {
        let (program, shown) = (case.program(), Name(variable));
        if let Some(empty) = found.empty {
            let (fit, how) = if empty { (Consistent, "but empty") } else { (Contradicted, "and not empty") };
            self.fact(fit, format_args!("{program} was started with {shown} set, {how}"));
            return if empty {
                self.next(format_args!("give {shown} a value: where a manifest, a Compose file or a script fills it from a variable that is not set, it stays empty"));
            } else {
                self.not_known("whether something between took it away (env -i, sudo), or a dictionary of the program's own is meant");
            };
        }
        let close = if found.near.is_empty() { "" } else { ", close: " };
        let count = wording::count(found.count, "variable", "variables");
        self.fact(
            Consistent,
            format_args!(
                "{program} was started without {shown}{close}{} ({count}, only names compared)",
                Names(&found.near)
            ),
        );
        self.not_known("whether the program meant the environment or a dictionary of its own");
        self.next(format_args!("set {shown} with env or envFrom (docker run -e), or correct the name. Keys of a ConfigMap or Secret marked optional are left out in silence: kubectl set env deploy/NAME --list --resolve"));
    }

    fn no_library(&mut self, library: &[u8], found: &Library) {
        if let Some(path) = &found.path {
            self.fact(Contradicted, format_args!("{} exists", Name(path)));
            self.not_known(
                "whether it is for this machine and this C library, and whether the loader searches that directory",
            );
            self.next(format_args!("see what the loader finds (ldd FILE). A directory outside of its list takes ldconfig or LD_LIBRARY_PATH, and a library for glibc does not serve musl"));
        } else if found.directories > 0 {
            let directories = wording::count(found.directories, "library directory", "library directories");
            self.fact(Consistent, format_args!("{} is in none of {directories}", Name(library)));
            if !found.versions.is_empty() {
                self.also(format_args!("other versions are there: {}", Names(&found.versions)));
                self.next(format_args!("build the program in the image that it runs in, or install the version that it was built for: another one is no replacement"));
            }
        }
    }

    fn no_user(&mut self, user: Option<&User>, listed: Option<bool>) {
        let (Some(user), Some(listed)) = (user, listed) else { return };
        let uid = user.uid;
        if listed {
            // It may have looked for another one.
            self.fact(Consistent, format_args!("/etc/passwd has an entry for uid {uid}, which it ran as"));
            self.not_known("which user it looked for");
        } else {
            self.fact(Consistent, format_args!("/etc/passwd has no entry for uid {uid}, which it ran as"));
        }
    }

    fn pid_file(&mut self, case: &Case<'_>, file: &PidFile) {
        let (path, pid) = (Name(&file.path), file.pid.unwrap_or_default());
        match &file.process {
            _ if file.is_own => {
                self.fact(Consistent, format_args!("{path} names pid {pid}, which is rinit itself here"))
            }
            _ if file.pid.is_none() => self.fact(Consistent, format_args!("{path} names no process")),
            _ if file.pid == case.evidence.pid => {
                self.fact(Consistent, format_args!("{path} names pid {pid}, which was the program itself this time"))
            }
            None => self.fact(Consistent, format_args!("{path} names pid {pid}, and no such process runs")),
            Some(other) => {
                let other = wording::process(other.pid, Some(&other.name));
                self.fact(Consistent, format_args!("{path} names {other}, which runs"));
                return self.not_known("whether that is the earlier run, or another process that got its number");
            }
        }
        self.next(format_args!("delete it before the start (rm -f {path} in the entrypoint), or keep it on a tmpfs: a restarted container still has what the killed one left, and numbers its processes anew"));
    }

    fn too_many_files(&mut self, case: &Case<'_>) {
        if let Some(Limit { soft, hard }) = case.evidence.limits.and_then(|limits| limits.open_files) {
            let (soft, hard) = (Bounds(soft), Bounds(hard));
            self.fact(
                Consistent,
                format_args!("its limit on open files was {soft} (ulimit -n), which it could raise to {hard}"),
            );
        }
    }

    fn not_permitted(&mut self, case: &Case<'_>, user: Option<&User>) {
        let (Some(zombie), Some(user)) = (&case.evidence.zombie, user) else { return };
        let capabilities = match user.effective {
            Some(0) => "no capability".to_owned(),
            Some(set) => capability_names(set),
            None => return,
        };
        self.fact(Consistent, format_args!("it ran as {} with {capabilities}", Ids(user)));
        if zombie.seccomp == Some(2) {
            self.also(format_args!("a seccomp filter was installed"));
        }
        if zombie.no_new_privs == Some(true) {
            self.also(format_args!("no file could give it more rights (NoNewPrivs, allowPrivilegeEscalation: false)"));
        }
        self.not_known(
            "which call was refused, and whether for a capability, by the seccomp profile or by a security module",
        );
    }

    fn no_memory(&mut self, case: &Case<'_>) {
        match case.evidence.limits.and_then(|limits| limits.address_space) {
            Some(Limit { soft: Some(bytes), .. }) => {
                let limit = wording::kib(bytes / 1024);
                self.fact(Consistent, format_args!("its limit on address space was {limit} (ulimit -v)"));
                self.next(format_args!(
                    "raise the limit on address space (ulimit -v), which counts what is reserved, used or not"
                ));
            }
            Some(_) => self.fact(Consistent, format_args!("its address space was not limited (ulimit -v)")),
            None => {}
        }
    }

    fn no_threads(&mut self, case: &Case<'_>) {
        let strain = &case.evidence.strain;
        let limit = Bounds(strain.process_limit);
        let own = case.evidence.limits.and_then(|limits| limits.processes?.soft);
        match strain.refused_forks {
            Some(refused @ 1..) => {
                return self
                    .fact(Consistent, format_args!("pids.events counts {refused} refused, pids.max is {limit}"));
            }
            Some(0) => {
                let fit = if own.is_some() { Consistent } else { Contradicted };
                self.fact(
                    fit,
                    format_args!("the container's own limit refused none (pids.events 0, pids.max {limit})"),
                );
            }
            _ => {}
        }
        match own {
            Some(own) => self.also(format_args!(
                "its limit on processes was {own} (ulimit -u), which counts all of the user's on the node"
            )),
            None => {
                self.not_known("whether a limit above the container, or memory for the thread's stack, was the matter")
            }
        }
    }

    fn heap_limit(&mut self, case: &Case<'_>, cap: Option<u64>) {
        let Some(memory) = &case.evidence.memory else { return };
        let Some(usage) = memory::usage(memory) else { return };
        let limit = memory.limit.and_then(|limit| limit.bytes);
        if limit.zip(cap).is_some_and(|(limit, cap)| cap > limit) {
            let cap = wording::kib(cap.unwrap_or_default() / 1024);
            self.fact(
                Contradicted,
                format_args!("the container's limit is below the runtime's own of {cap} ({usage})"),
            );
        } else if memory.oom_kills() == Some(0) {
            self.fact(Consistent, format_args!("the container's memory limit was not what stopped it ({usage})"));
        } else {
            self.fact(Consistent, format_args!("{usage}"));
        }
    }
}

/// What inotify's limits count.
const SHARED: &str = ", for all containers of this user on the node together";

/// As they stand for others in a mode.
const READ: u32 = 4;
const WRITE: u32 = 2;
const SEARCH: u32 = 1;

fn process(process: &Sender) -> String {
    wording::process(process.pid, process.name.as_deref())
}

/// The file systems that can have been meant: where a path was named, only its own.
fn candidates(named: bool, systems: &[FileSystem]) -> &[FileSystem] {
    if named { systems.get(..1).unwrap_or_default() } else { systems }
}
