import { expect, test } from "vitest";
import type { Files } from "../../src/sdk/index.ts";
import { liveServer } from "./live-server.ts";

async function filesOf(): Promise<Files> {
  return (await (await liveServer()).client().create()).files;
}

test("what is written is read back, whole, as text, in part and as a stream", async () => {
  const files = await filesOf();
  const info = await files.write("dir/a.bin", new Uint8Array([0, 1, 2, 253, 254, 255]), { mode: "0600" });
  expect(info).toMatchObject({ type: "file", size: 6, mode: "0600", name: "a.bin" });
  expect([...(await files.read("dir/a.bin"))]).toEqual([0, 1, 2, 253, 254, 255]);
  expect([...(await files.read("dir/a.bin", { offset: 2, length: 2 }))]).toEqual([2, 253]);
  await files.write("b.txt", "grüße");
  expect(await files.readText("b.txt")).toBe("grüße");
  expect(await new Response(await files.readStream("b.txt")).text()).toBe("grüße");
});

test("names of spaces, newlines, percent signs, other scripts and bytes that are not UTF-8 survive the way in and out", async () => {
  const files = await filesOf();
  const names = ["a b", "new\nline", "100%25", "?x=1&y=#", "日本", "caf\udce9", "+plus", ".."].filter((name) => name !== "..");
  for (const name of names) await files.write(`odd/${name}`, name.length.toString());
  expect((await files.list("odd")).map(({ name }) => name).toSorted()).toEqual(names.toSorted());
  for (const name of names) expect(await files.readText(`odd/${name}`)).toBe(name.length.toString());
});

test("directories are made, listed, renamed and removed", async () => {
  const files = await filesOf();
  await files.mkdir("a/b/c");
  await files.write("a/b/f", "x");
  expect((await files.list("a", { depth: 2 })).map(({ path }) => path.split("/").slice(-2).join("/")).toSorted()).toEqual([
    "a/b",
    "b/c",
    "b/f",
  ]);
  await files.rename("a/b/f", "a/g");
  expect(await files.exists("a/b/f")).toBe(false);
  expect(await files.exists("a/g")).toBe(true);
  await files.write("a/h", "y");
  await expect(files.rename("a/g", "a/h")).rejects.toMatchObject({ code: "file_conflict" });
  await files.rename("a/g", "a/h", { replace: true });
  expect(await files.readText("a/h")).toBe("x");
  await files.chmod("a/h", "0755");
  expect((await files.stat("a/h")).mode).toBe("0755");
  await expect(files.remove("a")).rejects.toMatchObject({ code: "file_conflict" });
  await files.remove("a", { recursive: true });
  expect(await files.exists("a")).toBe(false);
});

test("a file that is not there is file_not_found; exists says false only for that", async () => {
  const live = await liveServer();
  const sandbox = await live.client().create();
  await expect(sandbox.files.read("nothing")).rejects.toMatchObject({ code: "file_not_found" });
  expect(await sandbox.files.exists("nothing")).toBe(false);
  await sandbox.destroy();
  await expect(sandbox.files.exists("nothing")).rejects.toMatchObject({ code: "wrong_state" });
});

test("a tree goes out as a tar and in again", async () => {
  const files = await filesOf();
  await files.write("from/sub/f", "content");
  await files.mkdir("to");
  await files.upload("to", await files.download("from"));
  expect(await files.readText("to/sub/f")).toBe("content");
});

test("a watch tells of what is made, and ends when it is left", async () => {
  const files = await filesOf();
  await files.mkdir("w");
  const watch = files.watch("w");
  const first = watch.next();
  let made = 0;
  // Files made before the watch stands may be missed: make new ones until one is told of.
  const timer = setInterval(() => void files.write(`w/f${made++}`, "x"), 50);
  try {
    expect((await first).value?.path).toMatch(/f\d+$/);
  } finally {
    clearInterval(timer);
  }
  await watch.return();
});
