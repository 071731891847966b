import { createHash } from "node:crypto";
import {
  DEFAULT_DENY, type Issue, nearest, type PolicyFile, type PolicyRule, type PolicyWarning, SandboxerError,
} from "../../contract/index.ts"; // prettier-ignore
import { type CedarModule, loadCedar, type PolicyJson } from "./cedar.ts";
import { POLICY_NAMES, POLICY_SCHEMA } from "./schema.ts";
import { type Uses, usesOf } from "./uses.ts";

/** Rules that were read: what a policy is made from. */
export interface Rules {
  readonly digest: string;
  readonly rules: readonly PolicyRule[];
  readonly warnings: readonly PolicyWarning[];
  /** Each rule's own text, by its id. */
  readonly texts: Readonly<Record<string, string>>;
  readonly uses: Uses;
}

/** No policy at all. */
export const NO_RULES: Rules = { digest: "none", rules: [], warnings: [], texts: {}, uses: usesOf([]) };

interface Fault {
  readonly message: string;
  readonly sourceLocations?: readonly { start: number; end: number; label?: string | null }[];
}

interface Placed {
  readonly id: string;
  readonly file: PolicyFile;
  /** Byte offset of the rule in its file. */
  readonly start: number;
  readonly text: string;
  readonly parsed: PolicyJson;
}

const RULE_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$/;

/** sha256 over names and texts in order. */
function digestOf(files: readonly PolicyFile[]): string {
  return createHash("sha256")
    .update(JSON.stringify(files.map(({ name, text }) => [name, text])))
    .digest("hex");
}

/** Cedar counts bytes. */
function placeOf(text: string, byte: number): { line: number; column: number } {
  const before = Buffer.from(text).subarray(0, byte).toString().split("\n");
  return { line: before.length, column: (before.at(-1) ?? "").length + 1 };
}

function lineOf(text: string, byte: number): number {
  return placeOf(text, byte).line;
}

/** The word that a fault is about, as it stands at its place: `max_lif` of `context.max_lif`. */
function wordAt(text: string, { start, end }: { start: number; end: number }): string {
  const slice = Buffer.from(text).subarray(start, end).toString();
  return /"([^"]*)"\s*$/.exec(slice)?.[1] ?? /(\w+)\W*$/.exec(slice)?.[1] ?? "";
}

function issueFor(file: PolicyFile, fault: Fault, base = 0): Issue {
  const [at] = fault.sourceLocations ?? [];
  const { line, column } = placeOf(file.text, base + (at?.start ?? 0));
  const word = at === undefined ? "" : wordAt(file.text, { start: base + at.start, end: base + at.end });
  const near = word === "" || POLICY_NAMES.includes(word) ? undefined : nearest(word, POLICY_NAMES);
  const expected = typeof at?.label === "string" && at.label !== "" ? ` (${at.label})` : "";
  return {
    path: `${file.name}:${line}:${column}`,
    message: `${fault.message}${expected}`,
    ...(near === undefined ? {} : { nearest: near }),
  };
}

function split(cedar: CedarModule, file: PolicyFile, issues: Issue[]): Placed[] {
  if (file.text.trim() === "") return [];
  const parts = cedar.policySetTextToParts(file.text);
  if (parts.type === "failure") {
    issues.push(...parts.errors.map((fault) => issueFor(file, fault)));
    return [];
  }
  const bytes = Buffer.from(file.text);
  const taken = new Set<number>();
  const offset = (text: string): number => {
    let at = bytes.indexOf(text);
    while (at !== -1 && taken.has(at)) at = bytes.indexOf(text, at + 1);
    taken.add(at);
    return Math.max(at, 0);
  };
  for (const text of parts.policy_templates)
    issues.push(issueFor(file, { message: "has a slot (?principal, ?resource): templates are not supported" }, offset(text)));
  return parts.policies.flatMap((text): Placed[] => {
    const start = offset(text);
    const read = cedar.policyToJson(text);
    if (read.type === "failure") {
      issues.push(...read.errors.map((fault) => issueFor(file, fault, start)));
      return [];
    }
    const id = read.json.annotations?.["id"];
    if (id === undefined || !RULE_ID.test(id) || id === DEFAULT_DENY) {
      const message =
        id === undefined
          ? 'has no id: write @id("a-name") above it'
          : `"${id}" cannot be a rule's id: letters, digits, . _ -, at most 127, and not ${DEFAULT_DENY}`;
      issues.push(issueFor(file, { message }, start));
      return [];
    }
    return [{ id, file, start, text, parsed: read.json }];
  });
}

