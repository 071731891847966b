import { expect, it } from "vitest";
import { CATALOG } from "../../src/cli/catalog.ts";
import { page, rows } from "./pages.ts";

const sections = new Map(
  page("docs/cli.md")
    .split(/^## /m)
    .slice(1)
    .map((text) => [text.slice(0, text.indexOf("\n")), text] as const),
);

it("docs/cli.md has a section for every command, and no other", () => {
  expect([...sections.keys()]).toEqual(Object.keys(CATALOG));
});

it.each(Object.keys(CATALOG))("docs/cli.md shows how %s is used, with every option", async (name) => {
  const command = await CATALOG[name]?.load().then((loaded) => loaded.command);
  const section = sections.get(name) ?? "";
  for (const usage of command?.usage.split(" | ") ?? []) expect(section).toContain(`\n${usage}\n`);
  const documented = rows(section).flatMap(([cell = ""]) => /--([a-z][\w-]*)/.exec(cell)?.[1] ?? []);
  expect(documented.sort()).toEqual(Object.keys(command?.options ?? {}).sort());
});

it("every command of the README's examples is one", () => {
  const used = [...page("README.md").matchAll(/bin\/sand-boxer ([a-z]+)/g)].map(([, name]) => name);
  expect(used.length).toBeGreaterThan(5);
  for (const name of used) expect(Object.keys(CATALOG)).toContain(name);
});
