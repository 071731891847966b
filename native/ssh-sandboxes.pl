#!/usr/bin/perl
# Sandboxes on a host that is reached by SSH: a user and a directory each, in namespaces of their own. Needs perl-base, rm and a Linux
# kernel, and root, since each has a user of its own. It comes over the connection, before native/ssh-work.pl and native/ssh-host.pl,
# and nothing of it lies on the host.
#
#   ROOT/INSTANCE/ID/record    what it is: a line for each word, and its first process, by id, start tick and boot
#                    env       its variables, each ended by NUL
#                    ended     "expired" where its first process ended it at its max_life
#                    tree/     its workspace, home, tmp and var-tmp: all that it can write to
#                    root/     what its own root is mounted on
#   ROOT/uids/UID              a symbolic link to INSTANCE/ID: whoever makes it has the user
#   ROOT/locks/                one at a time may make or remove a sandbox
use strict;
use warnings;
use Fcntl qw(:DEFAULT :flock F_GETFL F_SETFL O_NONBLOCK);
use POSIX ();
use Time::HiRes ();

use constant { NEWNS => 0x20000, NEWUTS => 0x4000000, NEWIPC => 0x8000000, NEWPID => 0x20000000, NEWNET => 0x40000000 };
use constant { RDONLY => 1, NOSUID => 2, NODEV => 4, NOEXEC => 8, REMOUNT => 32, BIND => 4096, REC => 16_384, PRIVATE => 1 << 18, DETACH => 2 };
use constant { CLOCK_BOOTTIME => 7, LOCKS => 64 };

our @S;
my ($root, $instance, $first_uid, $uids) = unpack '(N/a)*', $S[2];
my ($kernel, $machine) = (POSIX::uname())[2, 4];
my $arm = $machine =~ /^(?:aarch64|arm64)$/;
my %number;
@number{qw(prctl setns unshare mount umount2 pivot_root sethostname setresuid setresgid setgroups prlimit capset)} =
  $arm ? (167, 268, 97, 40, 39, 41, 161, 147, 149, 159, 261, 91) : (157, 308, 272, 165, 166, 155, 170, 117, 119, 116, 302, 126);

