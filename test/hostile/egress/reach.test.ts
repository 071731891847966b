import { createServer } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../../support/runtimes.ts";
import { arrived, type Inside, openStage, type Stage, WORLD } from "./stage.ts";

const ALLOW = { allow: [{ host: "allowed.test", ports: [443, 80] }] };

// The boundary is the same whatever made the namespace; that each runtime gives one is seen by its conformance run.
describe.each((await workingRuntimes(...CONTAINER_RUNTIMES)).slice(0, 1))(
  "from a sandbox of $runtime that may reach one host",
  ({ runtime }) => {
    let stage: Stage;
    let inside: Inside;
    beforeAll(async () => {
      stage = await openStage(runtime);
      inside = await stage.sandbox(ALLOW);
    }, 900_000);
    afterAll(() => stage[Symbol.asyncDispose]());
    beforeEach(() => stage.world.forget());

    it("the positive control: the host is reached over TLS and over plain HTTP, with and without the proxy variables", async () => {
      expect(await inside.curl("-k", "https://allowed.test/")).toEqual({ code: 0, text: "hello from allowed.test\n" });
      expect(await inside.curl("http://allowed.test/")).toEqual({ code: 0, text: "hello from allowed.test\n" });
      expect((await inside.sh("env -u HTTPS_PROXY -u https_proxy -u ALL_PROXY -u all_proxy curl -sSk https://allowed.test/")).stdout).toBe(
        "hello from allowed.test\n",
      );
      expect((await arrived(stage.world)).filter(({ kind }) => kind === "http")).toHaveLength(3);
    });

    it.each([
    [WORLD.denied, 443], [WORLD.denied, 80], [WORLD.denied, 22], [WORLD.denied, 7777], [WORLD.allowed, 22], [WORLD.allowed, 7777], [WORLD.host, 22],
  ])("case 26: no TCP gets to %s:%i by its address", async (address, port) => {
    const { reply = "" } = await inside.attack("tcp", address, String(port), "GET / HTTP/1.0\\r\\nHost: denied.test\\r\\n\\r\\n");
    expect(reply).not.toContain("hello");
    expect(await arrived(stage.world)).toEqual([]);
  }); // prettier-ignore

    it("case 27: no UDP and no ICMP leaves", async () => {
      for (const port of ["53", "443", "9999"]) expect((await inside.attack("udp", WORLD.denied, port)).ok, port).toBe(false);
      expect((await inside.sh(`ping -c 1 -W 1 ${WORLD.allowed}`)).exitCode).not.toBe(0);
      expect(await stage.world.seen()).toEqual([]);
    });

    it.each(["::ffff:11.22.33.20", "64:ff9b::0b16:2114", "::1", "fe80::1", "2001:db8::1"])(
      "case 28: IPv6 leads nowhere: %s",
      async (address) => {
        expect((await inside.attack("tcp6", address, "80")).reply ?? "").not.toContain("hello");
        expect(await arrived(stage.world)).toEqual([]);
      },
    );

    it("case 29: the metadata service is not reached by address, through the proxy, or by a name that leads there", async () => {
      await inside.attack("tcp", WORLD.metadata, "80", "GET /latest HTTP/1.0\\r\\n\\r\\n");
      await inside.attack("tls", "connect", `${WORLD.metadata}:443`, "-");
      await inside.attack("proxied", `GET http://${WORLD.metadata}/latest HTTP/1.1\\r\\nHost: ${WORLD.metadata}\\r\\n\\r\\n`);
      const named = await stage.sandbox({ allow: [{ host: "metadata.test", ports: [80, 443] }] });
      expect((await named.curl("http://metadata.test/latest")).text).not.toContain("hello");
      expect(await arrived(stage.world)).toEqual([]);
    });

    it("cases 30 and 31: no way of writing it leads to this host, its services or a sibling", async () => {
      const touched: string[] = [];
      const sentinel = createServer((socket) => {
        touched.push(String(socket.localAddress));
        socket.end("the host's own\n");
      });
      await new Promise<void>((resolve) => sentinel.listen(0, "0.0.0.0", resolve));
      const { port } = sentinel.address() as { port: number };
      const { url } = await stage.local.listen();
      const api = new URL(url).port;
      const sibling = await stage.sandbox(ALLOW);
      await sibling.sh("(python3 -m http.server 8000 >/dev/null 2>&1 &)");
      for (const host of [
        "127.0.0.1",
        "127.1",
        "0",
        "0.0.0.0",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        WORLD.host,
      ]) {
        // Side by side: each may wait for an answer that does not come.
        await Promise.all(
          [port, api, 808, 53, 8000].map(async (target) => {
            const { text } = await inside.curl("-m", "3", "-x", "http://127.0.0.1:808", `http://${host}:${target}/health`);
            expect(text, `${host}:${target}`).not.toMatch(/host's own|status/);
            const socks = await inside.attack("socks", host.replaceAll(/[[\]]/g, ""), String(target), "GET / HTTP/1.0\\r\\n\\r\\n");
            expect(socks.reply ?? "", `${host}:${target}`).not.toMatch(/host's own|status|Directory listing/);
          }),
        );
      }
      for (const address of [WORLD.host, "0.0.0.0"])
        expect((await inside.attack("tcp", address, String(port))).reply ?? "").not.toContain("own");
      expect(touched).toEqual([]);
      sentinel.close();
    });

    it("case 39: NO_PROXY changes nothing", async () => {
      expect((await inside.sh("NO_PROXY='*' no_proxy='*' curl -sSk -m 5 https://denied.test/; echo $?")).stdout).not.toContain("hello");
      expect(
        (await inside.sh(`NO_PROXY='*' curl -sSk -m 5 --resolve denied.test:443:${WORLD.denied} https://denied.test/; echo $?`)).stdout,
      ).not.toContain("hello");
      expect(await arrived(stage.world)).toEqual([]);
      expect((await inside.sh("NO_PROXY='*' no_proxy='*' curl -sSk https://allowed.test/")).stdout).toBe("hello from allowed.test\n");
    });
  },
);
