import type { Local } from "./local-engine.ts";

/** The median of some figures. */
function median(figures: number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN;
}

export interface Health {
  readonly rounds: number;
  /** Everything that did not answer as it should. */
  readonly failures: readonly string[];
}

/** Uses a sibling sandbox and the HTTP API over and over while `attack` runs, and prints how long that took beside how long it takes in peace. */
export async function healthUnder(local: Local, what: string, attack: () => Promise<unknown>): Promise<Health> {
  const sibling = await local.create();
  const { url, key } = await local.listen();
  const headers = { authorization: `Bearer ${await key()}`, "content-type": "application/json" };
  const failures: string[] = [];
  const once = async (round: number): Promise<number> => {
    const began = performance.now();
    const said = await local.sh(sibling.id, `echo sibling-${round}`);
    if (said.exitCode !== 0 || said.stdout !== `sibling-${round}\n`) failures.push(`exec ${round}: ${JSON.stringify(said)}`);
    const health = await fetch(`${url}/health`);
    if (!health.ok) failures.push(`health ${round}: ${health.status}`);
    const shown = await fetch(`${url}/v1/sandboxes/${sibling.id}`, { headers });
    if (((await shown.json()) as { state?: string }).state !== "ready") failures.push(`show ${round}: ${shown.status}`);
    return performance.now() - began;
  };
  const peace: number[] = [];
  for (let round = 0; round < 5; round++) peace.push(await once(round));
  const attacked: number[] = [];
  const state = { over: false };
  const attacking = attack().finally(() => (state.over = true));
  while (!state.over) attacked.push(await once(attacked.length));
  await attacking;
  // The API still makes new ones, too.
  const made = await fetch(`${url}/v1/sandboxes`, { method: "POST", headers, body: "{}" });
  if (made.status !== 201) failures.push(`create: ${made.status}`);
  console.log(
    `${what}: exec + 2 calls at a sibling, median ${median(peace).toFixed(1)} ms in peace, ${median(attacked).toFixed(1)} ms under attack (${attacked.length} rounds)`,
  );
  return { rounds: attacked.length, failures };
}
