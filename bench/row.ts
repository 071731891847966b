import type { Figure } from "./figures.ts";

/** One line of the results. */
export interface Row {
  /** Name of the case it comes from, as `--only` takes it. */
  readonly case: string;
  readonly what: string;
  readonly unit: "ms" | "s" | "MiB" | "MiB/s" | "/s" | "x";
  readonly ours: Figure;
  /** The raw runtime by hand, or another peer, measured in the same run; absent where there is none. */
  readonly peer?: { readonly name: string; readonly figure: Figure };
  /** What is held against the target; absent for a row that only informs. */
  readonly target?: Target;
  readonly note?: string;
}

export interface Target {
  /** The measured value, in the terms of the bound. */
  readonly value: number;
  readonly direction: "at_most" | "at_least";
  readonly bound: number;
  /** What value and bound count: "x raw", "ms", "MiB". */
  readonly of: string;
}

export type Verdict = "met" | "missed" | "for information";

export function verdict({ target }: Row): Verdict {
  if (target === undefined) return "for information";
  return (target.direction === "at_most" ? target.value <= target.bound : target.value >= target.bound) ? "met" : "missed";
}

/** Ours over the peer's medians; undefined without a peer. */
export function ratio({ ours, peer }: Row): number | undefined {
  return peer === undefined ? undefined : ours.median / peer.figure.median;
}

/** A row whose target is a bound on its ratio to the peer. */
export function beside(
  row: Pick<Row, "case" | "what" | "unit" | "ours" | "note"> & { readonly peer: NonNullable<Row["peer"]> },
  direction: Target["direction"],
  bound: number,
): Row {
  return { ...row, target: { value: row.ours.median / row.peer.figure.median, direction, bound, of: `x ${row.peer.name}` } };
}

/** Thrown by a case that cannot be measured here; its message says why. */
export class NotMeasured extends Error {}
