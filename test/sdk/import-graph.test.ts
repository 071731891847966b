import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { stripTypeScriptTypes } from "node:module";
import { expect, test } from "vitest";

const source = join(import.meta.dirname, "../../src");

/** Every file that importing this one loads at run time, and every specifier that is not a path. */
function walk(file: string, files = new Set<string>(), bare = new Set<string>()): { files: Set<string>; bare: Set<string> } {
  if (files.has(file)) return { files, bare };
  files.add(file);
  const code = stripTypeScriptTypes(readFileSync(file, "utf8"));
  for (const [, specifier = ""] of code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*["']([^"']+)["']/g)) {
    if (specifier.startsWith(".")) walk(join(dirname(file), specifier), files, bare);
    else bare.add(specifier);
  }
  return { files, bare };
}

test("the SDK loads nothing from npm and nothing of Node's", () => {
  const { files, bare } = walk(join(source, "sdk/index.ts"));
  expect(files.size).toBeGreaterThan(10);
  expect([...bare]).toEqual([]);
});

test("of the contract, the SDK loads only the two files without schemas", () => {
  const { files } = walk(join(source, "sdk/index.ts"));
  const outside = [...files].map((file) => relative(source, file)).filter((file) => !file.startsWith("sdk/"));
  expect(outside.toSorted()).toEqual(["contract/errors.ts", "contract/path.ts"]);
});

test("the walk sees bare specifiers where there are some", () => {
  expect([...walk(join(source, "contract/units.ts")).bare]).toContain("zod");
});
