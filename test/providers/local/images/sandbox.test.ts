import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Provider, SandboxSpec } from "../../../../src/contract/index.ts";
import { containerRuntime } from "../../../support/runtimes.ts";
import { busybox, digestOf, dockerArchive, imageId, type ImageInput, smallSystem, tarOf } from "../../../support/image-files.ts";
import { mountsBelow } from "../../../support/host-objects.ts";
import { RESOURCES, sandbox, say } from "../inside.ts";
import { op, Scratch, unusable } from "../scratch.ts";

const system = smallSystem();
const changes = tarOf([
  { name: "data/.wh.gone" },
  { name: "opaque", type: "directory" },
  { name: "opaque/.wh..wh..opq" },
  { name: "opaque/new", content: "new\n" },
  { name: "bin/suid", mode: 0o4755, content: busybox() },
]);
const app: ImageInput = {
  layers: [system, changes],
  tags: ["app"],
  config: { User: "app", Env: ["GREETING=hello", "PATH=/bin"], WorkingDir: "/srv/work", Entrypoint: ["/bin/touch", "/home/app/entered"], Cmd: ["x"] },
}; // prettier-ignore
/** One program, and nothing else. */
const bare: ImageInput = { layers: [tarOf([{ name: "busybox", mode: 0o755, content: busybox() }])], tags: ["bare"] };
/** A root whose every place for a mount leads elsewhere. */
const links: ImageInput = {
  layers: [
    tarOf([
      ...["proc", "dev", "sys", "tmp", "run", "etc", "workspace", ".sandboxer"].map((name) => ({ name, type: "symlink" as const, link: "/host" })),
      { name: "host", type: "directory", mode: 0o777 },
    ]),
  ],
  tags: ["links"],
}; // prettier-ignore

// What differs between runtimes is how they take a root; the rest is seen with one.
const one = await containerRuntime();

