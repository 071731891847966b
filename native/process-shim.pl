# Stands beside one background process of a sandbox and outlives the server that started it: keeps the process's output in a
# journal, feeds its input, owns its terminal, ends it at its timeout, and writes down how it ended. Needs perl-base only, which
# every Debian and Ubuntu has.
#
# It is no program: launcher.pl loads it once and keeps a fork of it ahead, since to start Perl and load its modules takes longer than all
# that a short command does. That fork has forked in turn what will become the runtime's process. The arguments, once there is something to run:
#
#   DIRECTORY DISK MODE OPTIONS -- RUNTIME ARGUMENTS...
#
# DISK     where the process's files go on that are too large for memory, or are kept long after its end: a directory, which need not be there
# MODE     null      standard input is /dev/null
#          pipe      standard input is a pipe
#          pty       the runtime gets a terminal of ours and passes it on (runsc)
#          console   the runtime hands its terminal over at DIRECTORY/tty: for an argument `console:` it gets a name of that which is short enough
# OPTIONS  name=value,...: cap (bytes of output kept), rows, cols, uid, gid (who may reopen the pipes), timeout (ms),
#          and as files: freezer, frozen, procs, oom (of the sandbox's control group), version (1 or 2)
#
# In DIRECTORY it writes, before the runtime is started, `pid` (its own, and when it began in clock ticks after boot), the journal as
# process-journal.pl has it, and last, whole or not at all, `exit` (JSON). It listens on the Unix socket
# `control` for frames of a letter, a u32 length and a body: I input, E end of input, R u16 rows u16 columns. To whoever is
# connected it sends hints: `o` there is more output, `x` the process has ended. Hints may be lost; the files are the truth.
package ProcessShim;
use strict;
use warnings;
use Fcntl qw(:DEFAULT F_GETFL F_SETFL O_NONBLOCK);
use Socket;
use Time::HiRes qw(time);

BEGIN { my ($beside) = __FILE__ =~ m{^(.*/)}; for my $file ("${beside}process-file.pl", "${beside}process-journal.pl") { do $file or die $@ || "$file: $!\n" } }

*slurp_from = \&ProcessFile::slurp_from;
*slurp = \&ProcessFile::slurp;
*publish = \&ProcessFile::publish;

my ($directory, $disk, $mode, %option, $rows, $cols, $interactive, $deadline);
my ($SETSID, $EXIT_GROUP, $RECVMSG);
my (%near, $give, $input, $master, $console, %source);    # %source: fileno -> { handle, stream }
my ($server, $child, $child_ended, $child_signal, $oom_before);
my ($pending, $input_ended, $done, $timed_out, %client) = ('', 0, 0, 0);
use constant { TIOCSPTLCK => 0x40045431, TIOCGPTN => 0x80045430, TIOCSWINSZ => 0x5414, TIOCSCTTY => 0x540E };
use constant { LARGEST_FRAME => 1 << 20, INPUT_HELD => 1 << 16, MSG_CMSG_CLOEXEC => 0x40000000 };

sub nonblocking { my $handle = shift; fcntl $handle, F_SETFL, fcntl($handle, F_GETFL, 0) | O_NONBLOCK }

sub oom_kills { return slurp($option{oom}) =~ /^oom_kill (\d+)$/m ? $1 : 0 }

sub set_size { ioctl $master, TIOCSWINSZ, my $size = pack 'S4', $rows, $cols, 0, 0 }

sub hint { my $what = shift; syswrite $_->{handle}, $what for values %client }

sub pump {
  my ($from, $everything) = @_;
  for (1 .. $everything ? 1 << 20 : 4) {
    my $count = sysread $from->{handle}, my $bytes, 65_536;
    return if !defined $count && ($!{EAGAIN} || $!{EINTR});
    # A terminal answers EIO where a pipe says end of file.
    if (!$count) { delete $source{fileno $from->{handle}}; close $from->{handle}; return }
    hint('o') if ProcessJournal::add($from->{stream}, $bytes);
    return if $count < 65_536 && !$everything;
  }
}

