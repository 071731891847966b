import { addMeasurements, pruneMeasurements, readMeasurements } from "../../ledger/index.ts";
import type { Context } from "../context.ts";
import { WINDOW_MS } from "./rolling.ts";

/** How often what other processes measured is taken in. */
const REREAD_MS = 60_000;

/** Adds what was measured since the last time to the ledger. */
export async function saveMeasurements(ctx: Context): Promise<void> {
  const unsaved = ctx.measure.rolling.takeUnsaved();
  if (unsaved.length > 0) await ctx.ledger.transaction((tx) => addMeasurements(tx, unsaved));
}

async function reread(ctx: Context): Promise<void> {
  ctx.measure.rolling.replace(await readMeasurements(ctx.ledger.db, ctx.clock.now() - WINDOW_MS));
}

/** Resolves when what earlier and other processes measured has been read once. Not needed where there is nothing to choose from. */
export function measurementsRead(ctx: Context): Promise<void> {
  const { measure } = ctx;
  if (measure.read !== null) return measure.read.reading;
  const reading = reread(ctx);
  measure.read = { at: ctx.clock.now(), reading };
  // One that failed is tried again by the next create.
  reading.catch(() => (measure.read = null));
  return reading;
}

/** Saves, forgets what is old, and now and then takes in what other processes measured. */
export async function keepMeasurements(ctx: Context): Promise<void> {
  await saveMeasurements(ctx);
  const now = ctx.clock.now();
  await pruneMeasurements(ctx.ledger.db, now - WINDOW_MS);
  const { read } = ctx.measure;
  if (read === null || Math.abs(now - read.at) < REREAD_MS) return;
  read.at = now;
  await reread(ctx);
}
