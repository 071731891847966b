import assert from "node:assert/strict";
import { bytesOf, drain } from "./stage.ts";
import type { CaseDefinition } from "./suite.ts";

/** Whole trees, and watching them. */
export const TREE_CASES: readonly CaseDefinition[] = [
  {
    name: "a tree goes out as tar and in again with names, modes, links and empty directories",
    capability: "fs.tree",
    async run(stage) {
      const ref = await stage.sandbox();
      const long = "long-".repeat(40);
      await stage.sh(
        ref,
        `mkdir -p src/empty src/${long}; printf deep > src/${long}/${long}; echo run > src/run; chmod 750 src/run; ln -s run src/link`,
      );
      await stage.files.write(ref, "src/\udcff\nname", bytesOf("odd"), {}, stage.op());
      await stage.files.importTree(ref, "dst", stage.files.exportTree(ref, "src", stage.op()), stage.op());
      const shape = async (root: string) => {
        const entries = await stage.files.list(ref, root, { depth: 9 }, stage.op());
        return entries.map(({ path, type, mode, size, target }) => [
          path.slice(path.indexOf(`/${root}/`) + root.length + 2),
          type,
          type === "symlink" ? "" : mode,
          type === "file" ? size : 0,
          target,
        ]);
      };
      const source = await shape("src");
      assert.equal(source.length, 6);
      assert.deepEqual(await shape("dst"), source);
      assert.equal(await stage.sh(ref, `cat dst/${long}/${long} dst/run dst/link`), "deeprun\nrun\n");
    },
  },
  {
    name: "a tree between two sandboxes arrives, streamed",
    capability: "fs.tree",
    async run(stage) {
      const [from, to] = [await stage.sandbox(), await stage.sandbox()];
      await stage.sh(from, "mkdir d; head -c 3000000 /dev/zero > d/zeros; echo x > d/x");
      await stage.files.importTree(to, ".", stage.files.exportTree(from, "d", stage.op()), stage.op());
      assert.equal((await stage.sh(to, "wc -c < zeros; cat x")).replace(/ /g, ""), "3000000\nx\n");
    },
  },
  {
    name: "what is no tar is refused",
    capability: "fs.tree",
    async run(stage) {
      const ref = await stage.sandbox();
      await assert.rejects(stage.files.importTree(ref, "d", bytesOf("this is no tar archive ".repeat(100)), stage.op()));
      await assert.rejects(drain(stage.files.exportTree(ref, "not-there", stage.op())));
    },
  },
  {
    name: "a watch tells of what is made below it, and ends with its signal",
    capability: "fs.watch",
    async run(stage) {
      const ref = await stage.sandbox();
      await stage.files.mkdir(ref, "/tmp/w/sub", { parents: true }, stage.op());
      const stop = new AbortController();
      const seen: string[] = [];
      const watching = (async () => {
        for await (const event of stage.files.watch(ref, "/tmp/w", { recursive: true }, stage.op(stop.signal))) seen.push(event.path);
      })();
      let made = 0;
      try {
        await stage.eventually("an event of a new file", async () => {
          // A watch takes a moment to begin; a file made before that is not its to tell.
          await stage.sh(ref, `echo x > /tmp/w/sub/f${made++}`);
          await stage.wait(0.2);
          return seen.some((path) => path.startsWith("/tmp/w/sub/f"));
        });
      } finally {
        stop.abort();
      }
      await watching;
    },
  },
];
