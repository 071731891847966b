import { isId, SandboxerError, type Principal } from "../../contract/index.ts";
import type { Destination } from "./address.ts";
import { ENVD_PORT, type E2bContext } from "./context.ts";
import { TRAFFIC_KEY, trafficIsPublic } from "./own-metadata.ts";
import { checkSignature, findBySignature, signedFile } from "./signature.ts";

/** A request to the data plane, whose caller may use the sandbox. */
export interface Admitted {
  readonly sandboxId: string;
  readonly port: number;
  /** Its maker, whose token it is; reads and writes. */
  readonly who: Principal;
}

/** What never changes of a sandbox, of so many of them; the least lately used are forgotten. */
const REMEMBERED = 10_000;

interface Owner {
  readonly who: Principal;
  readonly publicTraffic: boolean;
  /** Whether it was made over this wire, whose ports then follow its rules. */
  readonly madeHere: boolean;
}

/** What of a request says who sent it. */
export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly path: string;
  header(name: string): string | undefined;
}

/** Says who may reach what inside a sandbox. */
export class DataGate {
  readonly #ctx: E2bContext;
  readonly #owners = new Map<string, Owner>();

  constructor(ctx: E2bContext) {
    this.#ctx = ctx;
  }

  /**
   * Commands and files need the sandbox's token or a signature that it made; ports need the traffic token unless the
   * sandbox's maker left them open.
   *
   * @throws SandboxerError `unauthorized`; `sandbox_not_found`, which an unknown id without a token does not tell.
   */
  async admit(asked: Asked, to: Exclude<Destination, { to: "control" }>): Promise<Admitted> {
    const file = signedFile(asked.method, new URL(asked.url).searchParams);
    if (to.to === "signed-file") {
      const token = file === undefined ? undefined : await findBySignature(this.#ctx, file);
      if (token === undefined) throw new SandboxerError("unauthorized", "the address is not signed");
      return this.#of(token, ENVD_PORT);
    }
    const { sandboxId, port } = to;
    if (!isId("sandbox", sandboxId)) throw new SandboxerError("sandbox_not_found", "The sandbox was not found");
    if (Number.isNaN(port)) throw new SandboxerError("invalid_request", "the port is not a number from 1 to 65535");
    if (port === ENVD_PORT) {
      const presented = asked.header("x-access-token");
      if (presented !== undefined) this.#check("envd", sandboxId, presented);
      else if (file !== undefined && asked.path === "/files") checkSignature(this.#ctx, sandboxId, file);
      else throw new SandboxerError("unauthorized", "no access token was sent");
      return this.#of(sandboxId, port);
    }
    const presented = asked.header("e2b-traffic-access-token");
    if (presented !== undefined) this.#check("traffic", sandboxId, presented);
    else if (!(await this.#owner(sandboxId)).publicTraffic)
      throw new SandboxerError("unauthorized", "this sandbox's ports need the header e2b-traffic-access-token");
    return this.#of(sandboxId, port);
  }

  /** False for what does not exist, too. */
  async wasMadeHere(sandboxId: string): Promise<boolean> {
    if (!isId("sandbox", sandboxId)) return false;
    try {
      return (await this.#owner(sandboxId)).madeHere;
    } catch (thrown) {
      if (thrown instanceof SandboxerError && thrown.code === "sandbox_not_found") return false;
      throw thrown;
    }
  }

  #check(kind: "envd" | "traffic", sandboxId: string, presented: string): void {
    if (!this.#ctx.tokens.verify(kind, sandboxId, presented)) throw new SandboxerError("unauthorized", "the access token is not valid");
  }

  async #of(sandboxId: string, port: number): Promise<Admitted> {
    const { who } = await this.#owner(sandboxId);
    return { sandboxId, port, who };
  }

  async #owner(sandboxId: string): Promise<Owner> {
    const known = this.#owners.get(sandboxId);
    if (known !== undefined) {
      this.#owners.delete(sandboxId);
      this.#owners.set(sandboxId, known);
      return known;
    }
    const { who, metadata } = await this.#ctx.engine.keys.makerOf(sandboxId);
    const owner = { who, publicTraffic: trafficIsPublic(metadata), madeHere: TRAFFIC_KEY in metadata };
    this.#owners.set(sandboxId, owner);
    const oldest = this.#owners.keys().next();
    if (this.#owners.size > REMEMBERED && oldest.done === false) this.#owners.delete(oldest.value);
    return owner;
  }
}
