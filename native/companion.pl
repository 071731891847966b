#!/usr/bin/perl
# Stands beside a command inside a sandbox whose backend has less than we promise: it keeps the whole tree findable and ends it, keeps
# the clock, counts what may be in flight, and keeps a journal of a background process. Needs perl-base only, which every Debian
# and Ubuntu has. It comes as an argument of `perl -e`, so nothing of it lies in the sandbox for anybody to change.
#
#   companion.pl run OPTIONS CWD COMMAND...     a command in the foreground
#   companion.pl keep OPTIONS CWD COMMAND...    a background process
#   companion.pl read OPTIONS                   its journal, from `offset` on; with follow=1 until it ends
#   companion.pl look OPTIONS                   all background processes, or the one of `id`, a line of JSON each
#   companion.pl signal OPTIONS                 sends `signal` to the tree of the process `id`
#   companion.pl tell OPTIONS                   hands frames from standard input on to the process `id`, which was kept with fifo=1
#   companion.pl end OPTIONS                    ends the command that was run with that `tag`, and waits for it
#   companion.pl init OPTIONS                   is the sandbox's first process: reaps, and ends it after `seconds`
#
# OPTIONS  name=value,...: id, tag, cap (bytes of output kept), timeout (ms), window (bytes of output in flight), input (none, pipe or pty),
#          rows, cols, shell=1 (COMMAND is a line for bash, or sh where there is none), fifo=1 (the process takes frames from a FIFO of its
#          own, for who cannot reach its standard input later), oom=kernel or cgroup (whose count of killed processes is the sandbox's)
#
# Standard input has frames of a letter, a big-endian u32 length and a body: I input, E end of input, A u32 more output may be sent,
# R u16 rows u16 columns. Standard output has such frames too: s it runs, o and e output, c u32 so much input was taken (told in steps of 128 KiB), x how it ended (JSON), f why
# it cannot be done (JSON), z there is no more now. SIGTERM, and for `run` the end of standard input, end the whole tree.
use strict;
use warnings;
use Fcntl qw(:DEFAULT F_GETFL F_SETFL O_NONBLOCK);
use POSIX ();
use Time::HiRes qw(time);

use constant { TIOCSPTLCK => 0x40045431, TIOCGPTN => 0x80045430, TIOCSWINSZ => 0x5414, TIOCSCTTY => 0x540E };
use constant { PIECE => 65_536, LARGEST_FRAME => 1 << 20, INPUT_HELD => 1 << 20, ACKNOWLEDGED => 1 << 17, ENTRY => 7, F_SETPIPE_SZ => 1031, PIPE_BYTES => 1 << 18 };

my ($mode, $settings, $cwd, @command) = @ARGV;
my %option = map { split /=/, $_, 2 } split /,/, $settings // '';
$SIG{PIPE} = $SIG{HUP} = $SIG{INT} = 'IGNORE';
umask 077;

