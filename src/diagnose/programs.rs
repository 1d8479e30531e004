//! What is known of programs by their names: which ones run others, which go to the background unless they are told not to.

#![forbid(unsafe_code)]

/// Shells, by comm or by the name of their file.
const SHELLS: [&[u8]; 9] = [b"sh", b"bash", b"dash", b"ash", b"ksh", b"ksh93", b"mksh", b"zsh", b"busybox"];
/// Others that start a program, wait for it and do not hand every signal on.
const RUNNERS: [&[u8]; 9] = [b"npm", b"npx", b"yarn", b"pnpm", b"make", b"su", b"sudo", b"runuser", b"xargs"];

/// Daemons, and what keeps them in the foreground.
const DAEMONS: [(&str, &str); 29] = [
    ("apache2", "apache2 -D FOREGROUND"),
    ("chronyd", "chronyd -d"),
    ("cron", "cron -f"),
    ("crond", "crond -f, or crond -n"),
    ("dnsmasq", "dnsmasq -k"),
    ("dovecot", "dovecot -F"),
    ("haproxy", "haproxy -db, without -D"),
    ("httpd", "httpd -D FOREGROUND"),
    ("keepalived", "keepalived -n"),
    ("lighttpd", "lighttpd -D"),
    ("memcached", "memcached without -d"),
    ("mongod", "mongod without --fork"),
    ("mysqld", "mysqld without --daemonize"),
    ("named", "named -g"),
    ("nginx", "nginx -g 'daemon off;'"),
    ("php-fpm", "php-fpm -F"),
    ("postgres", "postgres itself, not pg_ctl start"),
    ("proftpd", "proftpd -n"),
    ("redis-server", "redis-server --daemonize no"),
    ("rsyslogd", "rsyslogd -n"),
    ("slapd", "slapd -d 0"),
    ("smbd", "smbd --foreground --no-process-group"),
    ("squid", "squid -N"),
    ("sshd", "sshd -D"),
    ("supervisord", "supervisord -n"),
    ("syslogd", "syslogd -n"),
    ("uwsgi", "uwsgi without --daemonize"),
    ("varnishd", "varnishd -F"),
    ("vsftpd", "vsftpd -obackground=NO"),
];

/// Bytes of a comm (`TASK_COMM_LEN` without its end).
const COMM: usize = 15;

/// What stands behind the last slash.
pub(super) fn base(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// Whether `name` is a shell's.
pub(super) fn is_shell(name: &[u8]) -> bool {
    SHELLS.contains(&name)
}

/// Whether `name`, the comm of a process, is that of a shell or of another program that runs a program behind it. npm and
/// the like set theirs to a title (`npm run start`).
pub(super) fn is_runner(name: &[u8]) -> bool {
    let first = name.split(|byte| *byte == b' ').next().unwrap_or(name);
    is_shell(name) || RUNNERS.contains(&first)
}

/// What keeps the daemon with this comm or file name in the foreground. Debian's php-fpm has its version in its name.
pub(super) fn foreground(name: &[u8]) -> Option<&'static str> {
    let known = |daemon: &str| same(daemon.as_bytes(), name) || (daemon == "php-fpm" && name.starts_with(b"php-fpm"));
    DAEMONS.iter().find(|(daemon, _)| known(daemon)).map(|(_, option)| *option)
}

/// Whether two names are the same as far as a comm shows it.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    let cut = |name| <[u8]>::get(name, ..COMM).unwrap_or(name).to_vec();
    cut(one) == cut(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert!(is_runner(b"dash") && is_runner(b"npm run start") && !is_runner(b"node") && !is_runner(b""));
        assert!(is_shell(b"busybox") && !is_shell(b"fish and chips"));
        assert_eq!(foreground(b"nginx"), Some("nginx -g 'daemon off;'"));
        assert_eq!(foreground(b"php-fpm8.2"), Some("php-fpm -F"));
        assert_eq!(foreground(b"java"), None);
        assert!(same(b"a-very-long-name-one", b"a-very-long-nam") && !same(b"a", b"b"));
        assert!(DAEMONS.iter().all(|(name, option)| option.is_ascii() && option.starts_with(name)));
        assert!(DAEMONS.is_sorted());
    }
}
