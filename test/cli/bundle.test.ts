import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const BUNDLE = join(import.meta.dirname, "../../dist/bundle");

/** Node's modules that cost a start 4 to 18 ms of processor time each, and that only what listens or inspects needs. */
const COSTLY = ["node:http", "node:https", "node:http2", "node:tls", "node:inspector"];

/** Chunks that are loaded along with one: its static imports, and theirs. */
function loadedWith(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, imported = ""] of readFileSync(join(BUNDLE, file), "utf8").matchAll(/^(?:import|export) (?:[^"]* from )?"\.\/([^"]+)";$/gm))
    loadedWith(imported, seen);
  return seen;
}

test.runIf(existsSync(BUNDLE))(
  "the command line stands without the engine, which stands on it: a circle would use what is not made yet",
  () => {
    const cli = readdirSync(BUNDLE).find((file) => /^cli-[\w-]+\.js$/.test(file)) ?? "no command line";
    expect([...loadedWith(cli)].filter((file) => file.startsWith("engine-"))).toEqual([]);
  },
);

test("what a command without a server loads brings in neither Node's HTTP nor its TLS", (context) => {
  if (!existsSync(BUNDLE)) {
    console.log("not tested: nothing is built (npm run build)");
    context.skip();
  }
  const engine = readdirSync(BUNDLE).find((file) => /^engine-[\w-]+\.js$/.test(file)) ?? "no engine";
  const loaded = new Set([...loadedWith("index.js"), ...loadedWith(engine)]);
  expect([...loaded].some((file) => file.startsWith("cli-"))).toBe(true);
  const found = [...loaded].flatMap((file) =>
    // A statement at the top is run when the chunk is loaded; one inside of a function is not.
    [...readFileSync(join(BUNDLE, file), "utf8").matchAll(/^(?:const|let|var|import).*"(node:[\w/]+)"/gm)].map(([, module = ""]) => module),
  );
  expect(found).toContain("node:fs");
  expect(found.filter((module) => COSTLY.includes(module))).toEqual([]);
});
