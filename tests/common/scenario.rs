//! The scenario corpus: reading tests/scenarios, judging a report by what its scenario expects, and the count.
//! The format is described in tests/scenarios/README.md.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;

use crate::schema;

/// Where programs are looked for: Debian's alone, whatever else this machine has.
pub const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

const KEYS: &[&str] = &[
    "where",
    "with",
    "needs",
    "container",
    "image",
    "limits",
    "setup",
    "through",
    "rinit",
    "run",
    "when",
    "send",
    "status",
    "cause",
    "says",
    "peak",
    "never",
    "stderr",
    "seconds",
];

/// One file of the corpus.
pub struct Scenario {
    /// `GROUP/NAME`
    pub name: String,
    fields: Vec<(&'static str, String)>,
}

impl Scenario {
    fn read(group: &str, path: &Path) -> Self {
        let name = format!("{group}/{}", path.file_stem().unwrap().to_str().unwrap());
        Self::parse(name, &fs::read_to_string(path).unwrap())
    }

    /// A file's text.
    pub fn parse(name: String, text: &str) -> Self {
        let mut fields: Vec<(&'static str, String)> = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            if let Some(more) = line.strip_prefix("  ") {
                let (_, value) = fields.last_mut().unwrap_or_else(|| panic!("{name}: begins with {line:?}"));
                if !value.is_empty() {
                    value.push('\n');
                }
                value.push_str(more);
                continue;
            }
            let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("{name}: {line:?}"));
            let key = KEYS.iter().find(|known| **known == key).unwrap_or_else(|| panic!("{name}: no key {key:?}"));
            fields.push((key, value.trim().to_owned()));
        }
        let new = Self { name, fields };
        for key in ["run", "status", "cause", "says"] {
            assert!(new.all(key).next().is_some(), "{}: no {key}", new.name);
        }
        new
    }

    /// One scenario for each of the programs that `with` lists.
    fn variants(self) -> Vec<Self> {
        let programs: Vec<String> = self.get("with").split('|').map(|program| program.trim().to_owned()).collect();
        let variant = |program: &String| {
            let mut fields = self.fields.clone();
            fields.retain(|(key, _)| *key != "with");
            fields.push(("with", program.clone()));
            let name = if program.is_empty() { self.name.clone() } else { format!("{} ({program})", self.name) };
            Self { name, fields }
        };
        programs.iter().map(variant).collect()
    }

    /// The values of a key that may stand several times.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(known, _)| *known == key).map(|(_, value)| value.as_str())
    }

    /// The value of a key, empty without it.
    pub fn get(&self, key: &str) -> &str {
        self.all(key).next().unwrap_or_default()
    }

    pub fn place(&self) -> &str {
        Some(self.get("where")).filter(|place| !place.is_empty()).unwrap_or("namespace")
    }

    /// What is missing here, where something is.
    pub fn lacks(&self) -> Option<&str> {
        let there = |need: &str| match need {
            "root" => fs::metadata("/proc/self").is_ok_and(|us| std::os::unix::fs::MetadataExt::uid(&us) == 0),
            "x86_64" | "aarch64" => std::env::consts::ARCH == need,
            "host-network" => true,
            path if path.starts_with('/') => Path::new(path).exists(),
            name => PATH.split(':').any(|dir| Path::new(dir).join(name).exists()),
        };
        let with = self.get("with").split_whitespace().take(1);
        self.get("needs").split_whitespace().chain(with).find(|need| !there(need))
    }

    /// What a shell has to run in rinit's place to become it.
    pub fn script(&self) -> String {
        let [setup, through, options, run] = ["setup", "through", "rinit", "run"].map(|key| self.get(key));
        let with = self.get("with");
        format!("set -e\nWITH='{with}'\n{setup}\nexec {through} \"$RINIT\" {options} -- {run}\n")
    }

    pub fn seconds(&self) -> u64 {
        self.get("seconds").parse().unwrap_or(60)
    }

    /// What is wrong with this end of it, nothing if all is right. `dir` stands for `$PWD` in what is expected.
    pub fn judge(&self, end: &End, dir: &str) -> Result<String, String> {
        let none = || format!("there is no report, status {}: {}", end.status, end.stderr);
        let start = end.stderr.find("{\"schema\"").ok_or_else(none)?;
        let line = end.stderr[start..].lines().next().unwrap_or_default();
        let report: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let said = shown(&report);
        let mut wrong = String::new();
        for error in schema::errors(&schema::of_reports(), &report) {
            let _ = writeln!(wrong, "against the schema: {error}");
        }
        let status: i64 = self.get("status").parse().unwrap();
        if end.status != status {
            let _ = writeln!(wrong, "status {} and not {status}", end.status);
        }
        if report["exit_status"] != status {
            let _ = writeln!(wrong, "reports status {} and not {status}", report["exit_status"]);
        }
        let is_exit = report["outcome"] == "exited";
        if is_exit && (report["code"] != status || said.contains(" was killed by ")) {
            let _ = writeln!(wrong, "an exit and no death: code {}", report["code"]);
        }
        let word = |key: &str| report["cause"][key].as_str().unwrap_or("none").to_owned();
        let cause = format!("{} ({})", word("id"), word("confidence"));
        if !self.get("cause").split(" | ").any(|expected| expected == cause) {
            let _ = writeln!(wrong, "cause {cause} and not {}", self.get("cause"));
        }
        let expand =
            |text: &str| text.replace("$PWD", dir).replace("$WITH", self.get("with").split(' ').next().unwrap());
        let measured = self.all("peak").filter(|_| end.peak);
        for fact in self.all("says").chain(measured).map(expand).filter(|fact| !said.contains(fact)) {
            let _ = writeln!(wrong, "does not say {fact:?}");
        }
        for word in self.all("never").map(expand).filter(|word| said.contains(word)) {
            let _ = writeln!(wrong, "says {word:?}");
        }
        for part in self.all("stderr").map(expand).filter(|part| !end.stderr.contains(part)) {
            let _ = writeln!(wrong, "no {part:?} on stderr: {}", &end.stderr[..start]);
        }
        if wrong.is_empty() { Ok(said) } else { Err(format!("{wrong}{said}")) }
    }
}

