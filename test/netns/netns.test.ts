import { execFileSync, spawn } from "node:child_process";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Netns, openNetns } from "../../src/netns/index.ts";

const root = process.getuid?.() === 0;
const name = `sbx-test-${process.pid}`;
const namespace = `/run/netns/${name}`;

const ip = (...args: string[]): string => execFileSync("ip", args, { encoding: "utf8" });

/** Sends a line over TCP from inside the namespace, by perl-base alone, and answers what came back. */
async function askInside(host: string, port: number, line: string): Promise<{ code: number | null; text: string }> {
  const script = `use Socket; socket(my $s, PF_INET, SOCK_STREAM, 0); connect($s, pack_sockaddr_in($ARGV[1], inet_aton($ARGV[0]))) or exit($!{ECONNREFUSED} ? 111 : 1);
    syswrite $s, "$ARGV[2]\\n"; shutdown $s, 1; local $/; print <$s>;`;
  const child = spawn("ip", ["netns", "exec", name, "perl", "-e", script, host, String(port), line], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => (text += piece));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, text })));
}

describe.runIf(root)("sockets in another network namespace", () => {
  let netns: Netns;
  beforeAll(() => {
    ip("netns", "add", name);
    ip("-n", name, "link", "set", "lo", "up");
    netns = openNetns();
  });
  afterAll(() => {
    netns.dispose();
    ip("netns", "del", name);
  });

  test("a listener is reached from inside the namespace, and from nowhere else", async () => {
    const server = await netns.listen(namespace, { host: "127.0.0.1", port: 808, allowHalfOpen: true }, (socket) => socket.pipe(socket));
    expect(server.address()).toMatchObject({ address: "127.0.0.1", port: 808 });
    expect(await askInside("127.0.0.1", 808, "echo")).toEqual({ code: 0, text: "echo\n" });
    const here = createServer();
    // The same address is free outside.
    await new Promise<void>((resolve, reject) => here.once("error", reject).listen(808, "127.0.0.1", resolve));
    here.close();
    server.close();
    expect(await askInside("127.0.0.1", 808, "echo")).toMatchObject({ code: 111 });
  });

  test("a transparent listener accepts what a rule sends it, with the destination as its own address", async () => {
    ip("-n", name, "route", "add", "local", "0.0.0.0/0", "dev", "lo", "src", "127.0.0.1");
    const rule =
      "table ip t { chain c { type filter hook prerouting priority mangle; ip daddr != 127.0.0.0/8 meta l4proto tcp tproxy to 127.0.0.1:1 accept; }; }";
    execFileSync("ip", ["netns", "exec", name, "nft", rule]);
    const server = await netns.listen(namespace, { host: "127.0.0.1", port: 1, transparent: true }, (socket) => {
      socket.end(`${socket.localAddress}:${socket.localPort}`);
    });
    expect(await askInside("192.0.2.7", 8443, "")).toEqual({ code: 0, text: "192.0.2.7:8443" });
    server.close();
  });

  test("a UDP socket hears and answers what is inside", async () => {
    const socket = await netns.bind(namespace, { host: "127.0.0.1", port: 53 });
    socket.on("message", (bytes, from) => socket.send(`heard ${bytes.toString()}`, from.port, from.address));
    const script = `use Socket; socket(my $s, PF_INET, SOCK_DGRAM, 0); connect $s, pack_sockaddr_in(53, inet_aton("127.0.0.1")); send $s, "it", 0; recv $s, my $b, 99, 0; print $b`;
    const child = spawn("ip", ["netns", "exec", name, "perl", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    const text = await new Promise((resolve) => child.stdout.once("data", (bytes: Buffer) => resolve(bytes.toString())));
    expect(text).toBe("heard it");
    socket.close();
  });

  test("a connection reaches a server inside, many at the same time", async () => {
    const server = await netns.listen(namespace, { host: "127.0.0.1", port: 900 }, (socket) => socket.end("inside"));
    const texts = await Promise.all(
      Array.from({ length: 200 }, async () => {
        const socket = await netns.connect(namespace, "127.0.0.1", 900);
        return (await socket.toArray()).join("");
      }),
    );
    expect(new Set(texts)).toEqual(new Set(["inside"]));
    server.close();
  });

  test("what fails is said by its name, and harms nothing after it", async () => {
    await expect(netns.connect(namespace, "127.0.0.1", 901)).rejects.toMatchObject({ code: "ECONNREFUSED", step: "connect" });
    await expect(netns.connect("/run/netns/not there", "127.0.0.1", 901)).rejects.toMatchObject({ code: "ENOENT", step: "open" });
    await expect(netns.connect("/etc/passwd", "127.0.0.1", 901)).rejects.toMatchObject({ code: "EINVAL", step: "setns" });
    await expect(netns.bind(namespace, { host: "no address", port: 1 })).rejects.toMatchObject({ code: "EINVAL", step: "address" });
    const server = await netns.listen(namespace, { host: "127.0.0.1", port: 902 });
    await expect(netns.listen(namespace, { host: "127.0.0.1", port: 902 })).rejects.toMatchObject({ code: "EADDRINUSE", step: "bind" });
    server.close();
  });

  test("a connection that nobody accepts holds up no other, and can be given up", async () => {
    const script = `use Socket; $| = 1; socket(my $s, PF_INET, SOCK_STREAM, 0); bind $s, pack_sockaddr_in(9000, inet_aton("127.0.0.1")); listen $s, 0; print "up"; sleep 600`;
    const full = spawn("ip", ["netns", "exec", name, "perl", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((resolve) => full.stdout.once("data", resolve));
    const abort = new AbortController();
    // Its queue holds one; the kernel drops what more comes.
    const slow = Array.from({ length: 4 }, () => netns.connect(namespace, "127.0.0.1", 9000, abort.signal));
    await slow[0];
    const server = await netns.listen(namespace, { host: "127.0.0.1", port: 903 });
    (await netns.connect(namespace, "127.0.0.1", 903)).destroy();
    abort.abort(new Error("enough"));
    const outcomes = await Promise.allSettled(slow);
    expect(outcomes.filter((one) => one.status === "rejected").map(({ reason }) => (reason as Error).message)).toContain("enough");
    for (const one of outcomes) if (one.status === "fulfilled") one.value.destroy();
    full.kill("SIGKILL");
    server.close();
  });

  test("a helper that is killed is followed by another, and its sockets live on", async () => {
    const own = openNetns();
    const server = await own.listen(namespace, { host: "127.0.0.1", port: 904 }, (socket) => socket.end("still here"));
    const helpers = execFileSync("pgrep", ["-P", String(process.pid), "-f", "netns.pl"], { encoding: "utf8" })
      .trim()
      .split("\n")
      .map(Number);
    process.kill(Math.max(...helpers), "SIGKILL");
    // What is asked for meanwhile may fail, by the helper's name; what is asked for after is answered.
    const answer = async (): Promise<string> => {
      try {
        const socket = await own.connect(namespace, "127.0.0.1", 904);
        return (await socket.toArray()).join("");
      } catch (error) {
        expect(error).toMatchObject({ code: "EPIPE", step: "send" });
        return answer();
      }
    };
    expect(await answer()).toBe("still here");
    server.close();
    own.dispose();
    await expect(own.connect(namespace, "127.0.0.1", 904)).rejects.toMatchObject({ code: "EPIPE" });
  });
});

test("an idle helper keeps no process alive", async () => {
  const module = new URL("../../src/netns/index.ts", import.meta.url).href;
  const script = `const { openNetns } = await import(${JSON.stringify(module)}); const netns = openNetns();
    await netns.connect("/proc/self/ns/net", "127.0.0.1", 9).catch(({ code }) => process.stdout.write(code));`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const text = await child.stdout.setEncoding("utf8").toArray();
  expect([text.join(""), child.exitCode ?? (await new Promise((resolve) => child.once("exit", resolve)))]).toEqual([
    root ? "ECONNREFUSED" : "EPERM",
    0,
  ]);
});
