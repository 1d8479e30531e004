use std::cell::Cell;
use std::os::unix::ffi::OsStringExt;

use super::*;
use crate::outcome::{Stage, StartError};

type Vars<'a> = [(&'a str, &'a str)];

/// What rinit makes of a command line and an environment.
fn read(args: &[&str], vars: &Vars) -> Result<Action, String> {
    read_bytes(&args.iter().map(|arg| arg.as_bytes()).collect::<Vec<_>>(), vars)
}

fn read_bytes(args: &[&[u8]], vars: &Vars) -> Result<Action, String> {
    let args = [b"rinit".as_slice()].into_iter().chain(args.iter().copied());
    let args = args.map(|arg| OsString::from_vec(arg.to_vec()));
    let env = |name: &str| vars.iter().find(|(other, _)| *other == name).map(|(_, value)| OsString::from(value));
    parse(args, &env).map_err(|UsageError(line)| line)
}

/// The settings of a run.
#[track_caller]
fn config(args: &[&str], vars: &Vars) -> Config {
    match read(&[args, &["--", "sh"]].concat(), vars) {
        Ok(Action::Run { config, program }) if program == args.len() + 2 => config,
        other => panic!("{args:?} {vars:?}: {other:?}"),
    }
}

fn default_config() -> Config {
    Config {
        peer: None,
        session: false,
        group: false,
        rewrite: vec![],
        parent_death_signal: None,
        stop_timeout: None,
        stop_signals: vec![],
        drain: None,
        remap_exit: vec![],
        warn_reaped: false,
        log_filter: "warn".into(),
        quiet: false,
        report: ReportWhen::Always,
        format: Format::Text,
        stderr_format: Format::Text,
        report_size: 1024,
        termination_log: TerminationLog::Default,
        defer_to_logs: false,
        tail: None,
        tail_stdout: false,
        show_args: false,
        oom_shield: false,
    }
}

#[track_caller]
fn refused(args: &[&str], vars: &Vars, line: &str) {
    assert_eq!(read(args, vars), Err(line.into()), "{args:?} {vars:?}");
}

/// Every spelling of every setting gives that setting and no other.
#[test]
fn every_flag_and_every_variable() {
    let stay = default_config;
    let term = Signo::TERM;
    let path = || TerminationLog::Path("/x".into());
    let table: &[(Config, &[&[&str]], &Vars)] = &[
        (stay(), &[&[], &["-s"], &["--subreaper"]], &[]),
        (Config { group: true, ..stay() }, &[&["-g"], &["--group"], &["-gs"]], &[("RINIT_GROUP", "1")]),
        (
            Config { rewrite: vec![(term, Some(Signo::QUIT))], ..stay() },
            &[
                &["-rTERM:QUIT"],
                &["-r=15:3"],
                &["-r", "sigterm:QUIT"],
                &["--rewrite=TERM:3"],
                &["--rewrite", "15:quit"],
            ],
            &[("RINIT_REWRITE", "TERM:SIGQUIT")],
        ),
        (
            Config { rewrite: vec![(term, None), (Signo::HUP, Some(term))], ..stay() },
            &[&["-rTERM:0", "--rewrite", "HUP:TERM"], &["-r15:0", "-r=1:15"]],
            &[("RINIT_REWRITE", "TERM:0,HUP:TERM")],
        ),
        (
            Config { parent_death_signal: Some(term), ..stay() },
            &[
                &["-pTERM"],
                &["-p", "TERM"],
                &["-p=15"],
                &["-sp15"],
                &["--parent-death-signal=SIGTERM"],
                &["--parent-death-signal", "term"],
                &["-pKILL", "-pTERM"],
            ],
            &[],
        ),
        (
            Config { remap_exit: vec![143, 0, 255], ..stay() },
            &[&["-e143", "-e", "0", "--remap-exit=255"], &["-e=143", "--remap-exit", "0", "-e255"]],
            &[("RINIT_REMAP_EXIT", "143,0,255")],
        ),
        (
            Config { stop_timeout: Some(Duration::from_secs(10)), ..stay() },
            &[&["-t10s"], &["-t", "10"], &["--stop-timeout=10000ms"], &["-t2m", "--stop-timeout", "10"]],
            &[("RINIT_STOP_TIMEOUT", "10s")],
        ),
        (
            Config { stop_signals: vec![Signo::QUIT, Signo::HUP], ..stay() },
            &[&["--stop-signal=QUIT", "--stop-signal", "1"], &["--stop-signal=sigquit", "--stop-signal=HUP"]],
            &[("RINIT_STOP_SIGNAL", "QUIT,HUP")],
        ),
        (
            Config { drain: Some(Duration::from_millis(500)), ..stay() },
            &[&["-d500ms"], &["--drain", "500ms"], &["-d", "2m", "-d=500ms"]],
            &[("RINIT_DRAIN", "500ms")],
        ),
        (Config { drain: Some(Duration::from_secs(120)), ..stay() }, &[&["-d2m"]], &[("RINIT_DRAIN", "120")]),
        (Config { defer_to_logs: true, ..stay() }, &[&["--defer-to-logs"]], &[("RINIT_DEFER_TO_LOGS", "1")]),
        (
            Config { tail: Some(20), report_size: 4096, ..stay() },
            &[&["--tail=20"], &["--tail", "20"]],
            &[("RINIT_TAIL", "20")],
        ),
        (
            Config { tail: Some(20), tail_stdout: true, report_size: 4096, ..stay() },
            &[&["--tail-stdout"], &["--tail=20", "--tail-stdout"]],
            &[("RINIT_TAIL_STDOUT", "1")],
        ),
        (
            Config { tail: Some(1), report_size: 300, ..stay() },
            &[&["--tail=1", "--report-size=300"]],
            &[("RINIT_TAIL", "1"), ("RINIT_REPORT_SIZE", "300")],
        ),
        (stay(), &[&["--tail=0"]], &[("RINIT_TAIL", "0")]),
        (Config { oom_shield: true, ..stay() }, &[&["--oom-shield"]], &[("RINIT_OOM_SHIELD", "1")]),
        (Config { warn_reaped: true, ..stay() }, &[&["-w"], &["--warn-reaped"]], &[("RINIT_WARN_REAPED", "1")]),
        (Config { log_filter: "info".into(), ..stay() }, &[&["-v"], &["--verbose"]], &[("RINIT_LOG", "info")]),
        (
            Config { log_filter: "debug".into(), ..stay() },
            &[&["-vv"], &["-v", "--verbose"], &["--verbose", "--verbose"]],
            &[("RINIT_LOG", "debug")],
        ),
        (
            Config { log_filter: "trace".into(), ..stay() },
            &[&["-vvv"], &["-vv", "-v"], &["-vvvvvvvvv"]],
            &[("RINIT_LOG", "trace")],
        ),
        (Config { quiet: true, ..stay() }, &[&["-q"], &["--quiet"], &["-qqq"]], &[("RINIT_QUIET", "1")]),
        (stay(), &[&["--report=always"], &["--report=never", "--report", "always"]], &[("RINIT_REPORT", "always")]),
        (
            Config { report: ReportWhen::Failure, ..stay() },
            &[&["--report", "failure"], &["--report=failure"]],
            &[("RINIT_REPORT", "failure")],
        ),
        (Config { report: ReportWhen::Never, ..stay() }, &[&["--report", "never"]], &[("RINIT_REPORT", "never")]),
        (stay(), &[&["--format=text"], &["--stderr-format=text"]], &[("RINIT_FORMAT", "text")]),
        (
            Config { format: Format::Json, stderr_format: Format::Json, ..stay() },
            &[&["--format", "json"], &["--format=json"]],
            &[("RINIT_FORMAT", "json")],
        ),
        (
            Config { stderr_format: Format::Json, ..stay() },
            &[&["--stderr-format", "json"], &["--stderr-format=json"]],
            &[("RINIT_STDERR_FORMAT", "json")],
        ),
        (Config { report_size: 256, ..stay() }, &[&["--report-size=256"]], &[("RINIT_REPORT_SIZE", "256")]),
        (Config { report_size: 4096, ..stay() }, &[&["--report-size", "4096"]], &[("RINIT_REPORT_SIZE", "4096")]),
        (
            Config { termination_log: path(), ..stay() },
            &[&["--termination-log", "/x"], &["--termination-log=/x"]],
            &[("RINIT_TERMINATION_LOG", "/x")],
        ),
        (
            Config { termination_log: TerminationLog::Off, ..stay() },
            &[&["--termination-log=off"]],
            &[("RINIT_TERMINATION_LOG", "off")],
        ),
        (Config { show_args: true, ..stay() }, &[&["--show-args"]], &[("RINIT_SHOW_ARGS", "1")]),
        (
            Config { group: true, warn_reaped: true, quiet: true, log_filter: "debug".into(), ..stay() },
            &[&["-gvwvqs"], &["-g", "-wq", "-vv"]],
            &[("RINIT_GROUP", "1"), ("RINIT_WARN_REAPED", "1"), ("RINIT_QUIET", "1"), ("RINIT_LOG", "debug")],
        ),
    ];
    for (expected, spellings, vars) in table {
        for args in *spellings {
            assert_eq!(config(args, &[]), *expected, "{args:?}");
        }
        if !vars.is_empty() {
            assert_eq!(config(&[], vars), *expected, "{vars:?}");
        }
    }
}

