import { FileNotFoundError, InvalidArgumentError } from "e2b";
import { describe, expect, test } from "vitest";
import { STAGES, titled, withSandbox } from "./data-door.ts";

describe.each(titled(STAGES))("files of %s", (_, stage) => {
  test("what is written is read back, in every form", () =>
    withSandbox(stage, async ({ files }) => {
      const bytes = Uint8Array.from({ length: 70_000 }, (_byte, index) => (index * 7) % 256);
      expect(await files.write("a/b/text", "grüße")).toMatchObject({ name: "text", path: "/home/user/a/b/text", type: "file" });
      expect(await files.read("a/b/text")).toBe("grüße");
      await files.write("bytes", bytes.buffer);
      expect(await files.read("bytes", { format: "bytes" })).toEqual(bytes);
      await files.write("blob", new Blob([bytes]));
      expect(new Uint8Array(await (await files.read("~/blob", { format: "blob" })).arrayBuffer())).toEqual(bytes);
      await files.write("stream", new Blob([bytes]).stream());
      const stream = await files.read("/home/user/stream", { format: "stream" });
      expect(new Uint8Array(await new Response(stream).arrayBuffer())).toEqual(bytes);
      await files.write("zipped", bytes.buffer, { gzip: true });
      expect(await files.read("zipped", { format: "bytes", gzip: true })).toEqual(bytes);
      await files.write("octets", bytes.buffer, { useOctetStream: true });
      expect(await files.read("octets", { format: "bytes" })).toEqual(bytes);
    }));

  test("an empty file is one, and a later write replaces what was there", () =>
    withSandbox(stage, async ({ files }) => {
      await files.write("empty", "");
      expect(await files.read("empty")).toBe("");
      expect(await files.read("empty", { format: "bytes" })).toEqual(new Uint8Array());
      expect((await files.getInfo("empty")).size).toBe(0);
      await files.write("empty", "longer");
      await files.write("empty", "x");
      expect(await files.read("empty")).toBe("x");
    }));

  test("several files are written by one call", () =>
    withSandbox(stage, async ({ files }) => {
      const entries = ["one", 'two "quoted"', "deep/three ü"].map((path) => ({ path, data: `of ${path}` }));
      const written = await files.write(entries);
      expect(written.map(({ path }) => path)).toEqual(entries.map(({ path }) => `/home/user/${path}`));
      for (const { path, data } of entries) expect(await files.read(path)).toBe(data);
      expect(await files.write([])).toEqual([]);
    }));

  test("a list goes depth first by name, as deep as it is asked to", () =>
    withSandbox(stage, async ({ files }) => {
      await files.write(["t/b/z", "t/b/a/y", "t/b.txt", "t/a", "t/b-c"].map((path) => ({ path, data: "1" })));
      const names = async (depth: number) => (await files.list("t", { depth })).map(({ path }) => path.slice("/home/user/t/".length));
      expect(await names(1)).toEqual(["a", "b", "b-c", "b.txt"]);
      expect(await names(3)).toEqual(["a", "b", "b/a", "b/a/y", "b/z", "b-c", "b.txt"]);
      await expect(files.list("none")).rejects.toMatchObject({ name: FileNotFoundError.name });
      await expect(files.list("t/a")).rejects.toMatchObject({ name: InvalidArgumentError.name });
    }));

  test("an entry has its kind, size, mode and owner", () =>
    withSandbox(stage, async ({ files }) => {
      await files.write("d/f", "12345");
      const info = await files.getInfo("d/f");
      expect(info).toMatchObject({
        name: "f",
        type: "file",
        path: "/home/user/d/f",
        size: 5,
        mode: 0o644,
        permissions: "-rw-r--r--",
        owner: "user",
        group: "user",
      });
      expect(info.modifiedTime).toBeInstanceOf(Date);
      expect(await files.getInfo("d")).toMatchObject({ type: "dir", mode: 0o755, permissions: "drwxr-xr-x" });
      await expect(files.getInfo("none")).rejects.toMatchObject({ name: FileNotFoundError.name });
    }));

  test("a symlink has an absolute target and the kind of what it leads to", () =>
    withSandbox(stage, async ({ files, commands }) => {
      await files.write("d/f", "12345");
      await commands.run("ln -s d/f relative; ln -s /home/user/d absolute; ln -s nowhere broken");
      expect(await files.getInfo("relative")).toMatchObject({ type: "file", symlinkTarget: "/home/user/d/f" });
      expect(await files.getInfo("absolute")).toMatchObject({ type: "dir", symlinkTarget: "/home/user/d" });
      expect(await files.getInfo("broken")).toMatchObject({ type: "symlink", symlinkTarget: "/home/user/nowhere" });
      expect(await files.read("relative")).toBe("12345");
      expect((await files.list("absolute")).map(({ path }) => path)).toEqual(["/home/user/absolute/f"]);
      await files.remove("absolute");
      expect(await files.exists("d/f")).toBe(true);
    }));

  test("directories are made once, things are moved, and removing is safe to repeat", () =>
    withSandbox(stage, async ({ files }) => {
      expect(await files.makeDir("x/y/z")).toBe(true);
      expect(await files.makeDir("x/y/z")).toBe(false);
      await files.write("x/f", "moved");
      await expect(files.makeDir("x/f")).rejects.toMatchObject({ name: InvalidArgumentError.name });
      expect(await files.rename("x/f", "new/place/g")).toMatchObject({ name: "g", path: "/home/user/new/place/g", size: 5 });
      expect([await files.exists("x/f"), await files.exists("new/place/g"), await files.exists("x")]).toEqual([false, true, true]);
      await files.write("h", "over");
      await files.rename("h", "new/place/g");
      expect(await files.read("new/place/g")).toBe("over");
      await expect(files.rename("none", "other")).rejects.toMatchObject({ name: FileNotFoundError.name });
      await files.remove("x");
      await files.remove("x");
      expect(await files.exists("x")).toBe(false);
    }));

  test("a read of what is no file, and a write where a directory stands, are refused", () =>
    withSandbox(stage, async ({ files }) => {
      await files.makeDir("d");
      await expect(files.read("none")).rejects.toMatchObject({ name: FileNotFoundError.name });
      await expect(files.read("d")).rejects.toMatchObject({ name: InvalidArgumentError.name });
      await expect(files.write("d", "x")).rejects.toMatchObject({ name: InvalidArgumentError.name });
      await expect(files.write("f", "x", { metadata: { key: "value" } })).rejects.toThrow(/metadata/);
    }));
});
