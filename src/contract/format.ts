/** Bytes as a person reads them: `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Seconds as a person reads them: `1h 30m`, `12s`, `250ms`. */
export function formatDuration(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)}ms`;
  const parts: string[] = [];
  let rest = Math.round(seconds);
  for (const [unit, size] of [
    ["d", 86_400],
    ["h", 3600],
    ["m", 60],
    ["s", 1],
  ] as const) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count}${unit}`);
    rest -= count * size;
  }
  return parts.slice(0, 2).join(" ") || "0s";
}

/** Micro-dollars as a person reads them: `$1.25`, `$0.000034`, `-$3.00`. Exact. */
export function formatUsd(microUsd: number): string {
  const digits = String(Math.abs(microUsd)).padStart(7, "0");
  const fraction = digits.slice(-6).replace(/0{1,4}$/, "");
  return `${microUsd < 0 ? "-" : ""}$${digits.slice(0, -6)}.${fraction}`;
}

/** Micro-dollars of an amount as a person writes it: `5`, `$0.05`, `-1.25`. undefined: not one, finer than a micro-dollar, or too large to be exact. */
export function parseUsd(text: string): number | undefined {
  const [, minus, whole, fraction = ""] = /^(-?)\$?(\d{1,9})(?:\.(\d{1,6}))?$/.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const amount = Number(whole) * 1_000_000 + Number(fraction.padEnd(6, "0"));
  return minus === "-" && amount !== 0 ? -amount : amount;
}