#[test]
fn a_flag_beats_its_variable_and_no_other() {
    let vars = &[
        ("RINIT_REWRITE", "HUP:0,USR1:USR2"),
        ("RINIT_REMAP_EXIT", "1,2"),
        ("RINIT_LOG", "rinit=trace"),
        ("RINIT_REPORT", "never"),
        ("RINIT_FORMAT", "json"),
        ("RINIT_STDERR_FORMAT", "json"),
        ("RINIT_REPORT_SIZE", "2048"),
        ("RINIT_TERMINATION_LOG", "/env"),
    ];
    let by_env = config(&[], vars);
    assert_eq!(by_env.log_filter, "rinit=trace");
    let with = |args: &[&str]| config(args, vars);
    let both = Some(Signo::TERM);
    assert_eq!(with(&["-rINT:TERM"]), Config { rewrite: vec![(Signo::INT, both)], ..by_env.clone() });
    assert_eq!(with(&["-e3"]), Config { remap_exit: vec![3], ..by_env.clone() });
    assert_eq!(with(&["-v"]), Config { log_filter: "info".into(), ..by_env.clone() });
    assert_eq!(with(&["--report=failure"]), Config { report: ReportWhen::Failure, ..by_env.clone() });
    assert_eq!(with(&["--format=text"]), Config { format: Format::Text, ..by_env.clone() });
    assert_eq!(with(&["--stderr-format=text"]), Config { stderr_format: Format::Text, ..by_env.clone() });
    assert_eq!(with(&["--report-size=300"]), Config { report_size: 300, ..by_env.clone() });
    let path = TerminationLog::Path("/flag".into());
    assert_eq!(with(&["--termination-log=/flag"]), Config { termination_log: path, ..by_env.clone() });
    assert_eq!(with(&["--termination-log=off"]), Config { termination_log: TerminationLog::Off, ..by_env });
}

/// The format of stderr: its flag, its variable, `--format`, `RINIT_FORMAT`; all 81 combinations.
#[test]
fn where_the_format_of_stderr_comes_from() {
    let values = [None, Some(("text", Format::Text)), Some(("json", Format::Json))];
    let combinations = (0..81).map(|n| [values[n % 3], values[n / 3 % 3], values[n / 9 % 3], values[n / 27]]);
    for [own_flag, own_var, flag, var] in combinations {
        let flags = [("--stderr-format", own_flag), ("--format", flag)];
        let args: Vec<&str> =
            flags.iter().filter_map(|(name, value)| Some([*name, value.as_ref()?.0])).flatten().collect();
        let vars = [("RINIT_STDERR_FORMAT", own_var), ("RINIT_FORMAT", var)];
        let vars: Vec<_> = vars.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?.0))).collect();
        let config = config(&args, &vars);
        let both = flag.or(var).map_or(Format::Text, |(_, format)| format);
        assert_eq!(config.format, both, "{args:?} {vars:?}");
        assert_eq!(config.stderr_format, own_flag.or(own_var).map_or(both, |(_, format)| format), "{args:?} {vars:?}");
    }
}

