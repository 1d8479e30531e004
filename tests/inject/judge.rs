//! Whether a run went right.

use std::borrow::Cow;

use rinit::report::find_report;

use crate::play::Run;
use crate::scenarios::Scenario;
use crate::schema::validate;
use crate::tracer::{Act, Plan};

/// What is wrong with it. `undisturbed` is the same scenario without a failure.
pub fn judge(scenario: &Scenario, plan: Plan, run: &Run, undisturbed: Option<&Run>) -> Option<String> {
    if run.trace.busy {
        return Some("it turns in circles".to_owned());
    }
    if let Some(stuck) = &run.stuck {
        return Some(format!("it hangs: {stuck}"));
    }
    let log_text = text(&run.log);
    let says = |word: &&&str| !run.killed && (run.stderr.contains(**word) || log_text.contains(**word));
    if let Some(lie) = scenario.never.iter().find(says) {
        return Some(format!("a lie: {lie}"));
    }
    let Some(status) = run.status() else { return killed(scenario, run) };
    if ["internal error", "panicked"].iter().any(|word| run.stderr.contains(word)) {
        return Some("a panic".to_owned());
    }
    status_of(scenario, plan, run, status)
        .or_else(|| output(scenario, plan, run, undisturbed))
        .or_else(|| log(scenario, plan, run, undisturbed))
}

/// Only together with all of its container, and then what it wrote before stands there.
fn killed(scenario: &Scenario, run: &Run) -> Option<String> {
    if !scenario.dies_whole || !run.started || run.trace.word != libc::SIGKILL {
        return Some(format!("it was killed: {:#x}", run.trace.word));
    }
    let reports = match reports(&text(&run.log)) {
        Ok(reports) => reports,
        Err(wrong) => return Some(wrong),
    };
    let wrong = |report: &String| !is_provisional(report) || report.contains("(certain)");
    reports.into_iter().find(wrong).map(|report| format!("it did not live to know that: {report}"))
}

fn status_of(scenario: &Scenario, plan: Plan, run: &Run, status: i32) -> Option<String> {
    if plan.act == Act::Signal && run.hits > 0 {
        // What came first PROGRAM has first.
        let right = status == 128 + libc::SIGUSR1 || status == scenario.status && !run.signaled;
        return (!right).then(|| format!("SIGUSR1 is lost: status {status}"));
    }
    let never_starts = scenario.program.first().is_none_or(|program| program.starts_with('!')) && !run.started;
    if run.started || never_starts && status == scenario.status {
        let killed = run.killed && status == 137;
        return (status != scenario.status && !killed).then(|| format!("status {status}, not {}", scenario.status));
    }
    // The errno of execve(2) itself is PROGRAM's, not rinit's.
    let right = if plan.call == libc::SYS_execve { [126, 127].contains(&status) } else { status == 125 };
    if !right {
        return Some(format!("PROGRAM was not started, and the status is {status}"));
    }
    if run.stdout.contains("left") {
        return Some("PROGRAM was not started, and something is left".to_owned());
    }
    // Who cannot write cannot say it.
    let cannot = [libc::SYS_write, libc::SYS_writev, libc::SYS_pwritev2, libc::SYS_fstat, libc::SYS_newfstatat];
    let says = run.stderr.lines().any(|line| line.starts_with("rinit: ") || line.starts_with("{\"schema\""));
    (!says && !cannot.contains(&plan.call)).then(|| "PROGRAM was not started, and nothing is said".to_owned())
}

/// What a relayed stream meets where its reader is gone, or the disk full.
const WRITES: [i64; 6] =
    [libc::SYS_write, libc::SYS_writev, libc::SYS_pwritev2, libc::SYS_sendto, libc::SYS_splice, libc::SYS_tee];

