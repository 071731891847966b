import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import type * as Yaml from "yaml";
import { ensureDataDirectory } from "./cli/data-directory.ts";
import { Config, parse, PriceBook, SandboxerError } from "./contract/index.ts";
import { type Prices, pricesOf } from "./guard/index.ts";

/** Makes it where it is missing. Throws `storage_unavailable`. */
export function makeDataDirectory(directory: string): void {
  try {
    ensureDataDirectory(directory);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown";
    throw new SandboxerError("storage_unavailable", `cannot make the data directory ${directory} (${code})`, {
      phase: "open",
      hint: "Set SANDBOXER_DATA to a directory that this account may write.",
      cause,
    });
  }
}

/** `sand-boxer.yaml`, or the file that SANDBOXER_CONFIG names; every field has a default. Throws `invalid_request` naming the field. */
export function readConfig(dataDir: string): Config {
  const { SANDBOXER_CONFIG: named } = process.env;
  const path = named !== undefined && named !== "" ? named : join(dataDir, "sand-boxer.yaml");
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" && path !== named) return {};
    throw new SandboxerError("invalid_request", `cannot read the configuration ${path} (${code ?? "unknown"})`, {
      phase: "open",
      hint: "Correct SANDBOXER_CONFIG or the file's permissions.",
      cause,
    });
  }
  return parse(Config, document(path, text) ?? {}, { what: path });
}

function document(path: string, text: string): unknown {
  try {
    return parseYaml(text);
  } catch (cause) {
    throw new SandboxerError("invalid_request", `${path} is not YAML: ${cause instanceof Error ? cause.message : String(cause)}`, {
      phase: "open",
      cause,
    });
  }
}

/**
 * What the configured backends cost. Without prices of the operator's own, `prices.json` is read when a price is first asked for.
 *
 * @throws SandboxerError `invalid_request` for prices of the operator's that cannot be read or are wrong, naming the field.
 */
export function readPrices(dataDir: string, config: Config): Prices {
  const backends = config.backends ?? [{ name: "local", provider: "local" }];
  // Its form is held by a test, not checked again at each start.
  const shipped = () => JSON.parse(readFileSync(join(import.meta.dirname, "../prices.json"), "utf8")) as PriceBook;
  const { prices: own } = config;
  const prices = pricesOf(backends, () => (own === undefined ? [shipped()] : [shipped(), readBook(resolve(dataDir, own))]));
  // What the operator wrote is checked at the start, not at the first create.
  const [first] = backends;
  if (first !== undefined && (own !== undefined || backends.some(({ price }) => price !== undefined))) prices.of(first.name);
  return prices;
}

function readBook(path: string): PriceBook {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new SandboxerError("invalid_request", `prices: cannot read ${path} (${(cause as NodeJS.ErrnoException).code ?? "unknown"})`, {
      phase: "open",
      issues: [{ path: "prices", message: "must name a readable file; relative ones start at the data directory" }],
      cause,
    });
  }
  return parse(PriceBook, document(path, text), { what: path });
}

/** Aliases are refused: a few bytes of them can stand for gigabytes. Loaded when there is something to parse. */
export function parseYaml(text: string): unknown {
  const yaml = createRequire(import.meta.url)("yaml") as Pick<typeof Yaml, "parse">;
  return yaml.parse(text, { maxAliasCount: 0 }) as unknown;
}
