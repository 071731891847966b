import { expect, it } from "vitest";
import { ERROR_TABLE } from "../../src/contract/index.ts";
import { page, rows } from "./pages.ts";

it("docs/errors.md has every code with its status, whether it is retryable, its meaning and the next step, and no other", () => {
  const documented = rows(page("docs/errors.md")).filter(([code]) => code?.startsWith("`"));
  const actual = Object.entries(ERROR_TABLE).map(([code, { status, retryable, hint }]) => [
    `\`${code}\``,
    String(status),
    retryable ? "yes" : "no",
    hint,
  ]);
  expect(documented.map(([code, status, retryable, , hint]) => [code, status, retryable, hint])).toEqual(actual);
  for (const [code, , , meaning] of documented) expect(meaning, code).toMatch(/^[A-Z`].+\.$/);
});
