import type { Sandbox } from "../../contract/index.ts";
import type { ControlCall } from "./call.ts";
import { ENVD_VERSION, type E2bContext } from "./context.ts";
import { networkOf } from "./network.ts";
import { trafficIsPublic, visibleMetadata } from "./own-metadata.ts";
import { templateOf } from "./template.ts";

const MIB = 1024 ** 2;
/** E2B's name for the host a sandbox is on; its SDKs do nothing with it. */
const CLIENT_ID = "sandboxer";

/** What create and connect answer: everything the SDK needs to talk to the sandbox. */
export function sandboxAnswer(ctx: E2bContext, sandbox: Sandbox): Record<string, unknown> {
  const { id, metadata } = sandbox;
  return {
    templateID: templateOf(sandbox),
    sandboxID: id,
    clientID: CLIENT_ID,
    envdVersion: ENVD_VERSION,
    envdAccessToken: ctx.tokens.envd(id),
    // Where it is sent, the SDK's users know that their requests to ports must carry it.
    ...(trafficIsPublic(metadata) ? {} : { trafficAccessToken: ctx.tokens.traffic(id) }),
    domain: ctx.domain(),
  };
}

/** One of a list. */
export function listedSandbox(sandbox: Sandbox): Record<string, unknown> {
  const { id, resources, name } = sandbox;
  return {
    templateID: templateOf(sandbox),
    ...(name === null ? {} : { alias: name }),
    sandboxID: id,
    clientID: CLIENT_ID,
    startedAt: sandbox.created_at,
    endAt: endAt(sandbox),
    // Whole ones only on this wire; a share of one is told as one.
    cpuCount: Math.max(1, Math.ceil(resources.cpu)),
    memoryMB: Math.floor(resources.memory_bytes / MIB),
    diskSizeMB: Math.floor(resources.disk_bytes / MIB),
    metadata: visibleMetadata(sandbox),
    state: sandbox.state === "ready" ? "running" : "paused",
    envdVersion: ENVD_VERSION,
    volumeMounts: [],
  };
}

/** Everything about one. */
export async function sandboxInfo(call: ControlCall, sandbox: Sandbox): Promise<Record<string, unknown>> {
  const { ctx } = call;
  return {
    ...listedSandbox(sandbox),
    envdAccessToken: ctx.tokens.envd(sandbox.id),
    domain: ctx.domain(),
    allowInternetAccess: false,
    network: await networkOf(call, sandbox),
    lifecycle: {
      autoResume: sandbox.lifetime.on_use === "resume",
      onTimeout: sandbox.lifetime.on_expire === "terminate" ? "kill" : "pause",
    },
  };
}

/** When it ends unless it is used or renewed: the first of its clocks. */
function endAt({ expires_at, max_life_at }: Sandbox): string {
  return Date.parse(max_life_at) < Date.parse(expires_at) ? max_life_at : expires_at;
}
