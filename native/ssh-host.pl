# Carries any number of questions and commands over the one session of an SSH connection, after native/ssh-sandboxes.pl and native/ssh-work.pl.
#
# Frames each way are a big-endian u32 channel, a letter, a u32 length and a body. In: S words (each a u32 length and bytes) start that work on a
# channel of that number, I input, E end of input, P a sign of life. Out: h words that say who this is, o and e output, x the status as
# wait(2) has it, once its work has ended and all its output is sent. Without a sign of life it ends, as at the end of its input: commands end
# with their pipes, what is kept goes on, and a create or a destroy that is under way comes to its own end.

use constant { PIECE => 65_536, LARGEST => 1 << 24, OUTPUT_HELD => 1 << 20, SILENCE => 60, F_SETPIPE_SZ => 1031, PIPE_BYTES => 1 << 18 };

{
  local $SIG{__WARN__} = sub { };
  eval "package Companion; sub main { $S[1]\n}; 1" or die $@;
}
umask 022;
chdir '/';
$SIG{$_} = 'IGNORE' for qw(PIPE HUP INT);
# Three descriptors a channel: as many as there may be.
my $limits = pack 'QQ', 0, 0;
syscall $number{prlimit}, 0, F_NOFILE, 0, $limits;
my $most = (unpack 'QQ', $limits)[1];
$most = 65_536 if $most > 65_536;
sys('prlimit', 0, F_NOFILE, pack('QQ', $most, $most), 0) if $most;

# What its forks leave, a sandbox's first process among it, is its own to reap: an init may take its time. PR_SET_CHILD_SUBREAPER.
sys('prctl', 36, 1, 0, 0, 0);

my (%channel, %ended);    # channel by its number; number by the process that has its work
my ($held, $out, $heard) = ('', '', time);
pipe my $wake, my $wake_end or die "no pipe: $!\n";
sub unblock { fcntl $_, F_SETFL, fcntl($_, F_GETFL, 0) | O_NONBLOCK for @_ }
unblock($wake, $wake_end, \*STDOUT);
$SIG{CHLD} = sub { syswrite $wake_end, 'c' };

sub send_frame { my ($number, $kind, $body) = @_; $out .= pack('N a N', $number, $kind, length $body) . $body }

sub start_work {
  my ($number, @words) = @_;
  my ($pid, @pipes);
  for (0 .. 2) { pipe my $from, my $to or last; fcntl $to, F_SETPIPE_SZ, PIPE_BYTES; push @pipes, $from, $to }
  my ($in_end, $in, $output, $output_end, $errors, $errors_end) = @pipes;
  $pid = fork if @pipes == 6;
  if (!defined $pid) { send_frame($number, 'e', "$!"); send_frame($number, 'x', pack 'N', CANNOT << 8); return }
  if (!$pid) {
    # What others' pipes are waiting for is that nobody holds them any more.
    for my $other (values %channel) { close $_ for grep { defined } @$other{qw(in o e)} }
    $SIG{$_} = 'DEFAULT' for qw(CHLD HUP INT);
    open STDIN, '<&', $in_end and open STDOUT, '>&', $output_end and open STDERR, '>&', $errors_end or POSIX::_exit(CANNOT);
    close $_ for @pipes, $wake, $wake_end;
    do_work(@words);
    POSIX::_exit(0);
  }
  close $_ for $in_end, $output_end, $errors_end;
  unblock($in, $output, $errors);
  $channel{$number} = { pid => $pid, in => $in, o => $output, e => $errors, pending => '' };
  $ended{$pid} = $number;
}

sub take_frames {
  while (length $held >= 9) {
    my ($number, $kind, $length) = unpack 'N a N', $held;
    exit 1 if $length > LARGEST;
    return if length $held < 9 + $length;
    my $body = substr $held, 9, $length;
    substr $held, 0, 9 + $length, '';
    if ($kind eq 'S') { start_work($number, unpack '(N/a)*', $body); next }
    my $one = $channel{$number} or next;
    if ($kind eq 'I') { $one->{pending} .= $body if $one->{in} }
    elsif ($kind eq 'E') { $one->{over} = 1 }
  }
}
sub feed {
  my $one = shift;
  if (length $one->{pending}) {
    my $count = syswrite $one->{in}, $one->{pending}, PIPE_BYTES;
    if (!defined $count && !$!{EAGAIN} && !$!{EINTR}) { $one->{pending} = ''; $one->{over} = 1 }
    substr $one->{pending}, 0, $count, '' if $count;
  }
  if ($one->{over} && !length $one->{pending}) { close delete $one->{in} }
}
sub drain {
  my ($number, $one, $kind) = @_;
  my $count = sysread $one->{$kind}, my $bytes, PIPE_BYTES;
  if ($count) { send_frame($number, $kind, $bytes) } elsif (defined $count || !($!{EAGAIN} || $!{EINTR})) { close delete $one->{$kind} }
}

my $processors = () = (slurp_file('/proc/cpuinfo') // '') =~ /^processor\s*:/gm;
my ($kibibytes) = (slurp_file('/proc/meminfo') // '') =~ /^MemTotal:\s+(\d+) kB/m;
send_frame(0, 'h', pack '(N/a)*', $kernel, $machine, $processors || 1, ($kibibytes // 0) * 1024);
for (;;) {
  my ($readable, $writable) = ('', '');
  vec($readable, $_, 1) = 1 for 0, fileno $wake;
  vec($writable, 1, 1) = 1 if length $out;
  while (my ($number, $one) = each %channel) {
    if (length $out < OUTPUT_HELD) { vec($readable, fileno $_, 1) = 1 for grep { defined } @$one{qw(o e)} }
    next unless $one->{in};
    if (length $one->{pending}) { vec($writable, fileno $one->{in}, 1) = 1 } elsif ($one->{over}) { feed($one) }
  }
  my $ready = select $readable, $writable, undef, 5;
  exit 1 if time - $heard > SILENCE;
  next if $ready <= 0;
  sysread $wake, my $drained, 4096 if vec $readable, fileno $wake, 1;
  while ((my $pid = waitpid -1, 1) > 0) { my $number = delete $ended{$pid}; $channel{$number}{status} = $? if defined $number && $channel{$number} }
  if (vec $readable, 0, 1) {
    my $count = sysread STDIN, $held, PIECE * 4, length $held;
    exit 0 if defined $count ? !$count : !($!{EAGAIN} || $!{EINTR});
    $heard = time;
    take_frames();
  }
  for my $number (keys %channel) {
    my $one = $channel{$number};
    feed($one) if $one->{in} && length $one->{pending} && vec $writable, fileno $one->{in}, 1;
    for my $kind (qw(o e)) { drain($number, $one, $kind) if $one->{$kind} && vec $readable, fileno $one->{$kind}, 1 }
    if (defined $one->{status} && !$one->{o} && !$one->{e}) { send_frame($number, 'x', pack 'N', $one->{status}); delete $channel{$number} }
  }
  if (length $out) {
    my $count = syswrite STDOUT, $out, PIECE * 4;
    exit 1 if !defined $count && !$!{EAGAIN} && !$!{EINTR};
    substr $out, 0, $count, '' if $count;
  }
}
