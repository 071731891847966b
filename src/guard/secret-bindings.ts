import { type EgressRule, type Issue, type Profile, SandboxerError } from "../contract/index.ts";
import { compilePolicy, hostMatches } from "./egress/policy/index.ts";

/** Whether a rule lets the boundary see every request to what the pattern names on that port. */
function inspects({ host, ports, tls }: EgressRule, pattern: string, port: number): boolean {
  const named = pattern.startsWith("*.") ? pattern.slice(1) : pattern;
  return tls === "inspect" && ports.includes(port) && host !== undefined && (host === pattern || hostMatches(host, named));
}

/**
 * A secret goes only into requests that the boundary reads, so each of its hosts needs a rule with `tls: inspect`. Anything else
 * would be a secret that is silently never sent.
 *
 * @throws SandboxerError `invalid_request` that says which rule to write.
 */
export function checkSecretBindings({ network = {}, secrets = [] }: Pick<Profile, "network" | "secrets">): void {
  const { rules } = compilePolicy(network);
  const issues = secrets.flatMap(({ name, inject }, index): Issue[] => {
    const ports = inject.ports ?? [443];
    return inject.hosts.flatMap((host, place): Issue[] => {
      const missing = ports.filter((port) => !rules.some((rule) => inspects(rule, host.toLowerCase(), port)));
      if (missing.length === 0) return [];
      const rule = `{ host: ${JSON.stringify(host)}, ports: [${missing.join(", ")}], tls: inspect }`;
      return [{ path: `secrets[${index}].inject.hosts[${place}]`, message: `secret ${name} needs this rule in network.allow: ${rule}` }];
    });
  });
  const [first] = issues;
  if (first !== undefined) throw new SandboxerError("invalid_request", `${first.path}: ${first.message}`, { phase: "policy", issues });
}
