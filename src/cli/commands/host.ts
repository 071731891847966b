import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { formatBytes } from "../../contract/format.ts";
import { nearest } from "../../contract/nearest.ts";
import type { HostCheck, HostInfo, HostRequest } from "../../sdk/index.ts";
import type { Arguments, Command } from "../command.ts";
import { connect } from "../connect.ts";
import { OWN_FAILURE, usageError } from "../failure.ts";
import { expect } from "../parse.ts";
import { json, line, note, table } from "../print.ts";
import { plain } from "../style.ts";

const VERBS = ["add", "ls", "check", "set", "drain", "undrain", "rm"] as const;

export const command: Command = {
  usage:
    "host add NAME [OPTIONS] | host ls | host check NAME | host set NAME [OPTIONS] | host drain NAME | host undrain NAME | host rm NAME",
  about: `Adds a host while servers run: it becomes a backend of that name at every server of the ledger, of provider ssh, or docker by
SSH. check asks it whether it is there and what it gives, and exits 125 where it is not. drain sends nothing new there, moves nothing, and names what
still lives; rm is refused until that has ended. Creates go where there is room by the capacity that add and set say; set replaces it.`,
  options: {
    provider: { type: "string", value: "PROVIDER", about: "add: ssh, which is taken unless given, or docker" },
    address: { type: "string", value: "ADDRESS[:PORT]", about: "add: where its sshd listens" },
    user: { type: "string", value: "USER", about: "add: the login there; root unless given" },
    key: { type: "string", value: "FILE", about: "add: private key, at the servers; what ssh does by itself unless given" },
    "host-key": { type: "string", multiple: true, value: "KEY", about: "add: its public key, as known_hosts has it; known_hosts itself unless given" },
    options: { type: "string", value: "FILE", about: "add: JSON of all options of the provider instead; '-' is standard input" },
    cpu: { type: "string", value: "CPUS", about: "add, set: for all sandboxes there together" },
    memory: { type: "string", value: "SIZE", about: "add, set: the same" },
    sandboxes: { type: "string", value: "COUNT", about: "add, set: at once" },
  }, // prettier-ignore
  positionals: [VERBS],
  examples: [
    ["host add box1 --address 10.0.0.7 --key /etc/sandboxer/box1 --sandboxes 20", "a host by SSH, which known_hosts has"],
    ["host check box1", "is it there, and what does it give?"],
    ["host drain box1", "nothing new goes there"],
    ["host rm box1", "once nothing lives there"],
  ],
  async run(args) {
    const [verb = "ls"] = args.positionals;
    const known = VERBS.find((one) => one === verb);
    if (known === undefined) throw usageError("host", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "ls"}"?`);
    const [, name = ""] = known === "ls" ? expect("host", args, "VERB?") : expect("host", args, "VERB", "NAME");
    const request = known === "add" ? await requestOf(name, args) : undefined;
    await using connection = await connect();
    const { hosts } = connection.client;
    if (known === "ls") {
      const found = await hosts.list();
      await (args.json ? json(found) : shown(found));
    } else if (known === "check") {
      const check = await hosts.check(name);
      await (args.json ? json(check) : told(check));
      return check.reachable ? 0 : OWN_FAILURE;
    } else if (known === "rm") {
      await hosts.remove(name);
      await (args.json ? json({ name, removed: true }) : line(name));
    } else if (request !== undefined) {
      const host = await hosts.add(request);
      await (args.json ? json(host) : line(host.name));
      if (!host.available) note(`it cannot be used yet: ${host.reason ?? ""}`);
    } else {
      const changed = await (known === "set" ? hosts.change(name, { capacity: capacityOf(args) }) : hosts.drain(name, known === "drain"));
      await (args.json ? json(changed) : line(changed.name));
      if (!args.json && known === "drain") {
        for (const id of changed.remaining) await line(`  ${id}`);
        note(`${changed.remaining.length} still live there`);
      }
    } // prettier-ignore
    return 0;
  },
};

async function requestOf(name: string, args: Arguments): Promise<HostRequest> {
  const provider = args.text("provider") ?? "ssh";
  if (provider !== "ssh" && provider !== "docker") throw usageError("host", `--provider is ssh or docker; got "${provider}"`);
  return { name, provider, options: await optionsOf(provider, args), capacity: capacityOf(args) };
}

async function optionsOf(provider: "ssh" | "docker", args: Arguments): Promise<Record<string, unknown>> {
  const [file, address] = [args.text("options"), args.text("address")];
  if ((file === undefined) === (address === undefined)) throw usageError("host", "give one of --address and --options");
  if (file !== undefined) {
    try {
      return JSON.parse(file === "-" ? await text(process.stdin) : readFileSync(file, "utf8")) as Record<string, unknown>;
    } catch (cause) {
      throw usageError("host", `--options ${file}: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  }
  const [, host = "", port] = /^(.+?)(?::(\d{1,5}))?$/.exec(address ?? "") ?? [];
  const [user, key, keys] = [args.text("user"), args.text("key"), args.all("host-key")];
  const ssh = {
    reach: { form: "direct", address: host, ...(port === undefined ? {} : { port: Number(port) }) },
    ...(user === undefined ? {} : { user }),
    ...(key === undefined ? {} : { identity: { form: "file", private_key: key } }),
    ...(keys.length === 0 ? {} : { host_key: { form: "pinned", keys: [...keys] } }),
  };
  return provider === "ssh" ? ssh : { ssh };
}

function capacityOf(args: Arguments): NonNullable<HostRequest["capacity"]> {
  const [cpu, memory, sandboxes] = [args.text("cpu"), args.text("memory"), args.text("sandboxes")];
  return {
    ...(cpu === undefined ? {} : { cpu: number("cpu", cpu) }),
    ...(memory === undefined ? {} : { memory }),
    ...(sandboxes === undefined ? {} : { sandboxes: number("sandboxes", sandboxes) }),
  };
}

function number(option: string, given: string): number {
  if (/^\d+(\.\d+)?$/.test(given)) return Number(given);
  throw usageError("host", `--${option} is a number; got "${given}"`);
}

async function shown(hosts: readonly HostInfo[]): Promise<void> {
  const of = (used: string, limit: string | null) => `${used} of ${limit ?? "any"}`;
  await table(
    ["HOST", "PROVIDER", "STATE", "SANDBOXES", "CPU", "MEMORY"],
    hosts.map(({ name, provider, draining, available, reason, capacity, used }) => [
      name,
      provider,
      `${draining ? "draining, " : ""}${available ? "available" : `unavailable: ${reason ?? "no reason given"}`}`,
      of(String(used.sandboxes), capacity.sandboxes === null ? null : String(capacity.sandboxes)),
      of(String(Math.round(used.cpu * 100) / 100), capacity.cpu === null ? null : String(capacity.cpu)),
      of(formatBytes(used.memory_bytes), capacity.memory_bytes === null ? null : formatBytes(capacity.memory_bytes)),
    ]),
  );
}

async function told({ name, reachable, reason, isolation, found, answered_ms }: HostCheck): Promise<void> {
  await line(
    reachable
      ? `${name}: answered in ${answered_ms ?? 0} ms, ${found ?? 0} sandboxes of ours there`
      : plain(`${name}: not reached: ${reason ?? ""}`),
  );
  for (const { level, runtime, notes } of isolation) {
    await line(plain(`  ${level} (${runtime})`));
    for (const one of notes) await line(plain(`    ${one}`));
  }
}
