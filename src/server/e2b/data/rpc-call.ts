import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { explain } from "./failure.ts";
import type { Session } from "./session.ts";
import { basicUser, checkUser } from "./user.ts";

/** Which sandbox a call is for. */
export const SESSION = createContextKey<Session | undefined>(undefined);

function sessionOf(context: HandlerContext): Session {
  const session = context.values.get(SESSION);
  if (session === undefined) throw new ConnectError("no sandbox", Code.Internal);
  return session;
}

/** A method with one answer, whose errors are told as Connect's. */
export function unary<Input, Output>(
  handle: (session: Session, input: Input, context: HandlerContext) => Promise<Output>,
): (input: Input, context: HandlerContext) => Promise<Output> {
  return async (input, context) => {
    const session = sessionOf(context);
    try {
      checkUser(basicUser(context.requestHeader.get("authorization")));
      return await handle(session, input, context);
    } catch (thrown) {
      throw await explain(session, thrown, false);
    }
  };
}

/** A method that answers with a stream. */
export function streaming<Input, Output>(
  handle: (session: Session, input: Input, context: HandlerContext) => AsyncIterable<Output>,
): (input: Input, context: HandlerContext) => AsyncGenerator<Output> {
  return async function* (input, context) {
    const session = sessionOf(context);
    try {
      checkUser(basicUser(context.requestHeader.get("authorization")));
      yield* handle(session, input, context);
    } catch (thrown) {
      throw await explain(session, thrown, true);
    }
  };
}
