import {
  parse, type PolicyApplied, PolicyApplyRequest, PolicyCheckRequest, type PolicyDocument, PolicyExplainRequest, type PolicyExplanation, type PolicyFile,
  type PolicyReading, type PolicyTestReport, PolicyTestRequest, type PolicyVersion, type Principal, SandboxerError,
} from "../../contract/index.ts"; // prettier-ignore
import { askFor, NO_RULES, POLICY_SCHEMA, preparePolicy, readRules, type Rules } from "../../guard/index.ts";
import { appendEvent, findPolicy, insertPolicy, listPolicies, policyHead, type PolicyRow } from "../../ledger/index.ts";
import { audit } from "../audit.ts";
import type { PolicyVerbs } from "../access-verbs.ts";
import type { Context } from "../context.ts";
import { impactOf } from "./impact.ts";

/** Versions that a history tells. */
const HISTORY = 200;

async function rulesIn(files: readonly PolicyFile[]): Promise<Rules> {
  if (files.length === 0) return NO_RULES;
  const rules = await readRules(files);
  if (rules.rules.length === 0)
    throw new SandboxerError("invalid_request", "the files hold no rule, and would deny everything", {
      phase: "policy",
      hint: "To turn the policy off apply no files: 'sand-boxer policy apply --off'.",
    });
  return rules;
}

async function check(files: readonly PolicyFile[]): Promise<PolicyReading> {
  const { digest, rules, warnings } = await readRules(files);
  return { object: "policy_reading", digest, rules: [...rules], warnings: [...warnings] };
}

function infoOf(row: Omit<PolicyRow, "files">, head: number): PolicyVersion {
  const { version, digest, comment, applied_by, rules } = row;
  return {
    object: "policy_version",
    version,
    digest,
    comment,
    applied_at: new Date(row.applied_at).toISOString(),
    applied_by,
    rolled_back_to: row.restores,
    rules,
    in_force: version === head,
  };
}

const NEVER: PolicyDocument = {
  object: "policy_version", version: 0, digest: NO_RULES.digest, comment: null, applied_at: null, applied_by: null, rolled_back_to: null, rules: 0,
  in_force: true, files: [],
}; // prettier-ignore

async function show(ctx: Context, version: number | undefined): Promise<PolicyDocument> {
  const head = (await policyHead(ctx.ledger.db))?.version ?? 0;
  const wanted = version ?? head;
  if (wanted === 0) return { ...NEVER, in_force: head === 0 };
  const row = await findPolicy(ctx.ledger.db, wanted);
  if (row === undefined)
    throw new SandboxerError("not_found", `the policy has no version ${wanted}; the newest is ${head}`, { phase: "policy" });
  return { ...infoOf(row, head), files: JSON.parse(row.files) as PolicyFile[] };
}

interface Wanted {
  readonly files: readonly PolicyFile[];
  readonly comment: string | null;
  readonly expected?: number | undefined;
  readonly restores: number | null;
}

/** The new version in one transaction with the look at the one before it: of two that expect the same, one is too late. */
async function put(ctx: Context, who: Principal, rules: Rules, { files, comment, expected, restores }: Wanted) {
  return ctx.ledger.transaction(
    async (tx) => {
      const head = await policyHead(tx);
      const before = head?.version ?? 0;
      if (expected !== undefined && expected !== before)
        throw new SandboxerError("conflict", `version ${before} of the policy is in force, not ${expected}`, {
          phase: "policy",
          hint: "Look at what was applied meanwhile with 'sand-boxer policy show', and apply again.",
        });
      if ((head?.digest ?? NO_RULES.digest) === rules.digest) return { version: before, changed: false };
      const at = ctx.clock.now();
      const version = before + 1;
      await insertPolicy(tx, {
        version,
        digest: rules.digest,
        files: JSON.stringify(files),
        rules: rules.rules.length,
        comment,
        applied_at: at,
        applied_by: who.key_id,
        restores,
      });
      const data = { version, digest: rules.digest, rules: rules.rules.length, key_id: who.key_id, restores };
      await appendEvent(tx, { type: "policy.applied", at, tenant: who.tenant, sandboxId: null, data });
      const detail = { digest: rules.digest, rules: rules.rules.length, restores };
      await audit(tx, who, { action: "policy.applied", at, target: String(version), detail });
      return { version, changed: true };
    },
    { durable: true },
  );
}

