import { expect, it } from "vitest";
import { ROUTES } from "../../src/server/routes/all.ts";
import { page, rows } from "./pages.ts";

it("docs/api.md has every route with the scope it needs, and no other", () => {
  const documented = rows(page("docs/api.md"))
    .filter(([call]) => /^`[A-Z]+ \//.test(call ?? ""))
    .flatMap(([calls = "", , scope = ""]) => calls.split(", ").map((call) => `${call.replaceAll("`", "")} ${scope}`));
  const actual = ROUTES.map(({ method, path, scope }) => `${method.toUpperCase()} ${path} ${scope === "open" ? "none" : scope}`);
  expect(documented.sort()).toEqual([...actual, "GET /openapi.json none", "GET /docs none"].sort());
});

it("docs/operations.md has every metric that the code counts", async () => {
  const { readFileSync, globSync } = await import("node:fs");
  const names = globSync("src/{engine,server}/**/*.ts", { cwd: new URL("../..", import.meta.url) }).flatMap((file) => [
    ...readFileSync(new URL(`../../${file}`, import.meta.url), "utf8").matchAll(/"(sandboxer_[a-z_]+)"/g),
  ]);
  const text = page("docs/operations.md");
  expect(names.length).toBeGreaterThan(5);
  for (const [, name = ""] of names) expect(text).toContain(`\`${name}\``);
});
