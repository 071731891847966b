import { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import type { Headers } from "./headers.ts";
import type { Answer } from "./upstream-request.ts";

export interface PlainRequest {
  readonly method: string;
  readonly path: string;
  /** Without those of the connection, which the client writes. */
  readonly fields: Headers;
  readonly onInformation: (status: number, headers: Headers) => void;
}

/** A request without a body on its way over one connection. `answer` settles with the answer's head; `ended` resolves when nothing more comes. */
export interface OnItsWay {
  readonly answer: Promise<Answer>;
  readonly ended: Promise<void>;
  destroy(): void;
}

/** Sends a request over a connection that nothing else is on. */
export function sendPlain(connection: Dispatcher, { method, path, fields, onInformation }: PlainRequest): OnItsWay {
  const answer = Promise.withResolvers<Answer>();
  const ended = Promise.withResolvers<void>();
  let controller: Dispatcher.DispatchController | undefined;
  let body: AnswerBody | undefined;
  let given = false;
  const destroy = (): void => {
    given = true;
    controller?.abort(new Error("the request was given up"));
  };
  connection.dispatch(
    { method, path, headers: fields as string[], blocking: false },
    {
      onRequestStart(started) {
        controller = started;
        if (given) destroy();
      },
      onResponseStart(_, status) {
        const headers = texts(controller?.rawHeaders);
        if (status < 200) return onInformation(status, headers);
        body = new AnswerBody(status, headers, controller!);
        answer.resolve(body);
      },
      onResponseData(_, piece) {
        if (body?.push(piece) === false) controller?.pause();
      },
      onResponseEnd() {
        if (body === undefined) return;
        body.rawTrailers = texts(controller?.rawTrailers);
        body.push(null);
        ended.resolve();
      },
      onResponseError(_, error) {
        const told = asReset(error);
        answer.reject(told);
        body?.destroy(told);
        ended.resolve();
      },
    },
  );
  return { answer: answer.promise, ended: ended.promise, destroy };
}

/** Read at the pace of whoever takes it; given up, its connection ends with it. */
class AnswerBody extends Readable implements Answer {
  readonly statusCode: number;
  readonly rawHeaders: string[];
  rawTrailers: string[] = [];
  readonly #controller: Dispatcher.DispatchController;

  constructor(statusCode: number, rawHeaders: string[], controller: Dispatcher.DispatchController) {
    super({ emitClose: true });
    this.statusCode = statusCode;
    this.rawHeaders = rawHeaders;
    this.#controller = controller;
    // Whoever reads is told by the close as well; without a listener the process would end.
    this.on("error", () => {});
  }

  override _read(): void {
    this.#controller.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.readableEnded) this.#controller.abort(error ?? new Error("the answer was given up"));
    done(error);
  }
}

/** A connection that was closed, in the system's word for it. */
function asReset(error: NodeJS.ErrnoException): NodeJS.ErrnoException {
  return error.code === "UND_ERR_SOCKET" ? Object.assign(new Error(error.message, { cause: error }), { code: "ECONNRESET" }) : error;
}

/** Header bytes are latin1, as `node:http` has them. */
function texts(raw: Dispatcher.DispatchController["rawHeaders"]): string[] {
  const list: readonly (Buffer | string)[] = Array.isArray(raw) ? raw : [];
  return list.map((one) => (typeof one === "string" ? one : one.toString("latin1")));
}
