//! A signal on its way to PROGRAM.

#![forbid(unsafe_code)]

use nix::errno::Errno;

use super::backlog::Backlog;
use super::job::leads_group;
use super::{History, Seen, Supervisor, Witness};
use crate::child::Placement;
use crate::diagnose::wording;
use crate::evidence::{Fate, SignalEvent};
use crate::signals::{Origin, Received, SI_QUEUE, Signo};
use crate::sys::signal;

impl Supervisor<'_> {
    /// Passes it on, tells `witness`, and keeps it.
    #[inline(never)]
    pub(super) fn forward(&self, program: i32, received: Received, seen: &mut Seen, witness: &mut dyn Witness) {
        if received.signal == Signo::CHLD || received.is_own_write(self.pid) {
            return;
        }
        let history = &mut seen.history;
        let at = self.start.elapsed();
        // Looked at before it is sent: afterwards neither the sender nor PROGRAM need be there.
        let proc = self.proc.filter(|_| history.wants_details(at));
        let sender = proc.filter(|_| received.pid != 0).and_then(|proc| proc.process(received.pid));
        let origin = Origin::of(&received, self.pid, sender.map(|sender| (sender.parent, sender.name)));
        let closely = received.pid == 0 || [Signo::TERM, Signo::INT, Signo::QUIT].contains(&received.signal);
        let snapshot = proc.and_then(|proc| proc.snapshot(program, closely));
        let fate = match self.rewritten(received.signal) {
            _ if self.has_it_already(program, &received, history) => Fate::Direct,
            None => Fate::Dropped,
            Some(signal) => match self.send(program, signal, &received, &mut seen.backlog) {
                Ok(()) => Fate::Sent(signal),
                Err(errno) => {
                    log::warn!("cannot pass {signal} on to pid {program}: {}", errno.desc());
                    Fate::Failed(errno as i32)
                }
            },
        };
        log::debug!("{} {}{}", received.signal, wording::origin(&origin), what_became(fate, received.signal));
        let event = SignalEvent { signal: received.signal, origin, at, fate, snapshot };
        witness.signal(&event);
        self.note_request(program, &event, &mut seen.stopping);
        history.push(event);
        if self.placement == Placement::Session && [Signo::TSTP, Signo::TTIN, Signo::TTOU].contains(&received.signal) {
            // The shell that started rinit waits for its job to stop.
            let _ = signal::kill(self.pid, Signo::STOP);
        }
    }

    /// What `--rewrite` makes of `signal`; `None`: it is dropped.
    pub(super) fn rewritten(&self, signal: Signo) -> Option<Signo> {
        let rewritten = self.rewrite.iter().rev().find(|(from, _)| *from == signal);
        rewritten.map_or(Some(signal), |(_, to)| *to)
    }

    /// In rinit's own group PROGRAM gets by itself what the terminal sends to the group. And what PROGRAM sends to its
    /// group (`kill 0`) must not come back to it: with a trap that does it again, that would never end. Nor may a
    /// shell's SIGCONT come late and undo the next Ctrl-Z.
    fn has_it_already(&self, program: i32, received: &Received, history: &mut History) -> bool {
        let continued = received.signal == Signo::CONT && std::mem::take(&mut history.continued);
        self.placement == Placement::SameGroup && (received.is_from_terminal() || received.pid == program || continued)
    }

    fn send(&self, program: i32, signal: Signo, received: &Received, backlog: &mut Backlog) -> Result<(), Errno> {
        let mut send_to_program = || match received.code {
            SI_QUEUE => backlog.send(program, signal, received.value),
            _ => signal::kill(program, signal),
        };
        if !self.group {
            return send_to_program();
        }
        // A group cannot be sent a value.
        let sent = signal::kill(-program, signal);
        if sent.is_ok() && leads_group(program) {
            return sent;
        }
        // PROGRAM has left its group.
        send_to_program()
    }
}

/// To follow the signal and its sender in a line of the log.
fn what_became(fate: Fate, received: Signo) -> String {
    match fate {
        Fate::Sent(signal) if signal == received => ": passed on".to_owned(),
        Fate::Sent(signal) => format!(": passed on as {signal}"),
        Fate::Dropped => ": dropped".to_owned(),
        Fate::Direct => ": PROGRAM has it already".to_owned(),
        Fate::Failed(errno) => format!(": not passed on, {}", Errno::from_raw(errno).desc()),
    }
}
