import { CATALOG } from "./catalog.ts";
import { COMMON_OPTIONS, type Command, type Live, type Option } from "./command.ts";
import { connect } from "./connect.ts";

/**
 * Answers a shell's completion script: the candidates for the last word of the command line, one a line. A candidate
 * that would have to come from an engine that cannot be reached is left out: completion must not print errors.
 */
export async function complete(words: readonly string[]): Promise<number> {
  const current = words.at(-1) ?? "";
  const candidates = await candidatesFor(words.slice(0, -1), current);
  process.stdout.write(
    candidates
      .filter((one) => one.startsWith(current))
      .map((one) => `${one}\n`)
      .join(""),
  );
  return 0;
}

async function candidatesFor(before: readonly string[], current: string): Promise<readonly string[]> {
  const [name, ...rest] = before;
  if (name === undefined) return Object.keys(CATALOG);
  const entry = Object.hasOwn(CATALOG, name) ? CATALOG[name] : undefined;
  if (entry === undefined || rest.includes("--")) return [];
  const { command } = await entry.load();
  const options: Record<string, Option> = { ...command.options, ...COMMON_OPTIONS };
  const pending = optionNamed(options, rest.at(-1));
  if (pending?.type === "string") return pending.complete === undefined ? [] : live(pending.complete);
  if (current.startsWith("-")) return Object.keys(options).map((option) => `--${option}`);
  return positional(command, positionalsIn(options, rest));
}

async function positional(command: Command, before: readonly string[]): Promise<readonly string[]> {
  const { positionals = [] } = command;
  // One kind stands for all that follow it (`rm ID...`), unless the rest is a command line.
  const kind = positionals[before.length] ?? (command.trailing === undefined && positionals.length === 1 ? positionals[0] : undefined);
  if (kind === undefined || kind === "path") return [];
  if (typeof kind === "string") return live(kind);
  return "otherwise" in kind ? live(kind[before[0] ?? ""] ?? kind.otherwise) : kind;
}

function optionNamed(options: Record<string, Option>, word: string | undefined): Option | undefined {
  if (word === undefined || !word.startsWith("-") || word.includes("=")) return undefined;
  if (word.startsWith("--")) return options[word.slice(2)];
  return Object.values(options).find(({ short }) => short === word.slice(-1));
}

function positionalsIn(options: Record<string, Option>, words: readonly string[]): string[] {
  return words.filter((word, i) => !word.startsWith("-") && optionNamed(options, words[i - 1])?.type !== "string");
}

async function live(kind: Live): Promise<string[]> {
  if (kind === "event") return Object.keys((await import("../contract/event-types.ts")).EVENT_TYPES);
  await using connection = await connect();
  if (kind === "profile")
    return [...new Set((await connection.client.profiles.list()).flatMap(({ name, version }) => [name, `${name}@${version}`]))];
  if (kind === "secret") return (await connection.client.secrets.list()).map(({ name }) => name);
  if (kind === "webhook") return (await connection.client.webhooks.list()).map(({ id }) => id);
  if (kind === "snapshot") return (await connection.client.snapshots.list()).map(({ id }) => id);
  if (kind === "image") return (await connection.client.images.list()).flatMap(({ id, references }) => [id, ...references]);
  const ids: string[] = [];
  for await (const { id } of connection.client.list({ states: ["ready", "paused", "suspended"] })) ids.push(id);
  return ids;
}