for (const runtime of ["crun", "runc", "runsc"] as const) {
  const reason = await unusable({ runtimes: [runtime] });
  describe.skipIf(reason !== undefined)(
    `a sandbox on an image, by ${runtime}${reason === undefined ? "" : ` (not on this host: ${reason})`}`,
    () => {
      const scratch = new Scratch();
      let provider: Provider;
      const start = (image: string, more: Partial<SandboxSpec> = {}) => sandbox(provider, { image: `oci:${image}`, ...more });
      beforeAll(async () => {
        provider = await scratch.open({ runtimes: [runtime] });
        for (const input of [app, bare, links])
          for await (const step of provider.images?.import(once(dockerArchive(input)), {}, op()) ?? []) void step;
      });
      afterAll(() => scratch.remove());

      test("has the image's files, user, variables and working directory, and does not run its entrypoint", async () => {
      expect(provider.traits.capabilities["image.oci"]).toBe("native");
      const ref = await start("app");
      const said = await say(provider, ref, "id -u; id -g; id -un; pwd; echo $GREETING $HOME; cat /data/low; ls /data /opaque; ls -A $HOME; echo mine >made && cat made");
      expect(said).toMatchObject({ stderr: "" });
      expect(said.stdout.split("\n")).toEqual(["1234", "2345", "app", "/srv/work", "hello /home/app", "low", "/data:", "low", "", "/opaque:", "new", "kept", "mine", ""]);
      // Its user's own files are its own; root's are not.
      expect((await say(provider, ref, "echo more >>/home/app/kept && cat /home/app/kept; echo x >/data/low")).stdout).toBe("mine\nmore\n");
      expect((await say(provider, ref, "stat -c '%a %u' /bin/suid; echo $GREETING", {})).stdout).toBe("755 0\nhello\n");
      expect((await say(provider, ref, { run: { argv: ["id", "-u"] }, user: "sandbox" })).stdout).toBe("1000\n");
      expect((await say(provider, ref, { run: { argv: ["env"] }, env: { GREETING: "mine" } })).stdout).toContain("GREETING=mine\n");
      await provider.destroy(ref, op());
    }); // prettier-ignore

      if (runtime === one) test("has a name, hosts, resolver and machine id of ours, another one each", async () => {
      const refs = [await start("app", { hostname: "one" }), await start("app", { hostname: "two" })];
      const seen: string[][] = [];
      for (const ref of refs) seen.push((await say(provider, ref, "hostname; cat /etc/hostname /etc/machine-id /etc/hosts; cat /etc/resolv.conf; cat /data/low; echo other >>/home/app/kept")).stdout.split("\n"));
      expect(seen[0]).toEqual(["one", "one", expect.stringMatching(/^[0-9a-f]{32}$/), "127.0.0.1 localhost one", "::1 localhost", "low", ""]);
      expect(seen[1]).toEqual(["two", "two", expect.not.stringMatching(seen[0]?.[2] ?? ""), "127.0.0.1 localhost two", "::1 localhost", "low", ""]);
      // What one writes the other does not see.
      const [first, second] = refs;
      if (first === undefined || second === undefined) throw new Error("no sandboxes");
      await say(provider, first, "rm /home/app/kept");
      expect((await say(provider, second, "cat /home/app/kept")).stdout).toBe("mine\nother\n");
      for (const ref of refs) await provider.destroy(ref, op());
    }); // prettier-ignore

      if (runtime === one)
        test("runs a program of an image that has nothing else, by its words and by a shell of ours, and moves files", async () => {
          const ref = await start("bare");
          expect((await say(provider, ref, { run: { argv: ["/busybox", "echo", "as it is"] } })).stdout).toBe("as it is\n");
          expect((await say(provider, ref, "echo $((6 * 7)); /busybox id -u; /busybox pwd")).stdout).toBe("42\n1000\n/workspace\n");
          await provider.files?.write(ref, "note", once(Buffer.from("text")), {}, op());
          expect((await say(provider, ref, { run: { argv: ["/busybox", "cat", "/workspace/note"] } })).stdout).toBe("text");
          await provider.destroy(ref, op());
        });

      test("is not led astray by links in the place of what is mounted", async () => {
      const ref = await start("links");
      const said = await say(provider, ref, "b=/.sandboxer/busybox; $b ls -A /host; $b head -c 3 /proc/self/comm; $b stat -c %F /dev/null; $b pwd");
      expect(said).toMatchObject({ stdout: "buscharacter special file\n/workspace\n", stderr: "" });
      await provider.destroy(ref, op());
    }); // prettier-ignore

      if (runtime === one) test("is held to its quota, and leaves nothing; its image is there until then", async () => {
      const ref = await start("app");
      await expect(provider.images?.remove("app", op())).rejects.toMatchObject({ code: "conflict" });
      const said = await say(provider, ref, `/bin/busybox dd if=/dev/zero of=$HOME/big bs=1M count=${RESOURCES.diskBytes / 1024 ** 2 + 8} 2>&1; ls -l $HOME/big`);
      const bytes = Number(/\s(\d{6,})\s/.exec(said.stdout)?.[1]);
      expect(bytes).toBeGreaterThan(RESOURCES.diskBytes / 2);
      expect(bytes).toBeLessThanOrEqual(RESOURCES.diskBytes);
      await provider.destroy(ref, op());
      await provider.maintain?.(op());
      expect(mountsBelow(scratch.path("slots"))).toEqual([]);
      expect(existsSync(scratch.path("slots", "roots")) ? readdirSync(scratch.path("slots", "roots")) : []).toEqual([]);
      expect(readFileSync(scratch.path("images", "layers", digestOf(system).slice(7), "fs", "home/app/kept"), "utf8")).toBe("mine\n");
    }); // prettier-ignore

      if (runtime === one)
        test("keeps what it wrote while it is suspended, through a boot of the host too", async () => {
          const ref = await start("app");
          await say(provider, ref, "echo kept >>/home/app/kept");
          await provider.suspend?.suspend(ref, op());
          // What a boot does to mounts.
          for (const mount of mountsBelow(scratch.path("slots")).reverse()) execFileSync("umount", ["-l", mount]);
          await provider.suspend?.wake(ref, op());
          expect((await say(provider, ref, "cat /home/app/kept; pwd; id -un")).stdout).toBe("mine\nkept\n/srv/work\napp\n");
          await provider.destroy(ref, op());
        });

      if (runtime === one) test("is refused where its image is not there, with the nearest that is", async () => {
      await expect(start("apq")).rejects.toMatchObject({ code: "not_found", message: expect.stringContaining('nearest: "docker.io/library/app:latest"') as string });
      await expect(start("app", { user: "nobody-here" })).rejects.toMatchObject({ code: "invalid_request" });
      const ref = await start(imageId(app), { user: "50" });
      expect((await say(provider, ref, "id -u")).stdout).toBe("50\n");
      await provider.destroy(ref, op());
    }); // prettier-ignore
    },
  );
}

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}
