import { execFileSync } from "node:child_process";
import { chmodSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { mountsBelow } from "../support/host-objects.ts";
import { openLocal, OWNER } from "../support/local-engine.ts";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../support/runtimes.ts";

const TARS = fileURLToPath(new URL("attacks/tars.py", import.meta.url));
const MIB = 1024 ** 2;

/** Everything below a directory of this host, by path and kind; of what is inside a sandbox, as the host sees it. */
function walk(directory: string): { path: string; special: boolean; mode: number }[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    const found = lstatSync(path);
    const own = { path, special: found.isBlockDevice() || found.isCharacterDevice(), mode: found.mode & 0o7777 };
    return entry.isDirectory() ? [own, ...walk(path)] : [own];
  });
}

describe.each((await workingRuntimes(...CONTAINER_RUNTIMES)).slice(0, 1))("with $runtime", ({ runtime }) => {
  it("cases 60 and 61: hostile tars change nothing of the host and nothing but their directory, and bombs end at the quota", async () => {
    const directory = mkdtempSync(join(tmpdir(), "sbx-secret-"));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    chmodSync(directory, 0o777);
    const victim = join(directory, "secret");
    writeFileSync(victim, "the host's own");
    chmodSync(victim, 0o666);
    await using local = await openLocal("tars", { runtime });
    const { id } = await local.create({ resources: { disk: "64MiB", inodes: 2000 } });
    const free = () => statfsSync(local.dataDir).bavail * statfsSync(local.dataDir).bsize;
    const before = free();
    const unpack = async (which: string): Promise<string> => {
      const tar = execFileSync("/usr/bin/python3", [TARS, which, victim], { maxBuffer: 256 * MIB });
      async function* pieces(): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < tar.length; at += MIB) yield tar.subarray(at, at + MIB);
      }
      const answer = await local.engine.files.importTree(OWNER, id, `/workspace/${which}`, pieces()).catch((thrown: unknown) => thrown);
      return answer instanceof Error ? (answer as Error & { code: string }).code : "unpacked";
    };
    await local.sh(id, "echo mine >/home/sandbox/mine");
    expect(await unpack("good"), "the positive control").toBe("unpacked");
    expect((await local.sh(id, "cat /workspace/good/good")).stdout).toBe("good");
    const answers: Record<string, string> = {};
    for (const which of ["paths", "links", "devices", "setuid", "sized", "torn", "many", "full"]) {
      answers[which] = await unpack(which);
      expect(readFileSync(victim, "utf8"), which).toBe("the host's own");
      const disk = mountsBelow(local.dataDir).find((mount) => walk(mount).some(({ path }) => path.endsWith("home/mine")));
      expect(disk).toBeDefined();
      const found = walk(disk ?? "");
      expect(
        found.filter(({ special }) => special),
        which,
      ).toEqual([]);
      // Only below its own directory, and what the sandbox had before.
      const strays = found
        .map(({ path }) => path.slice((disk ?? "").length + 1))
        .filter((path) => !/^(home|vartmp|workspace)(\/|$)/.test(path) || /^(home|vartmp)\/(?!mine$)/.test(path));
      expect(strays, which).toEqual([]);
      await local.sh(id, `rm -rf /workspace/${which}`);
    }
    console.log(answers);
    expect(answers["devices"]).toBe("invalid_request");
    expect(answers["sized"]).not.toBe("unpacked");
    expect(answers["torn"]).not.toBe("unpacked");
    expect(answers["many"]).toBe("quota_exceeded");
    expect(answers["full"]).toBe("quota_exceeded");
    expect(before - free()).toBeLessThan(128 * MIB);
    expect((await local.sh(id, "echo room >again; cat again")).stdout).toBe("room\n");
  });

  it("case 61: a file that packs to nothing is unpacked by the sandbox's own tools at its own cost", async () => {
    await using local = await openLocal("bomb", { runtime });
    const { id } = await local.create({ resources: { disk: "64MiB" } });
    const { id: sibling } = await local.create();
    const bomb = `import gzip; f = gzip.open("bomb.gz", "wb", 1)\nfor _ in range(256): f.write(bytes(1 << 20))\nf.close()`;
    expect((await local.exec(id, { argv: ["/usr/bin/python3", "-c", bomb] })).exitCode).toBe(0);
    expect((await local.engine.files.stat(OWNER, id, "bomb.gz")).size).toBeLessThan(4 * MIB);
    expect((await local.sh(id, "gzip -dc bomb.gz >out")).exitCode).not.toBe(0);
    expect((await local.engine.usage(OWNER, id)).disk_bytes).toBeLessThan(80 * MIB);
    expect((await local.sh(sibling, "echo alive")).stdout).toBe("alive\n");
  });
});
