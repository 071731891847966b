import { z } from "zod";
import { nearest } from "./nearest.ts";

export { formatBytes, formatDuration, formatUsd } from "./format.ts";

const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
};

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };

function parse(text: string, units: Readonly<Record<string, number>>, what: string): number | string {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim());
  if (match === null) {
    return `${what} must be a number and a unit (${Object.keys(units).join(", ")}), as in "${what === "size" ? "512MiB" : "30m"}"`;
  }
  const [, amount = "", unit = ""] = match;
  const factor = units[unit];
  if (factor === undefined) {
    const near = nearest(unit, Object.keys(units)) ?? Object.keys(units)[0];
    return `unknown unit "${unit}"; nearest: "${amount}${near}"`;
  }
  return Number(amount) * factor;
}

function unitSchema(units: Readonly<Record<string, number>>, what: string, meta: { id: string; description: string; examples: unknown[] }) {
  return z
    .union([z.number(), z.string()], { error: `${what} must be a number or a string with a unit` })
    .transform((value, context): number => {
      const parsed = typeof value === "number" ? value : parse(value, units, what);
      if (typeof parsed === "string") {
        context.addIssue({ code: "custom", message: parsed });
        return z.NEVER;
      }
      if (!Number.isFinite(parsed) || parsed < 0 || parsed > Number.MAX_SAFE_INTEGER) {
        context.addIssue({ code: "custom", message: `${what} must not be negative or beyond 2^53` });
        return z.NEVER;
      }
      return what === "size" ? Math.floor(parsed) : parsed;
    })
    .meta(meta);
}

/** A size, as `"512MiB"`, `"2GB"` or a number of bytes; read as bytes. */
export const Size = unitSchema(SIZE_UNITS, "size", {
  id: "Size",
  description: 'A size: a string with a unit ("512MiB", "2GB") or a number of bytes.',
  examples: ["512MiB"],
});

/** A duration, as `"30m"`, `"1.5h"`, `"500ms"` or a number of seconds; read as seconds. */
export const Duration = unitSchema(DURATION_UNITS, "duration", {
  id: "Duration",
  description: 'A duration: a string with a unit ("500ms", "30s", "30m", "8h") or a number of seconds.',
  examples: ["30m"],
});