async function install(ctx: Context, who: Principal, wanted: Wanted, dryRun: boolean): Promise<PolicyApplied> {
  const rules = await rulesIn(wanted.files);
  const refuses = rules === NO_RULES ? [] : await impactOf(ctx, await preparePolicy(rules));
  const told = { object: "policy_applied" as const, digest: rules.digest, rules: [...rules.rules], warnings: [...rules.warnings], refuses };
  if (dryRun) {
    const head = await policyHead(ctx.ledger.db);
    return { ...told, dry_run: true, version: head?.version ?? 0, changed: (head?.digest ?? NO_RULES.digest) !== rules.digest };
  }
  return { ...told, dry_run: false, ...(await put(ctx, who, rules, wanted)) };
}

async function test({ files, cases }: PolicyTestRequest): Promise<PolicyTestReport> {
  const rules = await rulesIn(files);
  const policy = await preparePolicy(rules);
  const decided = new Set<string>();
  const results = cases.map(({ name, request, expect, rule }): PolicyTestReport["cases"][number] => {
    const told = policy.explain(askFor(request));
    const rules = told.rules.filter(({ verdict }) => verdict === "decides" || verdict === "fails").map(({ id }) => id);
    for (const id of rules) decided.add(id);
    const decisive = rules.length === 0 ? [told.rule ?? ""] : rules;
    const problems = [
      ...(told.decision === expect ? [] : [`expected ${expect}, got ${told.decision}`]),
      ...(rule === undefined || decisive.includes(rule) ? [] : [`expected the rule "${rule}", and ${decisive.join(", ")} decides`]),
    ];
    return { name, passed: problems.length === 0, decision: told.decision, rules: decisive, problem: problems.join("; ") || null };
  });
  const passed = results.filter((one) => one.passed).length;
  const untested = rules.rules.map(({ id }) => id).filter((id) => !decided.has(id));
  return { object: "policy_test", passed, failed: results.length - passed, cases: results, untested };
}

async function explain(ctx: Context, { request, files }: PolicyExplainRequest): Promise<PolicyExplanation> {
  const policy = files === undefined ? await ctx.policy.inForce() : await preparePolicy(await rulesIn(files));
  if (policy === null) return { object: "policy_explanation", decision: "allow", rule: null, rules: [] };
  return policy.explain(askFor(request));
}

/** The rules of admission, as they are read, tried, put in force and taken back. */
export function policy(ctx: Context): PolicyVerbs {
  return {
    check: async (_who, input) => check(parse(PolicyCheckRequest, input, { what: "policy" }).files),
    test: async (_who, input) => test(parse(PolicyTestRequest, input, { what: "policy test" })),
    explain: async (_who, input) => explain(ctx, parse(PolicyExplainRequest, input, { what: "policy question" })),
    async apply(who, input) {
      const {
        files,
        comment = null,
        expected_version: expected,
        dry_run: dryRun = false,
      } = parse(PolicyApplyRequest, input, { what: "policy" });
      return install(ctx, who, { files, comment, expected, restores: null }, dryRun);
    },
    async rollback(who, version) {
      const { files } = await show(ctx, version);
      return install(ctx, who, { files, comment: null, restores: version }, false);
    },
    show: (_who, version) => show(ctx, version),
    schema: () => Promise.resolve(POLICY_SCHEMA),
    async history() {
      const rows = await listPolicies(ctx.ledger.db, HISTORY);
      return rows.map((row) => infoOf(row, rows[0]?.version ?? 0));
    },
  };
}
