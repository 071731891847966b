import { SandboxerError } from "../contract/errors.ts";
import type { ImageFormat, ImageInfo, ImageProgress, ImagePruneRequest, ImagePullRequest, ImageRemoval } from "../contract/image.ts";
import { failureIn } from "./failure.ts";
import { bodyOf, type FileContent } from "./files.ts";
import { serverEvents } from "./sse.ts";
import { type Call, query, type Transport } from "./transport.ts";

export interface ImageOptions {
  /** The first backend that keeps images, unless given. */
  backend?: string;
  /** Called as the work goes on. */
  onProgress?: (progress: Extract<ImageProgress, { type: "progress" }>) => void;
  signal?: AbortSignal;
}

/** Images that backends keep: `client.images`. All but `list` need the admin scope. */
export class Images {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async list(options: { backend?: string } = {}): Promise<ImageInfo[]> {
    const path = `/v1/images${query({ backend: options.backend })}`;
    return (await this.#transport.json<{ data: ImageInfo[] }>({ method: "GET", path })).data;
  }

  /** Takes in an archive: of `docker save`, an OCI layout as a tar, or the tar of a root file system. `reference` names it, where it is one image. */
  async import(archive: FileContent, options: ImageOptions & { reference?: string; format?: ImageFormat } = {}): Promise<ImageInfo[]> {
    const { reference, format, backend, onProgress, signal } = options;
    const path = `/v1/images/import${query({ reference, format, backend })}`;
    return this.#taken({ method: "POST", path, body: bodyOf(archive), type: "application/x-tar", unbounded: true, signal }, onProgress);
  }

  /** Fetches one from its registry, with skopeo on the backend's host. */
  async pull(reference: string, options: ImageOptions & Omit<ImagePullRequest, "reference" | "backend"> = {}): Promise<ImageInfo[]> {
    const { onProgress, signal, ...request } = options;
    return this.#taken({ method: "POST", path: "/v1/images/pull", json: { reference, ...request }, unbounded: true, signal }, onProgress);
  }

  /** By a reference: takes that name away, and the image with its last one. By its id: the image. Throws `conflict` while a sandbox stands on it. */
  async remove(image: string, options: { backend?: string } = {}): Promise<ImageRemoval> {
    return this.#transport.json({ method: "DELETE", path: `/v1/images${query({ image, backend: options.backend })}` });
  }

  /** Removes those without a name, or with `all` every one, that no sandbox stands on. */
  async prune(options: ImagePruneRequest = {}): Promise<ImageRemoval> {
    return this.#transport.json({ method: "POST", path: "/v1/images/prune", json: options });
  }

  async #taken(call: Call, onProgress: ImageOptions["onProgress"]): Promise<ImageInfo[]> {
    const { body } = await this.#transport.stream({ ...call, accept: "text/event-stream" });
    const taken: ImageInfo[] = [];
    for await (const { event, data } of serverEvents(body)) {
      if (event === "error") throw failureIn((JSON.parse(data) as { error: { code: string; message: string } }).error);
      const step = JSON.parse(data) as ImageProgress;
      if (step.type === "progress") onProgress?.(step);
      else if (step.type === "image") taken.push(step.image);
      else return taken;
    }
    throw new SandboxerError("outcome_unknown", "the answer broke off: it is not known whether the image was taken in", {
      hint: "Look with 'sand-boxer image ls'; to take it in again does no harm.",
    });
  }
}
