//! Job control: what a stop of PROGRAM means for rinit and for the shell around it.

#![forbid(unsafe_code)]

use nix::unistd::{Pid, getpgid, getpgrp};

use super::Supervisor;
use crate::child::{Placement, foreground, pass_terminal};
use crate::signals::Signo;
use crate::sys::signal;

impl Supervisor<'_> {
    /// A stop of PROGRAM is a stop of the job, and the shell that waits for rinit has to see it.
    pub(super) fn on_stop(&self, program: i32, signal: Signo) {
        if self.placement == Placement::Session {
            return;
        }
        if self.placement == Placement::Leader {
            continue_after_ctrl_z(program, signal);
            return;
        }
        let (rinits, programs) = (getpgrp(), Pid::from_raw(program));
        let own_group = self.placement == Placement::OwnGroup;
        // `fg` for a job that ran on in the background: it gives the terminal to rinit's group and sends nothing.
        let wants_terminal = [Signo::TTIN, Signo::TTOU].contains(&signal);
        if own_group && wants_terminal && pass_terminal(rinits, programs) {
            let _ = signal::kill(-program, Signo::CONT);
            return;
        }
        let foreground = foreground();
        let in_front = foreground == Some(rinits) || (own_group && foreground == Some(programs));
        // Somebody else's SIGSTOP (a debugger, a CPU limiter): the SIGCONT that follows would come to PROGRAM alone, and
        // rinit would stay stopped for ever. On the terminal the user can see it, and has to get the shell back.
        let behind_our_back = signal == Signo::STOP && !in_front;
        // SIGCONT comes to rinit too; one that is here already has undone the stop.
        if behind_our_back || signal::is_pending(Signo::CONT) {
            return;
        }
        // The terminal stopped PROGRAM's group only. A script around rinit and the rest of a pipeline are of the job.
        let whom = if own_group && foreground == Some(programs) { 0 } else { self.pid };
        let stopped = signal::stop_by(whom, if signal == Signo::STOP { Signo::TSTP } else { signal });
        if own_group {
            pass_terminal(rinits, programs);
        }
        if !stopped {
            continue_after_ctrl_z(program, signal);
        }
    }
}

/// Ctrl-Z, and there is no shell around rinit to type `fg` in. PROGRAM's whole group was stopped.
fn continue_after_ctrl_z(program: i32, signal: Signo) {
    if signal == Signo::TSTP {
        log::debug!("pid {program} was stopped by {signal}: continued, since nobody else can");
        // Once each: a second SIGCONT could undo the next Ctrl-Z for PROGRAM alone, and then nobody sees its group's stop.
        let _ = signal::kill(if leads_group(program) { -program } else { program }, Signo::CONT);
    }
}

/// PROGRAM can leave the group that it was started in. Where nobody can tell, it is there: two signals would be worse.
pub(super) fn leads_group(program: i32) -> bool {
    let program = Pid::from_raw(program);
    getpgid(Some(program)).unwrap_or(program) == program
}
