import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { page, pages, ROOT } from "./pages.ts";

function anchors(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => heading);
  return new Set(headings.map((heading) => heading.toLowerCase().replaceAll(/[^\w\s-]/g, "").trim().replaceAll(/\s/g, "-"))); // prettier-ignore
}

it.each(pages())("every link of %s leads somewhere in the repository", (path) => {
  const text = page(path).replaceAll(/```[\s\S]*?```/g, "");
  const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = ""]) => target)
    .filter((target) => !/^(https?|mailto):/.test(target))
    .filter((target) => {
      const [file = "", anchor] = target.split("#");
      const at = file === "" ? path : join(dirname(path), file);
      return !existsSync(join(ROOT, at)) || (anchor !== undefined && !anchors(page(at)).has(anchor));
    });
  expect(broken).toEqual([]);
});

it("the pages that everything leads to are there", () => {
  expect(pages()).toEqual(expect.arrayContaining(["README.md", "ARCHITECTURE.md", "SECURITY.md", "docs/errors.md", "docs/cli.md"]));
});

it("every npm script and file that the pages name exists", () => {
  const { scripts } = JSON.parse(page("package.json")) as { scripts: Record<string, string> };
  for (const path of pages()) {
    for (const [, script = ""] of page(path).matchAll(/npm run ([\w:]+)/g)) expect(Object.keys(scripts), path).toContain(script);
    for (const [, file = ""] of page(path).matchAll(/`((?:src|test|scripts|native|profiles|examples)\/[\w./-]+)`/g)) {
      expect(existsSync(join(ROOT, file)), `${path}: ${file}`).toBe(true);
    }
  }
});
