#!/usr/bin/perl
# Gives a command a standard input that it can open again as /dev/stdin: a pipe that belongs to the sandbox's user, filled from
# our own standard input, which is a socket of the server's and could not be opened.
#
#   stdin-pipe.pl UID GID -- COMMAND...
use strict;
use warnings;

my ($uid, $gid, $separator) = splice @ARGV, 0, 3;
die "usage: stdin-pipe.pl UID GID -- COMMAND...\n" unless @ARGV && $separator eq '--';
pipe my $reader, my $writer or die "no pipe: $!\n";
chown $uid, $gid, $reader or die "cannot give the pipe away: $!\n";

# The copier is nobody's child, so that the command's own process has no one to wait for but its command.
my $child = fork;
die "cannot fork: $!\n" unless defined $child;
if (!$child) {
  exit 0 if fork;
  close $_ for $reader, *STDOUT, *STDERR;
  while (sysread STDIN, my $bytes, 65_536) {
    for (my $at = 0; $at < length $bytes;) {
      my $written = syswrite $writer, $bytes, length($bytes) - $at, $at;
      exit 0 unless defined $written;
      $at += $written;
    }
  }
  exit 0;
}
waitpid $child, 0;
close $writer;
open STDIN, '<&', $reader or die "no input: $!\n";
close $reader;
exec { $ARGV[0] } @ARGV or die "cannot start $ARGV[0]: $!\n";
