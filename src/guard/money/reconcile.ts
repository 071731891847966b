/** Figures of one stay, by their names: `micro_usd`, `vcpu_seconds`, `mem_mib_seconds`. */
export type Figures = Readonly<Record<string, number>>;

/** Percent above which two sources are said to differ. */
export const DIFFERENCE_PERCENT = 5;

/**
 * The largest difference between two sources, in percent of ours, over the figures that both have; null where they have none in common.
 * Time is metered in whole seconds, so that a difference of one unit or less is none.
 */
export function differenceOf(ours: Figures, theirs: Figures): number | null {
  let largest: number | null = null;
  for (const [name, own] of Object.entries(ours)) {
    const other = Object.hasOwn(theirs, name) ? theirs[name] : undefined;
    if (other === undefined) continue;
    const apart = Math.abs(own - other);
    const percent = apart <= 1 ? 0 : own === 0 ? 100 : (apart / own) * 100;
    largest = Math.max(largest ?? 0, percent);
  }
  return largest;
}
