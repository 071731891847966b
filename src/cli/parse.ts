import { parseArgs } from "node:util";
import { nearest } from "../contract/nearest.ts";
import { COMMON_OPTIONS, type Arguments, type Command, type Option } from "./command.ts";
import { usageError } from "./failure.ts";

/** Parses a command's arguments strictly: an unknown option names the nearest one. */
export function parse(name: string, command: Pick<Command, "options" | "trailing">, argv: readonly string[]): Arguments {
  const options: Record<string, Option> = { ...command.options, ...COMMON_OPTIONS };
  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(
      Object.entries(options).map(([key, { type, short }]) => [key, short === undefined ? { type } : { type, short }]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const given = new Map<string, string[]>();
  const positionals: string[] = [];
  let trailing: string[] = [];
  for (const token of tokens) {
    if (token.kind === "option-terminator") {
      trailing = argv.slice(token.index + 1);
      break;
    }
    if (token.kind === "positional") {
      if (positionals.length === command.trailing) {
        trailing = argv.slice(token.index);
        break;
      }
      positionals.push(token.value);
      continue;
    }
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (option === undefined) throw unknownOption(name, token.rawName, Object.keys(options));
    if (option.type === "string" && token.value === undefined)
      throw usageError(name, `${token.rawName} needs a value: ${option.value ?? "VALUE"}`);
    if (option.type === "boolean" && token.value !== undefined) throw usageError(name, `${token.rawName} takes no value`);
    const values = given.get(token.name) ?? [];
    if (values.length > 0 && option.multiple !== true && option.type === "string")
      throw usageError(name, `${token.rawName} is given twice`);
    given.set(token.name, [...values, token.value ?? ""]);
  }
  if (command.trailing === undefined) positionals.push(...trailing);
  return {
    positionals,
    trailing: command.trailing === undefined ? [] : trailing,
    json: given.has("json"),
    flag: (key) => given.has(key),
    text: (key) => given.get(key)?.[0],
    all: (key) => given.get(key) ?? [],
  };
}

/** Exactly the arguments named, or a usage error that names what is missing. A name ending in "?" may be left out. */
export function expect(name: string, args: Arguments, ...names: string[]): string[] {
  const missing = names.slice(args.positionals.length).find((one) => !one.endsWith("?"));
  if (missing !== undefined) throw usageError(name, `${missing} is missing`);
  if (args.positionals.length > names.length) throw usageError(name, `unexpected argument "${args.positionals[names.length]}"`);
  return [...args.positionals];
}

/** `K=V` pairs. A bare `K` takes its value from our own environment where `inherit` allows that. */
export function pairs(name: string, option: string, values: readonly string[], inherit = false): Record<string, string> {
  const found: Record<string, string> = {};
  for (const value of values) {
    const at = value.indexOf("=");
    const inherited = at === -1 && inherit ? process.env[value] : undefined;
    if (at <= 0 && inherited === undefined) {
      throw usageError(
        name,
        `--${option} must be KEY=VALUE${inherit ? ", or the name of a variable that is set here" : ""}; got "${at === -1 ? value : "=..."}"`,
      );
    }
    found[at === -1 ? value : value.slice(0, at)] = inherited ?? value.slice(at + 1);
  }
  return found;
}

/** A duration as the API takes it: a bare number is seconds. */
export function duration(text: string): number | string {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

/** A whole number at least 0. */
export function count(name: string, option: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw usageError(name, `--${option} must be a whole number; got "${text}"`);
  return Number(text);
}

function unknownOption(name: string, raw: string, known: string[]): Error {
  const near = nearest(raw.replace(/^-+/, ""), known);
  return usageError(name, `unknown option ${raw}${near === undefined ? "" : `; did you mean --${near}?`}`);
}