sub reap {
  return if $done || waitpid($child, 1) != $child;
  my $status = $?;
  pump($_, 1) for sort { $a->{stream} <=> $b->{stream} } values %source;
  $done = 1;
  publish('exit', sprintf qq({"code":%d,"signal":%d,"timed_out":%s,"truncated":%s,"oom_killed":%s,"at":%d}\n),
    $status >> 8, $status & 127, map({ $_ ? 'true' : 'false' } $timed_out, ProcessJournal::is_truncated(), oom_kills() > $oom_before), time * 1000);
  hint('x');
}

# Receives the terminal (SCM_RIGHTS; struct msghdr of a 64-bit Linux) from the runtime.
sub receive_console {
  accept my $runtime, $console or return;
  close $console;
  undef $console;
  unlink 'tty';
  my ($data, $control) = ("\0" x 256, "\0" x 64);
  my $vector = pack 'P Q', $data, 256;
  my $message = pack 'Q Q P Q P Q Q', 0, 0, $vector, 1, $control, 64, 0;
  syscall($RECVMSG, fileno $runtime, $message, MSG_CMSG_CLOEXEC) > 0 or return;
  my (undef, $level, $type, $descriptor) = unpack 'Q i i i', $control;
  return unless $level == SOL_SOCKET && $type == 1 && open $master, '+<&=', $descriptor;
  set_size();
  nonblocking($master);
  $input = $master;
  $source{$descriptor} = { handle => $master, stream => 1 };
}

sub take_frames {
  my $from = shift;
  while (length $from->{held} >= 5) {
    my ($kind, $length) = unpack 'aN', $from->{held};
    return 0 if $length > LARGEST_FRAME;
    last if length $from->{held} < 5 + $length;
    my $body = substr $from->{held}, 5, $length;
    substr $from->{held}, 0, 5 + $length, '';
    if ($kind eq 'I') { $pending .= $body unless $input_ended }
    elsif ($kind eq 'E') { $interactive ? ($pending .= "\4") : ($input_ended = 1) }
    elsif ($kind eq 'R' && $length == 4 && $interactive) { ($rows, $cols) = unpack 'nn', $body; set_size() if $master }
  }
  return 1;
}

# Where a sandbox keeps its processes to itself, `killer` is the command (its words NUL-separated) that ends them from inside; and then
# the runtime's process is not waited for.
sub kill_inside {
  my @killer = split /\0/, slurp('killer');
  my $pid = fork;
  return if !defined $pid || $pid;
  $SIG{CHLD} = 'DEFAULT';
  system { $killer[0] } @killer;
  kill 'KILL', $child;
  syscall $EXIT_GROUP, 0;
}

# Ends the command's whole tree: the sandbox stands still meanwhile, so that nothing forks away.
sub kill_tree {
  return kill_inside() if -e 'killer';
  my $root = slurp('root') =~ /^(\d+)/ ? $1 : return kill 'KILL', $child;
  my $freeze = sub { if ($option{freezer} && open my $file, '>', $option{freezer}) { print {$file} $option{version} == 1 ? ($_[0] ? 'FROZEN' : 'THAWED') : $_[0]; close $file } };
  my $frozen = sub { slurp($option{frozen}) =~ ($option{version} == 1 ? qr/^FROZEN/ : qr/^frozen 1$/m) };
  $freeze->(1);
  for (1 .. 200) { last if $frozen->(); select undef, undef, undef, 0.001 }
  my @pids = split ' ', slurp($option{procs});
  my %parent = map { my $stat = slurp("/proc/$_/stat"); $_ => $stat =~ /^.*\) \S (\d+)/s ? $1 : 0 } @pids;
  for my $pid (@pids) {
    for (my ($at, $steps) = ($pid, 0); $at && $steps <= @pids; $at = $parent{$at}, $steps++) {
      if ($at == $root) { kill 'KILL', $pid; last }
    }
  }
  # A sandbox that is paused stands still on: the marker is beside the directory of its processes.
  my ($home) = $disk =~ m{^(.*)/[^/]+/[^/]+$};
  $freeze->(0) unless defined $home && -e "$home/paused";
}