#[test]
fn every_signal_by_number_and_by_name() {
    // SIGKILL, SIGCHLD, and real-time ones among them.
    for signal in Signo::all().step_by(crate::one_of(8)) {
        let name = signal.to_string();
        for spelling in [signal.raw().to_string(), name.clone(), name.to_lowercase(), name["SIG".len()..].to_owned()] {
            assert_eq!(config(&["-p", &spelling], &[]).parent_death_signal, Some(signal));

            let to = format!("USR1:{spelling}");
            assert_eq!(config(&["-r", &to], &[]).rewrite, [(Signo::new(10).unwrap(), Some(signal))]);
            let from = format!("{spelling}:TERM");
            let why = match signal {
                Signo::KILL => "rewrites SIGKILL, which no process can receive",
                Signo::STOP => "rewrites SIGSTOP, which no process can receive",
                Signo::CHLD => "rewrites SIGCHLD, which is never forwarded",
                _ => {
                    assert_eq!(config(&["-r", &from], &[]).rewrite, [(signal, Some(Signo::TERM))]);
                    assert_eq!(config(&[], &[("RINIT_REWRITE", &from)]).rewrite, [(signal, Some(Signo::TERM))]);
                    continue;
                }
            };
            refused(&["-r", &from, "sh"], &[], &format!("--rewrite: \"{from}\" {why}"));
            let dropped = format!("{spelling}:0");
            refused(&["sh"], &[("RINIT_REWRITE", &dropped)], &format!("RINIT_REWRITE: \"{dropped}\" {why}"));
        }
    }
}

#[test]
fn the_last_rewrite_of_a_signal_counts() {
    let expected = [(Signo::HUP, None), (Signo::TERM, Some(Signo::QUIT))];
    assert_eq!(config(&["-rTERM:INT", "-rHUP:0", "-r15:3"], &[]).rewrite, expected);
    assert_eq!(config(&[], &[("RINIT_REWRITE", "TERM:INT,HUP:0,15:3")]).rewrite, expected);
}

#[test]
fn every_exit_status_and_every_report_size() {
    for n in (0..=5000_usize).step_by(crate::one_of(251)) {
        let text = n.to_string();
        match u8::try_from(n) {
            Ok(status) => {
                assert_eq!(config(&["-e", &text], &[]).remap_exit, [status]);
                assert_eq!(config(&[], &[("RINIT_REMAP_EXIT", &text)]).remap_exit, [status]);
            }
            Err(_) => {
                refused(&["-e", &text, "sh"], &[], &format!("--remap-exit: \"{n}\" is no exit status, 0 to 255"));
            }
        }
        if (256..=4096).contains(&n) {
            assert_eq!(config(&["--report-size", &text], &[]).report_size, n);
        } else {
            let why = "is not 256 to 4096 (bytes; 256 is what a pod of 48 containers leaves to each)";
            refused(&["--report-size", &text, "sh"], &[], &format!("--report-size: \"{n}\" {why}"));
            refused(&["sh"], &[("RINIT_REPORT_SIZE", &text)], &format!("RINIT_REPORT_SIZE: \"{n}\" {why}"));
        }
    }
}

#[test]
fn a_bad_value_is_named_with_its_flag_or_variable() {
    let signals = "is not A:B, two signals, or A:0, which drops A";
    let status = "is no exit status, 0 to 255";
    let size = "is not 256 to 4096 (bytes; 256 is what a pod of 48 containers leaves to each)";
    let filter = "is no filter such as info or warn,rinit=trace (levels: off, error, warn, info, debug, trace)";
    let when = "is none of always, failure, never";
    let format = "is neither text nor json";
    let table: &[(&str, &str, &[&str], &str)] = &[
        (
            "--rewrite",
            "RINIT_REWRITE",
            &["TERM", ":", "TERM:", ":TERM", "TERM:QUIT:0", "0:TERM", "TERM:65", "T:0"],
            signals,
        ),
        ("--parent-death-signal", "", &["", "0", "65", "TERMINATE", "-15", "TERM "], "is no signal"),
        ("--remap-exit", "RINIT_REMAP_EXIT", &["256", "-1", "+1", "0x1", " 1", "one"], status),
        ("--report", "RINIT_REPORT", &["sometimes", "Always", "never "], when),
        ("--format", "RINIT_FORMAT", &["JSON", "yaml"], format),
        ("--stderr-format", "RINIT_STDERR_FORMAT", &["JSON", "yaml"], format),
        ("--report-size", "RINIT_REPORT_SIZE", &["255", "4097", "1k", "1e3", "-1", "99999999999999999999"], size),
        (
            "",
            "RINIT_LOG",
            &["debgu", "verbose", "1", "warn=info=debug", "rinit=loud", "a/b/c", "info,x", "a=="],
            filter,
        ),
        ("", "RINIT_GROUP", &["true", "yes", "2", "01", " 1"], "is neither 1 (on) nor 0 (off)"),
        ("", "RINIT_WARN_REAPED", &["on"], "is neither 1 (on) nor 0 (off)"),
        ("", "RINIT_QUIET", &["no"], "is neither 1 (on) nor 0 (off)"),
        ("", "RINIT_SHOW_ARGS", &["false"], "is neither 1 (on) nor 0 (off)"),
        ("", "RINIT_OFF", &["true", "off"], "is neither 1 (on) nor 0 (off)"),
    ];
    for (flag, variable, values, why) in table {
        for value in *values {
            if !flag.is_empty() {
                refused(&[flag, value, "sh"], &[], &format!("{flag}: \"{value}\" {why}"));
                refused(&[&format!("{flag}={value}"), "sh"], &[], &format!("{flag}: \"{value}\" {why}"));
            }
            if !variable.is_empty() {
                refused(&["sh"], &[(variable, value)], &format!("{variable}: \"{value}\" {why}"));
            }
        }
    }
    // The variable is read although a flag beats it, and only the bad item of a list is shown.
    refused(&["--report=never", "sh"], &[("RINIT_REPORT", "x")], &format!("RINIT_REPORT: \"x\" {when}"));
    refused(&["-vvv", "sh"], &[("RINIT_LOG", "x")], &format!("RINIT_LOG: \"x\" {filter}"));
    refused(&["-g", "sh"], &[("RINIT_GROUP", "x")], "RINIT_GROUP: \"x\" is neither 1 (on) nor 0 (off)");
    refused(&["sh"], &[("RINIT_REWRITE", "HUP:0,bad")], &format!("RINIT_REWRITE: \"bad\" {signals}"));
    refused(&["sh"], &[("RINIT_REMAP_EXIT", "1,,2")], &format!("RINIT_REMAP_EXIT: \"\" {status}"));
    refused(&["sh"], &[("RINIT_REMAP_EXIT", "1, 2")], &format!("RINIT_REMAP_EXIT: \" 2\" {status}"));
    refused(&["--termination-log", "", "sh"], &[], "--termination-log: \"\" is no path");
    refused(&["--install="], &[], "--install: \"\" is no path");
}

