import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Boundary } from "../../../src/contract/network.ts";
import { ask, type Inside, makeInside, policyOf, readAll, root, runInside, until, World } from "./stage.ts";

describe.runIf(root)("a sandbox's way out", () => {
  const world = new World();
  const id = "sbx_passthrough";
  let boundary: Boundary;
  let inside: Inside;
  const [server, other] = [world.address(2), world.address(3)];
  const policy = policyOf([
    { host: "allowed.test", ports: [443, 8443] },
    { host: "*.wide.test", ports: [443, 2222] },
    { cidr: `${server}/32`, ports: [443, 2222, 8443] },
    { host: "mixed.test" },
    { host: "private.test" },
    { host: "meta.test" },
  ]);

  beforeAll(async () => {
    await world.start();
    world.records.set("allowed.test", [server]).set("ssh.wide.test", [server]).set("mixed.test", [server, "10.0.0.1"]);
    world.records.set("private.test", [other]).set("meta.test", ["169.254.169.254"]);
    await world.tls("allowed.test", server, 443, (socket) => socket.on("data", (data) => socket.end(`heard ${data.toString()}`)));
    await world.tls("allowed.test", other, 443, (socket) => socket.end("never"));
    await world.tcp(server, 2222, (socket) => {
      socket.write("SSH-2.0-test\r\n");
      socket.on("data", (data) => socket.end(`got ${data.toString()}`));
    });
    boundary = await world.boundary();
    inside = makeInside();
    await boundary.prepare({ id, tenant: "t", generation: 1, policy, secrets: [] });
    await boundary.attach(id, inside.path);
  });
  afterAll(async () => {
    await world.stop();
    inside.remove();
  });
  beforeEach(() => {
    world.reached.length = 0;
    world.queries.length = 0;
  });

  const last = async () => {
    const seen = (await world.verdicts(boundary, id)).filter(({ protocol }) => protocol !== "dns");
    return seen.at(-1);
  };
  const synthetic = (name: string): Promise<string> => world.synthetic(inside, name);
  const viaConnect = async (target: string): Promise<Socket> => {
    const socket = await world.netns.connect(inside.path, "127.0.0.1", 808);
    socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
    return socket;
  };
  const hello = async (socket: Socket, name: string): Promise<string> => {
    const secure = world.secure(socket, name);
    secure.on("error", () => {});
    secure.write("hello");
    return readAll(secure).finally(() => socket.destroy());
  };

  test("goes by name: the made-up address of an allowed name leads to the name's own server, untouched", async () => {
    const address = await synthetic("allowed.test");
    expect(await ask(inside, "A", "allowed.test", "ALLOWED.test")).toEqual([[address], [address]]);
    expect(address).toMatch(/^198\.1[89]\./);
    expect(await hello(await world.netns.connect(inside.path, address, 443), "allowed.test")).toBe("heard hello");
    expect(world.reached).toContain("tls allowed.test as allowed.test");
    await until(async () => (await last())?.host === "allowed.test");
    expect(await last()).toMatchObject({
      protocol: "tls",
      via: "transparent",
      host: "allowed.test",
      port: 443,
      address: server,
      verdict: "allow",
      rule: "allow[0]",
    });
    expect((await last())!.bytes_down).toBeGreaterThan(1000);
  });

  test("what is large comes whole to a client that takes it slowly, and goes whole to a server that does", async () => {
    const body = randomBytes(12 * 1024 ** 2);
    const sent = createHash("sha256").update(body).digest("hex");
    await world.tls("allowed.test", server, 8443, (socket) => {
      const hash = createHash("sha256");
      let bytes = 0;
      socket.on("data", (piece: Buffer) => {
        hash.update(piece);
        bytes += piece.length;
        socket.pause();
        setTimeout(() => socket.resume(), piece.length % 3);
        if (bytes === body.length) socket.end(Buffer.concat([Buffer.from(hash.digest("hex")), body]));
      });
    });
    const secure = world.secure(await world.netns.connect(inside.path, await synthetic("allowed.test"), 8443), "allowed.test");
    secure.write(body);
    const hash = createHash("sha256");
    let first = Buffer.alloc(0);
    for await (const piece of secure as AsyncIterable<Buffer>) {
      const missing = 64 - first.length;
      first = Buffer.concat([first, piece.subarray(0, Math.max(0, missing))]);
      hash.update(piece.subarray(Math.max(0, missing)));
      if (piece.length % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(first.toString()).toBe(sent);
    expect(hash.digest("hex")).toBe(sent);
  });

  test("is the same through CONNECT and SOCKS5", async () => {
    const tunnel = await viaConnect("allowed.test:443");
    expect(String((await once(tunnel, "data"))[0])).toMatch(/^HTTP\/1\.1 200 /);
    expect(await hello(tunnel, "allowed.test")).toBe("heard hello");
    const curl = await runInside(
      inside,
      "curl",
      "-sv",
      "--max-time",
      "10",
      "--http0.9",
      "-x",
      "socks5h://127.0.0.1:809",
      "-k",
      "https://allowed.test/",
    );
    expect(curl.text).toContain("heard GET / HTTP/1.1");
  });

  test("denies a name that no rule has: not resolved, not dialled, a 403 that names what to ask for", async () => {
    const curl = await runInside(inside, "curl", "-sv", "--max-time", "10", "-x", "http://127.0.0.1:808", "https://denied.test/");
    expect(curl.text).toContain("403");
    expect(await ask(inside, "A", "denied.test", "wide.test", "xallowed.test")).toEqual(["ENOTFOUND", "ENOTFOUND", "ENOTFOUND"]);
    expect(await last()).toMatchObject({
      via: "connect",
      host: "denied.test",
      verdict: "deny",
      reason: "no_rule",
      detail: expect.stringContaining("{host: denied.test, ports: [443]}"),
    });
    expect([world.queries, world.reached]).toEqual([[], []]);
  });

  test("denies a ClientHello that names another server than was asked for, none, or an encrypted one", async () => {
    const address = await synthetic("allowed.test");
    const direct = () => world.netns.connect(inside.path, address, 443);
    expect(await hello(await direct(), "denied.test")).toMatch(/^broken/);
    expect(await last()).toMatchObject({ verdict: "deny", reason: "name_mismatch" });
    expect(await hello(await direct(), "")).toMatch(/^broken/);
    expect(await last()).toMatchObject({ verdict: "deny", reason: "no_server_name" });
    const tunnel = await viaConnect("allowed.test:443");
    await once(tunnel, "data");
    expect(await hello(tunnel, "ssh.wide.test")).toMatch(/^broken/);
    expect(await last()).toMatchObject({ via: "connect", verdict: "deny", reason: "name_mismatch" });
    expect(world.reached).toEqual([]);
  });

  test("denies what is neither TLS nor HTTP on port 443, and an allowed host on another port", async () => {
    const socket = await world.netns.connect(inside.path, await synthetic("allowed.test"), 443);
    socket.write("\0\0neither");
    expect(await readAll(socket)).toMatch(/^broken|^$/);
    expect(await last()).toMatchObject({ protocol: "tcp", verdict: "deny", reason: "protocol" });
    expect(await readAll(await viaConnect("allowed.test:22"))).toMatch(/^HTTP\/1\.1 403 /);
    expect(await last()).toMatchObject({ verdict: "deny", reason: "port" });
    expect(world.reached).toEqual([]);
  });

  test("lets a server speak first where a rule allows its port", async () => {
    const socket = await world.netns.connect(inside.path, await synthetic("ssh.wide.test"), 2222);
    expect(String((await once(socket, "data"))[0])).toBe("SSH-2.0-test\r\n");
    socket.write("SSH-2.0-me\r\n");
    expect(await readAll(socket)).toBe("got SSH-2.0-me\r\n");
    await until(async () => (await last())?.host === "ssh.wide.test");
    expect(await last()).toMatchObject({ protocol: "tcp", port: 2222, verdict: "allow", rule: "allow[1]", bytes_up: 12, bytes_down: 30 });
  });

  test.each([
    ["mixed.test", "a public-looking name with one private address among others"],
    ["private.test", "an address that no rule names"],
    ["meta.test", "the metadata service"],
  ])("does not dial %s: %s", async (name) => {
    expect(await hello(await world.netns.connect(inside.path, await synthetic(name), 443), name)).toMatch(/^broken/);
    expect(await last()).toMatchObject({ host: name, verdict: "deny", reason: "address_forbidden", address: null });
    expect(world.reached).toEqual([]);
  });

  test.each([
    "169.254.169.254",
    "10.0.0.1",
    "127.0.0.1",
    "0.0.0.0",
    "198.18.0.7",
    "127.1",
    "0x7f000001",
    "2130706433",
    "localhost",
    "[::1]",
    "allowed.test.",
    "allowed.test%00.denied.test",
    "allowed.test.denied.test",
  ])("denies CONNECT to %s", async (host) => {
    expect(await readAll(await viaConnect(`${host}:443`))).toMatch(/^HTTP\/1\.1 403 /);
    expect((await last())?.verdict).toBe("deny");
    expect([world.queries, world.reached]).toEqual([[], []]);
  });

  test("denies an address that no rule has, told by the server name alone, unless that is allowed", async () => {
    const denied = await world.netns.connect(inside.path, "1.1.1.1", 443);
    expect(await hello(denied, "denied.test")).toMatch(/^broken/);
    expect(await last()).toMatchObject({ host: "denied.test", verdict: "deny", reason: "no_rule" });
    // The name decides, and the name is what is dialled: whatever address was asked for.
    expect(await hello(await world.netns.connect(inside.path, "1.1.1.1", 443), "allowed.test")).toBe("heard hello");
    expect(world.queries).toContain("allowed.test");
  });

  test("puts a ClientHello together from whatever pieces it comes in", async () => {
    const tunnel = await viaConnect("allowed.test:443");
    await once(tunnel, "data");
    const write = tunnel.write.bind(tunnel);
    const [outer, inner] = await duplexPair();
    const secure = world.secure(inner as unknown as Socket, "allowed.test");
    let first = true;
    outer.on("data", (chunk: Buffer) => {
      if (!first) {
        write(chunk);
        return;
      }
      first = false;
      // One TLS record of 5 bytes after the other, each in packets of its own.
      void (async () => {
        for (let at = 5; at < chunk.length; at += 5) {
          const piece = chunk.subarray(at, at + 5);
          write(Buffer.from([22, 3, 1, 0, piece.length]));
          await new Promise((resolve) => setImmediate(resolve));
          write(piece);
        }
      })();
    });
    tunnel.on("data", (chunk: Buffer) => outer.write(chunk));
    tunnel.on("end", () => outer.end());
    await once(secure, "secureConnect");
    secure.write("in pieces");
    expect(await readAll(secure)).toBe("heard in pieces");
  });

  test("answers DNS from memory alone: no other type, no other server, over TCP too", async () => {
    expect(await ask(inside, "AAAA", "allowed.test", "denied.test")).toEqual(["ENODATA", "ENOTFOUND"]);
    expect(await ask(inside, "TXT", "allowed.test", "canary.exfil.denied.test")).toEqual(["ENODATA", "ENOTFOUND"]);
    const socket = await world.netns.connect(inside.path, "127.0.0.1", 53);
    const query = Buffer.from("12340100000100000000000007616c6c6f77656404746573740000010001", "hex");
    socket.write(Buffer.concat([Buffer.from([0, query.length]), query]));
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect([answer.readUInt16BE(2), answer[5]! & 15, answer.subarray(-4)[0]]).toEqual([0x1234, 0, 198]);
    socket.destroy();
    const elsewhere = await runInside(
      inside,
      "perl",
      "-MSocket",
      "-e",
      `socket(S,PF_INET,SOCK_DGRAM,0); send(S,"x",0,pack_sockaddr_in(53,inet_aton("8.8.8.8"))); my $r=""; vec($r,fileno(S),1)=1; print select($r,undef,undef,0.5) ? "answered" : "nothing"`,
    );
    expect(elsewhere.text).toBe("nothing");
    expect(world.queries).toEqual([]);
  });

  test("is closed for what is no SOCKS5 CONNECT: no UDP, no IPv6, no BIND", async () => {
    const socks = async (...bytes: number[]): Promise<string> => {
      const socket = await world.netns.connect(inside.path, "127.0.0.1", 809);
      socket.write(Buffer.from([5, 1, 0]));
      socket.write(Buffer.from(bytes));
      const all = Buffer.concat((await socket.toArray()) as Buffer[]);
      return all.toString("hex", 2, 4);
    };
    expect(await socks(5, 3, 0, 1, 8, 8, 8, 8, 0, 53)).toBe("0507");
    expect(await socks(5, 2, 0, 1, 8, 8, 8, 8, 0, 53)).toBe("0507");
    expect(await socks(5, 1, 0, 4, ...Array<number>(16).fill(0), 0, 53)).toBe("0508");
    expect(await socks(5, 1, 0, 3, 11, ...Buffer.from("denied.test"), 1, 187)).toBe("0502");
    expect(await socks(5, 1, 0, 3, 13, ...Buffer.from("allowed.test\0"), 1, 187)).toBe("0502");
    expect(world.queries).toEqual([]);
  });
});

async function duplexPair() {
  const { duplexPair } = await import("node:stream");
  return duplexPair();
}
