import * as fc from "fast-check";
import type { EgressPolicy, EgressRule } from "../../../../src/contract/network.ts";

const hosts = ["a.test", "b.test", "x.a.test", "y.x.a.test", "a.test.b.test", "xa.test"];
const patterns = [...hosts, "*.a.test", "*.x.a.test", "*.test"];
const ranges = ["8.8.8.8/32", "8.8.8.0/24", "10.0.0.5/32", "10.0.0.0/8", "0.0.0.0/0", "127.0.0.1/32"];
const addresses = ["8.8.8.8", "8.8.8.9", "10.0.0.5", "10.0.0.6", "127.0.0.1", "169.254.169.254", "1.1.1.1"];
const methods = ["GET", "POST"];
const paths = ["/", "/a", "/a/b", "/a/b/c", "/b"];
const pathPatterns = [...paths, "/*", "/a/*", "/*/b", "/a*c"];
const ports = [22, 80, 443];
const some = <T>(values: readonly T[], minLength = 0) => fc.subarray([...values], { minLength });

const place = fc.oneof(fc.record({ host: fc.constantFrom(...patterns) }), fc.record({ cidr: fc.constantFrom(...ranges) }));
const rule = fc
  .record({
    place,
    ports: some(ports, 1),
    methods: fc.option(some(methods), { nil: undefined }),
    paths: fc.option(some(pathPatterns), { nil: undefined }),
    tls: fc.constantFrom("passthrough" as const, "inspect" as const),
    websocket: fc.boolean(),
  })
  .map(({ place, methods, paths, ...rest }): EgressRule => ({
    id: "allow[0]",
    ...place,
    ...rest,
    ...(methods === undefined ? {} : { methods }),
    ...(paths === undefined ? {} : { paths }),
  }));
const limit = fc.option(fc.integer({ min: 1, max: 1000 }));

export const policies = fc.record({
  mode: fc.constantFrom("enforce" as const, "enforce" as const, "audit" as const),
  rules: fc.array(rule, { maxLength: 4 }).map((rules) => rules.map((one, index) => ({ ...one, id: `allow[${index}]` }))),
  limits: fc.record({
    connections: fc.integer({ min: 1, max: 100 }),
    bytesPerSecond: limit,
    bytes: limit,
    idleMs: fc.integer({ min: 1, max: 100 }),
  }),
});

export const targets = fc.record({ host: fc.constantFrom(...hosts, ...addresses), port: fc.constantFrom(...ports, 8080) });

export const requests = fc
  .record({
    target: targets,
    scheme: fc.constantFrom("http" as const, "https" as const),
    method: fc.constantFrom(...methods, "PUT"),
    path: fc.constantFrom(...paths, "/c"),
    websocket: fc.boolean(),
  })
  .map(({ target, ...rest }) => ({ ...target, ...rest }));

export const protocols = fc.constantFrom("any" as const, "tls" as const, "http" as const, "tcp" as const);

/** A policy that enforces these rules, with defaults for what they leave out. */
export function policyOf(...rules: readonly Partial<EgressRule>[]): EgressPolicy {
  return {
    mode: "enforce",
    rules: rules.map((one, index) => ({ id: `allow[${index}]`, ports: [443], tls: "passthrough", websocket: false, ...one })),
    limits: { connections: 1024, bytesPerSecond: null, bytes: null, idleMs: 600_000 },
  };
}
