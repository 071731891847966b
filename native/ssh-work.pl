# What is asked of a host that is reached by SSH, after native/ssh-sandboxes.pl: each question is a fork of native/ssh-host.pl with three pipes.
#
#   probe                             whether sandboxes can be made here, and whether their limits hold
#   create, destroy, inspect, list    see the subs; answered with words, `ok` or `error`, a code and a text first
#   tidy                              lets go of users whose sandbox was never made
#   enter ID GENERATION HOW ENV...    becomes a command inside: the companion with those words, or a program

use constant { GONE => 44, CANNOT => 70, F_NOFILE => 7, F_FSIZE => 1, F_CORE => 4, F_NPROC => 6, F_MEMLOCK => 8 };

# Control groups, of version 1 or 2: where each controller is mounted.
my %controller;
for (split /\n/, slurp_file('/proc/self/mountinfo') // '') {
  my ($mount, $type, $options) = /^\S+ \S+ \S+ \S+ (\S+) .*- (\S+) \S+ (\S+)$/ or next;
  if ($type eq 'cgroup2') { $controller{unified} = $mount }
  elsif ($type eq 'cgroup') { for my $name (qw(memory cpu cpuacct pids)) { $controller{$name} = $mount if ",$options," =~ /,$name,/ } }
}
my $unified = !$controller{memory} && $controller{unified};
my @limiting = $unified ? 'unified' : qw(memory cpu pids);
sub group_at { my ($name, $id) = @_; return $controller{$name} && "$controller{$name}/sandboxer/$instance-$id" }
sub group_value { my ($name, $id, $file) = @_; my $at = group_at($name, $id) or return ''; my $text = slurp_file("$at/$file") // ''; chomp $text; return $text }
sub limit_group {
  my ($name, $id, $file, $value) = @_;
  spill(group_at($name, $id) . "/$file", $value) or broken("$file of its control group cannot be set");
  my $held = group_value($name, $id, $file);
  # The kernel counts memory in pages.
  refuse('backend_rejected', "$file is $held and not $value") unless $held eq $value || ($held =~ /^\d+$/ && $value =~ /^\d+$/ && $held <= $value && $held > $value - 65_536);
}
sub make_group {
  my ($id, $cpu, $memory, $pids) = @_;
  for my $name (@limiting, $controller{cpuacct} ? 'cpuacct' : ()) {
    my $mount = $controller{$name} or refuse('capability_unsupported', "this host has no control groups for $name");
    mkdir "$mount/sandboxer";
    if ($unified) { spill("$_/cgroup.subtree_control", '+cpu +memory +pids') or broken("control groups below $_ cannot be limited") for $mount, "$mount/sandboxer" }
    mkdir group_at($name, $id) or $!{EEXIST} or broken('its control group cannot be made');
  }
  my $quota = int($cpu * 100_000 + 0.5);
  $quota = 1000 if $quota < 1000;
  # Its first process is not one of its own.
  $pids++;
  if ($unified) {
    limit_group('unified', $id, @$_) for [ 'memory.max', $memory ], [ 'cpu.max', "$quota 100000" ], [ 'pids.max', $pids ];
    limit_group('unified', $id, 'memory.swap.max', 0) if -e group_at('unified', $id) . '/memory.swap.max';
    return;
  }
  limit_group('memory', $id, 'memory.limit_in_bytes', $memory);
  limit_group('memory', $id, 'memory.memsw.limit_in_bytes', $memory) if -e group_at('memory', $id) . '/memory.memsw.limit_in_bytes';
  limit_group('cpu', $id, @$_) for [ 'cpu.cfs_period_us', 100_000 ], [ 'cpu.cfs_quota_us', $quota ];
  limit_group('pids', $id, 'pids.max', $pids);
}
sub enter_group { my $id = shift; for (@limiting, 'cpuacct') { my $at = group_at($_, $id) or next; -d $at or next; spill("$at/cgroup.procs", $$) or return 0 } return 1 }
sub bind_group {
  my ($id, $to) = @_;
  my $at = group_at($limiting[0], $id);
  return unless $at && -d $at;
  if ($unified) { bound($at, $to, RDONLY | NOSUID | NODEV | NOEXEC) } else { mkdir "$to/memory"; bound($at, "$to/memory", RDONLY | NOSUID | NODEV | NOEXEC) }
}
sub remove_group {
  my $id = shift;
  for my $at (grep { $_ && -d } map { group_at($_, $id) } keys %controller) {
    for (1 .. 500) { last if rmdir $at or $!{ENOENT}; rest(0.01) }
    broken("control group $at cannot be removed") if -d $at;
  }
}

sub probe_host {
  my $pid = fork;
  if (defined $pid && !$pid) { POSIX::_exit(sys('unshare', NEWNS | NEWNET | NEWIPC | NEWUTS | NEWPID) == 0 ? 0 : $! + 0) }
  waitpid $pid, 0;
  my $errno = $? >> 8;
  refuse('isolation_unavailable', $> ? "the login there is not root, but user $>" : 'namespaces cannot be made there (' . do { local $! = $errno; "$!" } . ')') if $> || $errno;
  lock_sandbox('probe');
  my $limits = eval { make_group('probe', 1, 1 << 26, 64); 1 } ? 'limits' : ref $@ ? $@->{text} : "$@";
  remove_group('probe');
  return $limits;
}
sub destroy_sandbox {
  my ($id, $generation) = @_;
  lock_sandbox($id);
  my $known = record_of_sandbox($id);
  return 'absent' if !-d place($id) || ($known && $known->{generation} != $generation);
  remove_sandbox($id, $known);
  return 'destroyed';
}
sub inspect_sandbox {
  my ($id, $generation) = @_;
  my $known = record_of_sandbox($id);
  return 'absent' if !-d place($id) || ($known && $known->{generation} != $generation);
  # Its first process says so before it ends, and is there for as long as the kernel takes to end the others.
  my $state = (slurp_file(place($id) . '/ended') // '') eq 'expired' ? 'expired' : $known && is_alive($known) ? 'running' : 'unknown';
  my $cpu = $unified ? (group_value('unified', $id, 'cpu.stat') =~ /^usage_usec (\d+)/m)[0] : group_value('cpuacct', $id, 'cpuacct.usage');
  my $oom = $unified ? group_value('unified', $id, 'memory.events') : group_value('memory', $id, 'memory.oom_control');
  my @files = $unified ? qw(memory.current memory.peak pids.current) : qw(memory.usage_in_bytes memory.max_usage_in_bytes pids.current);
  my @values = map { group_value($unified ? 'unified' : /^pids/ ? 'pids' : 'memory', $id, $_) } @files;
  $values[2] = scalar processes_of($known->{uid}) if $values[2] eq '' && $state eq 'running';
  return ($state, map { /^\d+$/ ? $_ : '' } $cpu eq '' ? '' : $unified ? $cpu * 1000 : $cpu, @values, $oom =~ /^oom_kill (\d+)$/m ? $1 : '');
}
sub list_sandboxes {
  opendir my $all, "$root/$instance" or return $!{ENOENT} ? () : broken("$root/$instance cannot be read");
  my @found;
  for my $id (grep { !/^\./ } readdir $all) {
    my $known = record_of_sandbox($id);
    next unless $known || -d place($id);
    # One without a record is only half made or half gone: its name can be destroyed.
    $known ||= { tenant => '', generation => 0, max_life_at => 0 };
    push @found, $id, @$known{qw(tenant generation max_life_at)}, is_alive($known) ? 'running' : 'stopped';
  }
  return @found;
}
# A maker that was killed between the user and the record; one that is at work has made its directory before.
sub tidy_users {
  opendir my $all, "$root/uids" or return;
  for my $uid (grep { /^\d+$/ } readdir $all) {
    my $owner = readlink "$root/uids/$uid" // next;
    unlink "$root/uids/$uid" if $owner =~ m{^\Q$instance\E/} && !-e "$root/$owner" && !processes_of($uid);
  }
}

# Becomes a command inside, in a fork whose namespaces, group, limits and user are the sandbox's. What cannot be is told by the status.
sub enter_sandbox {
  my ($id, $generation, $how, $env, @words) = @_;
  my $known = record_of_sandbox($id);
  POSIX::_exit(GONE) unless $known && $known->{generation} == $generation && is_alive($known);
  my @own = split /\0/, slurp_file(place($id) . '/env') // '';
  my @spaces = map { sysopen my $space, "/proc/$known->{pid}/ns/$_", O_RDONLY or POSIX::_exit(GONE); $space } qw(net ipc uts pid mnt);
  POSIX::_exit(GONE) unless is_alive($known);
  if ($known->{limited} && !enter_group($id)) { syswrite STDERR, "its control group cannot be entered ($!)"; POSIX::_exit(is_alive($known) ? CANNOT : GONE) }
  for (@spaces) { next if sys('setns', fileno $_, 0) == 0; syswrite STDERR, "its namespaces cannot be entered ($!)"; POSIX::_exit(CANNOT) }
  close $_ for @spaces;
  my $pid = fork;
  # Without its first process there is no place for another one.
  POSIX::_exit($!{ENOMEM} ? GONE : CANNOT) unless defined $pid;
  POSIX::_exit(0) if $pid;
  POSIX::setsid();
  # A number, which a system call takes for no address.
  my $uid = 0 + $known->{uid};
  for ([ F_NOFILE, 4096 ], [ F_FSIZE, $known->{disk} ], [ F_CORE, 0 ], [ F_MEMLOCK, 65_536 ], [ F_NPROC, $known->{pids} ]) { sys('prlimit', 0, $_->[0], pack('QQ', $_->[1], $_->[1]), 0) == 0 or POSIX::_exit(CANNOT) }
  sys('prctl', 24, $_, 0, 0, 0) for 0 .. 63;
  sys('setgroups', 0, 0) == 0 && sys('setresgid', ($uid) x 3) == 0 && sys('setresuid', ($uid) x 3) == 0 && sys('prctl', 38, 1, 0, 0, 0) == 0 or POSIX::_exit(CANNOT);
  POSIX::_exit(CANNOT) unless $uid >= 1000 && $> == $uid && $< == $uid;
  chdir '/workspace';
  umask 022;
  %ENV = (
    PATH => '/home/sandbox/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME => '/home/sandbox', USER => 'sandbox', LOGNAME => 'sandbox', LANG => 'C.UTF-8', map { /^([^=]+)=(.*)$/s ? ($1, $2) : () } @own, split /\0/, $env,
  );
  if ($how eq 'companion') {
    # It looks for others of its kind by their words.
    $0 = join "\0", 'perl', '-e', 'companion', @words[0, 1];
    @ARGV = @words;
    Companion::main();
    exit 0;
  }
  { no warnings 'exec'; exec { $words[0] } @words }
  syswrite STDERR, "$words[0]: $!\n";
  POSIX::_exit(127);
}
my %work = (
  probe => \&probe_host, create => \&create_sandbox, destroy => \&destroy_sandbox, inspect => \&inspect_sandbox, list => \&list_sandboxes, tidy => \&tidy_users,
);
sub answer_words { my $text = pack '(N/a)*', @_; while (length $text) { my $count = syswrite STDOUT, $text; return unless $count || $!{EINTR}; substr $text, 0, $count // 0, '' } }
# One question, in a fork of its own.
sub do_work {
  my ($verb, @words) = @_;
  if (($verb ne 'list' && $verb ne 'probe' && $verb ne 'tidy') && ($words[0] // '') !~ /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/) { answer_words('error', 'invalid_request', 'the id of a sandbox is letters and digits'); return }
  return enter_sandbox(@words) if $verb eq 'enter';
  my @answer;
  my $sub = $work{$verb};
  if ($sub && eval { @answer = $sub->(@words); 1 }) { answer_words('ok', @answer) }
  elsif (!$sub) { answer_words('error', 'internal', "no work is called $verb") }
  else { answer_words('error', ref $@ ? @{$@}{qw(code text)} : ('internal', "$@")) }
}
