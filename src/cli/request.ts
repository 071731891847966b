import type { CreateRequest } from "../sdk/index.ts";
import type { Arguments, Option } from "./command.ts";
import { usageError } from "./failure.ts";
import { count, duration, pairs } from "./parse.ts";
import { ROUTING_OPTIONS, routingFrom } from "./routing-options.ts";

/** What `create`, `run` and `route` take to say which sandbox is wanted. */
export const REQUEST_OPTIONS = {
  profile: {
    type: "string",
    short: "p",
    value: "NAME[@VERSION]",
    about: "Profile to make it from (default); :warm or :floor behind it: sort by cold_start or price",
    complete: "profile",
  },
  name: { type: "string", value: "NAME", about: "A name for people" },
  metadata: { type: "string", short: "m", multiple: true, value: "KEY=VALUE", about: "A label; may be repeated" },
  ttl: { type: "string", value: "DURATION", about: "Ends then unless renewed (30m)" },
  idle: { type: "string", value: "DURATION", about: "Ends after this long without use" },
  "max-life": { type: "string", value: "DURATION", about: "Ends then whatever happens" },
  cpu: { type: "string", value: "CPUS", about: "CPUs; a fraction is a share of one" },
  memory: { type: "string", value: "SIZE", about: "Memory (512MiB)" },
  disk: { type: "string", value: "SIZE", about: "Disk (2GiB)" },
  pids: { type: "string", value: "COUNT", about: "Processes and threads at once" },
  isolation: { type: "string", value: "LEVEL", about: "At least this: process, container, gvisor or microvm" },
  ...ROUTING_OPTIONS,
} as const satisfies Record<string, Option>;

/** The request as the API takes it. Units and names are checked there, where the answer names the nearest valid one. */
export function requestFrom(command: string, args: Arguments, env: Record<string, string> = {}): CreateRequest {
  const request: Record<string, unknown> = {};
  const set = (key: string, value: unknown) => {
    if (value !== undefined) request[key] = value;
  };
  const time = (option: string) => {
    const text = args.text(option);
    return text === undefined ? undefined : duration(text);
  };
  set("profile", args.text("profile"));
  set("name", args.text("name"));
  set("ttl", time("ttl"));
  set("idle", time("idle"));
  set("max_life", time("max-life"));
  const isolation = args.text("isolation");
  if (isolation !== undefined) request["isolation_level"] = { min: isolation };
  set("routing", routingFrom(command, args));
  const metadata = pairs(command, "metadata", args.all("metadata"));
  if (Object.keys(metadata).length > 0) request["metadata"] = metadata;
  if (Object.keys(env).length > 0) request["env"] = env;
  const resources = resourcesFrom(command, args);
  if (Object.keys(resources).length > 0) request["resources"] = resources;
  return request;
}

function resourcesFrom(command: string, args: Arguments): Record<string, unknown> {
  const resources: Record<string, unknown> = {};
  const cpu = args.text("cpu");
  if (cpu !== undefined) {
    if (!/^\d+(\.\d+)?$/.test(cpu)) throw usageError(command, `--cpu must be a number; got "${cpu}"`);
    resources["cpu"] = Number(cpu);
  }
  for (const size of ["memory", "disk"] as const) {
    const text = args.text(size);
    if (text !== undefined) resources[size] = /^\d+$/.test(text) ? Number(text) : text;
  }
  const pids = args.text("pids");
  if (pids !== undefined) resources["pids"] = count(command, "pids", pids);
  return resources;
}

/** What `run` and `exec` take to say how the command runs. */
export const EXEC_OPTIONS = {
  env: {
    type: "string",
    short: "e",
    multiple: true,
    value: "KEY[=VALUE]",
    about: "A variable for the command; a bare KEY takes its value from here",
  },
  cwd: { type: "string", short: "w", value: "DIR", about: "Working directory inside" },
  user: { type: "string", short: "u", value: "USER", about: "A name or uid[:gid] inside" },
  timeout: { type: "string", value: "SECONDS", about: "End the command's whole process tree then (90, 5m); exit 124" },
  tty: { type: "boolean", short: "t", about: "Give the command a terminal, joined to this one" },
  interactive: { type: "boolean", short: "i", about: "Pass standard input on even where it is a terminal" },
} as const satisfies Record<string, Option>;

/** The same, read. */
export function foregroundFrom(command: string, args: Arguments) {
  const timeout = args.text("timeout");
  if (args.flag("tty") && args.json) throw usageError(command, "--tty and --json cannot be used together");
  return {
    env: pairs(command, "env", args.all("env"), true),
    cwd: args.text("cwd"),
    user: args.text("user"),
    timeout: timeout === undefined ? undefined : duration(timeout),
    tty: args.flag("tty"),
    interactive: args.flag("interactive"),
  };
}