#[test]
fn an_error_is_one_line_of_ascii() {
    let long = "x".repeat(5000);
    let values = ["\n", "\r\x1b[31m", "\t\0\x7f", "\u{e9}\u{202e}", "\"'\\", &long];
    for value in values {
        for args in [&["--report", value][..], &[&format!("--{value}")], &[&format!("-{value}")]] {
            let line = read(args, &[]).unwrap_err();
            assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
            assert!(line.len() < 400, "{line:?}");
        }
    }
    let bytes = read_bytes(&[b"--format", b"\xff\x80\n"], &[]);
    assert_eq!(bytes, Err("--format: \"\\xff\\x80\\n\" is neither text nor json".into()));
    let at_most = "x".repeat(200);
    refused(&["-p", &at_most], &[], &format!("--parent-death-signal: \"{at_most}\" is no signal"));
    refused(&["-p", &long], &[], &format!("--parent-death-signal: \"{at_most}...\" is no signal"));
}

#[test]
fn what_the_environment_leaves_empty_is_unset() {
    let names = "GROUP REWRITE REMAP_EXIT WARN_REAPED LOG QUIET REPORT FORMAT STDERR_FORMAT REPORT_SIZE TERMINATION_LOG \
        SHOW_ARGS OFF STOP_TIMEOUT STOP_SIGNAL DRAIN TAIL TAIL_STDOUT DEFER_TO_LOGS OOM_SHIELD";
    for name in names.split_whitespace() {
        assert_eq!(config(&[], &[(&format!("RINIT_{name}"), "")]), default_config(), "{name}");
    }
    for name in ["RINIT_GROUP", "RINIT_WARN_REAPED", "RINIT_QUIET", "RINIT_SHOW_ARGS", "RINIT_OFF", "RINIT_OOM_SHIELD"]
    {
        assert_eq!(config(&[], &[(name, "0")]), default_config(), "{name}");
    }
}

#[test]
fn a_stranger_is_ignored() {
    let service = [("RINIT_SERVICE_HOST", "10.0.0.1"), ("RINIT_PORT", "tcp://10.0.0.1:80"), ("RINIT_GIT_SHA", "x")];
    assert_eq!(config(&[], &service), default_config());
    assert_eq!(config(&[], &[("RUST_LOG", "trace"), ("TINI_VERBOSITY", "3"), ("GROUP", "1")]), default_config());
}

#[test]
fn wrong_durations_and_counts_are_refused() {
    for wrong in ["0", "0s", "s", "ms", "1h", "1.5s", "-1", "10 s", "10S", "4294967296", "10sm", "\u{fffd}"] {
        let line = format!("{} is no duration such as 10s, 500ms, 2m, or 10 (seconds)", quoted(wrong.as_bytes()));
        refused(&[&format!("--drain={wrong}"), "sh"], &[], &format!("--drain: {line}"));
        refused(&["sh"], &[("RINIT_STOP_TIMEOUT", wrong)], &format!("RINIT_STOP_TIMEOUT: {line}"));
    }
    for wrong in ["1001", "x", "-1", "20 "] {
        let line = format!("RINIT_TAIL: \"{wrong}\" is no number of lines, 0 (none) to 1000");
        refused(&["sh"], &[("RINIT_TAIL", wrong)], &line);
    }
    assert_eq!(config(&["-t4294967295m"], &[]).stop_timeout, Some(Duration::from_secs(4_294_967_295 * 60)));
}

#[test]
fn filters_are_those_of_env_logger() {
    let good = "off error warn info debug trace INFO Debug rinit rinit::supervise rinit= rinit=debug warn,rinit::child=trace \
        a=info,b::c=off =info , ,, info,,debug info/text /text rinit=info/a=b";
    for filter in good.split_whitespace().chain([" ", " info , rinit = debug "]) {
        assert_eq!(config(&[], &[("RINIT_LOG", filter)]).log_filter, filter);
    }
}

#[test]
fn check_takes_settings_and_no_program() {
    assert_eq!(read(&["--check"], &[("RINIT_OFF", "1")]), Ok(Action::Check(default_config())));
    let json = Config { format: Format::Json, stderr_format: Format::Json, ..default_config() };
    assert_eq!(read(&["--format=json", "--check"], &[]), Ok(Action::Check(json)));
    refused(&["--check", "sh"], &[], "--check: takes no PROGRAM");
    refused(&["--check", "-P"], &[], "--check: cannot go with --install or --pause");
    refused(&["--check", "--install=/x"], &[], "--check: cannot go with --install or --pause");
    refused(&["--check"], &[("RINIT_FORMAT", "yaml")], "RINIT_FORMAT: \"yaml\" is neither text nor json");
}