sub frame { my ($kind, $body) = @_; put($kind . pack('N', length $body) . $body) }
sub put {
  my $bytes = shift;
  while (length $bytes) { my $count = syswrite STDOUT, $bytes; return unless defined $count || $!{EINTR}; substr $bytes, 0, $count // 0, '' }
}
sub fail { frame('f', sprintf '{"why":"%s","errno":%d,"length":%d}', $_[0], $_[1] || 0, $_[2] || 0); exit 0 }
sub slurp { my $path = shift; open my $file, '<', $path or return ''; local $/; return scalar(<$file>) // '' }
sub publish { my ($path, $text) = @_; open my $file, '>', "$path.draft" or return; print {$file} $text; close $file and rename "$path.draft", $path }
sub nonblocking { my $handle = shift; fcntl $handle, F_SETFL, fcntl($handle, F_GETFL, 0) | O_NONBLOCK }
sub pause { select undef, undef, undef, shift }

# Who is whose child, with its state and the tick it began at: a name may hold anything, so the fields count from its last bracket.
sub stat_of { return slurp("/proc/$_[0]/stat") =~ /^.*\) (\S) (\d+) (?:\S+ ){17}(\d+)/s ? ($1, $2, $3) : () }
sub everyone { opendir my $proc, '/proc' or return; return grep { /^\d+$/ } readdir $proc }
sub below {
  my (%children, @found);
  for my $pid (everyone()) {
    my ($state, $parent) = stat_of($pid);
    push @{ $children{$parent} }, $pid if defined $parent && $state !~ /[ZX]/;
  }
  my @next = (shift);
  while (@next) { my @children = @{ $children{ shift @next } || [] }; push @found, @children; push @next, @children }
  return @found;
}
# Of another user, where sudo was used inside: then only sudo reaches them.
sub send_signal {
  my ($name, @pids) = @_;
  my @denied = grep { !kill($name, $_) && $!{EPERM} } @pids;
  system 'sudo', '-n', 'kill', "-$name", @denied if @denied && -x '/usr/bin/sudo';
}
# All of it stands still before any of it is told, so that nothing forks away.
sub signal_below {
  my ($root, $name) = @_;
  my (%seen, @new);
  while (@new = grep { !$seen{$_}++ } below($root)) { send_signal('STOP', @new) }
  send_signal($name, keys %seen);
  if ($name ne 'KILL') { send_signal('CONT', keys %seen); return }
  for (1 .. 200) { my @left = below($root); last unless @left; send_signal('KILL', @left); pause(0.01) }
}

sub home {
  my $at = (-d '/var/tmp' && -w _ ? '/var/tmp' : '/tmp') . "/.sandboxer-$>";
  mkdir $at, 0700;
  my @stat = lstat $at;
  fail('home') unless @stat && -d _ && $stat[4] == $> && !($stat[2] & 022);
  return $at;
}
sub record_of { my $text = slurp(home() . "/$_[0]/record"); return $text =~ /^"pid":(\d+),"ticks":(\d+)/ ? ($text, $1, $2) : () }
sub lives { my ($pid, $ticks) = @_; my ($state, undef, $begun) = stat_of($pid); return defined $begun && $begun == $ticks && $state ne 'Z' }
sub length_of {
  open my $index, '<', shift or return 0;
  my $size = int((-s $index) / ENTRY) or return 0;
  seek $index, ($size - 1) * ENTRY + 1, 0;
  read $index, my $end, 6;
  my ($high, $low) = unpack 'nN', $end;
  return ($high << 32) + $low;
}

if ($mode eq 'init') {
  my $deadline = Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) + $option{seconds};
  $SIG{CHLD} = sub { };
  $SIG{TERM} = sub { exit 0 };
  for (;;) {
    my $left = $deadline - Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC());
    exit 0 if $left <= 0;
    while (waitpid(-1, 1) > 0) { }
    # A child that ends between the two lines above and here waits for the next one, or this long.
    select undef, undef, undef, $left < 5 ? $left : 5;
  }
}

