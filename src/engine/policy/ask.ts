import { type PolicyAction, SandboxerError } from "../../contract/index.ts";
import { type Asker, authorize, type Subject, type Verdict } from "../../guard/index.ts";
import { appendEvent } from "../../ledger/index.ts";
import type { Context } from "../context.ts";

/**
 * Asks whether they may do it, and says no where they may not, with an event that names the rule.
 *
 * @throws SandboxerError `forbidden` by scope or role, `policy_denied` with the rule, `policy_unavailable`.
 */
export async function ask(ctx: Context, who: Asker, action: PolicyAction, subject: () => Promise<Subject> | Subject): Promise<void> {
  let asked: Subject | undefined;
  const verdict = await authorize(
    () => ctx.policy.inForce(),
    who,
    action,
    async () => (asked = await subject()),
  );
  if (verdict === undefined || asked === undefined) return;
  ctx.measure.count("sandboxer_policy_denials_total", { action, rule: verdict.rule });
  await tell(ctx, who, action, asked, verdict);
  const what = verdict.rules.length === 0 ? "no rule of the policy permits" : `rule "${verdict.rule}" of the policy forbids`;
  throw new SandboxerError("policy_denied", `${what} ${action} here`, { phase: "policy", rule: verdict.rule });
}

/** Whoever asks again and again for what is denied fills no ledger: one event of a kind a second, with how many were not told. */
const TELL_EVERY_MS = 1000;
const KINDS_REMEMBERED = 1024;

async function tell(ctx: Context, who: Asker, action: PolicyAction, { resource }: Subject, { rule, rules }: Verdict): Promise<void> {
  const key = "visitor" in who ? null : who.key_id;
  const kind = JSON.stringify([who.tenant, key, action, rule, resource.type, resource.id]);
  const at = ctx.clock.now();
  const untold = ctx.policy.sinceTold(kind, at, TELL_EVERY_MS, KINDS_REMEMBERED);
  if (untold === undefined) return;
  try {
    await ctx.ledger.transaction((tx) =>
      appendEvent(tx, {
        type: "policy.denied",
        at,
        tenant: who.tenant,
        sandboxId: resource.type === "Sandbox" ? resource.id : null,
        data: { action, rule, rules, resource: { type: resource.type, id: resource.id }, key_id: key, untold },
      }),
    );
  } catch (thrown) {
    // Denied all the same.
    ctx.log.warn({ action, rule, error: String(thrown) }, "a denial could not be written to the ledger");
  }
}
