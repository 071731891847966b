import type { z } from "zod";
import { type Issue, SandboxerError } from "./errors.ts";
import { nearest } from "./nearest.ts";

interface Context {
  readonly schema: z.ZodType;
  readonly value: unknown;
}

type RawIssue = z.core.$ZodIssue;

/** Steps through wrappers to the schema that has the shape: optional, default, nullable, pipe. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const def = schema._zod.def as { type: string; innerType?: z.core.$ZodType; in?: z.core.$ZodType };
  const inner = def.type === "pipe" ? def.in : def.innerType;
  return inner === undefined ? schema : unwrap(inner);
}

/** The schemas that may stand at a path: several where unions are on the way. */
function schemasAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): z.core.$ZodType[] {
  const here = unwrap(schema);
  const def = here._zod.def as {
    type: string;
    options?: readonly z.core.$ZodType[];
    shape?: Readonly<Record<string, z.core.$ZodType>>;
    element?: z.core.$ZodType;
    valueType?: z.core.$ZodType;
  };
  if (def.options !== undefined) return def.options.flatMap((option) => schemasAt(option, path));
  const [step, ...rest] = path;
  if (step === undefined) return [here];
  const next =
    def.type === "array"
      ? def.element
      : def.type === "record"
        ? def.valueType
        : Object.hasOwn(def.shape ?? {}, step)
          ? def.shape?.[String(step)]
          : undefined;
  return next === undefined ? [] : schemasAt(next, rest);
}

function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  return schemasAt(schema, path).flatMap((found) => Object.keys((found._zod.def as { shape?: object }).shape ?? {}));
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, step) =>
      typeof at === "object" && at !== null && Object.hasOwn(at, step) ? (at as Record<PropertyKey, unknown>)[step] : undefined,
    value,
  );
}

/** `a.b[0].c`, as a person writes it. */
function dotted(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, step) => (typeof step === "number" ? `${text}[${step}]` : text === "" ? String(step) : `${text}.${String(step)}`),
    "",
  );
}

function issue(path: readonly PropertyKey[], message: string, near?: string): Issue {
  return near === undefined ? { path: dotted(path), message } : { path: dotted(path), message, nearest: near };
}

function flatten(raw: RawIssue, at: readonly PropertyKey[], context: Context): Issue[] {
  const path = [...at, ...raw.path];
  if (raw.code === "unrecognized_keys") {
    const known = knownKeys(context.schema, path);
    return raw.keys.map((key) => {
      const near = nearest(key, known);
      const shown = key.length > 64 ? `${key.slice(0, 64)}...` : key;
      return issue([...path, shown], near === undefined ? `unknown key "${shown}"` : `unknown key "${shown}"; nearest: "${near}"`, near);
    });
  }
  if (raw.code === "invalid_value") {
    const given = valueAt(context.value, path);
    const values = raw.values.map(String);
    const near = typeof given === "string" ? (nearest(given, values) ?? values[0]) : values[0];
    return [issue(path, values.length > 12 ? `unknown value; nearest: "${near}"` : `must be one of: ${values.join(", ")}`, near)];
  }
  if (raw.code === "invalid_union") {
    // The branch with the fewest complaints is the one that was meant; a union that explains itself has a message of its own.
    const branch = raw.errors.toSorted((a, b) => a.length - b.length)[0];
    if (branch === undefined || branch.length === 0 || raw.message !== "Invalid input") return [issue(path, raw.message)];
    return branch.flatMap((inner) => flatten(inner, path, context));
  }
  if (raw.code === "invalid_key") return [issue(path, `bad key: ${raw.issues[0]?.message ?? raw.message}`)];
  if (raw.code === "too_small" && (raw.origin === "number" || raw.origin === "int")) return [issue(path, raw.message, String(raw.minimum))];
  if (raw.code === "too_big" && (raw.origin === "number" || raw.origin === "int")) return [issue(path, raw.message, String(raw.maximum))];
  return [issue(path, raw.message, /(?:nearest: "|must be at (?:least|most) )([^" ]+)/.exec(raw.message)?.[1])];
}

/** What zod found, as the wire tells it: a dotted path, what is wrong, and the nearest valid key or value where there is one. */
function toIssues(error: z.core.$ZodError, schema: z.ZodType, value: unknown): Issue[] {
  return error.issues.flatMap((raw) => flatten(raw, [], { schema, value })).slice(0, 50);
}

/**
 * Reads `value` by `schema`, as every door does.
 *
 * @throws SandboxerError `invalid_request` with `issues[]`; its message names the first of them and `what` was read.
 */
export function parse<Schema extends z.ZodType>(schema: Schema, value: unknown, { what }: { what: string }): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = toIssues(result.error, schema, value);
  const [first] = issues;
  const place = first === undefined || first.path === "" ? what : `${what}: ${first.path}`;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : "";
  throw new SandboxerError("invalid_request", `${place}: ${first?.message ?? "not valid"}${more}`, { issues });
}