#[test]
fn what_follows_explain_is_to_be_explained() {
    let asked = |args: &[&str], vars: &Vars| match read(args, vars) {
        Ok(Action::Explain { words, format }) => {
            (words.into_iter().map(|word| word.into_string().unwrap()).collect::<Vec<_>>().join(" "), format)
        }
        other => panic!("{args:?}: {other:?}"),
    };
    let text = |words: &str| (words.to_owned(), Format::Text);
    assert_eq!(asked(&["--explain"], &[]), text(""));
    assert_eq!(asked(&["--explain", "137", "SEGV", "-1", "-g", "--help"], &[]), text("137 SEGV -1 -g --help"));
    assert_eq!(asked(&["-v", "--explain=1", "--", "2", "3"], &[]), text("1 2 3"));
    for args in [
        &["--explain", "--format", "json", "a"][..],
        &["--explain", "a", "--format=json"],
        &["--format", "json", "--explain", "a"],
        &["--format", "text", "--explain", "--format=json", "a"],
    ] {
        assert_eq!(asked(args, &[]), ("a".to_owned(), Format::Json), "{args:?}");
    }
    // It starts no program, and the environment is about those.
    for vars in [("RINIT_OFF", "1"), ("RINIT_FORMAT", "json"), ("RINIT_REPORT_SIZE", "x")] {
        assert_eq!(asked(&["--explain", "2"], &[vars]), text("2"));
    }
    refused(&["--explain", "--format"], &[], "--format: needs a value");
    refused(&["--explain", "--format=xml"], &[], "--format: \"xml\" is neither text nor json");
    // Behind PROGRAM it is PROGRAM's.
    assert!(matches!(read(&["sh", "--explain", "2"], &[]), Ok(Action::Run { program: 1, .. })));
}

#[test]
fn unknown_flags_are_refused_without_their_values() {
    for flag in ["--tails", "--timeout"] {
        refused(&[flag, "sh"], &[], &format!("{flag}: no such option, see rinit --help"));
        refused(&[&format!("{flag}=20"), "sh"], &[], &format!("{flag}: no such option, see rinit --help"));
    }
    for flag in ["-x", "-=", "---", "--Group", "--grou"] {
        refused(&[flag, "sh"], &[], &format!("{flag}: no such option, see rinit --help"));
    }
    for args in [["--pasword=hunter2", "sh"], ["-gxhunter2", "sh"], ["--group=hunter2", "sh"], ["-g=hunter2", "sh"]] {
        let line = read(&args, &[]).unwrap_err();
        assert!(!line.contains("hunter"), "{line}");
    }
    refused(&["--=x", "sh"], &[], "--: no such option, see rinit --help");
    refused(&["-g=1", "sh"], &[], "-g: takes no value");
    refused(&["--group=1", "sh"], &[], "--group: takes no value");
    for flag in ["-r", "-p", "-e", "--rewrite", "--parent-death-signal", "--remap-exit", "--report", "--format"] {
        refused(&[flag], &[], &format!("{flag}: needs a value"));
    }
    for flag in ["-t", "-d", "--stop-timeout", "--stop-signal", "--drain", "--tail"] {
        refused(&[flag], &[], &format!("{flag}: needs a value"));
    }
    for flag in ["--oom-shield", "--defer-to-logs", "--tail-stdout"] {
        refused(&[&format!("{flag}=1"), "sh"], &[], &format!("{flag}: takes no value"));
    }
    for flag in ["--stderr-format", "--report-size", "--termination-log", "--install"] {
        refused(&[flag], &[], &format!("{flag}: needs a value"));
    }
}

#[test]
fn what_does_not_go_together() {
    let usage = "PROGRAM is missing; usage: rinit [OPTIONS] [--] PROGRAM [ARGS...]";
    for args in [&[][..], &["--"], &["-g"], &["-p", "TERM", "--"]] {
        refused(args, &[], usage);
        refused(args, &[("RINIT_OFF", "1")], usage);
    }
    assert_eq!(parse(std::iter::empty(), &|_| None), Err(UsageError(usage.into())), "an empty argv");
    for args in [&["--pause", "sh"][..], &["-P", "--", "sh", "secret"], &["-gP", "sh"]] {
        refused(args, &[], "--pause: takes no PROGRAM");
    }
    refused(&["--install", "/x", "sh", "secret"], &[], "--install: takes no PROGRAM");
    refused(&["--install", "/x", "-P"], &[], "--install: cannot go with --pause");
    refused(&["--install", "/x", "-P", "sh"], &[], "--install: cannot go with --pause");
}

#[test]
fn what_runs_no_program() {
    for (flags, start) in
        [(["-h", "--help"], "Usage: rinit "), (["-V", "--version"], "rinit "), (["-l", "--license"], "MIT OR ")]
    {
        for flag in flags {
            // At once: whatever stands behind it or in the environment.
            for args in [&[flag][..], &["-g", flag, "--bad", "sh"], &[flag, "sh"]] {
                for vars in [&[][..], &[("RINIT_OFF", "1")], &[("RINIT_OFF", "bad"), ("RINIT_REPORT", "bad")]] {
                    match read(args, vars) {
                        Ok(Action::Print(text)) => assert!(text.starts_with(start) && text.ends_with('\n'), "{text}"),
                        other => panic!("{args:?}: {other:?}"),
                    }
                }
            }
        }
    }
    let group = Config { group: true, ..default_config() };
    assert_eq!(read(&["--pause"], &[]), Ok(Action::Pause(default_config())));
    assert_eq!(read(&["-Pg"], &[]), Ok(Action::Pause(group)));
    for args in [&["--install", "/x"][..], &["--install=/x"], &["-g", "--install", "/x", "--"]] {
        assert_eq!(read(args, &[]), Ok(Action::Install("/x".into())));
        // An init container of a pod whose containers all have it still has to deliver the file.
        assert_eq!(read(args, &[("RINIT_OFF", "1")]), Ok(Action::Install("/x".into())));
    }
}

#[test]
fn off_needs_nothing_but_a_program() {
    let vars = [("RINIT_OFF", "1"), ("RINIT_REPORT", "bad"), ("RINIT_GROUP", "bad"), ("RINIT_TAIL", "20")];
    assert_eq!(read(&["sh"], &vars), Ok(Action::StandAside { program: 1 }));
    let bad = [
        "--report",
        "bad",
        "-e",
        "-1",
        "-rKILL:x",
        "--report-size=9",
        "--termination-log=",
        "-p",
        "",
        "-P",
        "sh",
        "-g",
    ];
    assert_eq!(read(&bad, &vars), Ok(Action::StandAside { program: 11 }));
    refused(&["-P"], &vars, "PROGRAM is missing; usage: rinit [OPTIONS] [--] PROGRAM [ARGS...]");
    assert_eq!(read(&["--tail=bad", "-t", "x", "sh"], &vars), Ok(Action::StandAside { program: 4 }));
    refused(&["--taill=20", "sh"], &vars, "--taill: no such option, see rinit --help");
    refused(&["-gr"], &vars, "-r: needs a value");
}

