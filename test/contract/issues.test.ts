import { describe, expect, it } from "vitest";
import { CreateRequest, type Issue, parse, Profile, SandboxerError } from "../../src/contract/index.ts";

function issuesOf(schema: typeof CreateRequest | typeof Profile, value: unknown): Issue[] {
  try {
    parse(schema, value, { what: "body" });
  } catch (thrown) {
    if (thrown instanceof SandboxerError && thrown.code === "invalid_request") return thrown.details.issues ?? [];
    throw thrown;
  }
  throw new Error("it was accepted");
}

describe("reading a request", () => {
  it.each([
    [{ profil: "x" }, "profil", "profile"],
    [{ resources: { memry: "1GiB" } }, "resources.memry", "memory"],
    [{ resources: { memory: "1GIB" } }, "resources.memory", "1GiB"],
    [{ resources: { cpu: -1 } }, "resources.cpu", "0.05"],
    [{ resources: { memory: 5 } }, "resources.memory", "16MiB"],
    [{ resources: { pids: 1e12 } }, "resources.pids", "1000000"],
    [{ isolation_level: { min: "gviso" } }, "isolation_level.min", "gvisor"],
    [{ routing: { require_capabilities: ["snapshot.disc"] } }, "routing.require_capabilities[0]", "snapshot.disk"],
  ])("names the field and the nearest valid value of %j", (value, path, nearest) => {
    expect(issuesOf(CreateRequest, value)).toMatchObject([{ path, nearest }]);
  });

  it("names the key within the branch of a union that was meant", () => {
    const secret = { name: "x", source: { envv: "A" }, inject: { type: "bearer", hosts: ["h"] } };
    const issues = issuesOf(Profile, { kind: "profile", name: "a", version: 1, secrets: [secret] });
    expect(issues).toContainEqual(expect.objectContaining({ path: "secrets[0].source.envv", nearest: "env" }));
  });

  it.each([[null], [[]], ["text"], [5]])("refuses %j as a whole", (value) => {
    expect(issuesOf(CreateRequest, value)).toMatchObject([{ path: "" }]);
  });

  it("takes __proto__ as any unknown key", () => {
    expect(issuesOf(CreateRequest, JSON.parse('{"__proto__":{"profile":"default"}}'))).toMatchObject([{ path: "__proto__" }]);
  });
});
