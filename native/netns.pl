#!/usr/bin/perl
# Makes sockets in other network namespaces for a Node process, and hands them over: a socket stays where it was made, whoever holds
# it. One process for all of them, which goes back to its own namespace after each. Needs perl-base only, which every Debian and Ubuntu has.
#
#   netns.pl ARM64             1 on that architecture, else 0; with Node's IPC channel at NODE_CHANNEL_FD
#
# It reads what child.send(text) writes, words separated by spaces:
#   listen ID NAMESPACE HOST PORT TRANSPARENT   a bound TCP socket, on which Node calls listen(2); TRANSPARENT 1: TPROXY may send it what is for others
#   bind ID NAMESPACE HOST PORT                 a bound UDP socket
#   connect ID NAMESPACE HOST PORT              a TCP connection; any number are under way at the same time
#   abort ID                                    gives a connect up; it is not answered then
# NAMESPACE is a path in hexadecimal, HOST an IPv4 or IPv6 address. Each is answered with {"id":ID} and the socket, in the form in which Node itself sends
# handles (one at a time, the next after its acknowledgement), or with {"id":ID,"step":WHICH,"errno":NUMBER}. It ends with the channel.
use strict;
use warnings;
use Fcntl qw(O_RDONLY);
use Socket qw(:DEFAULT inet_pton SO_REUSEADDR AF_INET6 pack_sockaddr_in6);

use constant { CLONE_NEWNET => 0x40000000, SOL_IP => 0, IP_TRANSPARENT => 19, SOCK_NONBLOCK => 04000, SCM_RIGHTS => 1, MSG_NOSIGNAL => 0x4000 };
my ($SETNS, $SENDMSG) = $ARGV[0] ? (268, 211) : (308, 46);

$SIG{INT} = $SIG{TERM} = $SIG{HUP} = $SIG{PIPE} = 'IGNORE';
open my $channel, '+<&=', $ENV{NODE_CHANNEL_FD} or die "no channel: $!\n";
sysopen my $home, '/proc/self/ns/net', O_RDONLY or die "no namespace of our own: $!\n";

my %connecting;               # fileno -> { id, socket }
my (@waiting, $in_flight);    # handles on their way: [id, type, socket]

sub send_line {
  my ($line, $socket) = @_;
  $line .= "\n";
  my $vector = pack 'P Q', $line, length $line;
  # struct cmsghdr of a 64-bit Linux, padded to 8 bytes.
  my $control = $socket ? pack('Q i i i x4', 20, SOL_SOCKET, SCM_RIGHTS, fileno $socket) : '';
  my $message = $socket ? pack('Q Q P Q P Q Q', 0, 0, $vector, 1, $control, length $control, 0) : pack('Q Q P Q Q Q Q', 0, 0, $vector, 1, 0, 0, 0);
  my $sent = syscall $SENDMSG, fileno $channel, $message, MSG_NOSIGNAL;
  # Whoever does not read any more has gone.
  exit 0 if $sent != length $line;
}

sub fail { my ($id, $step, $errno) = @_; send_line(qq({"id":$id,"step":"$step","errno":$errno})) }

sub hand_over {
  push @waiting, [@_] if @_;
  return if $in_flight || !@waiting;
  $in_flight = shift @waiting;
  my ($id, $type, $socket) = @$in_flight;
  send_line(qq({"cmd":"NODE_HANDLE","type":"$type","msg":{"id":$id}}), $socket);
}

sub acknowledged {
  my $arrived = shift;
  my $sent = $in_flight or return;
  undef $in_flight;
  # Node has no descriptor left for it: EMFILE.
  fail($sent->[0], 'receive', 24) unless $arrived;
  hand_over();
}

sub address_of {
  my ($host, $port) = @_;
  my $family = index($host, ':') < 0 ? AF_INET : AF_INET6;
  my $packed = inet_pton($family, $host) // return;
  return ($family, $family == AF_INET ? pack_sockaddr_in($port, $packed) : pack_sockaddr_in6($port, $packed));
}

# Runs `work` in the namespace; it names the step that failed, if one did. Never stays there: rather the process ends.
sub inside {
  my ($id, $path, $work) = @_;
  sysopen my $namespace, $path, O_RDONLY or return fail($id, 'open', $! + 0);
  syscall($SETNS, fileno $namespace, CLONE_NEWNET) == 0 or return fail($id, 'setns', $! + 0);
  my $failed = $work->();
  my $errno = $! + 0;
  syscall($SETNS, fileno $home, CLONE_NEWNET) == 0 or die "cannot go back to the own namespace: $!\n";
  return defined $failed ? fail($id, $failed, $errno) : 1;
}

sub obey {
  my ($verb, $id, $namespace, $host, $port, $transparent) = split / /, shift;
  if ($verb eq 'abort') {
    delete $connecting{$_} for grep { $connecting{$_}{id} == $id } keys %connecting;
    return;
  }
  my ($family, $address) = address_of($host, $port) or return fail($id, 'address', 22);
  my $socket;
  if ($verb eq 'bind') {
    inside($id, pack('H*', $namespace), sub {
      socket $socket, $family, SOCK_DGRAM | SOCK_NONBLOCK, 0 or return 'socket';
      bind $socket, $address or return 'bind';
      return;
    }) and hand_over($id, 'dgram.Native', $socket);
  } elsif ($verb eq 'listen') {
    inside($id, pack('H*', $namespace), sub {
      socket $socket, $family, SOCK_STREAM | SOCK_NONBLOCK, 0 or return 'socket';
      setsockopt $socket, SOL_SOCKET, SO_REUSEADDR, 1 or return 'socket';
      !$transparent or setsockopt $socket, SOL_IP, IP_TRANSPARENT, 1 or return 'transparent';
      bind $socket, $address or return 'bind';
      return;
    }) and hand_over($id, 'net.Native', $socket);
  } elsif ($verb eq 'connect') {
    inside($id, pack('H*', $namespace), sub { socket $socket, $family, SOCK_STREAM | SOCK_NONBLOCK, 0 or return 'socket'; return }) or return;
    if (connect $socket, $address) { hand_over($id, 'net.Native', $socket) }
    elsif ($!{EINPROGRESS}) { $connecting{fileno $socket} = { id => $id, socket => $socket } }
    else { fail($id, 'connect', $! + 0) }
  }
}

sub connected {
  my $one = delete $connecting{+shift};
  my $errno = unpack 'i', getsockopt $one->{socket}, SOL_SOCKET, SO_ERROR;
  $errno ? fail($one->{id}, 'connect', $errno) : hand_over($one->{id}, 'net.Native', $one->{socket});
}

my $held = '';
for (;;) {
  my ($readable, $writable) = ('', '');
  vec($readable, fileno $channel, 1) = 1;
  vec($writable, $_, 1) = 1 for keys %connecting;
  next if select($readable, $writable, undef, undef) < 0;
  if (vec $readable, fileno $channel, 1) {
    sysread $channel, $held, 1 << 16, length $held or exit 0;
    while ($held =~ s/^(.*)\n//) {
      my $line = $1;
      if ($line =~ /^"(.*)"$/) { obey($1) }
      elsif ($line =~ /NODE_HANDLE_(N?)ACK/) { acknowledged($1 eq '') }
    }
  }
  connected($_) for grep { vec $writable, $_, 1 } keys %connecting;
}
