import { z } from "zod";
import type { Sandbox } from "../../contract/index.ts";
import { NO_CONTENT, type Answer, type ControlCall } from "./call.ts";
import { unsupported } from "./errors.ts";
import { liveSandbox } from "./live.ts";
import { trafficIsPublic } from "./own-metadata.ts";

const egress = {
  allowOut: z.array(z.string()).nullish(),
  denyOut: z.array(z.string()).nullish(),
  rules: z.record(z.string(), z.unknown()).nullish(),
  egressProxy: z.record(z.string(), z.unknown()).nullish(),
};

/** `network` of a create. */
export const Network = z.strictObject({
  ...egress,
  allowPublicTraffic: z.boolean().nullish(),
  maskRequestHost: z.string().nullish(),
  httpsPorts: z.array(z.int()).nullish(),
});

const NetworkUpdate = z.strictObject({ ...egress, allow_internet_access: z.boolean().nullish() });

const NO_NETWORK = "sandboxes have no network in this version of sand-boxer";

/** Refuses every wish for a connection outwards. What is denied is denied already: there is no network at all. */
export function checkNetwork(network: z.output<typeof Network>, prefix: string): void {
  if ((network.allowOut ?? []).length > 0) throw unsupported(`${prefix}allowOut`, NO_NETWORK);
  if (Object.keys(network.rules ?? {}).length > 0) throw unsupported(`${prefix}rules`, NO_NETWORK);
  if (isSaid(network.egressProxy)) throw unsupported(`${prefix}egressProxy`, NO_NETWORK);
  if (isSaid(network.maskRequestHost)) throw unsupported(`${prefix}maskRequestHost`, "is not in this version of sand-boxer");
  if ((network.httpsPorts ?? []).length > 0) throw unsupported(`${prefix}httpsPorts`, "is not in this version of sand-boxer");
}

/** `null` is how some clients write nothing. */
function isSaid(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** PUT /sandboxes/{id}/network: replaces the rules; those that only deny change nothing here. */
export async function updateNetwork(call: ControlCall): Promise<Answer> {
  await liveSandbox(call);
  const { allow_internet_access: internet, ...network } = await call.body(NetworkUpdate);
  if (internet === true) throw unsupported("allow_internet_access", NO_NETWORK);
  checkNetwork(network, "");
  return NO_CONTENT;
}

/** The rules of a sandbox as they are in force. */
export function networkOf({ metadata }: Sandbox): Record<string, unknown> {
  return { allowOut: [], denyOut: ["0.0.0.0/0", "::/0"], allowPublicTraffic: trafficIsPublic(metadata) };
}