function refuseDoubles(placed: readonly Placed[], issues: Issue[]): void {
  const seen = new Map<string, Placed>();
  for (const one of placed) {
    const first = seen.get(one.id);
    if (first === undefined) seen.set(one.id, one);
    else {
      const message = `the id "${one.id}" is taken by ${first.file.name}:${lineOf(first.file.text, first.start)}`;
      issues.push(issueFor(one.file, { message }, one.start));
    }
  }
}

function refuse(issues: readonly Issue[]): void {
  const [first] = issues;
  if (first === undefined) return;
  const near = first.nearest === undefined ? "" : `; nearest: "${first.nearest}"`;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : "";
  throw new SandboxerError("invalid_request", `${first.path}: ${first.message}${near}${more}`, {
    phase: "policy",
    hint: "Correct the rule; 'sand-boxer policy schema' prints every name it can use.",
    issues: [...issues],
  });
}

/** Rules that were read once before, as the ledger keeps them: parsed and not held against the schema again. */
export async function readStored(files: readonly PolicyFile[]): Promise<Rules> {
  const cedar = await loadCedar();
  const issues: Issue[] = [];
  const placed = files.flatMap((file) => split(cedar, file, issues));
  refuse(issues);
  return rulesOf(files, placed, []);
}

function rulesOf(files: readonly PolicyFile[], placed: readonly Placed[], warnings: readonly PolicyWarning[]): Rules {
  const rules = placed.map(({ id, parsed, file, start }) => ({
    id,
    effect: parsed.effect,
    file: file.name,
    line: lineOf(file.text, start),
  }));
  return {
    digest: digestOf(files),
    rules,
    warnings,
    texts: Object.fromEntries(placed.map(({ id, text }) => [id, text])),
    uses: usesOf(placed.map(({ parsed }) => parsed)),
  };
}

/**
 * Reads files of rules and holds each rule against the schema.
 *
 * @throws SandboxerError `invalid_request` with an issue for each fault: file, line and column, and the nearest name for a typo.
 */
export async function readRules(files: readonly PolicyFile[]): Promise<Rules> {
  const cedar = await loadCedar();
  const issues: Issue[] = [];
  const placed = files.flatMap((file) => split(cedar, file, issues));
  refuseDoubles(placed, issues);
  refuse(issues);
  const texts = Object.fromEntries(placed.map(({ id, text }) => [id, text]));
  const checked = cedar.validate({ schema: POLICY_SCHEMA, policies: { staticPolicies: texts } });
  if (checked.type === "failure")
    throw new SandboxerError("internal", `the policy schema is wrong: ${checked.errors[0]?.message ?? ""}`, { phase: "policy" });
  const of = (id: string): Placed | undefined => placed.find((one) => one.id === id);
  for (const { policyId, error } of checked.validationErrors) {
    const rule = of(policyId);
    if (rule !== undefined) issues.push(issueFor(rule.file, error, rule.start));
  }
  refuse(issues.toSorted((a, b) => (a.path < b.path ? -1 : 1)));
  const warnings = checked.validationWarnings.flatMap(({ policyId, error }): PolicyWarning[] => {
    const rule = of(policyId);
    if (rule === undefined) return [];
    return [{ file: rule.file.name, line: lineOf(rule.file.text, rule.start), rule: policyId, message: error.message }];
  });
  return rulesOf(files, placed, warnings);
}
