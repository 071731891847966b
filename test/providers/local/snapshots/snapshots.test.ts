import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newId, type Provider, type Ref, type SandboxSpec, type SnapshotMade } from "../../../../src/contract/index.ts";
import { mountsBelow } from "../../../support/host-objects.ts";
import { containerRuntime } from "../../../support/runtimes.ts";
import { dockerArchive, smallSystem } from "../../../support/image-files.ts";
import { sandbox, say } from "../inside.ts";
import { op, Scratch, unusable } from "../scratch.ts";

// What does not depend on the runtime is seen with one.
const one = await containerRuntime();

for (const runtime of [one, "runsc"] as const) {
  const reason = await unusable({ runtimes: [runtime] });
  describe.skipIf(reason !== undefined)(`a snapshot, by ${runtime}${reason === undefined ? "" : ` (not on this host: ${reason})`}`, () => {
    const scratch = new Scratch();
    let provider: Provider;
    beforeAll(async () => {
      provider = await scratch.open({ runtimes: [runtime] });
      for await (const step of provider.images?.import(
        once(dockerArchive({ layers: [smallSystem()], tags: ["app"], config: { User: "app" } })),
        {},
        op(),
      ) ?? [])
        void step;
    });
    afterAll(() => scratch.remove());

    const keep = async (ref: Ref): Promise<SnapshotMade & { id: string }> => {
      const id = newId("snapshot");
      const made = await provider.snapshots?.create(ref, { id, tenant: "test" }, op());
      if (made === undefined) throw new Error("no snapshots");
      return { id, ...made };
    };
    const from = ({ id, digest }: { id: string; digest: string }, more: Partial<SandboxSpec> = {}) =>
      sandbox(provider, { image: `snapshot:${id}@${digest}`, ...more });

    for (const image of runtime === one ? ["host", "oci:app"] : ["host"])
      test(`of a sandbox on ${image} gives others what it wrote, and a second one only what changed since`, async () => {
        const source = await sandbox(provider, { image });
        await say(
          provider,
          source,
          "mkdir -p /workspace/d && cd /workspace && echo one >d/a && ln d/a hard && ln -s d/a soft && echo gone >gone && echo moved >d/m && head -c 300000 /dev/zero >zeros && chmod 751 d",
        );
        const first = await keep(source);
        expect(first).toMatchObject({ parent: null, sizeBytes: expect.any(Number) as number });
        await say(provider, source, "echo later >/workspace/later");
        await provider.destroy(source, op());

        const fork = await from(first, { hostname: "fork" });
        const seen = await say(
          provider,
          fork,
          "b=/.sandboxer/busybox; cd /workspace; cat d/a hard soft gone; $b stat -c '%a %u %h' d hard; $b ls; touch own && echo two >>d/a && rm gone && mv d e && $b ls e",
        );
        expect(seen).toMatchObject({ stderr: "" });
        const user = image === "host" ? 1000 : 1234;
        expect(seen.stdout.split("\n").slice(0, 6)).toEqual(["one", "one", "one", "gone", `751 ${user} 2`, `644 ${user} 2`]);
        expect(seen.stdout).not.toContain("later");
        const second = await keep(fork);
        expect(second).toMatchObject({ parent: first.id });
        expect(second.sizeBytes).toBeLessThan(first.sizeBytes / 10);
        await provider.destroy(fork, op());

        const third = await from(second);
        expect(
          (await say(provider, third, "b=/.sandboxer/busybox; cd /workspace; cat e/a e/m; $b ls; $b ls d gone")).stdout
            .split("\n")
            .slice(0, 9),
        ).toEqual(["one", "two", "moved", "e", "hard", "own", "soft", "zeros", ""]);
        // Who stands on it keeps it; who stands on nothing does not.
        await expect(provider.snapshots?.remove(first.id, op())).rejects.toMatchObject({ code: "conflict" });
        await expect(provider.snapshots?.remove(second.id, op())).rejects.toMatchObject({ code: "conflict" });
        await provider.destroy(third, op());
        if (image !== "host") await expect(provider.images?.remove("app", op())).rejects.toMatchObject({ code: "conflict" });
        for (const { id } of [second, first]) expect(await provider.snapshots?.remove(id, op())).toBe("removed");
        expect(await provider.snapshots?.list(op())).toEqual([]);
      });

    if (runtime === one)
      test("is refused where a bit of it has changed", async () => {
        const source = await sandbox(provider);
        await say(provider, source, "echo important >/workspace/file; ln -s a /workspace/link");
        const kept = await keep(source);
        const file = scratch.path("snapshots", kept.id, "fs", "workspace", "file");
        const bytes = readFileSync(file);
        bytes[0] = (bytes[0] ?? 0) ^ 1;
        writeFileSync(file, bytes);
        await expect(from(kept)).rejects.toMatchObject({ code: "backend_rejected" });
        await expect(provider.snapshots?.export(kept.id, op())[Symbol.asyncIterator]().next()).rejects.toMatchObject({
          code: "backend_rejected",
        });
        bytes[0] = (bytes[0] ?? 0) ^ 1;
        writeFileSync(file, bytes);
        await provider.destroy(await from(kept), op());
        await expect(from({ id: kept.id, digest: `sha256:${"0".repeat(64)}` })).rejects.toMatchObject({ code: "backend_rejected" });
        await expect(from({ id: newId("snapshot"), digest: kept.digest })).rejects.toMatchObject({ code: "not_found" });
        await provider.destroy(source, op());
        await provider.snapshots?.remove(kept.id, op());
      });

    if (runtime === one)
      test("case 23: of what is too deep to be named is refused, and nothing of it stays", async () => {
        const source = await sandbox(provider);
        const deep = "use strict; chdir '/workspace'; for (1 .. 1500) { mkdir 'deep'; chdir 'deep' or die } open my $f, '>', 'end'";
        expect(await say(provider, source, { run: { argv: ["perl", "-e", deep] } })).toMatchObject({ end: { exitCode: 0 } });
        await expect(keep(source)).rejects.toMatchObject({ code: "backend_rejected" });
        expect(readdirSync(scratch.path("snapshots", "drafts"))).toEqual([]);
        await say(provider, source, "rm -r deep");
        const kept = await keep(source);
        await provider.destroy(source, op());
        await provider.snapshots?.remove(kept.id, op());
      });

    if (runtime === one)
      test("goes elsewhere as one file, with all that it stands on, and a forged one is refused", async () => {
        const source = await sandbox(provider, { image: "oci:app" });
        await say(provider, source, "echo one >/home/app/a; rm /home/app/kept; echo x >/workspace/.wh.odd");
        const first = await keep(source);
        const fork = await from(first);
        await say(provider, fork, "echo two >>/home/app/a");
        const second = await keep(fork);
        const file = await all(provider.snapshots?.export(second.id, op()));
        for (const ref of [source, fork]) await provider.destroy(ref, op());
        for (const { id } of [second, first]) await provider.snapshots?.remove(id, op());
        const id = newId("snapshot");
        const forged = Buffer.from(file);
        forged.write("0ne", forged.indexOf("one\ntwo"));
        await expect(provider.snapshots?.import({ id, tenant: "test" }, once(forged), op())).rejects.toMatchObject({
          code: "invalid_request",
        });
        expect(await provider.snapshots?.list(op())).toEqual([]);
        await provider.images?.prune({ all: true }, op());
        const made = await provider.snapshots?.import({ id, tenant: "test" }, once(file), op());
        const there = await from({ id, digest: made?.digest ?? "" });
        expect(await say(provider, there, "id -un; cat ~/a; ls -A ~ /workspace")).toMatchObject({
          stdout: "app\none\ntwo\n/home/app:\na\n\n/workspace:\n.wh.odd\n",
          stderr: "",
        });
        await provider.destroy(there, op());
        await provider.snapshots?.remove(id, op());
        await provider.maintain?.(op());
        expect(mountsBelow(scratch.directory)).toEqual([]);
        expect(readdirSync(scratch.path("snapshots"))).toEqual(["drafts"]);
        expect(readdirSync(scratch.path("snapshots", "drafts"))).toEqual([]);
      });
  });
}

async function all(stream: AsyncIterable<Uint8Array> | undefined): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream ?? []) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}
