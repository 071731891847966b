/**
 * The catalogue of ledger events: every type that is written, and what it says. An event is told to the outside as the CloudEvent
 * type `dev.sandboxer.<type>.v1`; a change of meaning is a new version. `docs/events.md` is held against this table by a test.
 */
export const EVENT_TYPES = {
  "sandbox.provisioning": "A create was admitted and has begun; the route that was chosen is in it.",
  "sandbox.setup": "A setup command of the profile ended.",
  "sandbox.rerouted": "The create moved to another backend after a retryable error.",
  "sandbox.ready": "Commands can run.",
  "sandbox.renewed": "Its clocks were moved.",
  "sandbox.paused": "It stands still, and keeps its memory.",
  "sandbox.resumed": "It runs again after a pause.",
  "sandbox.suspended": "Its compute was let go of, its disk is kept.",
  "sandbox.woken": "It runs again after a suspend.",
  "sandbox.stopping": "Its end has begun; the reason is in it.",
  "sandbox.destroy_failed": "The backend did not confirm its end; the sweep tries again.",
  "sandbox.terminated": "Nothing is left of it, as its backend confirmed.",
  "sandbox.failed": "The create failed, and nothing is left.",
  "sandbox.lost": "Its backend cannot be asked about it.",
  "sandbox.recovered": "Its backend has it again.",
  "exec.started": "A foreground command has begun; the program's name, never its arguments.",
  "exec.finished": "A foreground command ended, and how.",
  "process.started": "A background process was started.",
  "process.failed": "A background process could not be started.",
  "process.ended": "A background process ended, and how.",
  "network.updated": "What a sandbox may reach was changed.",
  "network.denied": "Connections or requests were refused, and by which rule.",
  "port.published": "A port of a sandbox was opened to visitors.",
  "port.unpublished": "A port was taken back.",
  "orphan.removed": "Something at a backend that belonged to nothing alive was removed.",
  "profile.applied": "A profile's version was stored.",
  "profile.labelled": "A profile was given labels.",
  "key.created": "An API key was made.",
  "key.rotated": "An API key has a new secret.",
  "key.revoked": "An API key was revoked.",
  "tenant.created": "A tenant was made.",
  "tenant.suspended": "A tenant was shut out.",
  "tenant.resumed": "A tenant was let in again.",
  "project.created": "A part of a tenant was made.",
  "project.removed": "A part of a tenant was removed.",
  "quota.set": "A limit was set.",
  "quota.removed": "A limit was removed.",
  "host.added": "A host was added to the inventory: a backend of its name.",
  "host.changed": "A host's capacity was set, or it was drained or opened again.",
  "host.removed": "A host was removed from the inventory.",
  "policy.applied": "The rules of admission were replaced.",
  "policy.denied": "The rules of admission refused something.",
  "secret.set": "A secret was stored; its name, never its value.",
  "secret.rotated": "A secret has a new value.",
  "secret.removed": "A secret was removed.",
  "budget.set": "A budget was made or changed.",
  "budget.removed": "A budget was removed.",
  "budget.warned": "A budget is used up to the share that it warns at; once a period.",
  "budget.exhausted": "A budget is spent; once a period.",
  "account.set": "An account that pays was made or changed.",
  "account.removed": "An account was removed.",
  "account.credit": "Money was put into an account.",
  "account.adjust": "An account was corrected by hand.",
  "payment_route.set": "Which accounts pay, and in which order, was changed.",
  "payment_consent.set": "Whether an account of the platform may pay was changed.",
  "usage.differs": "A backend reports another usage than was counted here.",
  "webhook.added": "A webhook was added.",
  "webhook.changed": "A webhook was changed, enabled, disabled, rotated or replayed.",
  "webhook.removed": "A webhook was removed.",
  "audit.anchored": "The head of the audit log: keep it elsewhere, and a log that was cut short is found out.",
  "clock.jumped": "The wall clock was set; deadlines were moved along.",
} as const;

/** A type of {@link EVENT_TYPES}. */
export type EventType = keyof typeof EVENT_TYPES;

/** Every type that a filter names: an exact one, `sandbox.*` for a group, `*` for all. */
export function typesMatching(filters: readonly string[]): EventType[] {
  return (Object.keys(EVENT_TYPES) as EventType[]).filter((type) =>
    filters.some((filter) => filter === "*" || filter === type || (filter.endsWith(".*") && type.startsWith(filter.slice(0, -1)))),
  );
}
