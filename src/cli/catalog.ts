import type { Command } from "./command.ts";

interface Entry {
  readonly summary: string;
  readonly load: () => Promise<{ command: Command }>;
}

/** Every command in the order of the help text. Each is loaded when it is used. */
export const CATALOG: Readonly<Record<string, Entry>> = {
  run: { summary: "Run one command in a new sandbox, and end the sandbox", load: () => import("./commands/run.ts") },
  create: { summary: "Make a sandbox and print its id", load: () => import("./commands/create.ts") },
  exec: { summary: "Run a command in a sandbox", load: () => import("./commands/exec.ts") },
  shell: { summary: "Open a shell in a sandbox", load: () => import("./commands/shell.ts") },
  ls: { summary: "List sandboxes", load: () => import("./commands/ls.ts") },
  show: { summary: "Show one sandbox: state, isolation, route, clocks, usage, cost", load: () => import("./commands/show.ts") },
  rm: { summary: "End sandboxes", load: () => import("./commands/rm.ts") },
  cp: { summary: "Copy files and trees into and out of a sandbox", load: () => import("./commands/cp.ts") },
  ps: { summary: "List a sandbox's background processes", load: () => import("./commands/ps.ts") },
  logs: { summary: "Print a background process's output", load: () => import("./commands/logs.ts") },
  ports: { summary: "Publish ports of a sandbox, and make addresses for them", load: () => import("./commands/ports.ts") },
  forward: { summary: "Lead a port of this machine into a sandbox", load: () => import("./commands/forward.ts") },
  renew: { summary: "Give a sandbox more time", load: () => import("./commands/renew.ts") },
  pause: { summary: "Have a sandbox stand still, with its memory or its disk alone", load: () => import("./commands/pause.ts") },
  resume: { summary: "Have a paused or suspended sandbox run again", load: () => import("./commands/resume.ts") },
  network: { summary: "Show, check, follow and change what sandboxes may reach", load: () => import("./commands/network.ts") },
  profile: { summary: "List, show and apply profiles", load: () => import("./commands/profile.ts") },
  events: { summary: "Print what happened, and what happens", load: () => import("./commands/events.ts") },
  webhook: { summary: "Tell events to other systems, signed and until they are taken", load: () => import("./commands/webhook.ts") },
  audit: { summary: "Show who did what, and prove that nothing of it was changed", load: () => import("./commands/audit.ts") },
  keys: { summary: "Create, list, rotate and revoke API keys", load: () => import("./commands/keys.ts") },
  tenant: { summary: "Make tenants, list them, and shut one out", load: () => import("./commands/tenant.ts") },
  project: { summary: "Make parts of a tenant, list and remove them", load: () => import("./commands/project.ts") },
  quota: { summary: "Limit tenants, projects and keys, and show what is used", load: () => import("./commands/quota.ts") },
  policy: { summary: "Check, test, apply and explain the rules of admission", load: () => import("./commands/policy.ts") },
  secrets: { summary: "Store, list, rotate and remove secrets", load: () => import("./commands/secrets.ts") },
  usage: { summary: "Show what was used and what it cost, plot it, export it", load: () => import("./commands/usage.ts") },
  budget: { summary: "Set, list, show and remove budgets", load: () => import("./commands/budget.ts") },
  account: { summary: "Say who pays, add credits, read the journal", load: () => import("./commands/account.ts") },
  money: { summary: "Prove that the books balance", load: () => import("./commands/money.ts") },
  e2b: { summary: "Point programs on the E2B SDK at this server", load: () => import("./commands/e2b.ts") },
  backends: { summary: "List where sandboxes can run, and at which isolation level", load: () => import("./commands/backends.ts") },
  route: { summary: "Explain where a sandbox would run, without making it", load: () => import("./commands/route.ts") },
  fleet: { summary: "List the control planes and hosts of a shared ledger", load: () => import("./commands/fleet.ts") },
  ledger: { summary: "Look after the ledger: figures, compaction, backup, export, moving it", load: () => import("./commands/ledger.ts") },
  sweep: { summary: "End what has expired and remove orphans, now", load: () => import("./commands/sweep.ts") },
  serve: { summary: "Serve the HTTP API", load: () => import("./commands/serve.ts") },
  doctor: { summary: "Say what this host can enforce, and what would improve it", load: () => import("./commands/doctor.ts") },
  completion: { summary: "Print a completion script for bash, zsh or fish", load: () => import("./commands/completion.ts") },
  help: { summary: "Show help for a command", load: () => import("./commands/help.ts") },
  version: { summary: "Print the version", load: () => import("./commands/version.ts") },
};
