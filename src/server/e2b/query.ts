import { SandboxerError } from "../../contract/index.ts";

/** The parameters of a control-plane address. Those that nobody asks for are let be, as E2B does. */
export class ControlQuery {
  readonly #parameters: URLSearchParams;

  constructor(parameters: URLSearchParams) {
    this.#parameters = parameters;
  }

  text(name: string): string | undefined {
    const value = this.#parameters.get(name);
    return value === null || value === "" ? undefined : value;
  }

  /** A whole number within the bounds. Throws `invalid_request`. */
  integer(name: string, { min, max }: { min: number; max: number }): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw badParameter(name, `must be a whole number from ${min} to ${max}`);
  }

  /** One of `known`, or a list of them separated by commas or given several times. Throws `invalid_request`. */
  choices<Choice extends string>(name: string, known: readonly Choice[]): Choice[] | undefined {
    const given = this.#parameters
      .getAll(name)
      .flatMap((text) => text.split(","))
      .filter((text) => text !== "");
    if (given.length === 0) return undefined;
    return given.map((text) => {
      const choice = known.find((one) => one === text);
      if (choice === undefined) throw badParameter(name, `must be of ${known.join(", ")}`);
      return choice;
    });
  }

  time(name: string): Date | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const time = new Date(text);
    if (Number.isNaN(time.getTime())) throw badParameter(name, "must be a time as 2026-01-31T12:00:00Z");
    return time;
  }

  /**
   * Pairs of names and values. The SDK escapes each, makes a query string of them, and escapes that again as the value of
   * this parameter: the last was undone when the address was read, the other two are undone here.
   */
  pairs(name: string): Record<string, string> | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const pairs = new Map<string, string>();
    for (const [key, value] of new URLSearchParams(text)) {
      try {
        pairs.set(decodeURIComponent(key), decodeURIComponent(value));
      } catch {
        throw badParameter(name, "has a bad percent-escape");
      }
    }
    return Object.fromEntries(pairs);
  }
}

export function badParameter(path: string, message: string): SandboxerError {
  return new SandboxerError("invalid_request", `query parameter "${path}" ${message}`, { issues: [{ path, message }] });
}