# What every process needs and none differs in, done ahead: the pipes, and a fork that waits to become the runtime.
sub prepare {
  my $arm64 = shift;
  ($SETSID, $EXIT_GROUP, $RECVMSG) = $arm64 ? (157, 94, 212) : (112, 231, 47);
  $SIG{PIPE} = $SIG{HUP} = $SIG{INT} = $SIG{TERM} = 'IGNORE';
  umask 077;
  pipe $near{stdin}, $input or die;
  pipe my $out, $near{stdout} or die;
  pipe my $err, $near{stderr} or die;
  %source = (fileno $out, { handle => $out, stream => 1 }, fileno $err, { handle => $err, stream => 2 });
  pipe $child_ended, $child_signal or die;
  nonblocking($_) for $input, $out, $err, $child_ended, $child_signal;
  pipe my $orders, $give or die;
  $SIG{CHLD} = sub { syswrite $child_signal, 'c' };
  $child = fork;
  die "cannot fork: $!\n" unless defined $child;
  if (!$child) {
    # Else it would not see that we have ended.
    close $give;
    eval { become_runtime($orders) };
    syscall $EXIT_GROUP, 127;
  }
}

# Its orders are MODE, the terminal where that is ours, and the runtime with its arguments; they end with us where there are none.
sub become_runtime {
  my $orders = shift;
  my ($wanted, $terminal, @argv) = split /\0/, slurp_from($orders), -1;
  return unless @argv && pop @argv eq "\n";
  my @ends = @near{qw(stdin stdout stderr)};
  if ($wanted ne 'pipe') {
    sysopen my $end, $wanted eq 'pty' ? $terminal : '/dev/null', O_RDWR | O_NOCTTY or return;
    @ends = $wanted eq 'null' ? ($end, @ends[1, 2]) : ($end) x 3;
    if ($wanted eq 'pty') { syscall $SETSID; ioctl $end, TIOCSCTTY, 0 }
  }
  open STDIN, '<&', $ends[0] and open STDOUT, '>&', $ends[1] and open STDERR, '>&', $ends[2] or return;
  no warnings 'exec';
  exec { $argv[0] } @argv;
}

# The path of our terminal, where the runtime gets one from us.
sub open_ends {
  my $terminal = '';
  if ($interactive) { %source = (); undef $input }
  if ($mode eq 'pty') {
    sysopen $master, '/dev/ptmx', O_RDWR | O_NOCTTY or die "no terminal: $!\n";
    ioctl $master, TIOCSPTLCK, my $unlocked = pack 'i', 0;
    ioctl $master, TIOCGPTN, my $number = pack 'I', 0;
    set_size();
    nonblocking($master);
    $terminal = '/dev/pts/' . unpack 'I', $number;
    $input = $master;
    $source{fileno $master} = { handle => $master, stream => 1 };
  } elsif ($mode eq 'console') {
    socket $console, AF_UNIX, SOCK_STREAM, 0 or die;
    unlink 'tty';
    bind $console, sockaddr_un('tty') or die "cannot listen for the terminal: $!\n";
    listen $console, 1;
  } else {
    # Or else a program that opens /dev/stderr inside is refused: the pipe would be the host root's.
    chown $option{uid}, $option{gid}, values %near if $option{uid};
    undef $input if $mode eq 'null';
  }
  return $terminal;
}