/// Every command line of up to five of these words, against a description of the grammar in ten lines.
#[test]
fn program_is_where_the_options_end() {
    const WORDS: [&str; 11] = ["--", "-", "-g", "-p", "-gp", "-pINT", "--report", "--report=never", "sh", "-c", ""];
    fn expected(args: &[&str]) -> Option<Result<usize, ()>> {
        let mut at = 0;
        loop {
            at += match *args.get(at)? {
                "--" => return args.get(at + 1).map(|_| Ok(at + 2)),
                "-p" | "-gp" | "--report" if at + 1 < args.len() => 2,
                "-p" | "-gp" | "--report" | "-c" => return Some(Err(())),
                "-g" | "-pINT" | "--report=never" => 1,
                _ => return Some(Ok(at + 1)),
            };
        }
    }
    let mut counts = [0; 3];
    for length in 0..=5 {
        for n in (0..WORDS.len().pow(length)).step_by(crate::one_of(997)) {
            let args: Vec<&str> = (0..length).map(|place| WORDS[n / WORDS.len().pow(place) % WORDS.len()]).collect();
            let read = read(&args, &[("RINIT_OFF", "1")]);
            let kind = match (expected(&args), &read) {
                (Some(Ok(index)), Ok(Action::StandAside { program })) if index == *program => 0,
                (Some(Err(())), Err(line)) if line.ends_with("needs a value") || line.starts_with("-c: no such") => 1,
                (None, Err(line)) if line.starts_with("PROGRAM is missing") => 2,
                (expected, _) => panic!("{args:?}: {read:?}, not {expected:?}"),
            };
            counts[kind] += 1;
        }
    }
    assert!(counts.iter().all(|count| *count > 1000 / crate::one_of(1001)), "{counts:?}");
}

#[test]
fn program_and_paths_are_bytes() {
    let run = |args: &[&[u8]]| match read_bytes(args, &[]) {
        Ok(Action::Run { config, program }) => (config.termination_log, program),
        other => panic!("{other:?}"),
    };
    assert_eq!(run(&[b"\xff\xfe", b"\x80"]), (TerminationLog::Default, 1));
    let path = TerminationLog::Path(OsString::from_vec(b"/\xff".to_vec()));
    assert_eq!(run(&[b"--termination-log=/\xff", b"--", b"-\xff", b"\x80"]), (path.clone(), 3));
    assert_eq!(run(&[b"--termination-log", b"/\xff", b"\xff", b"\x80"]), (path, 3));
    assert!(read_bytes(&[b"-\xff", b"sh"], &[]).unwrap_err().ends_with("no such option, see rinit --help"));
    assert!(read_bytes(&[b"--\xff", b"sh"], &[]).unwrap_err().ends_with("no such option, see rinit --help"));

    let env = |name: &str| (name == "RINIT_TERMINATION_LOG").then(|| OsString::from_vec(b"/\xff".to_vec()));
    let args = || ["rinit", "sh"].map(OsString::from).into_iter();
    assert!(matches!(parse(args(), &env), Ok(Action::Run { config, .. }) if matches!(&config.termination_log,
        TerminationLog::Path(path) if path.as_bytes() == b"/\xff")));
    let env = |name: &str| (name == "RINIT_LOG").then(|| OsString::from_vec(b"rinit\xff".to_vec()));
    assert!(parse(args(), &env).unwrap_err().0.starts_with("RINIT_LOG: \"rinit\\xff\" is no filter"));
}

#[test]
fn arguments_of_program_are_not_copied() {
    for args in [&["sh"][..], &["--", "sh"], &["-g", "--", "sh"], &["-g", "-p", "INT", "sh"], &["-p", "--", "sh"]] {
        let taken = Cell::new(0);
        let words = ["rinit"].iter().chain(args).chain(["-c", "-x", "b", "d", "e"].iter().cycle().take(100_000));
        let parsed = parse(words.inspect(|_| taken.set(taken.get() + 1)).map(OsString::from), &|_| None);
        // Only `-g sh` looks like a flag with its value, and that ends at the next two words without a dash.
        assert!(taken.get() <= args.len() + 5, "{args:?}: {} words", taken.get());
        assert!(parsed.is_ok() || args[0] == "-p", "{parsed:?}");
    }
}

