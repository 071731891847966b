import { globSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { EVENT_TYPES } from "../../src/contract/index.ts";
import { page, rows } from "./pages.ts";

it("docs/events.md has every type of event with its meaning, and no other", () => {
  const documented = rows(page("docs/events.md")).filter(([type]) => /^`[a-z]+\.[a-z_]+`$/.test(type ?? ""));
  expect(documented.map(([type, meaning]) => [type, meaning])).toEqual(
    Object.entries(EVENT_TYPES).map(([type, meaning]) => [`\`${type}\``, meaning]),
  );
});

it("every type of the catalogue is written somewhere in the code", () => {
  const code = globSync("src/{engine,ledger}/**/*.ts", { cwd: new URL("../..", import.meta.url) })
    .map((file) => readFileSync(new URL(`../../${file}`, import.meta.url), "utf8"))
    .join("");
  for (const type of Object.keys(EVENT_TYPES)) expect(code, type).toContain(`"${type}"`);
});
