//! Nothing in the README is untested.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{Rinit, TempDir};

const README: &str = include_str!("../README.md");

/// The code blocks of one language, in order.
fn blocks(language: &str) -> Vec<&'static str> {
    let start = format!("```{language}\n");
    README.split(&start).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// A report with its measured figures taken out: how long it took, CPU time, memory.
fn without_figures(report: &str) -> String {
    let mut words: Vec<&str> = report.split_whitespace().collect();
    for (before, after) in
        [("after", ":"), ("used", "of"), ("had", "KiB"), ("(oom_kill", ");"), ("DATABASE_URI", "variables,")]
    {
        while let Some(start) = words.iter().position(|word| *word == before) {
            let length = words[start..].iter().position(|word| *word == after || word.ends_with(after)).unwrap();
            words.splice(start..=start + length, ["FIGURE"]);
        }
    }
    // Where the machine's limits allow one, there is a core dump.
    words.join(" ").replace("no core dump, its limit was 0 (ulimit -c); ", "")
}

#[test]
fn the_first_command_shows_the_report_that_is_printed_below_it() {
    let command = blocks("sh")[0].strip_prefix("cargo run --quiet -- ").expect("one command");
    let ended = Rinit::as_subreaper()
        .rlimit(libc::RLIMIT_CORE, 0, 0)
        .rlimit(libc::RLIMIT_STACK, 8 << 20, 8 << 20)
        .init("/bin/sh")
        .args(["-c", &format!("exec {} {command}", common::rinit().display())])
        .run();
    ended.assert_code(139);
    assert_eq!(without_figures(&ended.stderr()), without_figures(blocks("text")[0]));
}

#[test]
fn the_last_words_are_checked_as_shown() {
    let (given, command) = blocks("sh")[2].split_once(" cargo run --quiet -- ").expect("one command");
    let (name, value) = given.split_once('=').unwrap();
    let ended = Rinit::as_subreaper()
        .env(name, value)
        .init("/bin/sh")
        .args(["-c", &format!("exec {} {command}", common::rinit().display())])
        .run();
    ended.assert_code(2);
    // Without a memory cgroup an OOM kill cannot be ruled out.
    let comparable = |report: &str| {
        let lines: Vec<&str> = report.lines().filter(|line| !line.starts_with("      ruled out:")).collect();
        without_figures(&lines.join("\n"))
    };
    let stderr = ended.stderr();
    let report = stderr.find("rinit: ").map(|start| &stderr[start..]).unwrap();
    assert_eq!(comparable(report), comparable(blocks("text")[3]));
}

