import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UNPRIVILEGED, chunks, collect, op, openFiles, ref } from "./host-exec.ts";

let at: Awaited<ReturnType<typeof openFiles>>;
beforeEach(async () => {
  at = await openFiles();
});
afterEach(() => at.dispose());

const put = (path: string, text = "x", mode?: number) => at.files.write(ref, path, chunks(text), mode === undefined ? {} : { mode }, op);

describe("files over exec", () => {
  test("what is written is read back, with size, mode and parents made", async () => {
    const info = await put("a/b/c.txt", "hello", 0o750);
    expect(info).toMatchObject({ path: `${at.workdir}/a/b/c.txt`, name: "c.txt", type: "file", size: 5, mode: "0750", target: null });
    const read = await at.files.read(ref, "a/b/c.txt", {}, op);
    expect(read.info.size).toBe(5);
    expect((await collect(read.body)).toString()).toBe("hello");
    expect(Math.abs(Date.parse(info.modified_at) - Date.now())).toBeLessThan(60_000);
  });

  test("a range gives those bytes and no others, also beyond the end", async () => {
    await put("f", "0123456789");
    const read = async (range: object) => (await collect((await at.files.read(ref, "f", range, op)).body)).toString();
    expect([
      await read({ offset: 3 }),
      await read({ length: 4 }),
      await read({ offset: 2, length: 3 }),
      await read({ offset: 50 }),
      await read({ length: 0 }),
    ]).toEqual(["3456789", "0123", "234", "", ""]);
  });

  test("writing again keeps the mode and goes through a symlink", async () => {
    await put("f", "one", 0o700);
    symlinkSync("f", join(at.workdir, "link"));
    await put("link", "two");
    expect(await at.files.stat(ref, "f", op)).toMatchObject({ mode: "0700", size: 3 });
    expect(await at.files.stat(ref, "link", op)).toMatchObject({ type: "symlink", target: "f" });
  });

  test("an upload that breaks off leaves the old file and nothing else", async () => {
    await put("f", "old");
    async function* broken() {
      yield Buffer.alloc(100_000, "n");
      throw new Error("the client went away");
    }
    await expect(at.files.write(ref, "f", broken(), {}, op)).rejects.toThrow("the client went away");
    expect(readdirSync(at.workdir)).toEqual(["f"]);
    expect((await collect((await at.files.read(ref, "f", {}, op)).body)).toString()).toBe("old");
  });

  test.each([
    ["reading what is not there", "file_not_found", () => at.files.read(ref, "none", {}, op)],
    ["reading below what is not there", "file_not_found", () => at.files.stat(ref, "none/f", op)],
    ["reading a directory", "file_conflict", () => at.files.read(ref, ".", {}, op)],
    ["reading a FIFO", "file_conflict", () => at.files.read(ref, "fifo", {}, op)],
    ["writing a FIFO", "file_conflict", () => put("fifo")],
    ["reading a device", "file_conflict", () => at.files.read(ref, "/dev/zero", {}, op)],
    ["writing over a directory", "file_conflict", () => put("dir")],
    ["writing below a file", "file_conflict", () => put("file/x")],
    ["writing where it may not", "file_denied", () => put("/etc/x")],
    ["reading what it may not", "file_denied", () => at.files.read(ref, "/etc/shadow", {}, op)],
    ["listing a file", "file_conflict", () => at.files.list(ref, "file", { depth: 1 }, op)],
    ["listing what is not there", "file_not_found", () => at.files.list(ref, "none", { depth: 1 }, op)],
    ["listing a dangling symlink", "file_not_found", () => at.files.list(ref, "dangling", { depth: 1 }, op)],
    ["listing what it may not", "file_denied", () => at.files.list(ref, "/root", { depth: 1 }, op)],
    ["making a directory twice", "file_conflict", () => at.files.mkdir(ref, "dir", { parents: false }, op)],
    ["making a directory without parents", "file_not_found", () => at.files.mkdir(ref, "x/y", { parents: false }, op)],
    ["removing what is not there", "file_not_found", () => at.files.remove(ref, "none", { recursive: true }, op)],
    ["removing a full directory", "file_conflict", () => at.files.remove(ref, "dir", { recursive: false }, op)],
    ["renaming what is not there", "file_not_found", () => at.files.rename(ref, "none", "z", { replace: true }, op)],
    ["renaming onto what is there", "file_conflict", () => at.files.rename(ref, "file", "other", { replace: false }, op)],
    ["renaming a directory onto what is there", "file_conflict", () => at.files.rename(ref, "dir", "other", { replace: false }, op)],
    ["renaming a file onto a directory", "file_conflict", () => at.files.rename(ref, "file", "dir", { replace: true }, op)],
    ["renaming a directory onto a full one", "file_conflict", () => at.files.rename(ref, "dir2", "dir", { replace: true }, op)],
    ["renaming a directory into itself", "file_conflict", () => at.files.rename(ref, "dir", "dir/in", { replace: true }, op)],
    ["changing the mode of what is not its own", "file_denied", () => at.files.chmod(ref, "/etc/passwd", 0o777, op)],
    ["a name that is too long", "invalid_request", () => at.files.mkdir(ref, "n".repeat(256), { parents: false }, op)],
    ["unpacking what is no tar", "invalid_request", () => at.files.importTree(ref, "dir", chunks("n".repeat(2000)), op)],
    ["exporting what is not there", "file_not_found", () => collect(at.files.exportTree(ref, "none", op))],
  ])("%s is %s", async (_what, code, act) => {
    for (const file of ["file", "other", "dir/inner", "dir2/inner"]) await put(file);
    symlinkSync("nowhere", join(at.workdir, "dangling"));
    execFileSync("mkfifo", ["-m", "666", join(at.workdir, "fifo")]);
    await expect(act()).rejects.toMatchObject({ code });
    expect(readdirSync(at.workdir).sort()).toEqual(["dangling", "dir", "dir2", "fifo", "file", "other"]);
  });

  test("rename moves files and directories, replaces only when told to", async () => {
    await put("f", "new");
    await put("g", "old");
    await put("d/inner");
    await at.files.rename(ref, "f", "g", { replace: true }, op);
    await at.files.rename(ref, "g", "h", { replace: false }, op);
    await at.files.rename(ref, "d", "e", { replace: false }, op);
    await at.files.mkdir(ref, "empty", { parents: false }, op);
    await at.files.rename(ref, "e", "empty", { replace: true }, op);
    expect((await at.files.list(ref, ".", { depth: 2 }, op)).map((info) => info.path.slice(at.workdir.length))).toEqual([
      "/empty",
      "/empty/inner",
      "/h",
    ]);
    expect((await collect((await at.files.read(ref, "h", {}, op)).body)).toString()).toBe("new");
  });

  test("a directory 10,000 deep is removed", async () => {
    await at.files.mkdir(ref, "top", { parents: true }, op);
    // By relative steps: such a path is longer than any call takes.
    execFileSync("perl", ["-e", 'for (1..10000) { mkdir "d" or die; chdir "d" or die }'], {
      cwd: join(at.workdir, "top"),
      ...UNPRIVILEGED,
    });
    await at.files.remove(ref, "top", { recursive: true }, op);
    expect(existsSync(join(at.workdir, "top"))).toBe(false);
  });

  test("a sparse file of 1 TiB is read as far as the caller wants", async () => {
    await put("sparse");
    execFileSync("truncate", ["-s", "1T", join(at.workdir, "sparse")]);
    expect((await at.files.stat(ref, "sparse", op)).size).toBe(2 ** 40);
    expect(
      (await collect((await at.files.read(ref, "sparse", { offset: 2 ** 39, length: 1000 }, op)).body)).equals(Buffer.alloc(1000)),
    ).toBe(true);
    let seen = 0;
    for await (const chunk of (await at.files.read(ref, "sparse", {}, op)).body) if ((seen += chunk.length) > 1_000_000) break;
    expect(seen).toBeLessThan(3_000_000);
  });

  test("64 MB go in and out byte for byte", async () => {
    const block = Buffer.from(Array.from({ length: 65_536 }, (_, i) => (i * 7) & 255));
    async function* body() {
      for (let i = 0; i < 1000; i++) yield block;
    }
    expect((await at.files.write(ref, "big", body(), {}, op)).size).toBe(65_536_000);
    let equal = true;
    let offset = 0;
    for await (const chunk of (await at.files.read(ref, "big", {}, op)).body) {
      for (let i = 0; i < chunk.length; i += 997) equal &&= chunk[i] === block[(offset + i) % 65_536];
      offset += chunk.length;
    }
    expect({ equal, offset }).toEqual({ equal: true, offset: 65_536_000 });
  });

  test("trees go out and in as tar with links, modes and empty directories", async () => {
    await put("src/run.sh", "#!/bin/sh\n", 0o755);
    await put(`src/${"long".repeat(40)}/deep`, "deep");
    await at.files.mkdir(ref, "src/empty", { parents: false }, op);
    symlinkSync("run.sh", join(at.workdir, "src/link"));
    await at.files.importTree(ref, "dst", at.files.exportTree(ref, "src", op), op);
    const shape = async (root: string) =>
      (await at.files.list(ref, root, { depth: 9 }, op)).map(({ path, type, mode, size, target }) => [
        path.slice(at.workdir.length + 4),
        type,
        mode,
        type === "directory" ? 0 : size,
        target,
      ]);
    expect(await shape("dst")).toEqual(await shape("src"));
  });

  test("a list beyond its bound is an error, never a part of the list", async () => {
    for (let i = 0; i < 30; i++) writeFileSync(join(at.workdir, `f${i}`), "");
    const bounded = await openFiles({ maxEntries: 20 });
    await expect(bounded.files.list(ref, at.workdir, { depth: 1 }, op)).rejects.toMatchObject({ code: "output_limit" });
    await bounded.dispose();
  });

  test("a watch tells what was made, changed, renamed and removed below it", async () => {
    await at.files.mkdir(ref, "w/sub", { parents: true }, op);
    const stop = new AbortController();
    const seen: string[] = [];
    const events = at.files.watch(ref, "w", { recursive: true }, { ...op, signal: stop.signal });
    const done = (async () => {
      for await (const event of events) {
        seen.push(`${event.type} ${event.path.slice(at.workdir.length)}`);
        if (event.path.endsWith("last")) stop.abort();
      }
    })();
    const settled = () => new Promise((resolve) => setTimeout(resolve, 700));
    await settled();
    await put("w/sub/f", "1");
    await settled();
    await put("w/sub/f", "22");
    await settled();
    await at.files.rename(ref, "w/sub/f", "w/g", { replace: false }, op);
    await settled();
    await at.files.remove(ref, "w/g", { recursive: false }, op);
    await settled();
    await put("w/last");
    await done;
    for (const expected of ["created /w/sub/f", "modified /w/sub/f", "renamed /w/sub/f", "created /w/g", "removed /w/g", "created /w/last"])
      expect(seen).toContain(expected);
  });

  test("the image's own tools serve where there is no trusted busybox", async () => {
    const plain = await openFiles({ busybox: "" });
    await plain.files.write(ref, "a/f", chunks("plain"), {}, op);
    expect((await plain.files.list(ref, ".", { depth: 5 }, op)).map((info) => [info.name, info.size > 0])).toEqual([
      ["a", true],
      ["f", true],
    ]);
    expect((await collect((await plain.files.read(ref, "a/f", { offset: 1, length: 3 }, op)).body)).toString()).toBe("lai");
    await plain.files.rename(ref, "a/f", "g", { replace: false }, op);
    expect(statSync(join(plain.workdir, "g")).size).toBe(5);
    await plain.dispose();
  });
});