#[test]
fn help_fits_a_screen_and_names_every_flag() {
    assert!(HELP.lines().count() <= 24 && HELP.ends_with('\n'));
    for line in HELP.lines() {
        assert!(line.len() <= 80 && line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
    }
    let flags = "-g, --group\n-r, --rewrite\n-p, --parent-death-signal\n-s, --subreaper\n-e, --remap-exit\n\
        -w, --warn-reaped\n-v, --verbose\n-q, --quiet\n--report WHEN\n--format F, --stderr-format F\n--report-size BYTES\n\
        --termination-log PATH\n--defer-to-logs\n--tail LINES, --tail-stdout\n-t, --stop-timeout DUR\n--stop-signal SIG\n-d, --drain DUR\n--oom-shield\n--show-args\n-P, --pause\n--install PATH\n--check\n--explain WHAT...\n-h, --help\n-V, --version\n-l, --license";
    for flag in flags.lines() {
        assert_eq!(
            HELP.matches(&format!(" {flag} ")).count() + HELP.matches(&format!(" {flag}\n")).count(),
            1,
            "{flag}"
        );
    }
}

#[test]
fn version_is_one_line_that_docker_can_read() {
    let commit = VERSION.strip_prefix(concat!("rinit ", env!("CARGO_PKG_VERSION"), " - git.")).unwrap();
    let commit = commit.strip_suffix('\n').unwrap();
    assert!(!commit.is_empty() && commit.bytes().all(|byte| byte.is_ascii_graphic()), "{commit:?}");
    assert!(LICENSE.contains("The rinit authors"));
}

/// The settings of a run by `name`.
#[track_caller]
fn by_name(name: &str, args: &[&str], vars: &Vars) -> Config {
    let words = [&[name], args, &["--", "sh"]].concat();
    let env = |wanted: &str| vars.iter().find(|(other, _)| *other == wanted).map(|(_, value)| OsString::from(value));
    match parse(words.iter().map(OsString::from), &env) {
        Ok(Action::Run { config, program }) if program == words.len() - 1 => config,
        other => panic!("{words:?} {vars:?}: {other:?}"),
    }
}

#[test]
fn another_name_brings_its_flags_and_defaults() {
    let of = |peer: Peer| Config { peer: Some(peer), report: ReportWhen::Failure, ..default_config() };
    for (name, peer) in [
        ("tini", Peer::Tini),
        ("/sbin/docker-init", Peer::Tini),
        ("./tini-static", Peer::Tini),
        ("catatonit", Peer::Catatonit),
        ("/run/podman-init", Peer::Catatonit),
    ] {
        assert_eq!(by_name(name, &[], &[]), of(peer), "{name}");
        assert_eq!(by_name(name, &["-g"], &[]), Config { group: true, ..of(peer) }, "{name}");
    }
    for stranger in ["tini2", "tini-static.sh", "init", "rinit", "dumb-init/", ""] {
        assert_eq!(by_name(stranger, &[], &[]), default_config(), "{stranger}");
    }
    let stops = [Signo::TSTP, Signo::TTIN, Signo::TTOU].map(|signal| (signal, Some(Signo::STOP))).to_vec();
    let dumb = Config { session: true, group: true, rewrite: stops.clone(), ..of(Peer::DumbInit) };
    assert_eq!(by_name("dumb-init", &[], &[]), dumb);
    assert_eq!(by_name("dumb-init", &[], &[("DUMB_INIT_SETSID", "1")]), dumb);
    for single in [by_name("dumb-init", &["-c"], &[]), by_name("dumb-init", &[], &[("DUMB_INIT_SETSID", "0")])] {
        assert_eq!(single, of(Peer::DumbInit));
    }
    let rewrite = by_name("dumb-init", &["--rewrite", "20:0", "-r", "15:3"], &[]).rewrite;
    assert_eq!(rewrite, [vec![(Signo::TSTP, None), (Signo::TERM, Some(Signo::QUIT))], stops[1..].to_vec()].concat());
    for (vars, flags, filter) in [
        (&[][..], &[][..], "warn"),
        (&[("TINI_VERBOSITY", "0")], &[], "error"),
        (&[("TINI_VERBOSITY", "1")], &[], "warn"),
        (&[("TINI_VERBOSITY", "3")], &[], "debug"),
        (&[("TINI_VERBOSITY", "1")], &["-v"], "info"),
        (&[("TINI_VERBOSITY", "x")], &[], "error"),
        (&[("RINIT_LOG", "trace")], &[], "trace"),
        (&[], &["-vvvv"], "trace"),
    ] {
        assert_eq!(by_name("tini", flags, vars).log_filter, filter, "{vars:?} {flags:?}");
    }
    assert_eq!(by_name("tini", &[], &[("RINIT_REPORT", "always")]).report, ReportWhen::Always);
}

#[test]
fn another_names_failures_have_its_status() {
    let error = |stage, errno| StartError { stage, errno };
    for errno in 1..=133 {
        let tini = match errno {
            libc::ENOENT => 127,
            libc::EACCES => 126,
            _ => 1,
        };
        assert_eq!(Peer::Tini.start_status(error(Stage::Exec, errno)), tini);
        assert_eq!(Peer::DumbInit.start_status(error(Stage::Exec, errno)), 2);
        assert_eq!(Peer::Catatonit.start_status(error(Stage::Exec, errno)), 1);
    }
    for peer in [Peer::Tini, Peer::DumbInit, Peer::Catatonit] {
        assert_eq!(peer.start_status(error(Stage::Fork, libc::EAGAIN)), 1);
    }
}

/// What rinit makes of a command line by `name`.
fn read_by_name(name: &str, args: &[&str], vars: &Vars) -> Result<Action, String> {
    let words = [&[name], args].concat();
    let env = |wanted: &str| vars.iter().find(|(other, _)| *other == wanted).map(|(_, value)| OsString::from(value));
    parse(words.iter().map(OsString::from), &env).map_err(|UsageError(line)| line)
}

/// Every flag of the three, by every name: it is that of the ones that have it, and unknown to the others, in their words.
#[test]
fn each_name_has_its_own_flags() {
    let all = [("tini", Peer::Tini), ("dumb-init", Peer::DumbInit), ("catatonit", Peer::Catatonit)];
    let usual = |name| by_name(name, &[], &[]);
    type Change = fn(&mut Config);
    let table: &[(&str, &[&str], Change)] = &[
        ("tini", &["-s"], |_| {}),
        ("tini catatonit", &["-g"], |config| config.group = true),
        ("tini", &["-p", "KILL"], |config| config.parent_death_signal = Some(Signo::KILL)),
        ("tini", &["-e", "143"], |config| config.remap_exit = vec![143]),
        ("tini", &["-w"], |config| config.warn_reaped = true),
        ("dumb-init", &["-v"], |config| config.log_filter = "debug".into()),
        ("dumb-init", &["--verbose"], |config| config.log_filter = "debug".into()),
        ("tini", &["-v"], |config| config.log_filter = "info".into()),
        ("dumb-init", &["--single-child"], |config| {
            (config.session, config.group, config.rewrite) = (false, false, vec![]);
        }),
        ("dumb-init", &["-r", "1:2"], |config| config.rewrite.insert(0, (Signo::HUP, Some(Signo::INT)))),
        ("dumb-init", &["--rewrite", "1:0"], |config| config.rewrite.insert(0, (Signo::HUP, None))),
    ];
    for (names, flags, change) in table {
        for (name, _) in all.iter().filter(|(name, _)| names.split(' ').any(|one| one == *name)) {
            let mut expected = usual(name);
            change(&mut expected);
            assert_eq!(by_name(name, flags, &[]), expected, "{name} {flags:?}");
        }
    }
    let answers = [
        ("tini", "-h", "HELP"),
        ("tini", "--version", "tini version "),
        ("tini", "-l", "MIT OR"),
        ("catatonit", "-V", "tini version "),
        ("catatonit", "--version", "tini version "),
        ("catatonit", "-h", "HELP"),
        ("catatonit", "-L", "MIT OR"),
        ("dumb-init", "-V", "dumb-init v"),
        ("dumb-init", "--version", "dumb-init v"),
        ("dumb-init", "-h", "HELP"),
        ("dumb-init", "--help", "HELP"),
    ];
    for (name, flag, begin) in answers {
        let (text, on_stderr) = match read_by_name(name, &[flag, "sh"], &[("RINIT_OFF", "x")]) {
            Ok(Action::Print(text)) => (text, false),
            Ok(Action::PrintToStderr(text)) => (text, true),
            other => panic!("{name} {flag}: {other:?}"),
        };
        assert!(text.starts_with(if begin == "HELP" { HELP } else { begin }), "{name} {flag}: {text}");
        assert_eq!(on_stderr, name == "dumb-init" || (name, flag) == ("catatonit", "-h"), "{name} {flag}");
    }
    let shorts = "sgpewvcrPVhlLtdqx";
    let longs = ["verbose", "single-child", "rewrite", "version", "help", "stop-timeout", "group"];
    let known = |name: &str, flag: &str| {
        let also = ["-v", "-P", "-c", "-r"];
        let of = |names: &str| names.split(' ').any(|one| one == name);
        table.iter().any(|(names, flags, _)| of(names) && flags[0] == flag)
            || answers.iter().any(|(its, that, _)| *its == name && *that == flag)
            || also.contains(&flag)
                && match flag {
                    "-P" => of("catatonit"),
                    "-v" => of("tini dumb-init"),
                    _ => of("dumb-init"),
                }
    };
    for (name, _) in all {
        for flag in shorts.chars().map(|short| format!("-{short}")).chain(longs.map(|long| format!("--{long}"))) {
            let line = read_by_name(name, &[&flag], &[]).err();
            let unknown = match flag.strip_prefix("--") {
                Some(_) => format!("unrecognized option '{flag}'"),
                None => format!("invalid option -- '{}'", &flag[1..]),
            };
            assert_eq!(line.as_ref() == Some(&unknown), !known(name, &flag), "{name} {flag}: {line:?}");
        }
        assert_eq!(read_by_name(name, &[], &[]), Err("missing program name".into()));
    }
    let refused =
        |name, args: &[&str], line: &str| assert_eq!(read_by_name(name, args, &[]), Err(line.into()), "{args:?}");
    refused("tini", &["-p"], "option requires an argument -- 'p'");
    refused("dumb-init", &["--rewrite"], "option requires an argument -- 'rewrite'");
    refused("dumb-init", &["--verbose=1"], "option '--verbose' doesn't allow an argument");
    refused("catatonit", &["-P", "sh"], "-P takes no program");
    let paused = Action::Pause(Config { peer: Some(Peer::Catatonit), report: ReportWhen::Failure, ..default_config() });
    assert_eq!(read_by_name("catatonit", &["-P"], &[]), Ok(paused));
    let loud = Config { log_filter: "debug".into(), ..usual("dumb-init") };
    assert_eq!(by_name("dumb-init", &[], &[("DUMB_INIT_DEBUG", "1")]), loud);
    for quiet in ["0", "2", ""] {
        assert_eq!(by_name("dumb-init", &[], &[("DUMB_INIT_DEBUG", quiet)]), usual("dumb-init"));
    }
    assert!(by_name("tini", &[], &[("TINI_KILL_PROCESS_GROUP", "")]).group);
    assert_eq!(by_name("tini", &[], &[("TINI_VERBOSITY", "2")]).log_filter, "info");
    // PROGRAM stands where the options end.
    assert!(matches!(read_by_name("tini", &["-g", "sh", "-x"], &[]), Ok(Action::Run { program: 2, .. })));
}

#[test]
fn off_needs_nothing_but_a_program_by_any_name() {
    for name in ["tini", "dumb-init", "catatonit"] {
        let off = |args: &[&str], vars: &Vars| read_by_name(name, args, &[&[("RINIT_OFF", "1")], vars].concat());
        assert_eq!(off(&["--", "sh"], &[("RINIT_DRAIN", "junk")]), Ok(Action::StandAside { program: 2 }), "{name}");
        let wrong = read_by_name(name, &["sh"], &[("RINIT_OFF", "yes")]);
        assert_eq!(wrong, Err("RINIT_OFF: \"yes\" is neither 1 (on) nor 0 (off)".into()), "{name}");
        assert!(read_by_name(name, &["sh"], &[("RINIT_DRAIN", "0")]).is_err(), "{name}");
    }
    for (name, flags) in [("tini", ["-p", "x"]), ("tini", ["-e", "256"]), ("dumb-init", ["-r", "9"])] {
        let args = [&flags[..], &["sh"]].concat();
        assert!(read_by_name(name, &args, &[]).is_err());
        assert_eq!(read_by_name(name, &args, &[("RINIT_OFF", "1")]), Ok(Action::StandAside { program: 3 }), "{name}");
    }
}

#[test]
fn the_lines_of_another_name_are_its_own() {
    let line = |peer: Peer| peer.start_line(7, "app", "No such file or directory");
    assert_eq!(line(Peer::Tini), "[FATAL tini (7)] exec app failed: No such file or directory");
    assert_eq!(line(Peer::DumbInit), "[dumb-init] app: No such file or directory");
    assert_eq!(line(Peer::Catatonit), "ERROR (catatonit:7): failed to exec pid1: No such file or directory");
    let prefix = |peer: Peer| peer.log_prefix(7, log::Level::Warn);
    assert_eq!(prefix(Peer::Tini), "[WARN  tini (7)] ");
    assert_eq!(prefix(Peer::DumbInit), "[dumb-init] ");
    assert_eq!(prefix(Peer::Catatonit), "WARN (catatonit:7): ");
    let behind = [Peer::Tini, Peer::DumbInit, Peer::Catatonit].map(Peer::takes_dashes_behind_program);
    assert_eq!(behind, [true, false, true]);
}
