#!/usr/bin/perl
# Starts programs for a server: to fork this process costs a tenth of what it costs to fork one of Node's, whose page tables are
# copied while it stands still. Needs perl-base only, which every Debian and Ubuntu has.
#
#   launcher.pl ARM64 [ROOM]   1 on that architecture, else 0; ROOM is any text, as long as the names that its forks are to show
#
# Standard input is requests, each a big-endian u32 length and so many bytes: a number, the files to open as standard input, output and
# error (empty for /dev/null), the program and its arguments, all separated by NUL bytes; or the number alone, to kill what was started
# under it, which does nothing once that has ended. In the place of a program `fork:FILE` names a file of Perl, which is loaded once, and whose
# last value is a hash of two functions: `prepare` is called with ARM64 in a fork with a session of its own and no files but /dev/null, and `run` with the
# arguments in the same fork, which outlives this process. Once a file was asked for, one such fork is kept ahead, prepared for the next.
# On standard output it answers with lines: `ready`, then for each request `started NUMBER` when the files are open and may be unlinked,
# or `failed NUMBER ERRNO`, and `ended NUMBER STATUS` with the status as wait(2) has it; a program that cannot be executed ends with 127.
# At the end of its input it ends, and so do forks that were given nothing to run; what it started goes on.
use strict;
use warnings;
use Fcntl qw(O_RDONLY O_WRONLY O_NOCTTY);

# Of quiet after which a fork is made ahead, unless the last one ends before: what was just started has the processor first.
use constant QUIET_SECONDS => 0.1;
# The last of a fork's arguments: without it the giver has ended halfway.
use constant WHOLE => "\n";
use constant { SIG_BLOCK => 0, SIG_UNBLOCK => 1, WNOHANG => 1, SFD_FLAGS => 0x80800, F_SETPIPE_SZ => 1031, PIPE_BYTES => 1 << 18 };
my ($SIGPROCMASK, $SIGNALFD, $EXIT_GROUP, $SETSID) = $ARGV[0] ? (135, 74, 94, 157) : (14, 289, 231, 112);
my $CHILD_ENDED = pack 'Q', 1 << 16;

# Asked for by a descriptor, so that no end of a child falls between a look and a wait.
syscall($SIGPROCMASK, SIG_BLOCK, $CHILD_ENDED, 0, 8) == 0 or die "cannot block SIGCHLD: $!\n";
my $signals = syscall $SIGNALFD, -1, $CHILD_ENDED, 8, SFD_FLAGS;
die "no signal descriptor: $!\n" if $signals < 0;
$SIG{PIPE} = $SIG{INT} = $SIG{TERM} = $SIG{HUP} = 'IGNORE';
open my $signal_handle, '<&=', $signals or die "no signal descriptor: $!\n";
my (%number_of, %pid_of, %file_of, %functions, %spare);

sub answer {
  my $text = join(' ', @_) . "\n";
  # The server reads all its answers; one that has gone ends us.
  while (length $text) {
    my $written = syswrite STDOUT, $text;
    exit 0 unless defined $written;
    substr $text, 0, $written, '';
  }
}

sub become {
  my @ends = @_;
  open STDIN, '<&', $ends[0] and open STDOUT, '>&', $ends[1] and open STDERR, '>&', $ends[2] or syscall $EXIT_GROUP, 127;
  $SIG{$_} = 'DEFAULT' for qw(PIPE INT TERM HUP);
  syscall $SIGPROCMASK, SIG_UNBLOCK, $CHILD_ENDED, 0, 8;
}

