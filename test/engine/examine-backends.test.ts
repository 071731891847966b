import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { BackendConfig } from "../../src/contract/index.ts";
import { examineBackends } from "../../src/engine/examine-backends.ts";
import docker from "../../src/providers/docker/index.ts";
import fake from "../../src/providers/fake/index.ts";

const nothing = (): void => {};
const log = { debug: nothing, info: nothing, warn: nothing, error: nothing };

function examine(...backends: BackendConfig[]) {
  const directory = mkdtempSync(join(tmpdir(), "sbx-examine-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return examineBackends(backends, directory, { builtIn: { docker, fake }, instance: "x", log });
}

test("a backend that works says what it gives; one that is switched off is not asked", async () => {
  const found = (
    await examine(
      { name: "a", provider: "fake", options: { isolation: "container" } },
      { name: "b", provider: "docker", enabled: false, options: { host: "unix:///nowhere.sock" } },
    )
  ).filter(({ ok }) => ok);
  expect(found).toMatchObject([
    { id: "backend.a", ok: true, detail: expect.stringMatching(/^container by .* capabilities; its list can be read$/) },
    { id: "backend.b", ok: true, detail: "switched off" },
  ]);
});

test("an engine that is not there, options that are wrong, a package that is missing, and a list that cannot be read are findings with the next step", async () => {
  const found = await examine(
    { name: "gone", provider: "docker", options: { host: "unix:///nowhere/docker.sock" } },
    { name: "wrong", provider: "docker", options: { hots: "x" } },
    { name: "missing", provider: "no-such-provider-package" },
    { name: "unread", provider: "fake", options: { isolation: "container", faults: [{ method: "list", code: "backend_unavailable" }] } },
  );
  expect(found.map(({ id, ok }) => [id, ok])).toEqual([
    ["backend.gone", false],
    ["backend.wrong", false],
    ["backend.missing", false],
    ["backend.unread", false],
  ]);
  const [gone, wrong, missing, unread] = found;
  expect(gone?.detail).toMatch(/^backend_unavailable: .*Is the engine running/);
  expect(wrong?.detail).toMatch(/^invalid_request: .*hots/s);
  expect(missing?.detail).toMatch(/^provider_missing_dependency: .*npm install no-such-provider-package/);
  expect(unread?.level).toBe("error");
});
