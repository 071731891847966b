#!/usr/bin/perl
# Starts a runtime in a mount namespace of its own, in which a host directory stands at TARGET: whatever becomes of the runtime or of who
# started it, there is no mount on the host to be left behind, and nothing that a removal of TARGET could reach. Needs perl-base and
# Linux 5.12.
#
#   mount-workspace.pl ARM64 LOG TARGET ro|rw PATH DEVICE INODE MAP EMPTY-FILE EMPTY-DIRECTORY [SHADOW SOURCE]... -- RUNTIME ARGUMENTS...
#
# ARM64   1 on that architecture, else 0
# PATH    is opened without following a symlink in any part of it, and must be the directory with that DEVICE and INODE
# MAP     empty, or uid:host-uid:gid:host-gid: files of that owner on disk are the sandbox's user's
# SHADOW  a path below PATH, over which SOURCE is mounted; without a SOURCE an empty file or directory, read-only
#
# What cannot be done is said in the file LOG, which is the runtime's, and ends with 125.
use strict;
use warnings;
use Fcntl qw(:mode);

use constant { OPENAT2 => 437, OPEN_TREE => 428, MOVE_MOUNT => 429, MOUNT_SETATTR => 442 };
use constant { AT_FDCWD => -100, AT_EMPTY_PATH => 0x1000, AT_RECURSIVE => 0x8000, CLONE_NEWNS => 0x20000, CLONE_NEWUSER => 0x10000000 };
use constant { O_PATH => 0x200000, O_CLOEXEC => 0x80000, OPEN_TREE_CLONE => 1 };
use constant { NO_XDEV => 1, NO_MAGICLINKS => 2, NO_SYMLINKS => 4, BENEATH => 8 };
use constant { RDONLY => 1, NOSUID => 2, NODEV => 4, NOEXEC => 8, IDMAP => 0x100000, PRIVATE => 1 << 18, SLAVE => 1 << 19 };

my ($arm, $log, $target, $access, $path, $device, $inode, $map, $empty_file, $empty_directory) = splice @ARGV, 0, 10;
my ($UNSHARE, $O_DIRECTORY) = $arm ? (97, 0x4000) : (272, 0x10000);

sub fail { if (open my $to, '>>', $log) { print {$to} "error: workspace: @_\n" } exit 125 }

sub opened {
  my ($from, $name, $flags, $resolve) = @_;
  my $how = pack 'QQQ', O_PATH | O_CLOEXEC | $flags, 0, NO_SYMLINKS | NO_MAGICLINKS | $resolve;
  my $fd = syscall OPENAT2, $from, $name, $how, length $how;
  fail("$name cannot be opened without following a symlink: $!") if $fd < 0;
  return $fd;
}

sub copy_of {
  my ($fd, $name, $attributes, $user_namespace) = @_;
  my $tree = syscall OPEN_TREE, $fd, $name, OPEN_TREE_CLONE | O_CLOEXEC | ($name eq '' ? AT_EMPTY_PATH : 0);
  fail("a mount of it cannot be made: $!") if $tree < 0;
  my $how = pack 'QQQQ', $attributes | NOSUID | NODEV | (defined $user_namespace ? IDMAP : 0), 0, PRIVATE, $user_namespace // 0;
  my $empty = '';
  syscall(MOUNT_SETATTR, $tree, $empty, AT_EMPTY_PATH, $how, length $how) == 0 or fail("its mount cannot be restricted or mapped: $!");
  return $tree;
}

sub put {
  my ($tree, $at, $name) = @_;
  my $empty = '';
  syscall(MOVE_MOUNT, $tree, $empty, $at, $name, 4 | ($name eq '' ? 0x40 : 0)) == 0 or fail("it cannot be mounted: $!");
}

# A user namespace whose map says as whom the directory's owner is seen.
sub mapped {
  my ($uid, $host_uid, $gid, $host_gid) = split /:/, $map;
  pipe my $ready, my $tell or fail("no pipe: $!");
  pipe my $wait, my $go or fail("no pipe: $!");
  my $child = fork // fail("cannot fork: $!");
  if (!$child) {
    close $go;
    syscall($UNSHARE, CLONE_NEWUSER) == 0 or exit 1;
    syswrite $tell, '.';
    sysread $wait, my $end, 1;
    exit 0;
  }
  close $tell;
  sysread($ready, my $made, 1) or fail('no user namespace can be made');
  for (['uid_map', $uid, $host_uid], ['gid_map', $gid, $host_gid]) {
    my ($file, $inside, $outside) = @$_;
    open my $to, '>', "/proc/$child/$file" or fail("$file: $!");
    syswrite $to, "$inside $outside 1\n" or fail("$file: $!");
  }
  open my $namespace, '<', "/proc/$child/ns/user" or fail("no user namespace: $!");
  close $go;
  waitpid $child, 0;
  return $namespace;
}

syscall($UNSHARE, CLONE_NEWNS) == 0 or fail("no mount namespace: $!");
my $all = pack 'QQQQ', 0, 0, SLAVE, 0;
my $root = '/';
syscall(MOUNT_SETATTR, AT_FDCWD, $root, AT_RECURSIVE, $all, length $all) == 0 or fail("mounts cannot be kept apart from the host's: $!");

my $source = opened(AT_FDCWD, $path, $O_DIRECTORY, 0);
my @stat = stat "/proc/self/fd/$source";
fail("$path is not the directory any more that it was") unless @stat && $stat[0] == $device && $stat[1] == $inode;
my $namespace = $map eq '' ? undef : mapped();
put(copy_of($source, '', $access eq 'ro' ? RDONLY : 0, defined $namespace ? fileno $namespace : undef), AT_FDCWD, $target);

my $mounted = opened(AT_FDCWD, $target, $O_DIRECTORY, 0);
while (@ARGV && $ARGV[0] ne '--') {
  my ($shadow, $cover) = splice @ARGV, 0, 2;
  my $spot = opened($mounted, $shadow, 0, BENEATH | NO_XDEV);
  my $is_directory = S_ISDIR((stat "/proc/self/fd/$spot")[2]);
  fail("$shadow is no directory") if $cover ne '' && !$is_directory;
  my $with = $cover ne '' ? $cover : $is_directory ? $empty_directory : $empty_file;
  put(copy_of(AT_FDCWD, $with, $cover eq '' ? RDONLY | NOEXEC : 0), $spot, '');
}
shift @ARGV;
exec { $ARGV[0] } @ARGV or exit 127;