sub sys { my ($name, @words) = @_; return syscall $number{$name}, @words }
sub refuse { my ($code, $text) = @_; die { code => $code, text => $text } }
sub broken { refuse('backend_rejected', join ' ', @_, "($!)") }
sub slurp_file { open my $file, '<', shift or return; local $/; return scalar(<$file>) // '' }
sub spill { my ($path, $text) = @_; open my $file, '>', $path or return 0; print {$file} $text or return 0; return close $file }
sub replace_file { my ($path, $text) = @_; return spill("$path.draft", $text) && rename "$path.draft", $path }
sub rest { select undef, undef, undef, shift }
sub uptime { return Time::HiRes::clock_gettime(CLOCK_BOOTTIME) }

my $boot = slurp_file('/proc/sys/kernel/random/boot_id') // '';
chomp $boot;

sub place { return "$root/$instance/$_[0]" }
# State, parent and start tick of a process.
sub stat_of_process { return (slurp_file("/proc/$_[0]/stat") // '') =~ /^.*\) (\S) (\d+) (?:\S+ ){17}(\d+)/s ? ($1, $2, $3) : () }
sub record_of_sandbox {
  my $text = slurp_file(place(shift) . '/record') // return;
  my %known = map { /^(\w+) (.*)$/ ? ($1, $2) : () } split /\n/, $text;
  s/%(..)/chr hex $1/ge for values %known;
  return \%known;
}
sub keep_record {
  my ($id, $known) = @_;
  my $line = sub { my $value = $known->{ $_[0] }; $value =~ s/([^ -\$&-~])/sprintf '%%%02x', ord $1/ge; "$_[0] $value\n" };
  replace_file(place($id) . '/record', join '', map { $line->($_) } sort keys %$known) or broken('the record of a sandbox cannot be written');
}
sub is_alive {
  my $known = shift;
  return 0 unless $known->{pid} && $known->{boot} eq $boot;
  my ($state, undef, $begun) = stat_of_process($known->{pid});
  return defined $begun && $begun == $known->{ticks} && $state !~ /[ZX]/;
}
# Held until the process ends; a fork that stays lets go of it first.
my $lock;
sub lock_sandbox {
  my $sum = unpack '%32C*', shift;
  for ($root, "$root/locks") { mkdir $_, 0711 or $!{EEXIST} or refuse('backend_rejected', "$_ cannot be made ($!)") }
  open $lock, '>>', "$root/locks/" . $sum % LOCKS or broken('a lock cannot be opened');
  flock $lock, LOCK_EX or broken('a lock cannot be taken');
}

# A user that nobody has, found from the sandbox's own place on, so that two seldom meet.
sub uid_for {
  my $id = shift;
  mkdir "$root/uids", 0700 or $!{EEXIST} or broken('the users cannot be kept');
  my $start = unpack '%32N*', $id . "\0" x (4 - length($id) % 4);
  for my $step (0 .. $uids - 1) {
    my $uid = $first_uid + ($start + $step) % $uids;
    next if defined getpwuid $uid;
    return $uid if symlink "$instance/$id", "$root/uids/$uid";
    $!{EEXIST} or broken('a user cannot be kept');
  }
  refuse('quota_exceeded', "all $uids users of this host are taken");
}
sub users_of {
  my $owner = "$instance/$_[0]";
  opendir my $all, "$root/uids" or return;
  return grep { /^\d+$/ && (readlink("$root/uids/$_") // '') eq $owner } readdir $all;
}
sub processes_of {
  my $uid = shift;
  opendir my $proc, '/proc' or broken('/proc cannot be read');
  return grep { /^\d+$/ && (slurp_file("/proc/$_/status") // '') =~ /^State:\s+[^ZX].*^Uid:\s+\Q$uid\E\s/ms } readdir $proc;
}

# All of it, whatever there is of it; what is left is told, and never called gone.
sub remove_sandbox {
  my ($id, $known) = @_;
  my $at = place($id);
  my $over = Time::HiRes::time() + 20;
  if ($known && is_alive($known)) {
    # It is the first process of its own namespace: with it the kernel ends all others.
    kill 'KILL', $known->{pid};
    while (is_alive($known)) { refuse('backend_rejected', "process $known->{pid} does not end") if Time::HiRes::time() > $over; rest(0.002) }
  }
  for my $uid (users_of($id)) {
    while (my @left = processes_of($uid)) { refuse('backend_rejected', "processes @left do not end") if Time::HiRes::time() > $over; kill 'KILL', @left; rest(0.01) }
  }
  remove_group($id);
  system '/bin/rm', '-rf', '--one-file-system', '--', "$at/tree", "$at/root";
  refuse('backend_rejected', "$at cannot be removed") if -e "$at/tree" || -e "$at/root";
  unlink map { "$root/uids/$_" } users_of($id);
  # The record last: whatever is interrupted is found by it.
  unlink map { "$at/$_" } qw(env ended env.draft record.draft record);
  rmdir $at or $!{ENOENT} or broken("$at cannot be removed");
}

sub mounted { my ($from, $to, $type, $flags, $data) = @_; sys('mount', $from, $to, $type, $flags, $data // '') == 0 or broken("$to cannot be mounted") }
sub bound { my ($from, $to, $flags) = @_; mounted($from, $to, '', BIND); mounted('', $to, '', REMOUNT | BIND | $flags) }
sub bound_file { my ($from, $to) = @_; spill($to, ''); mounted($from, $to, '', BIND) }

my %words_of_etc = (
  'nsswitch.conf' => "passwd: files\ngroup: files\nhosts: files dns\n",
  'resolv.conf' => '',
  profile => qq(PS1='\\u\@\\h:\\w\\\$ '\n),
);

# The root of a sandbox: the host's programs, read-only, and nothing else of the host. Called in its own namespaces.
sub make_root {
  my ($at, $uid, $hostname) = @_;
  my $new = "$at/root";
  mounted('', '/', '', REC | PRIVATE);
  mounted('sandboxer', $new, 'tmpfs', NOSUID | NODEV, 'mode=755,size=4m');
  for my $name (qw(bin sbin lib lib32 lib64 libx32)) {
    if (-l "/$name") { symlink readlink("/$name"), "$new/$name" }
    elsif (-d _) { mkdir "$new/$name"; bound("/$name", "$new/$name", RDONLY | NOSUID | NODEV) }
  }
  mkdir "$new/$_" for qw(usr etc etc/ssl etc/ssl/certs etc/alternatives proc dev sys sys/fs sys/fs/cgroup tmp run home home/sandbox workspace root opt mnt srv var var/tmp var/lib var/log);
  symlink '/run', "$new/var/run";
  symlink 'sandbox', "$new/home/user";
  symlink '/proc/self/mounts', "$new/etc/mtab";
  bound('/usr', "$new/usr", RDONLY | NOSUID | NODEV);
  for (qw(etc/ssl/certs etc/alternatives)) { bound("/$_", "$new/$_", RDONLY | NOSUID | NODEV) if -d "/$_" }
  for (qw(etc/ld.so.cache etc/os-release etc/localtime)) { bound_file("/$_", "$new/$_") if -e "/$_" }
  spill("$new/etc/$_", $words_of_etc{$_}) for keys %words_of_etc;
  spill("$new/etc/passwd", "root:x:0:0:root:/root:/usr/sbin/nologin\nsandbox:x:$uid:$uid:sandbox:/home/sandbox:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
  spill("$new/etc/group", "root:x:0:\ntty:x:5:\nsandbox:x:$uid:\nnogroup:x:65534:\n");
  spill("$new/etc/hosts", "127.0.0.1 localhost $hostname\n::1 localhost\n");
  spill("$new/etc/hostname", "$hostname\n");
  bound("$at/tree/$_->[0]", "$new/$_->[1]", NOSUID | NODEV) for [ 'workspace', 'workspace' ], [ 'home', 'home/sandbox' ], [ 'tmp', 'tmp' ], [ 'var-tmp', 'var/tmp' ];
  make_devices("$new/dev");
  bind_group($_, "$new/sys/fs/cgroup") for $at =~ m{([^/]+)$};
  mounted('proc', "$new/proc", 'proc', NOSUID | NODEV | NOEXEC);
  chdir $new or broken('the new root cannot be entered');
  sys('pivot_root', '.', '.') == 0 or broken('the root cannot be changed');
  sys('umount2', '.', DETACH) == 0 or broken('the old root cannot be left');
  chdir '/';
  mounted('', '/', '', REMOUNT | BIND | RDONLY | NOSUID | NODEV);
}
sub make_devices {
  my $dev = shift;
  mounted('sandboxer', $dev, 'tmpfs', NOSUID, 'mode=755,size=64k');
  bound_file("/dev/$_", "$dev/$_") for qw(null zero full random urandom tty);
  mkdir "$dev/$_" for qw(pts shm);
  mounted('devpts', "$dev/pts", 'devpts', NOSUID | NOEXEC, 'newinstance,ptmxmode=0666,mode=620,gid=5');
  mounted('shm', "$dev/shm", 'tmpfs', NOSUID | NODEV, 'mode=1777,size=64m');
  symlink $_->[0], "$dev/$_->[1]" for [ 'pts/ptmx', 'ptmx' ], [ '/proc/self/fd', 'fd' ], map { [ "/proc/self/fd/$_->[0]", $_->[1] ] } [ 0, 'stdin' ], [ 1, 'stdout' ], [ 2, 'stderr' ];
  mounted('', $dev, '', REMOUNT | RDONLY | NOSUID, 'mode=755,size=64k');
}
sub lose_capabilities {
  # PR_CAPBSET_DROP, then none of what is held, then PR_SET_NO_NEW_PRIVS: nothing that is started gets any of it back.
  sys('prctl', 24, $_, 0, 0, 0) for 0 .. 63;
  sys('capset', pack('LL', 0x20080522, 0), pack('L6', (0) x 6)) == 0 or broken('capabilities cannot be given up');
  sys('prctl', 38, 1, 0, 0, 0) == 0 or broken('new privileges cannot be refused');
}

# The first process of a sandbox: root without any capability, so that what runs inside cannot end it. Never returns.
sub first_process {
  my ($at, $uid, $hostname, $seconds, $ended, $ready, $go) = @_;
  my $until = uptime() + $seconds;
  my $made = eval {
    POSIX::setsid();
    open STDIN, '<', '/dev/null' and open STDOUT, '>', '/dev/null' and open STDERR, '>', '/dev/null' or broken('/dev/null cannot be opened');
    spill('/proc/self/oom_score_adj', '-1000');
    sys('unshare', NEWNS | NEWNET | NEWIPC | NEWUTS) == 0 or broken('namespaces cannot be made');
    sys('sethostname', $hostname, length $hostname) == 0 or broken('the name cannot be set');
    # SIOCSIFFLAGS: up and running.
    my $up = pack 'a16 s x22', 'lo', 0x41;
    socket(my $any, 2, 2, 0) or broken('no socket');
    ioctl $any, 0x8914, $up or broken('the loopback cannot be brought up');
    close $any;
    make_root($at, $uid, $hostname);
    lose_capabilities();
    1;
  };
  syswrite $ready, $made ? 'made' : ref $@ ? $@->{text} : "$@";
  close $ready;
  # Its maker writes it down before it says so; one that died has made nothing.
  POSIX::_exit(1) unless $made && sysread $go, my $said, 1;
  close $go;
  $0 = 'sandboxer-sandbox';
  $SIG{CHLD} = sub { };
  $SIG{$_} = 'IGNORE' for qw(HUP INT PIPE TERM);
  for (;;) {
    my $left = $until - uptime();
    if ($left <= 0) { syswrite $ended, 'expired'; POSIX::_exit(0) }
    while (waitpid(-1, 1) > 0) { }
    rest($left < 5 ? $left : 5);
  }
}

sub create_sandbox {
  my ($id, $tenant, $generation, $max_life_at, $seconds, $hostname, $limited, $cpu, $memory, $disk, $pids, $env) = @_;
  lock_sandbox($id);
  my ($at, $known) = (place($id), record_of_sandbox($id));
  refuse('conflict', "sandbox $id is there in another generation") if $known && $known->{generation} != $generation;
  return ($known->{uid}, 'found') if $known && is_alive($known);
  remove_sandbox($id, $known) if -d $at;
  mkdir "$root/$instance", 0711 or $!{EEXIST} or broken("$root/$instance cannot be made");
  mkdir $at, 0700 or broken("$at cannot be made");
  my %made = (id => $id, tenant => $tenant, generation => $generation, max_life_at => $max_life_at, disk => $disk, pids => $pids, limited => $limited);
  my $done = eval {
    keep_record($id, \%made);
    my $uid = $made{uid} = uid_for($id);
    keep_record($id, \%made);
    replace_file("$at/env", $env) && spill("$at/ended", '') or broken('the sandbox cannot be written down');
    mkdir "$at/$_", 0755 or broken("$at/$_ cannot be made") for qw(root tree);
    for ([ 'workspace', 0755 ], [ 'home', 0750 ], [ 'tmp', 01777 ], [ 'var-tmp', 01777 ]) {
      my ($name, $mode) = @$_;
      mkdir "$at/tree/$name" and chown $uid, $uid, "$at/tree/$name" and chmod $mode, "$at/tree/$name" or broken("$at/tree/$name cannot be made");
    }
    make_group($id, $cpu, $memory, $pids) if $limited;
    start_first($id, \%made, $hostname, $seconds);
    1;
  };
  return ($made{uid}, 'made') if $done;
  my $why = $@;
  eval { remove_sandbox($id, \%made); 1 } or refuse('ambiguous_create', (ref $why ? $why->{text} : $why) . '; and what was made cannot be removed: ' . (ref $@ ? $@->{text} : $@));
  die $why;
}
sub start_first {
  my ($id, $made, $hostname, $seconds) = @_;
  my $at = place($id);
  open my $ended, '>>', "$at/ended" or broken('the end cannot be written down');
  pipe my $ready, my $ready_end and pipe my $go_end, my $go and pipe my $number, my $number_end or broken('no pipe');
  my $between = fork;
  broken('no process') unless defined $between;
  if (!$between) {
    close $_ for $lock, $ready, $go, $number;
    my $pid;
    if (($made->{limited} ? enter_group($id) : 1) && sys('unshare', NEWPID) == 0) {
      $pid = fork;
      if (defined $pid && !$pid) { close $number_end; first_process($at, $made->{uid}, $hostname, $seconds, $ended, $ready_end, $go_end) }
    }
    syswrite $number_end, $pid // "0 $!";
    POSIX::_exit(0);
  }
  close $_ for $ready_end, $go_end, $number_end;
  sysread $number, my $told, 200;
  waitpid $between, 0;
  my ($pid) = ($told // '') =~ /^([1-9]\d*)$/ or refuse('backend_rejected', "no process namespace can be made: " . ($told // ''));
  sysread $ready, my $said, 2000;
  refuse('backend_rejected', $said || 'the first process ended at once') unless ($said // '') eq 'made';
  (undef, undef, my $ticks) = stat_of_process($pid) or refuse('backend_rejected', 'the first process has ended');
  @$made{qw(pid ticks boot)} = ($pid, $ticks, $boot);
  keep_record($id, $made);
  syswrite $go, '.';
}
