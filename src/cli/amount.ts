import { parseUsd } from "../contract/format.ts";
import { usageError } from "./failure.ts";

/** An amount of dollars from the command line, in micro-dollars. */
export function dollars(command: string, what: string, text: string): number {
  const amount = parseUsd(text);
  if (amount === undefined) throw usageError(command, `${what} "${text}" is not an amount of dollars, as in 25 or 0.05`);
  return amount;
}
