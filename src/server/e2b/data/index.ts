import { SandboxerError } from "../../../contract/index.ts";
import type { DataCall, E2bContext } from "../context.ts";
import { download } from "./files/download.ts";
import { upload } from "./files/upload.ts";
import { metrics } from "./metrics.ts";
import { respond } from "./respond.ts";
import { answerRpc, isRpc } from "./rpc.ts";
import { Session } from "./session.ts";

/**
 * Answers what is sent to E2B's agent in a sandbox.
 *
 * @throws SandboxerError `wrong_state` or `sandbox_not_found` where the sandbox does not run; others for what is not a Connect call.
 */
export async function handleEnvd(ctx: E2bContext, call: DataCall): Promise<Response> {
  const session = await Session.open(ctx, call);
  const { method, url } = call.request;
  const { pathname } = new URL(url);
  if (pathname === "/health" && (method === "GET" || method === "HEAD")) return respond(call, 204, null);
  if (pathname === "/files" && (method === "GET" || method === "HEAD")) return download(session);
  if (pathname === "/files" && method === "POST") return upload(session);
  if (pathname === "/metrics" && method === "GET") return metrics(session);
  if (isRpc(pathname)) return answerRpc(session, pathname);
  throw new SandboxerError("not_found", `E2B's agent has no ${method} ${pathname} here`);
}
