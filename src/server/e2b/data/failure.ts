import { Code, ConnectError } from "@connectrpc/connect";
import type { ErrorCode, SandboxerError } from "../../../contract/index.ts";
import { toPublic } from "../../reply.ts";
import { Gone, type Session } from "./session.ts";

/**
 * Our codes in Connect's. `unavailable` is left out on purpose: to the SDK it says that the sandbox is gone, so only
 * that is told with it; and `resource_exhausted` says that requests come too fast.
 */
const CODES: Partial<Record<ErrorCode, Code>> = {
  invalid_request: Code.InvalidArgument,
  capability_unsupported: Code.InvalidArgument,
  body_too_large: Code.InvalidArgument,
  output_limit: Code.InvalidArgument,
  unauthorized: Code.Unauthenticated,
  forbidden: Code.PermissionDenied,
  policy_denied: Code.PermissionDenied,
  file_denied: Code.PermissionDenied,
  process_not_found: Code.NotFound,
  file_not_found: Code.NotFound,
  not_found: Code.NotFound,
  wrong_state: Code.FailedPrecondition,
  file_conflict: Code.FailedPrecondition,
  conflict: Code.FailedPrecondition,
  quota_exceeded: Code.FailedPrecondition,
  backend_rate_limited: Code.ResourceExhausted,
  timeout: Code.DeadlineExceeded,
  request_timeout: Code.DeadlineExceeded,
  canceled: Code.Canceled,
  backend_unavailable: Code.Aborted,
  storage_unavailable: Code.Aborted,
  shutting_down: Code.Aborted,
  outcome_unknown: Code.DataLoss,
};

function connectError(error: SandboxerError): ConnectError {
  return new ConnectError(error.message, CODES[error.code] ?? Code.Internal);
}

/**
 * What was thrown, for a Connect client. A sandbox that has ended meanwhile is `unavailable`; where `streams`, its
 * connection is broken off, which is how the SDK learns of it in the middle of a stream.
 */
export async function explain(session: Session, thrown: unknown, streams: boolean): Promise<ConnectError> {
  if (thrown instanceof ConnectError) return thrown;
  if (thrown instanceof Gone) return gone(session, streams);
  const error = toPublic(thrown);
  if (error.code === "internal") session.ctx.log.error({ request_id: session.call.requestId, err: thrown }, "a call of E2B's agent failed");
  // Nobody reads what comes after a client that left or a server that closes.
  if (error.code === "canceled" || error.code === "shutting_down") {
    if (streams) session.breakOff();
    return connectError(error);
  }
  return (await session.isAlive()) ? connectError(error) : gone(session, streams);
}

function gone(session: Session, streams: boolean): ConnectError {
  if (streams) session.breakOff();
  return new ConnectError("The sandbox was not found", Code.Unavailable);
}
