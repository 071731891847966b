import assert from "node:assert/strict";
import { bytesOf, collect } from "./stage.ts";
import type { CaseDefinition } from "./suite.ts";

/** Names that break what quotes badly. Lone surrogates stand for bytes that are not UTF-8 (contract/path). */
const HOSTILE = [
  "new\nline", "\n", "trailing\n", "quote'", 'double"', "back\\slash", "\\0101", "$(echo pwned)", "`id`", "; rm -rf .", "-rf", "--", "*", "?", "a b  c", " lead", "tab\there",
  "é", "🦊", "\udcff\udcfe", "mixed-\udc80-é", "%s%n", "#", "~", "&", "|", "' -> '", "n".repeat(255), "..."
]; // prettier-ignore

/** Names of files. */
export const NAME_CASES: readonly CaseDefinition[] = [
  {
    name: "hostile names round-trip exactly",
    capability: "fs.rw",
    async run(stage) {
      const ref = await stage.sandbox();
      await stage.files.mkdir(ref, "names", { parents: false }, stage.op());
      for (const [index, name] of HOSTILE.entries())
        await stage.files.write(ref, `names/${name}`, bytesOf(`content ${index}`), {}, stage.op());
      const listed = await stage.files.list(ref, "names", { depth: 1 }, stage.op());
      assert.deepEqual(listed.map((entry) => entry.name).sort(), [...HOSTILE].sort());
      for (const [index, name] of HOSTILE.entries()) {
        const { info, body } = await stage.files.read(ref, `names/${name}`, {}, stage.op());
        assert.deepEqual([info.name, (await collect(body)).toString()], [name, `content ${index}`]);
      }
      assert.deepEqual(
        (await stage.files.list(ref, ".", { depth: 1 }, stage.op())).map((entry) => entry.name),
        ["names"],
        "nothing in a name was run",
      );
      for (const name of HOSTILE) await stage.files.remove(ref, `names/${name}`, { recursive: false }, stage.op());
      assert.deepEqual(await stage.files.list(ref, "names", { depth: 1 }, stage.op()), []);
    },
  },
  {
    name: "hostile names can be renamed into and out of",
    capability: "fs.rw",
    async run(stage) {
      const ref = await stage.sandbox();
      await stage.files.write(ref, "plain", bytesOf("x"), {}, stage.op());
      let current = "plain";
      for (const name of HOSTILE) {
        await stage.files.rename(ref, current, `./${name}`, { replace: false }, stage.op());
        assert.equal((await stage.files.stat(ref, `./${name}`, stage.op())).name, name);
        current = `./${name}`;
      }
    },
  },
];
