import { readFileSync, readlinkSync, statSync } from "node:fs";
import type { Server } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { INSIDE, type Provider, type Ref } from "../../../../src/contract/index.ts";
import { openNetns } from "../../../../src/netns/index.ts";
import { say, sandbox } from "../inside.ts";
import { op, Scratch } from "../scratch.ts";
import { TEST_CA } from "./ca.ts";
import { egressRuntimes } from "./runtimes.ts";

const EGRESS = { egress: { caPem: TEST_CA } };

/** By perl-base alone, which every host has, and so every sandbox of `image: host`. Answers "errno NAME" or what was heard. */
const PERL = `use Socket qw(:all); use Errno; use POSIX ();
sub fails { my ($name) = grep { $!{$_} } keys %!; print "errno $name\\n"; exit }`;

const tcp = (host: string, port: number, from?: string): string => `perl -e '${PERL}
  socket(my $s, PF_INET, SOCK_STREAM, 0) or fails();
  ${from === undefined ? "" : `bind($s, pack_sockaddr_in(0, inet_aton("${from}"))) or fails();`}
  connect($s, pack_sockaddr_in(${port}, inet_aton("${host}"))) or fails();
  local $/; print <$s>'`;

/** Sends a datagram to a far address and to itself, and says which of the two came. */
const UDP = `perl -e '${PERL}
  socket(my $s, PF_INET, SOCK_DGRAM, 0) or fails(); setsockopt($s, SOL_SOCKET, SO_BROADCAST, 1);
  bind($s, pack_sockaddr_in(5000, INADDR_ANY)) or fails();
  for (@ARGV) { defined send($s, $_, 0, pack_sockaddr_in(5000, inet_aton($_))) or print "not sent to $_\\n" }
  for (;;) { my $r = ""; vec($r, fileno $s, 1) = 1; last unless select($r, undef, undef, 0.5); recv $s, my $b, 99, 0; print "came: $b\\n" }'`;