#[test]
fn kubectl_shows_what_the_termination_log_holds() {
    let scratch = TempDir::new();
    let (script, worker, log) = (scratch.join("script"), scratch.join("worker"), scratch.join("log"));
    // Soon after the start more would be possible.
    fs::write(&script, "#!/bin/sh\nsleep 1.1\nkill -KILL $$\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    common::copy_program(&script, &worker);
    let run = Rinit::as_init().env("RINIT_TERMINATION_LOG", &log).args([&worker]);
    run.run().assert_code(137);
    let report = fs::read_to_string(&log).unwrap();
    if !report.contains("(oom_kill still ") {
        eprintln!("SKIPPED: no memory cgroup is to be seen here: {report}");
        return;
    }
    let (_, shown) = blocks("text")[1].split_once("Message:").unwrap();
    let (shown, _) = shown.split_once("      Exit Code:").unwrap();
    assert_eq!(without_figures(&report), without_figures(shown));
}

/// What rinit leaves when it is killed too, from the same facts.
#[test]
fn the_report_of_a_kill_is_one_that_rinit_writes() {
    use rinit::cli::Format;
    use rinit::diagnose::{KILLED_WITH_RINIT, provisional};
    use rinit::evidence::cgroup::values::Events;
    use rinit::evidence::cgroup::{Limit, Use};
    use rinit::evidence::running::{Moment, Running};
    use rinit::evidence::{Command, Evidence};
    use rinit::report::Report;

    let evidence = Evidence {
        command: Command { program: b"python3".to_vec(), ..Command::default() },
        pid: Some(7),
        is_init: true,
        ended: 1_795_269_803,
        duration: std::time::Duration::from_secs(192),
        ..Evidence::default()
    };
    let events = |max| Events { max: Some(max), oom: Some(0), oom_kill: Some(0) };
    let limit = Some(Limit { bytes: Some(512 << 20), level: 0 });
    let running = Running {
        moment: Moment::Memory,
        memory: Some(Use { limit, group: Some(true), used: Some(511 << 20), anonymous: Some(503 << 20) }),
        events: Some((events(0), events(1))),
        resident_kib: Some(489 << 10),
        ..Running::default()
    };
    let diagnosis = provisional(&evidence, &running);
    let report = Report { outcome: KILLED_WITH_RINIT, evidence: &evidence, diagnosis: &diagnosis, provisional: true };
    let report = String::from_utf8(report.render(Format::Text, 1024)).unwrap();
    assert!(blocks("text").contains(&report.as_str()), "{report}");
}

#[test]
fn the_table_of_flags_is_that_of_the_help() {
    let help = Rinit::as_subreaper().args(["--help"]).run().stdout();
    let flags = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        words.filter(|word| word.starts_with('-') && word.trim_matches('-').len() + 1 >= 2).map(str::to_owned).collect()
    };
    let table = |column: usize| -> String {
        let rows = README.lines().filter(|line| line.starts_with("| `-") || line.starts_with("| |"));
        rows.map(|row| row.split('|').nth(column).unwrap().to_owned() + "\n").collect()
    };
    let mut of_help = flags(&help);
    // The end of the options, and the verbosities.
    for word in ["-vv", "-vvv"] {
        of_help.remove(word);
    }
    let mut of_table = flags(&table(1));
    assert!(of_table.remove("--report") && of_help.remove("--report"), "flags are found at all");
    assert_eq!(of_table, of_help.into_iter().filter(|word| !word.trim_matches('-').is_empty()).collect());
    // Each variable of the table is one that rinit reads: it complains about a value that cannot be.
    let variables = table(2);
    let variables =
        variables.split(|c: char| !(c.is_ascii_uppercase() || c == '_')).filter(|w| w.starts_with("RINIT_"));
    let variables: BTreeSet<&str> = variables.collect();
    assert!(variables.len() > 12, "{variables:?}");
    for variable in variables {
        if ["RINIT_TERMINATION_LOG", "RINIT_OFF"].contains(&variable) {
            continue;
        }
        let ended = Rinit::as_subreaper().env(variable, "no such value").args(["true"]).run();
        assert!(ended.assert_code(125).stderr().contains(variable), "{variable}: {}", ended.stderr());
    }
}

/// Every flag and every variable of the table, as whole words of the manual page, and no others.
#[test]
fn the_manual_page_has_the_flags_and_variables_of_the_table() {
    let words = |text: &str| -> BTreeSet<String> {
        let of = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let words = text.split(|c: char| !of(c)).map(|word| word.trim_end_matches('-'));
        words.filter(|word| word.starts_with('-') || word.starts_with("RINIT_")).map(str::to_owned).collect()
    };
    let page = include_str!("../docs/rinit.1");
    let (_, page) = page.split_once(".SH OPTIONS").unwrap();
    let (page, _) = page.split_once(".SH EXIT STATUS").unwrap();
    let mut of_page = words(&page.replace("\\-", "-"));
    // -1000 is a number, -vv and -vvv are one flag.
    of_page.retain(|word| !["-1000", "-vv", "-vvv"].contains(&word.as_str()) && word.len() > 1);
    let rows = README.lines().filter(|line| line.starts_with("| `-") || line.starts_with("| |"));
    let mut of_table =
        words(&rows.map(|row| row.split('|').take(3).collect::<Vec<_>>().join(" ") + "\n").collect::<String>());
    of_table.retain(|word| word.len() > 1);
    assert_eq!(of_page, of_table);
}

#[test]
fn the_image_is_the_one_of_the_example() {
    let example = include_str!("../Dockerfile.example");
    for line in blocks("dockerfile")[0].lines() {
        assert!(example.lines().any(|its| its == line), "{line}");
    }
    assert_eq!(blocks("sh")[1], "cargo test");
    assert!(blocks("yaml")[0].contains(r#"command: ["/rinit", "--"]"#));
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = include_str!("../Cargo.toml");
    let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
    let (dependencies, _) = dependencies.split_once("[lints").unwrap();
    let names =
        dependencies.lines().filter(|line| !line.starts_with(['#', '['])).filter_map(|line| line.split_once(" ="));
    let (_, table) = README.split_once("## Dependencies").unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).collect();
    let names: Vec<&str> = names.map(|(name, _)| name).collect();
    assert!(names.len() >= 7, "{names:?}");
    for name in names {
        assert!(rows.iter().any(|row| row.split('|').nth(1).unwrap().split(", ").any(|n| n.trim() == name)), "{name}");
    }
}
