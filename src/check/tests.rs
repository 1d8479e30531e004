//! Recorded systems, and the words for what they show.

use super::parse::{MountLine, recognize};
use super::*;
use crate::evidence::cgroup::place::{Place, Version};
use crate::sink::termination_log::Content;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/fixtures/", $name))
    };
}

fn mounts(table: &[u8]) -> Vec<MountLine> {
    table.split(|byte| *byte == b'\n').filter_map(MountLine::parse).collect()
}

/// A container with nothing to remark.
fn plain() -> Facts {
    let own = Status::parse(b"CapEff:\t000001ffffffffff\nNoNewPrivs:\t0\nSeccomp:\t2\nSigCgt:\t0000000000000000\n");
    Facts {
        pid: 1,
        own: Some(own),
        proc: ProcView::Own,
        log: Some(look(Content::Empty)),
        stdio: [Stdio::Null, Stdio::Pipe, Stdio::Pipe],
        core_pattern: Some(b"core".to_vec()),
        core_limit: Some(libc::RLIM_INFINITY),
        has_cgroups: true,
        cgroup: Allowance {
            memory_place: Some((Version::V2, b"/sys/fs/cgroup".to_vec())),
            memory: Some(Some(512 << 20)),
            pids: Some(None),
            cpu: Some(Some(150)),
        },
        release: b"6.1.0".to_vec(),
        ..Facts::default()
    }
}

fn look(content: Content) -> Look {
    Look { path: "/dev/termination-log".into(), is_mount: true, writable: true, content }
}

/// The value and the remarks of a row.
fn row(facts: &Facts, key: &str) -> (String, String) {
    let row = rows::rows(facts).into_iter().find(|row| row.key == key).unwrap();
    (row.value, row.remark.join(". "))
}

/// Facts that vary one by one, for what holds of all.
fn many() -> Vec<Facts> {
    let hostile = b"a\nb\t\x1b[2J\"\\\xff".to_vec();
    let mut all = vec![Facts::default(), plain()];
    for content in [
        Content::Missing,
        Content::NotRegular,
        Content::Unreadable,
        Content::Empty,
        Content::Report,
        Content::Json,
        Content::Message,
    ] {
        for writable in [true, false] {
            all.push(Facts { log: Some(Look { writable, ..look(content) }), ..plain() });
        }
    }
    all.push(Facts {
        pid: 7,
        init: Some(hostile.clone()),
        hidepid: Some(hostile.clone()),
        core_pattern: Some([b"|", hostile.as_slice()].concat()),
        tmpfs: vec![(hostile.clone(), None), (hostile.clone(), Some(Space { size: 1, free: 0 }))],
        shm: Some(Space { size: u64::MAX, free: u64::MAX }),
        ignored: SignalSet::ALL,
        blocked: SignalSet::ALL,
        cgroup: Allowance {
            memory_place: Some((Version::V1, hostile.clone())),
            memory: Some(Some(u64::MAX)),
            ..Allowance::default()
        },
        release: hostile.clone(),
        lxcfs: vec![hostile; 9],
        proc: ProcView::Foreign,
        recognized: Some(Recognized::SyntheticProc),
        ..Facts::default()
    });
    all
}

#[test]
fn a_container_that_hides_nothing_has_no_remark() {
    let remarks: Vec<_> = rows::rows(&plain()).into_iter().filter(|row| !row.remark.is_empty()).collect();
    assert_eq!(remarks, []);
}

#[test]
fn lines_are_aligned_ascii_and_json_holds_the_same() {
    for facts in many().into_iter().step_by(crate::one_of(9)) {
        let rows = rows::rows(&facts);
        let text = render::text(&rows);
        assert_eq!(text.lines().count(), rows.len());
        let json: serde_json::Value = serde_json::from_str(&render::json(&rows)).unwrap();
        for (line, row) in text.lines().zip(&rows) {
            assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
            assert_eq!(line.find(&row.value), Some(17), "{line}");
            let fact = &json["facts"][row.key.replace(' ', "_")];
            assert_eq!(fact["value"], row.value);
            assert_eq!(fact["remarks"].as_array().unwrap().len(), row.remark.len());
            assert!(row.remark.iter().all(|remark| line.contains(remark)));
        }
        assert_eq!(json["facts"].as_object().unwrap().len(), rows.len());
    }
}

#[test]
fn gvisor_is_recognized_by_name_by_date_and_by_what_it_lacks() {
    let status = Status::parse(fixture!("gvisor/status"));
    assert_eq!((status.caught, status.no_new_privs, status.seccomp), (None, None, Some(0)));
    for version in [&fixture!("gvisor/version")[..], fixture!("gvisor/version-named")] {
        assert_eq!(recognize(b"4.4.0", version, Some(&status)), Some(Recognized::GVisor));
        assert_eq!(recognize(b"4.4.0", version, None), Some(Recognized::GVisor));
    }
    assert_eq!(recognize(b"4.19.0-gvisor", b"", None), Some(Recognized::GVisor));
    // The version can be set by its user.
    assert_eq!(recognize(b"6.1.0", b"#1 SMP", Some(&status)), Some(Recognized::SyntheticProc));
    assert_eq!(recognize(b"6.1.0", b"#1 SMP Debian 6.1.170-1 (2026-04-05)", plain().own.as_ref()), None);
    assert_eq!(recognize(b"", b"", None), None);
    let facts = Facts { own: Some(status), recognized: Some(Recognized::GVisor), ..plain() };
    let (value, remark) = row(&facts, "kernel");
    assert!(value.ends_with("gVisor (a kernel in user space)"), "{value}");
    assert!(remark.contains("will not know which signals a program handles"), "{remark}");
    assert_eq!(row(&facts, "no new privs").0, "not known");
    assert_eq!(row(&facts, "capabilities").0, "DAC_OVERRIDE yes, KILL yes, SYS_PTRACE no, SYS_RESOURCE no");
}