/// How a scenario came out.
pub struct End {
    pub status: i64,
    pub stderr: String,
    /// Whether the kernel counted how much memory was used at most.
    pub peak: bool,
}

/// A report as a person reads it.
fn shown(report: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |key: &str| report[key].as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join("\n    ");
    let notes = report["notes"].as_array().into_iter().flatten();
    let notes: Vec<String> = notes.map(|note| format!("{}: {}", text(&note["id"]), text(&note["summary"]))).collect();
    let mut lines = format!(
        "  {}\n  cause: {} ({})",
        text(&report["message"]),
        text(&report["cause"]["id"]),
        text(&report["cause"]["confidence"])
    );
    for (name, value) in [
        ("evidence", list("evidence")),
        ("ruled out", list("ruled_out")),
        ("not known", list("not_known")),
        ("next", text(&report["cause"]["next"])),
        ("notes", notes.join("\n    ")),
    ] {
        if !value.is_empty() {
            let _ = write!(lines, "\n  {name}: {value}");
        }
    }
    lines
}

/// All scenarios of a place; `SCENARIOS=PART` in the environment keeps those whose name has that part.
pub fn corpus(place: &str) -> Vec<Scenario> {
    let part = std::env::var("SCENARIOS").unwrap_or_default();
    all().into_iter().filter(|s| s.place() == place && s.name.contains(&part)).collect()
}

/// The whole corpus, in order.
pub fn all() -> Vec<Scenario> {
    let list = |dir: &Path| -> Vec<PathBuf> {
        let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let groups = list(&root).into_iter().filter(|path| path.is_dir());
    let files = groups.flat_map(|group| list(&group).into_iter().map(move |file| (group.clone(), file)));
    let is_scenario = |file: &Path| file.extension().is_some_and(|e| e == "scenario");
    let scenarios = files.filter(|(_, file)| is_scenario(file));
    let read = |(group, file): (PathBuf, PathBuf)| Scenario::read(group.file_name().unwrap().to_str().unwrap(), &file);
    scenarios.map(read).flat_map(Scenario::variants).collect()
}

/// Runs every scenario of `place`, two at a time, and prints how many are right, group by group, and what is wrong with
/// the others; fails if any is. `run` gives the end and `$PWD`. What lacks a program here does not run, which is wrong
/// only where CI is set.
pub fn run(place: &str, run: impl Fn(&Scenario) -> (End, String) + Sync) {
    let (queue, score) = (Mutex::new(corpus(place).into_iter()), Mutex::new(Score::default()));
    let next = || queue.lock().unwrap().next();
    let worker = || {
        while let Some(scenario) = next() {
            let result = match scenario.lacks() {
                // Nothing can be installed for that.
                Some("x86_64" | "aarch64") => continue,
                Some(missing) => Err(format!("not run, {missing} is not here")),
                None => std::panic::catch_unwind(AssertUnwindSafe(|| run(&scenario)))
                    .map_err(|panic| said_at_panic(&*panic))
                    .and_then(|(end, dir)| scenario.judge(&end, &dir)),
            };
            score.lock().unwrap().count(&scenario, result);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        worker();
    });
    score.into_inner().unwrap().finish(place);
}

/// Right and all of each group, and what is to be said of single ones.
#[derive(Default)]
struct Score(BTreeMap<String, (u32, u32)>, String);

impl Score {
    fn count(&mut self, scenario: &Scenario, result: Result<String, String>) {
        let Self(groups, details) = self;
        let name = &scenario.name;
        let is_optional = scenario.lacks().is_some() && std::env::var_os("CI").is_none();
        if !is_optional {
            let (right, of) = groups.entry(name.split('/').next().unwrap().to_owned()).or_default();
            *of += 1;
            *right += u32::from(result.is_ok());
        }
        match result {
            Ok(said) if std::env::var_os("SCENARIOS_SHOW").is_some() => *details += &format!("{name}:\n{said}\n"),
            Ok(_) => {}
            Err(why) if is_optional => *details += &format!("{name}: {why}\n"),
            Err(why) => *details += &format!("WRONG {name}: {why}\n"),
        }
    }

    /// Not by print!, which the harness keeps when a test passes.
    fn finish(self, place: &str) {
        let Self(groups, details) = self;
        let (right, of) = groups.values().fold((0, 0), |sum, group| (sum.0 + group.0, sum.1 + group.1));
        let mut text = format!("\n{details}scenarios, {place}: {right} of {of} are right\n");
        for (group, (right, of)) in groups {
            let _ = writeln!(text, "    {group}: {right} of {of}");
        }
        std::io::stdout().write_all(text.as_bytes()).unwrap();
        assert_eq!(right, of, "scenarios are wrong: see above");
    }
}

fn said_at_panic(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
