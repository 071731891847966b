import { expect, it } from "vitest";
import { z } from "zod";
import { parse as parseYaml } from "yaml";
import { CAPABILITIES, parse, Profile } from "../../src/contract/index.ts";
import { NOT_IN_THIS_VERSION } from "../../src/engine/requirements.ts";
import { page, rows } from "./pages.ts";

interface Schema {
  properties?: Record<string, Schema>;
  $ref?: string;
}

/** These are documented as a whole: on pages of their own, or since they do nothing yet. */
const WHOLE = ["env", "secrets", "network.allow", "network.ports", "network.publish", "routing.preferred_max_cold_start"];

function fields(): string[] {
  const document = z.toJSONSchema(Profile, { io: "input", unrepresentable: "any" }) as Schema & { $defs?: Record<string, Schema> };
  const resolve = (schema: Schema): Schema => {
    const name = schema.$ref?.split("/").at(-1);
    return name === undefined ? schema : (document.$defs?.[name] ?? schema);
  };
  const walk = (schema: Schema, path: string): string[] => {
    const { properties } = resolve(schema);
    if (properties === undefined || WHOLE.includes(path)) return [path];
    return Object.entries(properties).flatMap(([name, child]) => walk(child, path === "" ? name : `${path}.${name}`));
  };
  return walk(document, "");
}

it("docs/profiles.md has every field of a profile, and no other", () => {
  const documented = rows(page("docs/profiles.md"))
    .map(([cell = ""]) => cell)
    .filter((cell) => cell.startsWith("`"))
    .flatMap((cell) => cell.split(", ").map((name) => name.replaceAll("`", "")));
  expect(documented.sort()).toEqual(fields().sort());
});

it("the profile in docs/profiles.md is one", () => {
  const [, text = ""] = /```yaml\n([\s\S]*?)```/.exec(page("docs/profiles.md")) ?? [];
  expect(parse(Profile, parseYaml(text), { what: "the example" }).name).toBe("report");
});

it("what the README says is refused is what the engine cannot use yet", () => {
  for (const capability of ["image.build", "snapshot.disk", "fork", "resources.gpu", "pool.warm"] as const) {
    expect(CAPABILITIES).toContain(capability);
    expect(NOT_IN_THIS_VERSION).toContain(capability);
  }
});
