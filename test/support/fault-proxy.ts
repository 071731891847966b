import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * `answer`: the request does not reach the server, and this is answered. `reset`: neither. `stall`: never answered. `lose`: the server does it, and
 * its answer is thrown away with the connection. `replace`: the server does it, and this is answered instead. `cut`: the connection
 * breaks after so many bytes of the answer's body.
 */
export type Fault =
  | {
      readonly do: "answer" | "replace";
      readonly status: number;
      readonly body?: object | string;
      readonly headers?: Record<string, string>;
    }
  | { readonly do: "reset" | "stall" | "lose" }
  | { readonly do: "cut"; readonly after: number };

interface Rule {
  readonly matches: (method: string, path: string) => boolean;
  readonly fault: Fault;
  times: number;
}

/** An HTTP proxy in front of a real server, whose faults strike by method and path. Without faults everything passes as it is. */
export class FaultProxy implements AsyncDisposable {
  readonly url: string;
  /** Every request that came, as `METHOD path`. */
  readonly seen: string[] = [];
  #rules: Rule[] = [];
  readonly #server: Server;

  private constructor(url: string, server: Server) {
    this.url = url;
    this.#server = server;
  }

  static async open(upstream: string): Promise<FaultProxy> {
    let proxy: FaultProxy | undefined;
    const server = createServer((incoming, outgoing) => proxy?.handle(upstream, incoming, outgoing));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    proxy = new FaultProxy(`http://127.0.0.1:${port}`, server);
    return proxy;
  }

  /** Strikes requests of that method (any where it is "*") whose path has the pattern, so many times. */
  strike(method: string, path: RegExp, fault: Fault, times = Infinity): void {
    this.#rules.push({ matches: (m, p) => (method === "*" || m === method) && path.test(p), fault, times });
  }

  /** Lets everything pass again. */
  heal(): void {
    this.#rules = [];
  }

  /** Breaks every connection that there is. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  private handle(upstream: string, incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method = "GET", url = "/" } = incoming;
    this.seen.push(`${method} ${url}`);
    const rule = this.#rules.find((one) => one.times > 0 && one.matches(method, url));
    if (rule !== undefined) rule.times--;
    const fault = rule?.fault;
    if (fault?.do === "reset") return void incoming.socket.destroy();
    if (fault?.do === "stall") return;
    if (fault?.do === "answer") return answer(outgoing, fault);
    const forwarded = request(upstream + url, { method, headers: incoming.headers }, (response) => {
      if (fault?.do === "lose" || fault?.do === "replace") {
        response.resume();
        response.once("end", () => (fault.do === "replace" ? answer(outgoing, fault) : void incoming.socket.destroy()));
        return;
      }
      outgoing.writeHead(response.statusCode ?? 502, response.headers);
      let left = fault?.do === "cut" ? fault.after : Infinity;
      response.on("data", (piece: Buffer) => {
        left -= piece.length;
        if (left < 0) incoming.socket.destroy();
        else if (!outgoing.write(piece)) response.pause();
      });
      outgoing.on("drain", () => response.resume());
      response.on("end", () => outgoing.end());
      response.on("error", () => outgoing.destroy());
    });
    forwarded.on("error", () => incoming.socket.destroy());
    outgoing.on("close", () => forwarded.destroy());
    incoming.pipe(forwarded);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function answer(
  outgoing: ServerResponse,
  {
    status,
    body = { code: status, message: "a fault" },
    headers = {},
  }: { status: number; body?: object | string; headers?: Record<string, string> },
): void {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  outgoing.writeHead(status, { "content-type": typeof body === "string" ? "text/html" : "application/json", ...headers });
  outgoing.end(text);
}
