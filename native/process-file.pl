# Small files of a background process. Loaded by process-shim.pl.
package ProcessFile;
use strict;
use warnings;
use Fcntl qw(:DEFAULT :flock);

# Ended processes whose files stay in memory, in one sandbox: as many again, and all but these go to the disk. Those of the last seconds stay in
# any case: whoever started one may still look at it.
use constant { KEPT_IN_MEMORY => 16, STAYS_SECONDS => 10 };

# Whole or not at all.
sub publish {
  my ($name, $text) = @_;
  open my $file, '>', "$name.draft" or return;
  print {$file} $text;
  close $file or return;
  rename "$name.draft", $name;
}

sub slurp_from { my $file = shift; local $/; return scalar(<$file>) // '' }

sub slurp {
  my $path = shift;
  return '' unless defined $path && open my $file, '<', $path;
  return slurp_from($file);
}

# The copy, open at its end; nothing where it is not whole.
sub copy {
  my ($from, $to, $at_once) = @_;
  sysopen my $source, $from, O_RDONLY or return;
  sysopen my $copy, $to, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600 or return;
  while (1) {
    my $count = sysread $source, my $bytes, $at_once;
    return unless defined $count;
    return $copy unless $count;
    return unless (syswrite($copy, $bytes) // 0) == $count;
  }
}

# Takes ended processes out of memory, oldest first, once there are many: all of a directory is on the disk before it goes away in one step, so
# that it is found in one of both places, and what dies on the way is done again. `$memory` and `$disk` are the directories of all of a sandbox's.
sub put_away {
  my ($memory, $disk) = @_;
  opendir(my $names, $memory) or return;
  my @names = readdir $names;
  my %ended = map { my @seen = stat "$memory/$_/exit"; @seen && $seen[9] < time - STAYS_SECONDS ? ($_ => $seen[9]) : () } grep { !/\./ } @names;
  return if keys %ended < 2 * KEPT_IN_MEMORY;
  # One at a time; what it leaves is the next one's.
  sysopen my $lock, $memory, O_RDONLY | O_DIRECTORY or return;
  flock $lock, LOCK_EX | LOCK_NB or return;
  discard("$memory/$_") for grep { /\.gone$/ } @names;
  my @oldest = sort { $ended{$a} <=> $ended{$b} || $a cmp $b } keys %ended;
  for my $name (@oldest[0 .. $#oldest - KEPT_IN_MEMORY]) {
    my ($from, $to) = ("$memory/$name", "$disk/$name");
    mkdir $to, 0700;
    # What was written to the disk right away is there; what only a running one needs is not wanted any more.
    my @files = grep { !-l "$from/$_" && -f _ } qw(record.json root journal index truncated exit);
    last if grep { !copy("$from/$_", "$to/$_", 65_536) } @files;
    rename $from, "$from.gone" and discard("$from.gone");
  }
}

sub discard {
  my $directory = shift;
  opendir(my $names, $directory) or return;
  unlink "$directory/$_" for grep { !/^\.\.?$/ } readdir $names;
  rmdir $directory;
}

1;
