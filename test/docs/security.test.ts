import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { page, ROOT } from "./pages.ts";

const text = page("SECURITY.md");
const [, guarantees = ""] = /## Guarantees[^\n]*\n([\s\S]*?)\n## /.exec(text) ?? [];
const references = [...guarantees.matchAll(/^- `([^`]+)`: "(.+)"$/gm)].map(([, file = "", name = ""]) => ({ file, name }));

it.each(references)("$file has the test that SECURITY.md names: $name", ({ file, name }) => {
  expect(page(file)).toContain(`"${name}"`);
});

it("every guarantee names its test", () => {
  const paragraphs = guarantees.split(/\n\n+/).filter((paragraph) => paragraph.startsWith("**"));
  expect(paragraphs.length).toBeGreaterThan(10);
  for (const paragraph of paragraphs) expect(paragraph).toMatch(/\n- `(test|src\/conformance)\//);
  for (const [, file = ""] of guarantees.matchAll(/`((?:test|src)\/[^`]+)`/g)) expect(existsSync(join(ROOT, file)), file).toBe(true);
});
