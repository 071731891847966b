#!/usr/bin/perl
# Waits for a command in the place of a runtime that would wait for longer than the command runs: runc's exec goes on for as long as
# anything holds the command's output. Ends with the command's exit code, 128 + n for a death by signal n, as runtimes do.
#
#   stand-in.pl PIDFILE PRCTL -- RUNTIME ARGUMENTS...
#
# The arguments must make the runtime leave (--detach) and write PIDFILE. PRCTL is the number of that system call here.
use strict;
use warnings;
use constant { PR_SET_CHILD_SUBREAPER => 36 };

my ($pid_file, $prctl, $separator) = splice @ARGV, 0, 3;
die "usage: stand-in.pl PIDFILE PRCTL -- COMMAND...\n" unless @ARGV && $separator eq '--';
# What the runtime leaves behind becomes a child of this process.
die "cannot become a subreaper: $!\n" if syscall($prctl + 0, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0;

sub status_of { my $pid = shift; waitpid $pid, 0; return $? & 127 ? 128 + ($? & 127) : $? >> 8 }

my $runtime = fork;
die "cannot fork: $!\n" unless defined $runtime;
if (!$runtime) { exec { $ARGV[0] } @ARGV or exit 127 }
my $status = status_of($runtime);
exit $status if $status != 0;
open my $file, '<', $pid_file or die "the runtime wrote no $pid_file\n";
chomp(my $command = <$file> // '');
close $_ for *STDIN, *STDOUT, *STDERR;
exit status_of($command);
