import type * as Cedar from "@cedar-policy/cedar-wasm/nodejs";
import { SandboxerError } from "../../contract/index.ts";

export type { EntityJson, PolicyJson, StatefulAuthorizationCall } from "@cedar-policy/cedar-wasm/nodejs";
export type CedarModule = typeof Cedar;

let loading: Promise<CedarModule> | undefined;

/**
 * The evaluator: 4.3 MB of WebAssembly, loaded in about 25 ms when a policy is first needed, and never without one.
 *
 * @throws SandboxerError `policy_unavailable`
 */
export async function loadCedar(): Promise<CedarModule> {
  loading ??= import("@cedar-policy/cedar-wasm/nodejs");
  try {
    return await loading;
  } catch (cause) {
    loading = undefined;
    throw new SandboxerError("policy_unavailable", "the evaluator of the policy, @cedar-policy/cedar-wasm, cannot be loaded", {
      phase: "policy",
      cause,
    });
  }
}
