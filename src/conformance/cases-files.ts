import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { ALL_BYTES, bytesOf, collect, refuses } from "./stage.ts";
import type { CaseDefinition } from "./suite.ts";

/** Files one by one. */
export const FILE_CASES: readonly CaseDefinition[] = [
  {
    name: "what is written is read, by the files API and by commands alike",
    capability: "fs.rw",
    async run(stage) {
      const ref = await stage.sandbox();
      const info = await stage.files.write(ref, "/tmp/a/b/f", bytesOf(ALL_BYTES), { mode: 0o640 }, stage.op());
      assert.deepEqual([info.type, info.size, info.mode, info.name], ["file", 256, "0640", "f"]);
      assert.deepEqual((await stage.run(ref, { run: { shell: "cat /tmp/a/b/f" } })).stdout, ALL_BYTES);
      await stage.sh(ref, "echo from inside > /tmp/a/g");
      const read = await stage.files.read(ref, "/tmp/a/g", {}, stage.op());
      assert.deepEqual([read.info.size, (await collect(read.body)).toString()], [12, "from inside\n"]);
    },
  },
  {
    name: "a relative path and a command without cwd start at the same place",
    capability: "fs.rw",
    async run(stage) {
      const ref = await stage.sandbox();
      await stage.files.write(ref, "relative", bytesOf("here"), {}, stage.op());
      assert.equal(await stage.sh(ref, "cat relative"), "here");
    },
  },
  {
    name: "a range gives those bytes and no others",
    capability: "fs.rw",
    async run(stage) {
      const ref = await stage.sandbox();
      await stage.files.write(ref, "f", bytesOf("0123456789"), {}, stage.op());
      const read = async (range: { offset?: number; length?: number }) =>
        (await collect((await stage.files.read(ref, "f", range, stage.op())).body)).toString();
      assert.deepEqual(
        await Promise.all([
          read({ offset: 7 }),
          read({ length: 2 }),
          read({ offset: 3, length: 4 }),
          read({ offset: 99 }),
          read({ length: 0 }),
        ]),
        ["789", "01", "3456", "", ""],
      );
    },
  },
  {
    name: "a large file goes in and out whole, in pieces",
    capability: "fs.stream",
    async run(stage) {
      const ref = await stage.sandbox();
      const size = stage.options.fileBytes ?? 64 * 1024 ** 2;
      const block = createHash("sha512").update("a large file").digest();
      const piece = Buffer.concat(Array.from({ length: 1024 }, () => block));
      const sent = createHash("sha256");
      async function* body() {
        for (let at = 0; at < size; at += piece.length) {
          const part = piece.subarray(0, size - at);
          sent.update(part);
          yield part;
        }
      }
      assert.equal((await stage.files.write(ref, "large", body(), {}, stage.op())).size, size);
      const got = createHash("sha256");
      let [seen, largest] = [0, 0];
      for await (const chunk of (await stage.files.read(ref, "large", {}, stage.op())).body) {
        got.update(chunk);
        seen += chunk.length;
        largest = Math.max(largest, chunk.length);
      }
      assert.deepEqual([seen, got.digest("hex")], [size, sent.digest("hex")]);
      assert.ok(largest <= 4 * 1024 ** 2, `it came in pieces of up to ${largest} bytes`);
    },
  },
  {
    name: "writing again replaces the content whole and keeps the mode",
    capability: "fs.rw",
    async run(stage) {
      const ref = await stage.sandbox();
      await stage.files.write(ref, "f", bytesOf("a long first content"), { mode: 0o700 }, stage.op());
      await stage.files.write(ref, "f", bytesOf("short"), {}, stage.op());
      assert.equal(await stage.sh(ref, "cat f; test -x f && echo +x"), "short+x\n");
    },
  },
  {
    name: "an upload that breaks off changes nothing and leaves nothing",
    capability: "fs.rw",
    async run(stage) {
      const ref = await stage.sandbox();
      await stage.files.write(ref, "d/f", bytesOf("old"), {}, stage.op());
      async function* broken() {
        yield new Uint8Array(200_000);
        throw new Error("the sender broke off");
      }
      await assert.rejects(stage.files.write(ref, "d/f", broken(), {}, stage.op()));
      assert.equal(await stage.sh(ref, "cat d/f"), "old");
      // The suite looks by the files API where another way could show more than it: hidden names are entries as well.
      assert.deepEqual(
        (await stage.files.list(ref, "d", { depth: 1 }, stage.op())).map(({ name }) => name),
        ["f"],
      );
    },
  },
  {
    name: "a list has every entry with its kind, size, mode and target, as deep as was asked",
    capability: "fs.rw",
    async run(stage) {
      const ref = await stage.sandbox();
      await stage.sh(
        ref,
        "mkdir -p /tmp/l/sub/deep; printf 12345 > /tmp/l/file; chmod 600 /tmp/l/file; ln -s 'to where' /tmp/l/link; touch /tmp/l/.hidden /tmp/l/sub/deep/x; mkfifo /tmp/l/pipe",
      );
      const shallow = await stage.files.list(ref, "/tmp/l", { depth: 1 }, stage.op());
      assert.deepEqual(
        shallow.map(({ name, type, target }) => [name, type, target]).sort(([a = ""], [b = ""]) => ((a ?? "") < (b ?? "") ? -1 : 1)),
        [[".hidden", "file", null], ["file", "file", null], ["link", "symlink", "to where"], ["pipe", "fifo", null], ["sub", "directory", null]], // prettier-ignore
      );
      const file = shallow.find((entry) => entry.name === "file");
      assert.deepEqual([file?.path, file?.size, file?.mode], ["/tmp/l/file", 5, "0600"]);
      const paths = (await stage.files.list(ref, "/tmp/l", { depth: 9 }, stage.op())).map((entry) => entry.path);
      assert.ok(paths.includes("/tmp/l/sub/deep/x") && paths.length === 7, `deep: ${paths.join(" ")}`);
      assert.deepEqual(await stage.files.list(ref, "/tmp/l/sub/deep", { depth: 1 }, stage.op()).then((entries) => entries.length), 1);
    },
  },
  {
    name: "stat tells of a symlink itself",
    capability: "fs.rw",
    async run(stage) {
      const ref = await stage.sandbox();
      await stage.sh(ref, "ln -s nowhere link; mkdir d");
      const link = await stage.files.stat(ref, "link", stage.op());
      assert.deepEqual([link.type, link.target], ["symlink", "nowhere"]);
      assert.equal((await stage.files.stat(ref, "d", stage.op())).type, "directory");
    },
  },
  {
    name: "directories are made, with parents only where asked, and modes are set",
    capability: "fs.rw",
    async run(stage) {
      const ref = await stage.sandbox();
      await stage.files.mkdir(ref, "a/b/c", { parents: true }, stage.op());
      await stage.files.mkdir(ref, "a/b/c", { parents: true }, stage.op());
      await stage.files.mkdir(ref, "d", { parents: false, mode: 0o700 }, stage.op());
      assert.deepEqual(
        [(await stage.files.stat(ref, "d", stage.op())).mode, await stage.sh(ref, "test -d a/b/c && echo yes")],
        ["0700", "yes\n"],
      );
      await stage.files.chmod(ref, "d", 0o755, stage.op());
      assert.equal((await stage.files.stat(ref, "d", stage.op())).mode, "0755");
      await refuses(["file_not_found"], "mkdir without its parent", () => stage.files.mkdir(ref, "x/y", { parents: false }, stage.op()));
      await refuses(["file_conflict"], "mkdir of what is there", () => stage.files.mkdir(ref, "d", { parents: false }, stage.op()));
    },
  },
  {
    name: "rename moves, and replaces only where told to",
    capability: "fs.rw",
    async run(stage) {
      const ref = await stage.sandbox();
      await stage.sh(ref, "echo one > a; echo two > b; mkdir d; echo in > d/in");
      await refuses(["file_conflict"], "rename onto what is there", () =>
        stage.files.rename(ref, "a", "b", { replace: false }, stage.op()),
      );
      await stage.files.rename(ref, "a", "b", { replace: true }, stage.op());
      await stage.files.rename(ref, "d", "e", { replace: false }, stage.op());
      assert.equal(await stage.sh(ref, "cat b e/in; ls"), "one\nin\nb\ne\n");
    },
  },
  {
    name: "remove takes a full directory only where told to",
    capability: "fs.rw",
    async run(stage) {
      const ref = await stage.sandbox();
      await stage.sh(ref, "mkdir -p d/e; echo x > d/e/f; echo y > kept; ln -s kept link");
      await refuses(["file_conflict"], "removing a full directory", () => stage.files.remove(ref, "d", { recursive: false }, stage.op()));
      await stage.files.remove(ref, "d", { recursive: true }, stage.op());
      await stage.files.remove(ref, "link", { recursive: true }, stage.op());
      assert.equal(await stage.sh(ref, "ls"), "kept\n");
    },
  },
  {
    name: "what cannot be done is refused by the code that fits",
    capability: "fs.rw",
    async run(stage) {
      const ref = await stage.sandbox();
      const { files } = stage;
      const op = stage.op();
      await stage.sh(ref, "mkdir d; echo x > d/f; echo x > f; mkfifo pipe");
      await refuses(["file_not_found"], "reading what is not there", () => files.read(ref, "none", {}, op));
      await refuses(["file_not_found"], "stat of what is not there", () => files.stat(ref, "none/f", op));
      await refuses(["file_not_found"], "listing what is not there", () => files.list(ref, "none", { depth: 1 }, op));
      await refuses(["file_not_found"], "removing what is not there", () => files.remove(ref, "none", { recursive: true }, op));
      await refuses(["file_conflict"], "reading a directory", () => files.read(ref, "d", {}, op));
      await refuses(["file_conflict"], "writing over a directory", () => files.write(ref, "d", bytesOf("x"), {}, op));
      await refuses(["file_conflict"], "listing a file", () => files.list(ref, "f", { depth: 1 }, op));
      await refuses(["file_conflict", "file_denied"], "reading a FIFO that nobody writes", () => files.read(ref, "pipe", {}, op));
    },
  },
];
