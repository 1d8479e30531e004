//! Programs that cannot be started, as real files, with rinit as PID 1: status, cause, confidence, and a fact that
//! only a look at the files can have given.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Rinit, TempDir, each, is_root};
use serde_json::Value;

const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;
/// A user that nobody else is.
const USER: u32 = 54321;

/// What a report must say: exit status, cause, confidence, and this in some sentence.
type Expected<'a> = (i32, &'a str, &'a str, &'a str);

/// Files to be started, in a directory that every user may enter.
struct Image {
    dir: TempDir,
    logs: TempDir,
}

impl Image {
    /// Written elsewhere and copied by cp(1): see [`common::copy_program`].
    fn new<'a>(files: impl IntoIterator<Item = (&'a str, u32, Vec<u8>)>) -> Self {
        let (dir, logs, source) = (TempDir::new(), TempDir::new(), TempDir::new());
        for (name, mode, content) in files {
            let path = source.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        }
        let done = Command::new("cp").arg("-a").arg(source.join(".")).arg(dir.path()).status().unwrap();
        assert!(done.success());
        Self { dir, logs }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Runs `program` as `run` says, and compares the report in the termination log.
    #[track_caller]
    fn check(&self, run: Rinit, program: impl AsRef<OsStr>, expected: Expected<'_>) -> Value {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let log = self.logs.join(NUMBER.fetch_add(1, Ordering::Relaxed).to_string());
        fs::write(&log, "").unwrap();
        fs::set_permissions(&log, PermissionsExt::from_mode(0o666)).unwrap();
        let options = [OsString::from("--format=json"), "--report-size=4096".into(), "--termination-log".into()];
        let ended = run.args(options).arg(&log).arg("--").arg(program).run();
        let text = fs::read_to_string(&log).unwrap();
        let report: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text:?}\n{ended:?}"));
        let (status, id, confidence, fact) = expected;
        let cause = &report["cause"];
        assert_eq!(
            (cause["id"].as_str(), cause["confidence"].as_str(), report["exit_status"].as_i64()),
            (Some(id), Some(confidence), Some(status.into())),
            "{report:#}"
        );
        ended.assert_code(status);
        assert!(strings(&report).iter().any(|sentence| sentence.contains(fact)), "no {fact:?} in {report:#}");
        report
    }

    /// The same for several files, each by its path.
    fn check_all(&self, cases: &[(&str, Expected<'_>)]) {
        each(cases, |(name, expected)| {
            self.check(Rinit::as_init(), self.path(name), *expected);
        });
    }
}

trait OneMore {
    fn arg(self, arg: impl AsRef<OsStr>) -> Self;
}

impl OneMore for Rinit {
    fn arg(self, arg: impl AsRef<OsStr>) -> Self {
        self.args([arg])
    }
}

fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(fields) => fields.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

fn text(content: &str) -> Vec<u8> {
    content.as_bytes().to_vec()
}

/// A dynamically linked program of this machine, with bytes replaced.
fn program(changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut file = fs::read("/bin/true").unwrap();
    for (at, bytes) in changes {
        file[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    file
}

/// The same with another loader, whose path must not be longer than the one it has.
fn with_loader(loader: &str) -> Vec<u8> {
    let mut file = program(&[]);
    let at = file.windows(4).position(|w| w == b"/lib").unwrap();
    let end = at + file[at..].iter().position(|b| *b == 0).unwrap();
    assert!(loader.len() <= end - at, "{loader}");
    file[at..end].fill(0);
    file[at..at + loader.len()].copy_from_slice(loader.as_bytes());
    file
}

/// `e_machine` of another machine than this one, and how reports call it.
const OTHER: (&[u8], &str) =
    if cfg!(target_arch = "aarch64") { (&[62, 0], "built for x86-64") } else { (&[183, 0], "built for arm64") };

#[test]
fn names_that_are_in_no_directory_of_path() {
    let image =
        Image::new([("bin/gunicorn", 0o755, text("#!/bin/sh\n")), ("bin/start.sh", 0o755, text("#!/bin/sh\n"))]);
    let bin = image.path("bin");
    let bin = bin.to_str().unwrap();
    let usual = "/usr/local/bin:/usr/bin:/bin";
    let likely = |fact| (NOT_FOUND, "command-not-found", "certain", fact);
    let near = format!("did you mean {bin}/gunicorn?");
    let near_script = format!("did you mean {bin}/start.sh?");
    let cases = [
        (usual, "rinit-test-nowhere", likely("PATH was /usr/local/bin:/usr/bin:/bin")),
        (bin, "gunicron", likely(&near)),
        (bin, "gunicor", likely(&near)),
        (bin, "start", likely(&near_script)),
        ("/nonexistent", "env", likely("/usr/bin/env exists")),
        ("", "rinit-test-nowhere", likely("PATH was empty")),
        (bin, "", likely("is empty")),
        (usual, "ls -l /", (NOT_FOUND, "command-line-as-one-word", "likely", "/ls exists")),
        (usual, "/bin/ls -l", (NOT_FOUND, "command-line-as-one-word", "likely", "/bin/ls exists")),
        (usual, "[\"node\",", (NOT_FOUND, "command-line-as-one-word", "likely", "begins with a bracket")),
        (usual, "cd", (NOT_FOUND, "shell-syntax-as-command", "certain", "a word of the shell")),
        (usual, "&&", (NOT_FOUND, "shell-syntax-as-command", "certain", "through a shell")),
        (usual, "export", (NOT_FOUND, "shell-syntax-as-command", "certain", "a word of the shell")),
        (usual, "$JAVA_HOME/bin/java", (NOT_FOUND, "shell-syntax-as-command", "likely", "a variable")),
        (usual, "PORT=8080", (NOT_FOUND, "shell-syntax-as-command", "likely", "an assignment")),
    ];
    each(cases, |(path, name, expected)| {
        image.check(Rinit::as_init().env("PATH", path), name, expected);
    });
}

#[test]
fn secrets_in_a_command_line_given_as_one_word_stay_secret() {
    let image = Image::new([]);
    for command in ["curl -u admin:hunter2 /x", "TOKEN=hunter2", "PASSWORD=hunter2 /bin/x"] {
        let id = if command.contains(' ') { "command-line-as-one-word" } else { "shell-syntax-as-command" };
        let report = image.check(Rinit::as_init(), command, (NOT_FOUND, id, "likely", "cannot start"));
        assert!(!report.to_string().contains("hunter2"), "{report:#}");
    }
}

#[test]
fn paths_that_lead_nowhere() {
    let image = Image::new([("app/startup.sh", 0o755, text("#!/bin/sh\n")), ("app/file", 0o644, text("x"))]);
    fs::create_dir(image.path("empty")).unwrap();
    symlink("../gone/server", image.path("app/dangling")).unwrap();
    symlink("dangling", image.path("app/twice")).unwrap();
    symlink("loop", image.path("app/loop")).unwrap();
    let missing = |fact| (NOT_FOUND, "path-missing", "certain", fact);
    let file = image.path("app/file");
    let is_file = format!("{} is no directory", file.display());
    image.check_all(&[
        ("app/start.sh", missing("startup.sh among them")),
        ("app/start.sh", missing("app/startup.sh?)")),
        ("app/start.sh", missing("no volume is mounted over it")),
        ("apq/startup.sh", missing("/apq does not exist")),
        ("empty/x", missing("/empty exists and is empty")),
        ("app/dangling", (NOT_FOUND, "dangling-symlink", "certain", "is a link to ../gone/server")),
        ("app/twice", (NOT_FOUND, "dangling-symlink", "certain", "/gone does not exist")),
        ("app/file/x", (NOT_EXECUTABLE, "not-a-directory", "certain", &is_file)),
        ("app/startup.sh/", (NOT_EXECUTABLE, "not-a-directory", "certain", "startup.sh is no directory")),
        ("app/loop", (NOT_EXECUTABLE, "symlink-loop", "certain", "/app/loop is a link to loop")),
        (&"n".repeat(256), (NOT_EXECUTABLE, "name-too-long", "certain", "255 bytes")),
        (&"n/".repeat(2100), (NOT_EXECUTABLE, "name-too-long", "certain", "4,095")),
    ]);
    let run = Rinit::as_init().env("PATH", image.path("app"));
    image.check(run, "dangling", (NOT_FOUND, "dangling-symlink", "certain", "is a link to ../gone/server"));
    // A path from the working directory.
    let run = Rinit::as_init().cwd(image.path("app"));
    image.check(run, "./start.sh", missing("startup.sh among them"));
}

#[test]
fn volumes() {
    let image = Image::new([("app/server", 0o755, text("#!/bin/sh\n")), ("data/x", 0o755, text("#!/bin/sh\n"))]);
    let app = image.path("app");
    let run = || Rinit::as_init().hide(app.to_str().unwrap());
    let expected = (NOT_FOUND, "volume-hides-file", "likely", "is a mount (tmpfs) and is empty");
    image.check(run(), app.join("server"), expected);
    // Deeper in it, the mount is what it is missing from as well.
    image.check(run(), app.join("bin/server"), (NOT_FOUND, "volume-hides-file", "likely", "/app/bin does not exist"));
    let data = image.path("data");
    let run = Rinit::as_init().remount(&data, 0);
    image.check(run, data.join("server"), (NOT_FOUND, "path-missing", "certain", "what the image has there is hidden"));

    let noexec = || Rinit::as_init().remount(&data, libc::MS_NOEXEC);
    let point = format!("the mount at {}", data.display());
    image.check(noexec(), data.join("x"), (NOT_EXECUTABLE, "noexec-mount", "certain", &point));
    image.check(noexec().env("PATH", &data), "x", (NOT_EXECUTABLE, "noexec-mount", "certain", "is noexec (statvfs)"));
    let interpreter = format!("#!{}/x\n", data.display());
    let other = Image::new([("script", 0o755, text(&interpreter))]);
    let expected = (NOT_EXECUTABLE, "interpreter-not-executable", "certain", "is on a noexec mount");
    other.check(noexec(), other.path("script"), expected);
}

#[test]
fn scripts_whose_interpreter_is_not_found() {
    let python = ["/usr/bin/python3", "/usr/local/bin/python3"].into_iter().find(|path| Path::new(path).exists());
    let python = python.unwrap_or("/bin/sh");
    let image = Image::new([
        ("crlf", 0o755, text("#!/bin/sh\r\necho\r\n")),
        ("crlf.py", 0o755, text(&format!("#!{python}\r\nprint()\r\n"))),
        ("crlf-nowhere", 0o755, text("#!/opt/none/ksh-of-none\r\n")),
        ("missing", 0o755, text("#!/opt/none/interpreter-of-none\n")),
        ("elsewhere", 0o755, text("#!/opt/none/sh -e\n")),
        ("relative", 0o755, text("#!none/sh\n")),
        ("nested", 0o755, text("#!INNER\n")),
    ]);
    let crlf = |fact| (NOT_FOUND, "shebang-crlf", "certain", fact);
    let missing = |fact| (NOT_FOUND, "shebang-interpreter-missing", "certain", fact);
    let exists = format!("{python} itself exists");
    image.check_all(&[
        ("crlf", crlf("its first line asks for \"/bin/sh\\r\", which does not exist")),
        ("crlf", crlf("/bin/sh itself exists")),
        ("crlf.py", crlf(&exists)),
        ("crlf-nowhere", crlf("/opt/none/ksh-of-none does not exist either")),
        ("missing", missing("asks for /opt/none/interpreter-of-none, which does not exist")),
        ("missing", missing("exists (mode 0755, ")),
        ("elsewhere", missing("change the first line to #!/")),
        ("relative", (NOT_FOUND, "shebang-interpreter-missing", "likely", "none/sh by a relative path")),
    ]);
    // Where the working directory is known, it is looked for.
    let run = Rinit::as_init().cwd(image.path(""));
    image.check(run, "./relative", missing("none/sh by a relative path, which leads nowhere"));
    // By a search in PATH: the file is there, so it is not "not found".
    let run = Rinit::as_init().env("PATH", image.path(""));
    image.check(run, "missing", missing("asks for /opt/none/interpreter-of-none"));

    let outer = format!("#!{}\n", image.path("missing").display());
    let nested = Image::new([("nested", 0o755, text(&outer))]);
    let fact = "the first line of its interpreter";
    nested.check(Rinit::as_init(), nested.path("nested"), missing(fact));
}

#[test]
fn scripts_that_name_scripts_for_ever() {
    let image = Image::new([]);
    let path = |n: usize| image.path(&format!("script{n}"));
    let chain = (0..8).map(|n| {
        let next = if n == 7 { PathBuf::from("/bin/sh") } else { path(n + 1) };
        (format!("script{n}"), format!("#!{}\n", next.display()))
    });
    let source = TempDir::new();
    for (name, content) in chain {
        fs::write(source.join(&name), content).unwrap();
        fs::set_permissions(source.join(&name), PermissionsExt::from_mode(0o755)).unwrap();
        common::copy_program(&source.join(&name), &image.path(&name));
    }
    let expected = (NOT_EXECUTABLE, "symlink-loop", "certain", "more than 5 scripts");
    image.check(Rinit::as_init(), path(0), expected);
    image.check(Rinit::as_init(), path(2), expected);
    Rinit::as_init().arg("--").arg(path(3)).run().assert_code(0);
}

#[test]
fn programs_whose_loader_is_missing_or_none() {
    let image = Image::new([
        ("glibc", 0o755, with_loader("/lib64/ld-linux-none.so.2")),
        ("musl", 0o755, with_loader("/lib/ld-musl-none.so.1")),
        ("nix", 0o755, with_loader("/nix/store/x/ld-linux.so.2")),
        ("text", 0o755, with_loader("/etc/passwd")),
        ("directory", 0o755, with_loader("/etc")),
        ("script", 0o755, text("#!MUSL\n")),
    ]);
    let missing = |fact| (NOT_FOUND, "loader-missing", "certain", fact);
    image.check_all(&[
        ("glibc", missing("it needs the loader /lib64/ld-linux-none.so.2, which does not exist")),
        ("musl", missing("it needs the loader /lib/ld-musl-none.so.1, which does not exist")),
        ("musl", missing("dynamically linked")),
        ("nix", missing("built for Nix or Guix")),
        ("text", (NOT_EXECUTABLE, "interpreter-not-executable", "certain", "its loader /etc/passwd is not executable")),
        ("directory", (NOT_EXECUTABLE, "interpreter-not-executable", "certain", "/etc is a directory")),
    ]);
    let interpreter = format!("#!{}\n", image.path("musl").display());
    let script = Image::new([("script", 0o755, text(&interpreter))]);
    script.check(Rinit::as_init(), script.path("script"), missing("its interpreter "));

    // Loaders of this image's own, in place of the real one's path.
    let short = TempDir::new();
    let at = |name: &str| short.join(name);
    let loader = |name: &str, content: Vec<u8>| {
        fs::write(at(&format!("{name}.source")), content).unwrap();
        fs::set_permissions(at(&format!("{name}.source")), PermissionsExt::from_mode(0o755)).unwrap();
        common::copy_program(&at(&format!("{name}.source")), &at(name));
    };
    loader("e", Vec::new());
    loader("t", vec![b'x'; 200]);
    loader("m", program(&[(18, OTHER.0)]));
    let programs = Image::new(["e", "t", "m"].map(|name| (name, 0o755, with_loader(&format!("./{name}")))));
    let run = || Rinit::as_init().cwd(short.path());
    // From the working directory, so that the path is short enough. rinit has to know that directory to look.
    let copy = |name: &str| {
        common::copy_program(&programs.path(name), &at(&format!("p{name}")));
        format!("./p{name}")
    };
    programs.check(run(), copy("e"), (NOT_EXECUTABLE, "bad-loader", "certain", "has 0 bytes"));
    programs.check(run(), copy("t"), (NOT_EXECUTABLE, "bad-loader", "certain", "it is a text"));
    programs.check(run(), copy("m"), (NOT_EXECUTABLE, "bad-loader", "certain", "is ELF for "));
}

#[test]
fn files_that_are_no_programs() {
    let head = |length: usize| program(&[])[..length].to_vec();
    let long = format!("#!/{}\n", "x".repeat(300));
    let kinds: [(&str, Vec<u8>, &str); 14] = [
        ("macho", b"\xcf\xfa\xed\xfe\x07\0\0\x01".to_vec(), "macOS"),
        ("macho-for-two", b"\xca\xfe\xba\xbe\0\0\0\x02".to_vec(), "macOS"),
        ("program.exe", b"MZ\x90\0\x03\0\0\0".to_vec(), "Windows"),
        ("App.class", b"\xca\xfe\xba\xbe\0\0\0\x41".to_vec(), "Java class"),
        ("app.jar", b"PK\x03\x04\x14\0\x08\0".to_vec(), "java -jar"),
        ("app.tar.gz", b"\x1f\x8b\x08\0\0\0\0\0".to_vec(), "gzip"),
        ("download", text("<!DOCTYPE html>\n<html>Not found"), "HTML"),
        ("answer", text("{\"message\": \"Not Found\"}"), "JSON"),
        ("lfs", text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git lfs pull"),
        ("utf16", b"\xff\xfe#\0!\0/\0".to_vec(), "UTF-16"),
        ("zeros", vec![0; 9000], "zero bytes"),
        ("cut-header", head(40), "cut off"),
        ("cut-table", head(100), "beyond its end"),
        ("noise", b"\x01\x02\x03\x04".to_vec(), "it begins like no program"),
    ];
    let image = Image::new(kinds.iter().map(|(name, content, _)| (*name, 0o755, content.clone())).chain([
        ("object.o", 0o755, program(&[(16, &[1, 0])])),
        ("core", 0o755, program(&[(16, &[4, 0])])),
        ("foreign", 0o755, program(&[(18, OTHER.0)])),
        ("s390", 0o755, program(&[(5, &[2]), (16, &[0, 2, 0, 22])])),
        ("empty", 0o755, Vec::new()),
        ("plain", 0o755, text("echo hello\n")),
        ("nameless", 0o755, text("#! \t\necho\n")),
        ("long", 0o755, text(&long)),
        ("bom", 0o755, b"\xef\xbb\xbf#!/bin/sh\n".to_vec()),
        ("blank-line", 0o755, text("\n#!/bin/sh\n")),
        ("blank", 0o755, text(" #!/bin/sh\n")),
        ("licence", 0o755, text("# (c) somebody\n#!/bin/sh\n")),
    ]));
    each(&kinds, |(name, _, fact)| {
        let expected = (NOT_EXECUTABLE, "not-a-program", "certain", *fact);
        image.check(Rinit::as_init(), image.path(name), expected);
    });
    let expect = |id, fact| (NOT_EXECUTABLE, id, "certain", fact);
    image.check_all(&[
        ("object.o", expect("not-a-program", "relocatable")),
        ("core", expect("not-a-program", "core dump")),
        ("foreign", expect("wrong-architecture", OTHER.1)),
        ("s390", expect("wrong-architecture", "built for s390x")),
        ("empty", expect("empty-file", "has 0 bytes")),
        ("plain", expect("no-shebang", "a text without a #! line")),
        ("nameless", expect("no-shebang", "names no interpreter")),
        ("long", expect("no-shebang", "256 bytes")),
        ("bom", expect("shebang-not-first", "byte order mark")),
        ("blank-line", expect("shebang-not-first", "an empty line")),
        ("blank", expect("shebang-not-first", "a blank")),
        ("licence", expect("shebang-not-first", "in line 2")),
    ]);
    // Through a script that names them.
    for (name, id, fact) in
        [("foreign", "wrong-architecture", "its interpreter "), ("plain", "no-shebang", "names it as interpreter")]
    {
        let interpreter = format!("#!{}\n", image.path(name).display());
        let script = Image::new([("script", 0o755, text(&interpreter))]);
        script.check(Rinit::as_init(), script.path("script"), expect(id, fact));
    }
}

#[test]
fn a_program_under_another_name_starts() {
    // busybox without an applet name is no failure of the start: nothing of this must get in its way.
    let busybox = Path::new("/bin/busybox");
    if busybox.exists() {
        let dir = TempDir::new();
        common::copy_program(busybox, &dir.join("renamed"));
        let ended = Rinit::as_init().arg("--").arg(dir.join("renamed")).run();
        ended.assert_code(127);
        assert!(!ended.stderr().contains("cannot start"), "{ended:?}");
    }
}

#[test]
fn files_that_may_not_be_executed() {
    let image = Image::new([
        ("app/run.sh", 0o644, text("#!/bin/sh\n")),
        ("app/own", 0o700, text("#!/bin/sh\n")),
        ("app/interpreter", 0o644, text("#!/bin/sh\n")),
        ("secret/run.sh", 0o755, text("#!/bin/sh\n")),
    ]);
    fs::set_permissions(image.path("secret"), PermissionsExt::from_mode(0o700)).unwrap();
    nix::unistd::mkfifo(&image.path("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o777)).unwrap();
    let denied = |id, fact| (NOT_EXECUTABLE, id, "certain", fact);
    image.check_all(&[
        ("app/run.sh", denied("not-executable", "app/run.sh is mode 0644")),
        ("app/run.sh", denied("not-executable", "its mount is not noexec")),
        ("app", denied("is-a-directory", "app is a directory (mode 0755")),
        ("fifo", denied("not-executable", "is a FIFO")),
    ]);
    let path = |name: &str| image.path(name).display().to_string();
    for (line, id, fact) in [
        (path("app/interpreter"), "interpreter-not-executable", "app/interpreter is mode 0644"),
        (path("app"), "interpreter-not-executable", "app is a directory"),
        (path("fifo"), "interpreter-not-executable", "fifo is a FIFO"),
    ] {
        let script = Image::new([("script", 0o755, text(&format!("#!{line}\n")))]);
        script.check(Rinit::as_init(), script.path("script"), denied(id, fact));
    }
    let run = Rinit::as_init().env("PATH", image.path("app"));
    image.check(run, "run.sh", denied("not-executable", "app/run.sh is mode 0644"));
    if !is_root("another user") {
        return;
    }
    let user = || Rinit::as_init().uid(USER);
    image.check(user(), image.path("app/own"), denied("not-executable", "runs as uid 54321 gid 54321"));
    image.check(user(), image.path("app/own"), denied("not-executable", "mode 0700, owner 0:0"));
    image.check(user(), image.path("secret/run.sh"), denied("path-not-traversable", "secret is mode 0700, owner 0:0"));
    // Found nowhere, but not looked for everywhere.
    let expected = (NOT_FOUND, "command-not-found", "likely", "secret (mode 0700, owner 0:0) may not be searched");
    image.check(user().env("PATH", image.path("secret")), "run.sh", expected);
    let script = Image::new([("script", 0o755, text(&format!("#!{}\n", path("secret/run.sh"))))]);
    let expected = (NOT_EXECUTABLE, "interpreter-not-executable", "likely", "cannot be reached");
    script.check(user(), script.path("script"), expected);
}

#[test]
fn without_proc_less_is_certain_and_nothing_is_wrong() {
    let image = Image::new([("app/own", 0o700, text("#!/bin/sh\n")), ("app/crlf", 0o755, text("#!/bin/sh\r\n"))]);
    let run = || Rinit::as_init().hide("/proc");
    let report =
        image.check(run(), image.path("app/x"), (NOT_FOUND, "path-missing", "certain", "app exists and has 2"));
    assert!(!report.to_string().contains("volume"), "{report:#}");
    image.check(run(), image.path("app/crlf"), (NOT_FOUND, "shebang-crlf", "certain", "/bin/sh itself exists"));
    if is_root("another user") {
        let expected = (NOT_EXECUTABLE, "not-executable", "likely", "whether capabilities");
        image.check(run().uid(USER), image.path("app/own"), expected);
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_32_bit_program_runs_or_is_said_to_be_one() {
    // elf(5): one segment, the whole file, at 0x10000. exit(7) by int 0x80.
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    for half in [2_u16, 3] {
        file.extend(half.to_le_bytes());
    }
    for word in [1_u32, 0x10054, 52, 0, 0, 0x0020_0034, 1, 0] {
        file.extend(word.to_le_bytes());
    }
    for word in [1_u32, 0, 0x10000, 0x10000, 96, 96, 5, 4096] {
        file.extend(word.to_le_bytes());
    }
    file.extend(b"\xb8\x01\0\0\0\xbb\x07\0\0\0\xcd\x80");
    assert_eq!(file.len(), 96);
    let image = Image::new([("program", 0o755, file)]);
    let path = image.path("program");
    if Rinit::as_init().arg("--").arg(&path).run().status == common::Status::Code(7) {
        return;
    }
    let expected = (NOT_EXECUTABLE, "wrong-architecture", "likely", "kernel runs no 32-bit programs");
    image.check(Rinit::as_init(), path, expected);
}

#[test]
fn capabilities_that_the_container_may_not_grant() {
    if !is_root("file capabilities") {
        return;
    }
    let image = Image::new([("ping", 0o755, program(&[]))]);
    let set = Command::new("setcap").arg("cap_sys_time+ep").arg(image.path("ping")).status();
    if !set.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "setcap (libcap2-bin) is missing");
        return;
    }
    let without = || {
        let rinit = common::rinit();
        Rinit::as_init().init("/usr/bin/setpriv").args([OsStr::new("--bounding-set=-sys_time"), rinit.as_os_str()])
    };
    let expected = (NOT_EXECUTABLE, "capabilities-not-granted", "certain", "CAP_SYS_TIME");
    image.check(without(), image.path("ping"), expected);
    Rinit::as_init().arg("--").arg(image.path("ping")).run().assert_code(0);
}

#[test]
fn limits_of_the_start() {
    let image = Image::new([("script", 0o755, text("#!/bin/sh\n"))]);
    let busy = image.path("busy");
    common::copy_program(Path::new("/bin/true"), &busy);
    let _writer = fs::File::options().append(true).open(&busy).unwrap();
    image.check(Rinit::as_init(), &busy, (NOT_EXECUTABLE, "executable-busy", "certain", "open for writing"));

    let ended = Rinit::as_init().rlimit(libc::RLIMIT_NOFILE, 4, 4).args(["--", "/bin/true"]).run();
    let words = ended.assert_code(125).stderr();
    assert!(words.contains("cause: fd-limit (certain)") && words.contains("(RLIMIT_NOFILE) is 4"), "{words}");
    if is_root("another user") {
        let run = Rinit::as_init().rlimit(libc::RLIMIT_NPROC, 1, 1).uid(USER + 1);
        image.check(run, "/bin/true", (125, "process-limit", "likely", "may have 1 processes"));
    }
}

#[test]
fn arguments_and_environment_that_are_too_large() {
    // rinit's own just fit; the interpreter line of PROGRAM makes it more than fits.
    let line = format!("#!/bin/{}sh {}\n", "./".repeat(50), "x".repeat(100));
    let image = Image::new([("script", 0o755, text(&line))]);
    let script = image.path("script");
    let run = |bytes: usize| {
        let value = |name: &str, length: usize| [name.as_bytes(), b"=", &vec![b'v'; length]].concat();
        let (big, rest) = (value("BIG_SECRET", 40_000), value("REST", bytes));
        let off = b"RINIT_TERMINATION_LOG=off".as_slice();
        // The limit is a quarter of the stack's, but not less than 128 KiB.
        let run = Rinit::as_init().rlimit(libc::RLIMIT_STACK, 1 << 20, 1 << 20);
        let more = [value("A", 30_000), value("B", 30_000), value("C", 30_000), value("D", 30_000), value("E", 30_000)];
        let all: Vec<&[u8]> = [off, &big, &rest].into_iter().chain(more.iter().map(Vec::as_slice)).collect();
        run.raw_env(&all).arg("--").arg(&script).arg("argument").try_spawn()
    };
    let (mut fits, mut too_long) = (0, 128 << 10);
    while too_long - fits > 1 {
        let middle = usize::midpoint(fits, too_long);
        if run(middle).is_ok() { fits = middle } else { too_long = middle }
    }
    let ended = run(fits).unwrap().wait();
    let words = ended.assert_code(NOT_EXECUTABLE).stderr();
    assert!(words.contains("cause: arguments-too-large (certain)"), "{words}");
    assert!(
        words.contains("8 variables, the largest is ") && words.contains("may have at most 256 KiB here"),
        "{words}"
    );
    assert!(!words.contains("vvv"), "{words}");
}