describe.each(await egressRuntimes())("a sandbox with egress, by %s", (runtime) => {
  const scratch = new Scratch();
  const netns = openNetns();
  let provider: Provider;
  let ref: Ref;
  let namespace: string;
  let boundary: Server;
  const attach = (): Promise<Server> =>
    netns.listen(namespace, { host: INSIDE.address, port: INSIDE.transparentPort, transparent: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      socket.end(`arrived at ${socket.localAddress}:${socket.localPort}\n`);
    });
  const inside = async (command: string): Promise<string> => {
    const { stdout, stderr } = await say(provider, ref, command);
    return stdout + stderr;
  };
  beforeAll(async () => {
    provider = await scratch.open({ runtimes: [runtime] });
    ref = await sandbox(provider, EGRESS);
    if (provider.network === undefined) throw new Error("the provider has no network");
    namespace = await provider.network.namespace(ref, op());
    boundary = await attach();
  });
  afterAll(async () => {
    boundary.close();
    netns.dispose();
    await scratch.remove();
  });

  test("is in the namespace that it says, which has no device but the loopback", async () => {
    const record = JSON.parse(readFileSync(scratch.path("sandboxes", ref.id, "sandbox.json"), "utf8")) as { init: { pid: number } };
    expect(readlinkSync(`/proc/${record.init.pid}/ns/net`)).toBe(`net:[${statSync(namespace).ino}]`);
    expect(await inside("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '")).toBe("lo\n");
    expect(await inside("readlink /proc/self/ns/net")).toBe(`net:[${statSync(namespace).ino}]\n`);
  });

  test("TCP to any address and port arrives at the boundary with its destination", async () => {
    for (const [host, port] of [["192.0.2.7", 443], ["8.8.8.8", 53], ["10.0.0.1", 22], ["169.254.169.254", 80], ["198.18.0.1", 65_535]] as const)
      expect(await inside(tcp(host, port))).toBe(`arrived at ${host}:${port}\n`); // prettier-ignore
  });

  test("what it listens on under a far address's name does not take the boundary's place", async () => {
    const script = `perl -e '${PERL} socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, pack_sockaddr_in(8443, INADDR_ANY)) or fails(); listen $s, 9; print "up\\n"; $| = 1; while (accept my $c, $s) { print {$c} "impostor\\n"; close $c }' >up & while [ ! -s up ]; do sleep 0.02; done; ${tcp("192.0.2.7", 8443)}; ${tcp("127.0.0.1", 8443)}; kill %1`;
    expect(await inside(script)).toBe("arrived at 192.0.2.7:8443\nimpostor\n");
  });

  test("a connection from an address that is not its own goes nowhere else", async () => {
    expect(["arrived at 192.0.2.7:443\n", "errno ECONNRESET\n", "errno ETIMEDOUT\n", ""]).toContain(
      await inside(`timeout 1 ${tcp("192.0.2.7", 443, "203.0.113.9")}`),
    );
  });

  test("UDP goes to its own loopback, and to no other address", async () => {
    expect(await inside(`${UDP} 192.0.2.7 8.8.8.8 255.255.255.255 224.0.0.251 198.18.0.1 127.0.0.1`)).toMatch(
      /^(not sent to [\d.]+\n)*came: 127\.0\.0\.1\n$/,
    );
  });

  test("ICMP, raw and packet sockets are refused, and IPv6 leads nowhere", async () => {
    const attempt = (family: string, type: string, protocol: string): string =>
      `perl -e '${PERL} socket(my $s, ${family}, ${type}, ${protocol}) or fails(); print "open\\n"'`;
    expect(await inside(attempt("PF_INET", "SOCK_DGRAM", "1"))).toMatch(/^errno (EACCES|EPERM)\n$/);
    expect(await inside(attempt("PF_INET", "SOCK_RAW", "1"))).toMatch(/^errno (EPERM|EACCES)\n$/);
    expect(await inside(attempt("PF_INET", "SOCK_RAW", "255"))).toMatch(/^errno (EPERM|EACCES)\n$/);
    expect(await inside(attempt("17", "SOCK_RAW", "768"))).toMatch(/^errno (EPERM|EACCES|EAFNOSUPPORT|ENOSYS)\n$/);
    const ipv6 = (host: string): string =>
      `perl -e '${PERL} socket(my $s, PF_INET6, SOCK_STREAM, 0) or fails(); connect($s, pack_sockaddr_in6(443, inet_pton(AF_INET6, "${host}"))) or fails(); local $/; print <$s>'`;
    for (const host of ["2001:db8::1", "fe80::1", "::1"])
      expect(await inside(ipv6(host))).toMatch(/^errno E(NETUNREACH|ADDRNOTAVAIL|INVAL)\n$/);
    // The mapped form is IPv4, and goes IPv4's way.
    expect(await inside(ipv6("::ffff:192.0.2.7"))).toBe("arrived at ::ffff:192.0.2.7:443\n".replace("::ffff:", ""));
  });

  test("its user can neither take the boundary's ports nor change the network", async () => {
    for (const port of [1, 53, 808, 809, 1023]) {
      const script = `perl -e '${PERL} socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, pack_sockaddr_in(${port}, INADDR_ANY)) or fails(); print "bound\\n"'`;
      expect(await inside(script)).toBe("errno EACCES\n");
    }
    const ip = (what: string): string => `/.sandboxer/busybox ip ${what}`;
    expect(await inside(ip("link"))).toContain("lo: ");
    for (const change of ["link set lo down", "addr add 192.0.2.7/32 dev lo", "route add default dev lo"])
      expect(await inside(ip(change))).toMatch(/not permitted|denied/i);
    for (const file of ["ipv4/ip_unprivileged_port_start", "ipv6/conf/all/disable_ipv6"])
      expect((await say(provider, ref, `echo 0 >/proc/sys/net/${file}`)).end.exitCode).not.toBe(0);
  });

  test("with its boundary dead a connection is refused at once, and works again with the next one", async () => {
    await new Promise((resolve) => boundary.close(resolve));
    expect(await inside(tcp("192.0.2.7", 443))).toBe("errno ECONNREFUSED\n");
    boundary = await attach();
    expect(await inside(tcp("192.0.2.7", 443))).toBe("arrived at 192.0.2.7:443\n");
  });

  test("its namespace is gone after it", async () => {
    const other = await sandbox(provider, EGRESS);
    const path = await provider.network?.namespace(other, op());
    await provider.destroy(other, op());
    await expect(provider.network?.namespace(other, op())).rejects.toMatchObject({ code: "sandbox_not_found" });
    await provider.maintain?.(op());
    expect(statSync(path ?? "", { throwIfNoEntry: false })).toBeUndefined();
  });
});
