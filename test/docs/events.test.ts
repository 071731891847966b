import { expect, it } from "vitest";
import { EVENT_TYPES } from "../../src/contract/index.ts";
import { page, rows } from "./pages.ts";

it("docs/events.md has every type of event with its meaning, and no other", () => {
  const documented = rows(page("docs/events.md")).filter(([type]) => /^`[a-z_]+\.[a-z_]+`$/.test(type ?? ""));
  expect(documented.map(([type, meaning]) => [type, meaning])).toEqual(
    Object.entries(EVENT_TYPES).map(([type, meaning]) => [`\`${type}\``, meaning]),
  );
});
