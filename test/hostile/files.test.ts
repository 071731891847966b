import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { openLocal, OWNER, type Local } from "../support/local-engine.ts";
import { oneOfEachLevel } from "../support/runtimes.ts";

const SECRET = "the host's own secret";

/** A file of the host, and a directory with it: what the attacks are after. */
function sentinel(): { directory: string; file: string } {
  const directory = mkdtempSync(join(tmpdir(), "sbx-secret-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  chmodSync(directory, 0o777);
  const file = join(directory, "secret");
  writeFileSync(file, SECRET);
  chmodSync(file, 0o666);
  return { directory, file };
}

async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

async function readAll(local: Local, id: string, path: string): Promise<string> {
  const { body } = await local.engine.files.read(OWNER, id, path, {});
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** What a call came to: its value, or its error's code. */
async function outcome(call: Promise<unknown>): Promise<string> {
  const answer = await call.catch((thrown: unknown) => thrown);
  return answer instanceof Error ? ((answer as Error & { code?: string }).code ?? answer.message) : JSON.stringify(answer ?? null);
}

describe.each(await oneOfEachLevel())("files of a sandbox of $runtime", ({ runtime, level }) => {
  const open = async (name: string) => {
    const local = await openLocal(name, { runtime });
    // gVisor's own threads count: at the usual limit a race inside would end the sandbox.
    const resources = level === "gvisor" ? { pids: 4096, memory: "1GiB" } : {};
    return { local, id: (await local.create({ isolation_level: { min: level }, resources })).id };
  };

  it("case 56: ../, absolute, encoded and NUL paths stay inside, through the engine and through the HTTP door", async () => {
    const { directory, file } = sentinel();
    const { local, id } = await open("paths");
    await using _ = local;
    const up = "../".repeat(30);
    const { url, key } = await local.listen();
    const headers = { authorization: `Bearer ${await key()}` };
    for (const path of [
      file,
      `${up}${file.slice(1)}`,
      `/workspace/${up}${file.slice(1)}`,
      `/proc/1/root${file}`,
      `//${file}`,
      `/./${file}`,
    ]) {
      expect(await outcome(readAll(local, id, path)), path).toMatch(/^file_(not_found|denied)$/);
      expect(await outcome(local.engine.files.stat(OWNER, id, path)), path).toMatch(/^file_(not_found|denied)$/);
      for (const query of [encodeURIComponent(path), path.replaceAll(".", "%2e"), encodeURIComponent(encodeURIComponent(path))]) {
        const answer = await fetch(`${url}/v1/sandboxes/${id}/files?path=${query}`, { headers });
        expect([400, 403, 404], query).toContain(answer.status);
        expect(await answer.text()).not.toContain(SECRET);
      }
      await outcome(local.engine.files.write(OWNER, id, path, bytes("overwritten"), {}));
      await outcome(local.engine.files.remove(OWNER, id, path.replace("/secret", ""), { recursive: true }));
    }
    for (const query of ["%00", "a%00b", `${encodeURIComponent(file)}%00.txt`, "%", "%zz"]) {
      expect((await fetch(`${url}/v1/sandboxes/${id}/files?path=${query}`, { headers })).status, query).toBe(400);
    }
    expect(await outcome(local.engine.files.read(OWNER, id, "a\0b", {}))).toBe("invalid_request");
    expect(readFileSync(file, "utf8")).toBe(SECRET);
    expect(existsSync(directory)).toBe(true);
    // The positive control: the same name inside is the sandbox's own file.
    await local.engine.files.write(OWNER, id, "/workspace/../workspace/./own", bytes("own"), {});
    expect(await readAll(local, id, "/workspace/own")).toBe("own");
  });

  it("case 57: symlinks to a file of the host lead nowhere, in read, write, list, stat, chmod, rename and delete", async () => {
    const { directory, file } = sentinel();
    const { local, id } = await open("links");
    await using _ = local;
    const { files } = local.engine;
    await local.sh(
      id,
      `ln -s ${file} link; ln -s ${directory} dir; ln -s /proc/1/root/${file} proc; echo own >own; ln -s /workspace/own good`,
    );
    expect(await readAll(local, id, "good"), "the positive control: links inside are followed").toBe("own\n");
    for (const link of ["link", "dir/secret", "proc"]) {
      expect(await outcome(readAll(local, id, link)), link).toMatch(/^file_(not_found|denied)$/);
      expect(await outcome(files.chmod(OWNER, id, link, 0o600)), link).toMatch(/^file_/);
      await outcome(files.write(OWNER, id, link, bytes("overwritten"), { mode: 0o777 }));
      await outcome(files.rename(OWNER, id, "own", link, { replace: true }));
      await outcome(files.remove(OWNER, id, link, { recursive: true }));
    }
    expect(await outcome(files.stat(OWNER, id, "dir"))).toContain('"symlink"');
    expect(await outcome(files.list(OWNER, id, "dir", { depth: 3 }))).not.toContain(SECRET);
    await files.remove(OWNER, id, "dir", { recursive: true });
    expect(readFileSync(file, "utf8")).toBe(SECRET);
  });

  it("case 58: a name that is swapped between a file and a link to the host gives the file or an error, never the host's", async () => {
    const { file } = sentinel();
    const { local, id } = await open("swap");
    await using _ = local;
    const { id: racer } = await local.engine.processes.start(OWNER, id, {
      shell: `echo own >own; while :; do ln -sfn ${file} swap; ln -sfn own swap; rm -rf there; ln -s ${file.replace("/secret", "")} there; rm -f there; mkdir -p there; echo own >there/secret; done 2>/dev/null`,
    });
    const seen = new Map<string, number>();
    const until = Date.now() + 5000;
    for (let round = 0; Date.now() < until; round++) {
      const path = round % 2 === 0 ? "swap" : "there/secret";
      const got = await outcome(
        round % 7 === 6 ? local.engine.files.write(OWNER, id, path, bytes("own\n"), {}).then(() => "written") : readAll(local, id, path),
      );
      seen.set(got, (seen.get(got) ?? 0) + 1);
    }
    console.log(Object.fromEntries(seen));
    for (const answer of seen.keys()) expect(answer).not.toContain(SECRET);
    expect(seen.get('"own\\n"') ?? 0, "the positive control: the race was met from both sides").toBeGreaterThan(0);
    expect(seen.size).toBeGreaterThan(1);
    expect(readFileSync(file, "utf8")).toBe(SECRET);
    await local.engine.processes.signal(OWNER, id, racer, "SIGKILL");
  });

  it("case 59: FIFOs, devices and /proc/self/mem are refused at once, and hold nobody", async () => {
    const { local, id } = await open("special");
    await using _ = local;
    await local.sh(id, "mkfifo pipe; ln -s pipe to-pipe; ln -s /dev/zero to-zero; echo own >own");
    for (const path of ["pipe", "to-pipe", "/dev/zero", "/dev/random", "/dev/tty", "to-zero", "/dev/stdin", "/proc/self/fd/0"]) {
      expect(await outcome(readAll(local, id, path)), path).toMatch(/^file_/);
      // The last two are the command's own: where they lead is a place inside.
      const written = await outcome(local.engine.files.write(OWNER, id, path, bytes("x"), {}));
      if (!/stdin|self/.test(path)) expect(written, path).toMatch(/^file_|^quota_exceeded$/);
    }
    // These say that they are regular files: their end is an error or few bytes, and never the caller's wait.
    for (const path of ["/proc/self/mem", "/proc/kmsg", "/proc/1/mem"])
      expect((await outcome(readAll(local, id, path))).length, path).toBeLessThan(200);
    expect(await readAll(local, id, "own")).toBe("own\n");
  });

  it("case 62: tools that the sandbox's user puts first in PATH are run neither on the host nor by the files API", async () => {
    const { directory } = sentinel();
    const flag = join(directory, "ran");
    const { local, id } = await open("tools");
    await using _ = local;
    const { files } = local.engine;
    const fake = `#!/bin/sh\necho "$0" >>/workspace/ran; echo "$0" >>${flag}; exit 0\n`;
    for (const tool of ["tar", "xz", "gzip", "cat", "busybox", "stat", "find", "mv", "rm", "mkdir", "sh", "dd"]) {
      await files.write(OWNER, id, `/home/sandbox/.local/bin/${tool}`, bytes(fake), { mode: 0o755 });
    }
    await local.sh(
      id,
      `printf 'alias tar=false\\nPATH=/home/sandbox/.local/bin\\n' >/home/sandbox/.bashrc; /usr/bin/cp /home/sandbox/.bashrc /home/sandbox/.profile; export ENV=/home/sandbox/.bashrc`,
    );
    expect(
      (await local.sh(id, "tar --version; /usr/bin/cat /workspace/ran")).stdout,
      "the positive control: a command does find it",
    ).toContain("/home/sandbox/.local/bin/tar");
    await local.sh(id, "/usr/bin/rm -f /workspace/ran");
    await files.write(OWNER, id, "/workspace/t/a", bytes("a"), {});
    const chunks: Uint8Array[] = [];
    for await (const chunk of await files.exportTree(OWNER, id, "/workspace/t")) chunks.push(chunk);
    expect(Buffer.concat(chunks).length).toBeGreaterThanOrEqual(1024);
    async function* again(): AsyncGenerator<Uint8Array> {
      yield* chunks;
    }
    await files.importTree(OWNER, id, "/workspace/u", again());
    expect(await readAll(local, id, "/workspace/u/a")).toBe("a");
    await files.rename(OWNER, id, "/workspace/u/a", "/workspace/u/b", { replace: false });
    expect((await files.list(OWNER, id, "/workspace/u", { depth: 1 })).map(({ name }) => name)).toEqual(["b"]);
    await files.remove(OWNER, id, "/workspace/u", { recursive: true });
    expect((await files.list(OWNER, id, "/workspace", { depth: 1 })).map(({ name }) => name)).toEqual(["t"]);
    expect(existsSync(flag)).toBe(false);
  });

  it("case 63: names of invalid UTF-8, with newlines, and of 255 bytes go round", async () => {
    const { local, id } = await open("names");
    await using _ = local;
    const { files } = local.engine;
    const names = [
      "\udcff\udcfe.bin",
      "line\nbreak",
      "trailing\n",
      "tab\tquote\"'`$(id)",
      "-rf",
      " ",
      "*",
      "\\0101",
      "x".repeat(255),
      `${"é".repeat(127)}y`,
      "…",
      "\udce4",
    ];
    for (const name of names) await files.write(OWNER, id, `/workspace/n/${name}`, bytes(name.length.toString()), {});
    expect((await files.list(OWNER, id, "/workspace/n", { depth: 1 })).map(({ name }) => name).sort()).toEqual(names.toSorted());
    for (const name of names) {
      expect(await readAll(local, id, `/workspace/n/${name}`)).toBe(name.length.toString());
      expect((await files.stat(OWNER, id, `/workspace/n/${name}`)).name).toBe(name);
      await files.rename(OWNER, id, `/workspace/n/${name}`, `/workspace/m-${names.indexOf(name)}`, { replace: false });
    }
    expect(await files.list(OWNER, id, "/workspace/n", { depth: 1 })).toEqual([]);
    expect(await outcome(files.write(OWNER, id, `/workspace/${"x".repeat(256)}`, bytes(""), {}))).toBe("invalid_request");
  });
});
