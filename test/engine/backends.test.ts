import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { BackendConfig } from "../../src/contract/index.ts";
import { dataDirectoryId, isOnThisHost, openBackends } from "../../src/engine/index.ts";
import docker from "../../src/providers/docker/index.ts";
import e2b from "../../src/providers/e2b/index.ts";
import fake from "../../src/providers/fake/index.ts";
import sshHost from "../../src/providers/ssh/index.ts";
import { silent } from "./bench.ts";

class Directory implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "sbx-backends-"));
  module(name: string, text: string): string {
    writeFileSync(join(this.path, name), text);
    return `./${name}`;
  }
  open(...backends: BackendConfig[]) {
    return openBackends({ backends }, this.path, { builtIn: { fake }, instance: "in-test", log: silent });
  }
  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

const PROVIDER = `let tries = 0;
export default {
  name: "own",
  options: { safeParse: (data) => ({ success: true, data }) },
  async open(options, context) {
    if (tries++ < options.fails) throw Object.assign(new Error("not now"), {});
    return { traits: { isolation: [], capabilities: {}, limits: {} }, context, async *list() {} };
  },
};`;

describe("backends", () => {
  it("are this host's alone where others have one of their own under that name: a Docker engine behind a socket, not one by SSH", () => {
    const at = (provider: string, options: object) =>
      isOnThisHost({ name: "x", provider, options: { ...options } }, { docker, e2b, fake, ssh: sshHost });
    const ssh = { reach: { form: "direct", address: "10.0.0.7" } };
    const tls = { ca: "/ca", cert: "/cert", key: "/key" };
    expect([at("docker", {}), at("docker", { host: "unix:///run/docker.sock" }), at("fake", {})]).toEqual([true, true, true]);
    const far = [
      at("docker", { ssh }),
      at("docker", { host: "ssh://box1" }),
      at("docker", { host: "tcp://10.0.0.7:2376", tls }),
      at("e2b", {}),
      at("ssh", ssh),
    ];
    expect([...far, at("fake", { remote: "http://127.0.0.1:1" }), at("./own.mjs", {})]).toEqual(Array.from({ length: 7 }, () => false));
  });

  it("are loaded from a path, with a directory of their own", async () => {
    using directory = new Directory();
    const [backend] = await directory.open({ name: "mine", provider: directory.module("own.mjs", PROVIDER), options: { fails: 0 } });
    expect(backend).toMatchObject({
      name: "mine",
      onThisHost: false,
      problem: null,
      provider: { context: { backend: "mine", instance: "in-test", directory: join(directory.path, "backends", "mine") } },
    });
  });

  it("that cannot be opened now are unavailable with the reason, and are opened later", async () => {
    using directory = new Directory();
    const [backend] = await directory.open({ name: "mine", provider: directory.module("late.mjs", PROVIDER), options: { fails: 1 } });
    expect([backend?.provider, backend?.problem?.message]).toEqual([null, "not now"]);
    await backend?.open();
    expect([backend?.provider === null, backend?.problem]).toEqual([false, null]);
  });

  it.each([
    [
      "a package that is not installed",
      "sand-boxer-no-such-provider",
      "provider_missing_dependency",
      /npm install sand-boxer-no-such-provider/,
    ],
    ["a path where nothing is", "./nothing.mjs", "provider_missing_dependency", /relative ones start at/],
  ])("refuse %s with what to do", async (_what, provider, code, hint) => {
    using directory = new Directory();
    await expect(directory.open({ name: "x", provider })).rejects.toMatchObject({ code, hint: expect.stringMatching(hint) as string });
  });

  it("refuse a module that is no provider, options that are not its own, and a name given twice", async () => {
    using directory = new Directory();
    await expect(directory.open({ name: "x", provider: directory.module("no.mjs", "export default {}") })).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("default export") as string,
    });
    await expect(directory.open({ name: "x", provider: "fake", options: { latencyms: 1 } })).rejects.toMatchObject({
      code: "invalid_request",
      details: { issues: [{ path: "latencyms", nearest: "latency_ms" }] },
    });
    await expect(directory.open({ name: "x", provider: "fake" }, { name: "x", provider: "fake" })).rejects.toMatchObject({
      code: "invalid_request",
    });
  });
});

describe("a data directory", () => {
  it("has one name, which is kept", () => {
    using directory = new Directory();
    const id = dataDirectoryId(directory.path);
    expect(id).toMatch(/^in[0-9a-z]{22}$/);
    expect(dataDirectoryId(directory.path)).toBe(id);
  });
});
