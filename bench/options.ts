import { parseArgs } from "node:util";
import { burst } from "./cases/burst.ts";
import { command } from "./cases/command.ts";
import { docker } from "./cases/docker.ts";
import { e2b } from "./cases/e2b.ts";
import { engine } from "./cases/engine.ts";
import { exec } from "./cases/exec.ts";
import { files } from "./cases/files.ts";
import { idle } from "./cases/idle.ts";
import { lifecycle } from "./cases/lifecycle.ts";
import { live } from "./cases/live.ts";
import { money } from "./cases/money.ts";
import { network } from "./cases/network.ts";
import { scale } from "./cases/scale.ts";
import { router } from "./cases/router.ts";
import { policy } from "./cases/policy.ts";
import { sync } from "./cases/sync.ts";
import type { Row } from "./row.ts";
import type { Stage } from "./stage.ts";

export type Case = (stage: Stage) => Promise<Row[]>;

/** Every case by the name that `--only` takes, in the order of the results. */
export const CASES: Readonly<Record<string, Case>> = {
  lifecycle,
  exec,
  burst,
  live,
  files,
  command,
  sync,
  idle,
  e2b,
  network,
  router,
  policy,
  docker,
  money,
  engine,
  scale,
};

export interface Options {
  readonly quick: boolean;
  readonly cases: readonly string[];
  /** Directory of the results. */
  readonly out: string;
}

/** @throws Error for an unknown option or case, naming what there is. */
export function readOptions(args: readonly string[], defaultOut: string): Options {
  const { values } = parseArgs({
    args: [...args],
    options: { quick: { type: "boolean", default: false }, only: { type: "string" }, out: { type: "string", default: defaultOut } },
  });
  const known = Object.keys(CASES);
  const cases = values.only === undefined ? known : values.only.split(",");
  const unknown = cases.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`no case ${unknown.join(", ")}; there are: ${known.join(", ")}`);
  return { quick: values.quick, cases, out: values.out };
}