fn output(scenario: &Scenario, plan: Plan, run: &Run, undisturbed: Option<&Run>) -> Option<String> {
    let undisturbed = undisturbed.filter(|_| plan.act != Act::Signal)?;
    let tail = scenario.options.iter().any(|option| option.starts_with("--tail"));
    let may_be_lost = run.signals_lost || tail && WRITES.contains(&plan.call);
    // Of what PROGRAM left on purpose, and rinit could not find.
    let stdout = if run.started { run.stdout.trim_end_matches("left\n") } else { &run.stdout };
    if run.started && !may_be_lost && stdout != undisturbed.stdout.trim_end_matches("left\n") {
        return Some(format!("stdout is not {:?}", undisturbed.stdout));
    }
    let programs: Vec<&str> = undisturbed.stderr.lines().filter(|line| !is_rinits(line)).collect();
    let stray = |line: &&str| !is_rinits(line) && !programs.contains(line) && !line.is_empty();
    run.stderr.lines().find(stray).map(|line| format!("stray output: {:?}", line.chars().take(80).collect::<String>()))
}

fn is_rinits(line: &str) -> bool {
    ["rinit: ", "      ", "{\"schema\""].iter().any(|start| line.starts_with(start))
}

/// Empty, or one whole report. Where a call on the file itself failed, provisional ones may still stand in front of it.
fn log(scenario: &Scenario, plan: Plan, run: &Run, undisturbed: Option<&Run>) -> Option<String> {
    let written = undisturbed.is_some_and(|undisturbed| !undisturbed.log.is_empty());
    if run.log.is_empty() {
        return (run.hits == 0 && written).then(|| "the termination log is empty".to_owned());
    }
    let content = text(&run.log);
    // What a failed ftruncate(2) leaves behind it.
    let content = if plan.call == libc::SYS_ftruncate { content.trim_end_matches(' ') } else { &content };
    let reports = match reports(content) {
        Ok(reports) => reports,
        Err(wrong) => return Some(wrong),
    };
    if scenario.options.contains(&"--format=json") {
        for report in &reports {
            let _ = validate(report.as_bytes());
        }
    }
    let last = reports.last()?;
    // A pause has nothing to report: then nothing can come behind it.
    let pause = scenario.program.is_empty();
    let of_the_file = [
        libc::SYS_statx,
        libc::SYS_fstat,
        libc::SYS_newfstatat,
        libc::SYS_lseek,
        libc::SYS_pread64,
        libc::SYS_pwrite64,
        libc::SYS_pwritev2,
        libc::SYS_ftruncate,
    ];
    let excused = of_the_file.contains(&plan.call) && run.hits > 0;
    if is_provisional(last) && !(pause && excused) {
        return Some("a provisional report is the last".to_owned());
    }
    if reports.len() > 1 && !excused {
        return Some("more than one report".to_owned());
    }
    let cause = |report: &str| -> Option<String> {
        let line = report.lines().find_map(|line| line.strip_prefix("      cause: ")).map(str::to_owned);
        line.or_else(|| {
            let json: serde_json::Value = serde_json::from_str(report).ok()?;
            Some(format!("{} ({})", json["cause"]["id"].as_str()?, json["cause"]["confidence"].as_str()?))
        })
    };
    let (cause, before) = (cause(last)?, undisturbed.and_then(|run| cause(&text(&run.log))));
    // kill(-1, 0) with ESRCH is a proof that nobody is left; here it lies.
    let wrong = run.started
        && !run.signals_lost
        && plan.act != Act::Signal
        && cause.ends_with("(certain)")
        && before.is_some_and(|before| before != cause);
    wrong.then(|| format!("a wrong certainty: {cause}"))
}

fn text(log: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(log)
}

/// Each of them whole.
fn reports(log: &str) -> Result<Vec<String>, String> {
    let starts = |line: &str| line.starts_with("rinit: ") || line.starts_with("{\"schema\"");
    let reports: Vec<String> = log.lines().fold(Vec::new(), |mut reports, line| {
        match reports.last_mut().filter(|_| !starts(line)) {
            Some(report) => *report += &format!("\n{line}"),
            None => reports.push(line.to_owned()),
        }
        reports
    });
    let whole = |report: &String| find_report(report.as_bytes()) == Some(0);
    if log.ends_with('\n') || !reports.iter().all(whole) {
        return Err("the termination log is not whole".to_owned());
    }
    Ok(reports)
}

fn is_provisional(report: &str) -> bool {
    report.contains("before rinit could report") || report.contains("\"provisional\":true")
}