#[test]
fn gvisor_has_a_memory_controller_without_a_limit_or_a_counter() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gvisor/memory").as_bytes();
    let cgroup = Allowance::of(|controller| (controller == b"memory").then(|| Place::new(Version::V1, directory, b"")));
    assert_eq!(cgroup.memory_place, Some((Version::V1, directory.to_vec())));
    assert_eq!((cgroup.memory, cgroup.pids, cgroup.cpu), (None, None, None));
    let (value, remark) = row(&Facts { cgroup, ..plain() }, "memory limit");
    assert_eq!(value, "not known");
    assert!(remark.starts_with("Reports will not know it either"), "{remark}");
}

#[test]
fn lxcfs_and_hidepid_stand_in_mountinfo() {
    let mounts = mounts(fixture!("lxcfs/mountinfo"));
    assert_eq!(mounts.len(), 7);
    assert_eq!(mounts[2].option("hidepid"), Some(&b"invisible"[..]));
    assert_eq!(mounts[1].option("inode64"), Some(&b""[..]));
    assert_eq!(mounts[1].option("inode"), None);
    assert_eq!((mounts[6].is(b"cgroup2"), mounts[6].option("nsdelegate")), (true, Some(&b""[..])));
    let lxcfs: Vec<_> =
        mounts.iter().filter(|mount| mount.is(b"fuse.lxcfs")).map(|mount| mount.mount.mount_point.clone()).collect();
    let (value, remark) = row(&Facts { lxcfs, hidepid: Some(b"invisible".to_vec()), ..plain() }, "proc");
    assert_eq!(value, "own, hidepid=invisible, lxcfs answers for /proc/cpuinfo, /proc/meminfo");
    assert!(remark.contains("hidepid hides them") && remark.contains("not about the node"), "{remark}");
}

#[test]
fn limits_that_are_broken_or_missing_are_unknown() {
    let scratch = std::env::temp_dir().join(format!("rinit-check-{}", std::process::id()));
    std::fs::create_dir_all(scratch.join("below")).unwrap();
    let directory = scratch.to_str().unwrap();
    let of = |version, path: &str| Allowance::of(|_| Some(Place::new(version, directory.as_bytes(), path.as_bytes())));
    let write = |name: &str, text: &str| std::fs::write(scratch.join(name), text).unwrap();
    assert_eq!(of(Version::V2, "/").memory, None);
    for (text, limit) in [
        ("max\n", Some(None)),
        ("536870912\n", Some(Some(536_870_912))),
        ("0\n", Some(Some(0))),
        ("", None),
        ("-1\n", None),
        ("99999999999999999999\n", None),
        ("\u{fffd}", None),
    ] {
        write("memory.max", text);
        write("below/pids.max", text);
        assert_eq!((of(Version::V2, "/").memory, of(Version::V2, "/below").pids), (limit, limit), "{text:?}");
    }
    write("cpu.max", "150000 100000\n");
    assert_eq!(of(Version::V2, "").cpu, Some(Some(150)));
    write("memory.limit_in_bytes", "9223372036854771712\n");
    assert_eq!(of(Version::V1, "").memory, Some(None));
    for (quota, period, limit) in [
        ("-1\n", "100000\n", Some(None)),
        ("50000\n", "100000\n", Some(Some(50))),
        ("1\n", "0\n", None),
        ("x", "1\n", None),
        ("1\n", "", None),
    ] {
        write("cpu.cfs_quota_us", quota);
        write("cpu.cfs_period_us", period);
        assert_eq!(of(Version::V1, "").cpu, limit, "{quota:?} {period:?}");
    }
    std::fs::remove_dir_all(&scratch).unwrap();
    assert_eq!(Allowance::of(|_| None), Allowance::default());
    for broken in [&b""[..], b"1 2 3 / /x rw", b"1 2 3 / /x rw -", b"1 2 3 / /x rw - cgroup", b"\xff - \xff"] {
        assert_eq!(MountLine::parse(broken), None);
    }
}

#[test]
fn what_is_missing_or_broken_stays_unknown() {
    for text in [&b""[..], b"CapEff", b"CapEff:\tzz\nSeccomp:\t\nNoNewPrivs:\tx\nSigCgt:\t\xff\n", b"\xff\n:::\n"] {
        assert_eq!(Status::parse(text), Status::default(), "{text:?}");
    }
    let nothing = Facts::default();
    for key in ["capabilities", "no new privs", "seccomp", "memory limit", "pids limit", "cpu limit", "kernel"] {
        assert_eq!(row(&nothing, key).0, "not known", "{key}");
    }
    assert!(row(&nothing, "proc").1.contains("will not know"));
    assert!(row(&nothing, "cgroup").1.contains("will not know of OOM kills"));
}
