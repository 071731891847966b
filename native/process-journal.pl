# The output of one background process, in the working directory: `journal` has the bytes of both streams, and `index` for each piece of them a byte 1
# for stdout or 2 for stderr and the offset of its end, 48 bits, big-endian. That is in memory where the host has such a place, so only the beginning
# of it stands there: what grows goes on in files on the disk, and the two names then lead there. `truncated` is there when output went beyond the cap.
#
# Loaded by process-shim.pl.
package ProcessJournal;
use strict;
use warnings;
use Fcntl qw(:DEFAULT);

# Of a process that says much, in memory; and as many pieces of one that says it in small ones.
use constant { HELD_BYTES => 32_768, HELD_ENTRIES => 1024, ENTRY_BYTES => 7, COPIED_AT_ONCE => 65_536 };

my ($journal, $index, $cap, $disk);
my ($kept, $entries, $truncated, $moved) = (0, 0, 0, 0);

sub begin {
  ($cap, $disk) = @_;
  sysopen $journal, 'journal', O_WRONLY | O_CREAT | O_APPEND or die "no journal: $!\n";
  sysopen $index, 'index', O_WRONLY | O_CREAT | O_APPEND or die "no index: $!\n";
}

sub is_truncated { return $truncated }

# Whether there is more to read than before.
sub add {
  my ($stream, $bytes) = @_;
  my $room = $cap - $kept;
  my $keep = length $bytes < $room ? length $bytes : $room;
  $keep = 0 unless $keep <= 0 || $moved || ($kept + $keep <= HELD_BYTES && $entries < HELD_ENTRIES) || move_to_disk();
  if ($keep > 0) {
    # A reader takes what the index names, and that is written last. A full disk counts as the cap.
    my $entry = pack 'CnN', $stream, ($kept + $keep) >> 32, ($kept + $keep) & 0xffffffff;
    if ((syswrite($journal, $bytes, $keep) // 0) == $keep && (syswrite($index, $entry) // 0) == length $entry) { $kept += $keep; $entries++ }
    else { truncate $journal, $kept; truncate $index, $entries * ENTRY_BYTES; $keep = 0 }
  }
  if ($keep < length $bytes && !$truncated++) { $cap = $kept; ProcessFile::publish('truncated', "1\n") }
  return $keep > 0;
}

# The index last: whoever finds it on the disk finds the journal there too, and one that is still read in memory names nothing that is only on the disk.
sub move_to_disk {
  mkdir $disk, 0700;
  my @parts = map { ProcessFile::copy($_, "$disk/$_", COPIED_AT_ONCE) or return 0 } 'journal', 'index';
  for my $name ('journal', 'index') {
    unlink "$name.draft";
    symlink "$disk/$name", "$name.draft" and rename "$name.draft", $name or return 0;
  }
  ($journal, $index) = @parts;
  return $moved = 1;
}

1;