sub listen_and_record {
  socket $server, AF_UNIX, SOCK_STREAM, 0 or die;
  unlink 'control';
  bind $server, sockaddr_un('control') or die "cannot listen: $!\n";
  listen $server, 8;
  nonblocking($server);
  ProcessJournal::begin($option{cap}, $disk);
  my ($began) = slurp("/proc/$$/stat") =~ /^.*\) \S (?:\S+ ){18}(\d+)/s or die "no /proc\n";
  # Whoever finds the process after a crash finds us by it, so it stands before there is a process.
  publish('pid', "$$ $began\n") or die "cannot write: $!\n";
}

sub start_runtime {
  # The path of a socket may have 107 bytes; the runtime's own working directory is another.
  my $text = join "\0", $mode, map({ $mode eq 'console' && $_ eq 'console:' ? "/proc/$$/cwd/tty" : $_ } @_), "\n";
  (syswrite($give, $text) // 0) == length $text or die "the fork that was to become the runtime has ended\n";
  close $give;
  %near = ();
}

sub serve {
  # What a process leaves behind may hold its pipes for good: it has ended all the same.
  until ($done) {
    my ($readable, $writable) = ('', '');
    vec($readable, $_, 1) = 1 for fileno $child_ended, fileno $server, keys %source, $console ? fileno $console : ();
    if (length $pending < INPUT_HELD) { vec($readable, $_, 1) = 1 for keys %client }
    vec($writable, fileno $input, 1) = 1 if $input && length $pending;
    if ($input && $input_ended && !length $pending) { close $input; undef $input }

    my $wait = defined $deadline ? ($deadline > time ? $deadline - time : 0) : undef;
    my $ready = select $readable, $writable, undef, $wait;
    if (defined $deadline && time >= $deadline && !$done) { $timed_out = 1; undef $deadline; kill_tree() }
    if ($ready < 0) { reap(); next }
    if (vec $readable, fileno $child_ended, 1) { sysread $child_ended, my $drained, 64; reap() }
    if ($console && vec $readable, fileno $console, 1) { receive_console() }
    if (vec($readable, fileno $server, 1) && accept my $new, $server) {
      nonblocking($new);
      $client{fileno $new} = { handle => $new, held => '' };
      syswrite $new, $done ? 'ox' : 'o';
    }
    for my $number (keys %client) {
      next unless vec $readable, $number, 1;
      my $from = $client{$number};
      my $count = sysread $from->{handle}, $from->{held}, 65_536, length $from->{held};
      next if !defined $count && $!{EAGAIN};
      if (!$count || !take_frames($from)) { delete $client{$number}; close $from->{handle} }
    }
    # Where both have something, what was said comes before what was complained of.
    for my $number (sort { $source{$a}{stream} <=> $source{$b}{stream} } keys %source) { pump($source{$number}, 0) if $source{$number} && vec $readable, $number, 1 }
    if ($input && length $pending) {
      my $count = syswrite $input, $pending;
      if (defined $count) { substr $pending, 0, $count, '' }
      elsif (!$!{EAGAIN}) { $pending = ''; $input_ended = 1; undef $input unless $interactive }
    }
  }
  unlink 'control';
}

sub main {
  ($directory, $disk, $mode, my ($settings, $separator), my @argv) = @_;
  die "DIRECTORY DISK MODE OPTIONS -- COMMAND...\n" unless @argv && $separator eq '--';
  %option = map { split /=/, $_, 2 } split /,/, $settings;
  ($rows, $cols) = ($option{rows} || 24, $option{cols} || 80);
  $interactive = $mode eq 'pty' || $mode eq 'console';
  # Relative names from here on: the path of a socket may have 107 bytes only.
  chdir $directory or die "cannot enter $directory: $!\n";
  $deadline = time + $option{timeout} / 1000 if $option{timeout};
  $oom_before = oom_kills();
  my $terminal = open_ends();
  listen_and_record();
  start_runtime($terminal, @argv);
  serve();
  ProcessFile::put_away('..', $disk =~ m{^(.*)/});
}

{ prepare => \&prepare, run => \&main };