if ($mode eq 'end') {
  my $find = sub { grep { $_ != $$ && ((split /\0/, slurp("/proc/$_/cmdline"))[4] // '') =~ /(?:^|,)tag=\Q$option{tag}\E(?:,|$)/ } everyone() };
  for (1 .. 400) { my @found = $find->(); last unless @found; send_signal('TERM', @found) if $_ % 20 == 1; pause(0.02) }
  fail('lives') if $find->();
  frame('z', '');
  exit 0;
}

if ($mode eq 'tell') {
  my (undef, $pid, $ticks) = record_of($option{id}) or fail('absent');
  my $at = home() . "/$option{id}";
  my $over = sub { -e "$at/exit" || !lives($pid, $ticks) };
  fail('ended') if $over->();
  sysopen my $to, "$at/control", O_WRONLY | O_NONBLOCK or fail('ended', $!);
  frame('s', '');
  my $held = '';
  while (my $count = sysread STDIN, $held, PIECE, length $held) {
    while (length $held >= 5 && length $held >= 5 + (my $length = (unpack 'aN', $held)[1])) {
      my $whole = substr $held, 0, 5 + $length, '';
      # Others may tell it something as well: a frame stands whole.
      flock $to, 2;
      while (length $whole) {
        my $sent = syswrite $to, $whole;
        if ($sent) { substr $whole, 0, $sent, ''; next }
        fail('ended', $!) unless $!{EAGAIN} || $!{EINTR};
        vec(my $writable = '', fileno $to, 1) = 1;
        fail('ended') if select(undef, $writable, undef, 0.2) <= 0 && $over->();
      }
      flock $to, 8;
      frame('c', pack 'N', 5 + $length);
    }
  }
  exit 0;
}

if ($mode eq 'look') {
  my $home = home();
  opendir my $all, $home or exit 0;
  for my $id (sort grep { !/^\./ && (!defined $option{id} || $_ eq $option{id}) } readdir $all) {
    my ($text, $pid, $ticks) = record_of($id) or next;
    # In this order: one that ends between the two looks has written its end before.
    my $alive = lives($pid, $ticks) ? 'true' : 'false';
    my ($exit, $cut) = (slurp("$home/$id/exit") || 'null', -e "$home/$id/truncated" ? 'true' : 'false');
    put(qq({"id":"$id",$text,"alive":$alive,"bytes":) . length_of("$home/$id/index") . qq(,"truncated":$cut,"exit":$exit}\n));
  }
  exit 0;
}

if ($mode eq 'signal') {
  my (undef, $pid, $ticks) = record_of($option{id}) or fail('absent');
  fail('ended') if -e home() . "/$option{id}/exit" || !lives($pid, $ticks);
  signal_below($pid, $option{signal});
  frame('z', '');
  exit 0;
}

my ($credit, $held, $control) = ($option{window} || 1 << 30, '', 1);
# What has come of frames, each for the sub it is given to.
sub take_frames {
  my $take = shift;
  my $count = sysread STDIN, $held, PIECE, length $held;
  if (!$count) { return if !defined $count && ($!{EAGAIN} || $!{EINTR}); $control = 0; return }
  while (length $held >= 5) {
    my ($kind, $length) = unpack 'aN', $held;
    if ($length > LARGEST_FRAME) { $control = 0; return }
    last if length $held < 5 + $length;
    my $body = substr $held, 5, $length;
    substr $held, 0, 5 + $length, '';
    if ($kind eq 'A' && $length == 4) { $credit += unpack 'N', $body } else { $take->($kind, $body) }
  }
}

if ($mode eq 'read') {
  my $at = home() . "/$option{id}";
  my (undef, $pid, $ticks) = record_of($option{id}) or fail('absent');
  open my $index, '<', "$at/index" and open my $bytes, '<', "$at/journal" or fail('absent');
  my ($offset, $entry, $length) = ($option{offset}, 0, length_of("$at/index"));
  fail('offset', 0, $length) if $offset > $length;
  my ($stream, $end) = (1, 0);
  for (;;) {
    my $over = !lives($pid, $ticks) || -e "$at/exit" || !$option{follow};
    while ((-s $index) >= ($entry + 1) * ENTRY) {
      seek $index, $entry++ * ENTRY, 0;
      read $index, my $found, ENTRY;
      my ($which, $high, $low) = unpack 'CnN', $found;
      ($stream, $end) = ($which, ($high << 32) + $low);
      while ($offset < $end) {
        while ($credit <= 0 && $control) { take_frames(sub { }) }
        exit 0 unless $control;
        my $size = $end - $offset < PIECE ? $end - $offset : PIECE;
        seek $bytes, $offset, 0;
        read $bytes, my $piece, $size or fail('absent');
        frame($stream == 2 ? 'e' : 'o', $piece);
        $offset += length $piece;
        $credit -= length $piece;
      }
    }
    if ($over) { my $exit = slurp("$at/exit"); if ($exit eq '' && lives($pid, $ticks)) { frame('z', '') } else { frame('x', $exit || 'null') } last }
    vec(my $readable = '', 0, 1) = 1;
    take_frames(sub { }) if select($readable, undef, undef, 0.03) > 0;
    exit 0 unless $control;
  }
  exit 0;
}

my ($keeping, $journal, $index, $directory) = ($mode eq 'keep');
my ($rows, $cols) = ($option{rows} || 24, $option{cols} || 80);
my $terminal = $option{input} eq 'pty';
my ($ticks) = (stat_of($$))[2];
chdir $cwd or fail('cwd', $!);
$ENV{PWD} = $cwd;
if ($keeping) {
  my ($home, $draft) = (home(), home() . "/.draft-$$");
  mkdir $draft or fail('home', $!);
  sysopen $journal, "$draft/journal", O_WRONLY | O_CREAT | O_APPEND or fail('home', $!);
  sysopen $index, "$draft/index", O_WRONLY | O_CREAT | O_APPEND or fail('home', $!);
  POSIX::mkfifo("$draft/control", 0600) or fail('home', $!) if $option{fifo};
  publish("$draft/record", sprintf '"pid":%d,"ticks":%d,"started_at":%d,"input":"%s"', $$, $ticks, time * 1000, $option{input});
  $directory = "$home/$option{id}";
  # A directory does not take the place of one that has something in it: whoever is second has nothing to do.
  if (!rename $draft, $directory) { unlink glob "$draft/*"; rmdir $draft; frame('s', ''); exit 0 }
}

# Open for writing as well, so that it has no end.
if ($keeping && $option{fifo}) { open STDIN, '+<', "$directory/control" or fail('pipe', $!) }
my @counters = !$option{oom} ? () : $option{oom} eq 'kernel' ? '/proc/vmstat' : map { "/sys/fs/cgroup/$_" } qw(memory.events memory/memory.oom_control);
my $oom = sub { my $count = 0; slurp($_) =~ /^oom_kill (\d+)$/m and $count += $1 for @counters; return $count };
my $oom_before = $oom->();
my $arm = (POSIX::uname())[4] =~ /^(?:aarch64|arm64)$/;
# Whatever its parent was, what the command leaves becomes our child and stays in our tree: PR_SET_CHILD_SUBREAPER.
syscall($arm ? 167 : 157, 36, 1, 0, 0, 0) == 0 or fail('subreaper', $!);

my (@ends, $input, %source);    # %source: fileno -> { handle, stream }
my $set_size = sub { ioctl $input, TIOCSWINSZ, my $size = pack 'S4', $rows, $cols, 0, 0 };
if ($terminal) {
  sysopen $input, '/dev/ptmx', O_RDWR | O_NOCTTY or fail('terminal', $!);
  ioctl $input, TIOCSPTLCK, my $unlocked = pack 'i', 0;
  ioctl $input, TIOCGPTN, my $number = pack 'I', 0;
  $set_size->();
  sysopen my $slave, '/dev/pts/' . unpack('I', $number), O_RDWR | O_NOCTTY or fail('terminal', $!);
  @ends = ($slave) x 3;
  $source{ fileno $input } = { handle => $input, stream => 1 };
} else {
  my $stdin;
  if ($option{input} eq 'pipe') { pipe $stdin, $input or fail('pipe', $!); fcntl $input, F_SETPIPE_SZ, PIPE_BYTES } else { open $stdin, '<', '/dev/null' or fail('pipe', $!) }
  pipe my $out, my $out_end or fail('pipe', $!);
  pipe my $err, my $err_end or fail('pipe', $!);
  @ends = ($stdin, $out_end, $err_end);
  $source{ fileno $out } = { handle => $out, stream => 1 };
  $source{ fileno $err } = { handle => $err, stream => 2 };
}
@command = ((-x '/bin/bash' ? '/bin/bash' : '/bin/sh'), '-c', $command[0]) if $option{shell};
pipe my $ended_end, my $signal_end or fail('pipe', $!);
nonblocking($_) for $ended_end, $signal_end;

my ($pending, $input_ended, $taken, $sent, $truncated, $timed_out, $stopped, $status) = ('', 0, 0, 0, 0, 0, 0);
# Before there is anything to end: told to end in between, it would leave what it began.
$SIG{CHLD} = sub { syswrite $signal_end, 'c' };
$SIG{TERM} = sub { $stopped = 1; syswrite $signal_end, 't' };

my $child = fork;
fail('fork', $!) unless defined $child;
if (!$child) {
  POSIX::setsid();
  ioctl $ends[0], TIOCSCTTY, 0 if $terminal;
  open STDIN, '<&', $ends[0] and open STDOUT, '>&', $ends[1] and open STDERR, '>&', $ends[2] or POSIX::_exit(126);
  $SIG{$_} = 'DEFAULT' for qw(PIPE HUP INT TERM CHLD);
  umask 022;
  { no warnings 'exec'; exec { $command[0] } @command }
  syswrite STDERR, "$command[0]: $!\n";
  POSIX::_exit($!{ENOENT} ? 127 : 126);
}
@ends = ();
nonblocking($_) for grep { defined } $input, map { $_->{handle} } values %source;
frame('s', '');
# Nobody needs to read on.
if ($keeping) { open STDOUT, '>', '/dev/null'; open STDERR, '>', '/dev/null' }
my $deadline = $option{timeout} ? time + $option{timeout} / 1000 : undef;

sub give {
  my ($stream, $bytes) = @_;
  my $room = $option{cap} - $sent;
  my $keep = length $bytes < $room ? length $bytes : $room;
  if ($keep > 0 && !$keeping) { frame($stream == 2 ? 'e' : 'o', substr $bytes, 0, $keep); $sent += $keep; $credit -= $keep }
  elsif ($keep > 0) {
    # A reader takes what the index names, and that is written last. A full disk counts as the cap.
    my $entry = pack 'CnN', $stream, ($sent + $keep) >> 32, ($sent + $keep) & 0xffffffff;
    my $indexed = -s $index;
    if ((syswrite($journal, $bytes, $keep) // 0) == $keep && (syswrite($index, $entry) // 0) == length $entry) { $sent += $keep }
    else { truncate $journal, $sent; truncate $index, $indexed; $keep = 0 }
  }
  if ($keep < length $bytes && !$truncated++) { $option{cap} = $sent; publish("$directory/truncated", "1\n") if $keeping }
}
# Whether there may be more: a terminal answers EIO where a pipe says end of file.
sub pump {
  my $from = shift;
  my $count = sysread $from->{handle}, my $bytes, PIECE;
  if (!defined $count && ($!{EAGAIN} || $!{EINTR})) { return 0 }
  if (!$count) { delete $source{ fileno $from->{handle} }; $from->{handle} == ($input // 0) or close $from->{handle}; return 0 }
  give($from->{stream}, $bytes);
  return 1;
}
sub take {
  my ($kind, $body) = @_;
  if ($kind eq 'I') { $pending .= $body unless $input_ended || !$input }
  elsif ($kind eq 'E') { $terminal ? ($pending .= "\4") : ($input_ended = 1) }
  elsif ($kind eq 'R' && length $body == 4 && $terminal) { ($rows, $cols) = unpack 'nn', $body; $set_size->() }
}
sub end_tree { signal_below($$, 'KILL') }

for (;;) {
  if ($stopped || (!$control && !$keeping)) { end_tree(); exit 0 unless $keeping; $stopped = 0 }
  while ((my $pid = waitpid -1, 1) > 0) { $status = $? if $pid == $child }
  if (defined $status) {
    # What the command leaves behind may hold its pipes for good: it has ended all the same, when what it wrote is sent.
    my $more = 0;
    for my $from (sort { $a->{stream} <=> $b->{stream} } values %source) { while ($credit > 0) { last unless pump($from) } $more = 1 if $credit <= 0 && $source{ fileno $from->{handle} } }
    last unless $more;
  }
  my ($readable, $writable) = ('', '');
  vec($readable, fileno $ended_end, 1) = 1;
  vec($readable, 0, 1) = 1 if $control && length $pending < INPUT_HELD;
  if ($credit > 0) { vec($readable, $_, 1) = 1 for keys %source }
  vec($writable, fileno $input, 1) = 1 if $input && length $pending;
  if ($input && $input_ended && !length $pending) { close $input; undef $input }
  my $ready = select $readable, $writable, undef, defined $deadline ? ($deadline > time ? $deadline - time : 0) : undef;
  if (defined $deadline && time >= $deadline && !defined $status) { $timed_out = 1; undef $deadline; end_tree() }
  next if $ready < 0;
  sysread $ended_end, my $drained, 64 if vec $readable, fileno $ended_end, 1;
  take_frames(\&take) if vec $readable, 0, 1;
  if ($input && length $pending && vec $writable, fileno $input, 1) {
    my $count = syswrite $input, $pending, PIECE;
    if (!defined $count && !$!{EAGAIN} && !$!{EINTR}) { $count = length $pending; $input_ended = 1 unless $terminal }
    if ($count) {
      substr $pending, 0, $count, '';
      # In steps: each word back is one more way through all that lies between.
      if (($taken += $count) >= ACKNOWLEDGED) { frame('c', pack 'N', $taken) unless $keeping; $taken = 0 }
    }
  }
  if (!$keeping || !defined $status) { for (values %source) { pump($_) if $credit > 0 && vec $readable, fileno $_->{handle}, 1 } }
}
my $killed = ($status & 127) == 9 || $status >> 8 == 137;
my $end = sprintf '{"code":%d,"signal":%d,"timed_out":%s,"truncated":%s,"oom_killed":%s,"at":%d}', $status >> 8, $status & 127,
  map({ $_ ? 'true' : 'false' } $timed_out, $truncated, $killed && $oom->() > $oom_before), time * 1000;
$keeping ? publish("$directory/exit", $end) : frame('x', $end);
