import { describe, expect, it } from "vitest";
import { Network, parse, SandboxerError } from "../../../../src/contract/index.ts";
import { compilePolicy } from "../../../../src/guard/egress/policy/index.ts";

const compile = (network: unknown) => compilePolicy(parse(Network, network, { what: "network" }));
function issuesOf(network: unknown): [string, string][] {
  try {
    compile(network);
  } catch (thrown) {
    if (thrown instanceof SandboxerError && thrown.code === "invalid_request")
      return (thrown.details.issues ?? []).map(({ path, message }) => [path, message]);
    throw thrown;
  }
  return [];
}

describe("a profile's network, compiled", () => {
  it("has every default filled in", () => {
    expect(
      compile({ allow: [{ host: "API.Example.com" }, { cidr: "10.0.0.5", ports: [5432] }], limits: { idle: "1.5s", bandwidth: "1MiB" } }),
    ).toEqual({
      mode: "enforce",
      rules: [
        { id: "allow[0]", host: "api.example.com", ports: [443], tls: "passthrough", websocket: false },
        { id: "allow[1]", cidr: "10.0.0.5/32", ports: [5432], tls: "passthrough", websocket: false },
      ],
      limits: { connections: 1024, bytesPerSecond: 1024 ** 2, bytes: null, idleMs: 1500 },
    });
  });

  it("allows nothing where nothing is listed", () => {
    expect([compile({}).rules, compile({ allow: [] }).rules]).toEqual([[], []]);
  });

  it("keeps an empty list of methods or paths, which lets nothing through", () => {
    expect(compile({ allow: [{ host: "a.test", ports: [80], methods: [] }] }).rules[0]?.methods).toEqual([]);
  });

  it("is refused with a path for every rule that cannot be enforced", () => {
    const network = {
      allow: [
        { host: "*" },
        { host: "10.0.0.1" },
        { cidr: "10.0.0.1/8" },
        { cidr: "224.0.0.1" },
        { host: "a.test", methods: ["GET"] },
        { host: "ok.test" },
      ],
    };
    expect(issuesOf(network)).toEqual([
      ["network.allow[0].host", expect.any(String)],
      ["network.allow[1].host", expect.stringContaining("cidr")],
      ["network.allow[2].cidr", expect.stringContaining("10.0.0.0/8")],
      ["network.allow[3].cidr", expect.stringContaining("never")],
      ["network.allow[4].methods", expect.stringContaining("inspect")],
    ]);
  });
});