# A fork that waits for the arguments, or for the end of this process; nothing where there can be none.
sub prepared {
  my $file = shift;
  my $functions = $functions{$file} //= do $file;
  if (ref $functions ne 'HASH') { delete $functions{$file}; return }
  pipe my $arguments, my $hand_over or return;
  my $pid = fork;
  return unless defined $pid;
  return { pid => $pid, hand_over => $hand_over } if $pid;
  # Or this one, and all that it starts, would keep another from seeing that its giver has ended.
  %spare = ();
  close $hand_over;
  open my $null, '+<', '/dev/null' or syscall $EXIT_GROUP, 127;
  become(($null) x 3);
  close $null;
  close $signal_handle;
  syscall $SETSID;
  eval { $functions->{prepare}->($ARGV[0]); 1 } or syscall $EXIT_GROUP, 255;
  my @argv = split /\0/, do { local $/; <$arguments> } // '', -1;
  close $arguments;
  syscall $EXIT_GROUP, 0 unless @argv && pop @argv eq WHOLE;
  # What looks for it by its arguments, such as a person with ps, finds what it stands for and not its parent.
  $0 = join ' ', $file, $argv[0] // ();
  syscall $EXIT_GROUP, eval { $functions->{run}->(@argv); 1 } ? 0 : 255;
}

sub keep_ahead {
  for my $file (@_) { $spare{$file} ||= prepared($file) or delete $spare{$file} }
}

# Twice, as the one that was kept may have been killed.
sub run_in_fork {
  my ($number, $file, @argv) = @_;
  my $text = join "\0", @argv, WHOLE;
  for (1, 2) {
    my $fork = delete $spare{$file} // prepared($file) // last;
    $spare{$file} = undef;
    my $written = syswrite $fork->{hand_over}, $text;
    next unless ($written // 0) == length $text;
    close $fork->{hand_over};
    ($number_of{ $fork->{pid} }, $pid_of{$number}, $file_of{ $fork->{pid} }) = ($number, $fork->{pid}, $file);
    return answer('started', $number);
  }
  answer('failed', $number, $! + 0);
}

sub start {
  my ($number, $input, $output, $errors, @argv) = split /\0/, shift, -1;
  if (!@argv) { kill 'KILL', $pid_of{$number} if $pid_of{$number}; return }
  return run_in_fork($number, $1, @argv[1 .. $#argv]) if $argv[0] =~ /^fork:(.+)/s;
  my @ends;
  for ([$input, O_RDONLY], [$output, O_WRONLY], [$errors, O_WRONLY]) {
    my ($path, $way) = @$_;
    if (!sysopen my $end, $path eq '' ? '/dev/null' : $path, $way | O_NOCTTY) { return answer('failed', $number, $! + 0) }
    else { push @ends, $end }
  }
  # Room for either side to run ahead; what is no pipe, or may not grow, stays as it is.
  fcntl $_, F_SETPIPE_SZ, PIPE_BYTES for @ends;
  my $pid = fork;
  return answer('failed', $number, $! + 0) unless defined $pid;
  if (!$pid) {
    become(@ends);
    { no warnings 'exec'; exec { $argv[0] } @argv }
    syscall $EXIT_GROUP, 127;
  }
  ($number_of{$pid}, $pid_of{$number}) = ($number, $pid);
  answer('started', $number);
}

sub reap {
  sysread $signal_handle, my $ignored, 128 * 16;
  while ((my $pid = waitpid -1, WNOHANG) > 0) {
    my ($status, $number) = ($?, delete $number_of{$pid});
    if (!defined $number) {
      # One that was kept ahead: it is not made again before somebody asks, so that what always fails does not go round.
      delete @spare{ grep { $spare{$_} && $spare{$_}{pid} == $pid } keys %spare };
      next;
    }
    delete $pid_of{$number};
    answer('ended', $number, $status);
    my $file = delete $file_of{$pid};
    keep_ahead($file) if defined $file;
  }
}

answer('ready');
my $waiting = '';
for (;;) {
  my $readable = '';
  vec($readable, 0, 1) = vec($readable, $signals, 1) = 1;
  my @wanted = grep { !$spare{$_} } keys %spare;
  my $found = select $readable, undef, undef, @wanted ? QUIET_SECONDS : undef;
  keep_ahead(@wanted) if !$found;
  next if $found <= 0;
  if (vec $readable, 0, 1) {
    exit 0 unless sysread STDIN, $waiting, 1 << 16, length $waiting;
    while (length $waiting >= 4 && length $waiting >= 4 + unpack 'N', $waiting) {
      my $length = unpack 'N', $waiting;
      start(substr $waiting, 4, $length);
      substr $waiting, 0, 4 + $length, '';
    }
  }
  reap() if vec $readable, $signals, 1;
}
