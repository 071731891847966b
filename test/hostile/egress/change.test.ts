import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { LOCAL_OPERATOR } from "../../../src/contract/index.ts";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../../support/runtimes.ts";
import { arrived, openStage, type Stage } from "./stage.ts";
import { boundaryPids } from "../../support/boundary-process.ts";

const ALLOW = { allow: [{ host: "allowed.test", ports: [443, 80] }, { host: "a.wild.test", ports: [443], tls: "inspect" }] }; // prettier-ignore

// With one runtime: what is judged here is the boundary, which does not know what made the sandbox. `reach` and `dns` try each.
describe.each((await workingRuntimes(...CONTAINER_RUNTIMES)).slice(0, 1))(
  "what changes while a sandbox of $runtime lives",
  ({ runtime }) => {
    let stage: Stage;
    beforeAll(async () => {
      stage = await openStage(runtime);
    }, 900_000);
    afterAll(() => stage[Symbol.asyncDispose]());
    beforeEach(() => stage.world.forget());

    it("case 40: with the boundary killed nothing gets out, and it comes back with the same policy", async () => {
      const inside = await stage.sandbox(ALLOW);
      expect((await inside.curl("-k", "https://allowed.test/")).text).toContain("hello");
      const [before = 0] = boundaryPids(stage.local.dataDir);
      // Stopped first, so that the look at what is refused cannot come too late.
      process.kill(before, "SIGSTOP");
      expect((await inside.curl("-k", "-m", "3", "https://allowed.test/late")).text).not.toContain("hello");
      process.kill(before, "SIGKILL");
      stage.world.forget();
      let text = "";
      for (let round = 0; round < 100 && !text.includes("hello"); round++) {
        ({ text } = await inside.curl("-k", "-m", "5", "https://allowed.test/"));
        expect((await inside.curl("-k", "-m", "3", "https://denied.test/")).text).not.toContain("hello");
        await pause(100);
      }
      expect(text).toContain("hello");
      expect(boundaryPids(stage.local.dataDir)).not.toContain(before);
      expect((await inside.curl("-k", "https://a.wild.test/")).text).toContain("hello");
      const hosts = (await arrived(stage.world)).flatMap((seen) => (seen.kind === "http" ? [seen.host] : []));
      expect(hosts.filter((host) => host.includes("denied"))).toEqual([]);
    });

    it.each([["allowed.test", "--http1.1"], ["a.wild.test", "--http1.1"], ["a.wild.test", "--http2"]])("case 41: a stream from %s (%s) is cut when its rule goes", async (host, version) => {
    const inside = await stage.sandbox(ALLOW);
    const streaming = inside.sh(`curl -sSk -m 40 ${version} -N https://${host}/stream; echo "curl $?"`);
    for (let round = 0; round < 100 && !(await arrived(stage.world)).some((seen) => seen.kind === "http" && seen.url === "/stream"); round++) await pause(50);
    await pause(300);
    const change = await stage.local.engine.network.update(LOCAL_OPERATOR, inside.id, { allow: [] });
    expect(change.closed).toBeGreaterThan(0);
    const { stdout } = await streaming;
    expect(stdout).toContain("data: 0");
    expect(stdout).not.toContain("curl 28");
    expect((await inside.curl("-k", "-m", "5", `https://${host}/`)).text).not.toContain("hello");
  }); // prettier-ignore

    it("case 42: lists that are empty deny, and malformed ones are refused with nothing made", async () => {
      const empty = await stage.sandbox({ allow: [] });
      expect((await empty.curl("-k", "-m", "5", "https://allowed.test/")).text).not.toContain("hello");
      const bad = [{ allow: null }, { allow: "allowed.test" }, { allow: {} }, { allow: [null] }, { allow: ["allowed.test"] }, { allow: [{}] }, { allow: [{ host: "" }] }, { allow: [{ host: "*" }] },
      { allow: [{ host: "*.*" }] }, { allow: [{ host: "a*.test" }] }, { allow: [{ host: "allowed.test", ports: [] }] }, { allow: [{ host: "allowed.test", ports: [0] }] },
      { allow: [{ host: "allowed.test", cidr: "1.2.3.4/32" }] }, { allow: [{ cidr: "1.2.3.4/33" }] }, { allow: [{ cidr: "::/0" }] }, { allow: [{ host: "127.0.0.1" }] }, { default: "allow" },
      { allow: [{ host: "allowed.test", methods: "GET" }] }]; // prettier-ignore
      for (const network of bad)
        await expect(stage.sandbox(network), JSON.stringify(network)).rejects.toMatchObject({ code: "invalid_request" });
      expect(await arrived(stage.world)).toEqual([]);
    });
  },
);
