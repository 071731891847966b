#!/usr/bin/perl
# What Node has no calls for and overlayfs needs. Needs perl-base only.
#
#   overlay.pl ARM64 marks DIR            reads marks from standard input, each NUL-ended: `wPATH` makes a whiteout, `oPATH` makes a directory opaque.
#                                         DIR is one that nobody else writes to, and PATH is below it with real directories only
#   overlay.pl ARM64 attributes DIR       writes each extended attribute of the overlay's and the user's below DIR: path, name, value, each NUL-ended,
#                                         the value in hex; sorted by path and name
#   overlay.pl ARM64 mount BASE COUNT STORE TARGET DISK LAYER...
#                                         mounts an overlay at TARGET: LAYERs are directories below STORE, the topmost first; DISK/upper and
#                                         DISK/work take what is written; with DISK `-` nothing does. Owners 0.. of the layers are BASE.. there, for COUNT ids
#
# The layers are seen through one mount with those owners, in a mount namespace that lives no longer than this process: nothing but the
# overlay itself is left for anybody to unmount.
use strict;
use warnings;

use constant {
  CLONE_NEWNS => 0x20000, CLONE_NEWUSER => 0x10000000, AT_FDCWD => -100, AT_EMPTY_PATH => 0x1000, OPEN_TREE_CLONE => 1, MOVE_EMPTY_PATH => 4,
  OPEN_TREE => 428, MOVE_MOUNT => 429, MOUNT_SETATTR => 442, ATTR_IDMAP => 0x100000, ATTR_SAFE => 1 | 2 | 4,
  MS_SAFE => 2 | 4 | 1024, MS_PRIVATE_ALL => 0x4000 | 0x40000, S_IFCHR => 0020000,
};
my ($arm, $verb, @rest) = @ARGV;
my ($MOUNT, $UNSHARE, $SETNS, $MKNODAT, $LSETXATTR, $LGETXATTR, $LLISTXATTR) = $arm ? (40, 97, 268, 33, 6, 9, 12) : (165, 272, 308, 259, 189, 192, 195);

# The kernel's answer, or the end of this program with what it was about.
sub call {
  my ($what, $number, @arguments) = @_;
  my $answer = syscall $number, @arguments;
  die "$what: $!\n" if $answer < 0;
  return $answer;
}

sub marks {
  my ($directory) = @_;
  chdir $directory or die "$directory: $!\n";
  local $/ = "\0";
  while (my $mark = <STDIN>) {
    chomp $mark;
    my ($kind, $path) = (substr($mark, 0, 1), './' . substr($mark, 1));
    if ($kind eq 'w') { call("whiteout $path", $MKNODAT, AT_FDCWD, $path, S_IFCHR, 0) }
    else { my ($name, $value) = ('trusted.overlay.opaque', 'y'); call("opaque $path", $LSETXATTR, $path, $name, $value, 1, 0) }
  }
}

sub attributes_of {
  my ($path) = @_;
  my $names = "\0" x 65536;
  my $length = syscall $LLISTXATTR, $path, $names, length $names;
  return if $length <= 0;
  for my $name (sort grep { /^(?:trusted\.overlay|user)\./ } split /\0/, substr $names, 0, $length) {
    my $value = "\0" x 65536;
    # Not through a function: the kernel writes to the argument itself.
    my $bytes = syscall $LGETXATTR, $path, $name, $value, length $value;
    die "attribute $name of $path: $!\n" if $bytes < 0;
    print $path, "\0", $name, "\0", unpack('H*', substr $value, 0, $bytes), "\0";
  }
}

sub attributes {
  my ($path) = @_;
  attributes_of($path);
  return if -l $path or not -d $path;
  opendir my $handle, $path or die "$path: $!\n";
  my @names = sort grep { $_ ne '.' and $_ ne '..' } readdir $handle;
  closedir $handle;
  attributes("$path/$_") for @names;
}

# A user namespace in which ids 0.. are BASE..; it lives as long as the descriptor.
sub owners {
  my ($base, $count) = @_;
  pipe my $made, my $say_made or die "pipe: $!\n";
  pipe my $over, my $say_over or die "pipe: $!\n";
  my $pid = fork // die "fork: $!\n";
  if ($pid == 0) {
    close $made;
    close $say_over;
    call('user namespace', $UNSHARE, CLONE_NEWUSER);
    syswrite $say_made, '1';
    sysread $over, my $end, 1;
    exec '/bin/true' or exit 0;
  }
  close $say_made;
  close $over;
  sysread $made, my $ok, 1 or die "no user namespace\n";
  for my $kind ('uid', 'gid') {
    open my $map, '>', "/proc/$pid/${kind}_map" or die "${kind}_map: $!\n";
    syswrite $map, "0 $base $count\n" or die "${kind}_map: $!\n";
  }
  open my $namespace, '<', "/proc/$pid/ns/user" or die "user namespace: $!\n";
  close $say_over;
  waitpid $pid, 0;
  return $namespace;
}

sub mount_overlay {
  my ($base, $count, $store, $target, $disk, @layers) = @_;
  my $owners = owners($base, $count);
  open my $here, '<', '/proc/self/ns/mnt' or die "mount namespace: $!\n";
  call('mount namespace', $UNSHARE, CLONE_NEWNS);
  my ($none, $root, $tmpfs, $overlay, $nothing) = ('none', '/', 'tmpfs', 'overlay', '');
  call('private mounts', $MOUNT, $none, $root, 0, MS_PRIVATE_ALL, 0);
  # Before the tmpfs is mounted: one of them may be below the other.
  my $seen = call("layers $store", OPEN_TREE, AT_FDCWD, $store, OPEN_TREE_CLONE);
  my $attributes = pack 'Q4', ATTR_IDMAP | ATTR_SAFE, 0, 0, fileno $owners;
  call('owners of layers', MOUNT_SETATTR, $seen, $nothing, AT_EMPTY_PATH, $attributes, length $attributes);
  call('a place for mounts', $MOUNT, $tmpfs, $target, $tmpfs, MS_SAFE, 0);
  chdir $target or die "$target: $!\n";
  mkdir $_ or die "$_: $!\n" for 'layers', 'overlay';
  my $place = 'layers';
  call('layers', MOVE_MOUNT, $seen, $nothing, AT_FDCWD, $place, MOVE_EMPTY_PATH);
  # One page holds all options: short names for the layers.
  symlink "layers/$layers[$_]", $_ or die "link: $!\n" for 0 .. $#layers;
  my $lower = join ':', 0 .. $#layers;
  my $above = $disk eq '-' ? 'redirect_dir=follow' : "upperdir=$disk/upper,workdir=$disk/work,redirect_dir=on";
  my $options = "lowerdir=$lower,$above,index=off,metacopy=off,xino=off";
  call('overlay', $MOUNT, $overlay, $overlay, $overlay, MS_SAFE, $options);
  my $made = call('overlay', OPEN_TREE, AT_FDCWD, $overlay, OPEN_TREE_CLONE);
  call('mount namespace', $SETNS, fileno $here, CLONE_NEWNS);
  call("overlay at $target", MOVE_MOUNT, $made, $nothing, AT_FDCWD, $target, MOVE_EMPTY_PATH);
}

if ($verb eq 'marks') { marks(@rest) }
elsif ($verb eq 'attributes') { chdir $rest[0] or die "$rest[0]: $!\n"; attributes('.') }
elsif ($verb eq 'mount') { mount_overlay(@rest) }
else { die "unknown verb $verb\n" }
