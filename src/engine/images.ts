import {
  type ImageFormat, type ImageInfo, type ImageProgress, ImagePruneRequest, ImagePullRequest, ImageReference, type ImageRemoval, type Images, parse, type Principal, SandboxerError,
} from "../contract/index.ts"; // prettier-ignore
import { appendEvent } from "../ledger/index.ts";
import { audit } from "./audit.ts";
import { backendOf, type Context, op, providerOf } from "./context.ts";

/** Images that backends keep. They are the operator's, and every tenant's sandboxes may stand on them. */
export interface ImageVerbs {
  /** Of one backend, or of all that keep images. */
  list(who: Principal, query?: { backend?: string | undefined }): Promise<ImageInfo[]>;
  /** Takes in an archive: of `docker save`, an OCI layout as a tar, or a tar of a root file system. Ends with `done`, or throws. */
  import(
    who: Principal,
    source: AsyncIterable<Uint8Array>,
    options: { backend?: string | undefined; reference?: string | undefined; format?: ImageFormat | undefined },
    signal?: AbortSignal,
  ): Promise<AsyncIterable<ImageProgress>>;
  /** Fetches one from its registry. */
  pull(who: Principal, request: ImagePullRequest, signal?: AbortSignal): Promise<AsyncIterable<ImageProgress>>;
  /** Takes a name away, and the image with its last name or by its id. Throws `conflict` while a sandbox stands on it. */
  remove(who: Principal, reference: string, query?: { backend?: string | undefined }): Promise<ImageRemoval>;
  /** Removes images without a name (`all`: every one) that no sandbox stands on. */
  prune(who: Principal, request: ImagePruneRequest): Promise<ImageRemoval>;
}

interface Keeper {
  readonly name: string;
  readonly images: Images;
}

export function images(ctx: Context): ImageVerbs {
  return {
    async list(_who, { backend } = {}) {
      const found: ImageInfo[] = [];
      for (const { images } of backend === undefined ? keepers(ctx) : [keeper(ctx, backend)]) found.push(...(await images.list(op(ctx))));
      return found;
    },
    async import(who, source, { backend, reference, format }, signal) {
      const { name, images } = keeper(ctx, backend);
      const named = reference === undefined ? {} : { reference: parse(ImageReference, reference, { what: "reference" }) };
      return told(ctx, who, name, images.import(source, { ...named, ...(format === undefined ? {} : { format }) }, op(ctx, signal)));
    },
    async pull(who, input, signal) {
      const { backend, reference, plain_http: plainHttp = false, credentials } = parse(ImagePullRequest, input, { what: "request" });
      const { name, images } = keeper(ctx, backend);
      const request = { reference, plainHttp, ...(credentials === undefined ? {} : { credentials }) };
      return told(ctx, who, name, images.pull(request, op(ctx, signal)));
    },
    async remove(who, input, { backend } = {}) {
      const { name, images } = keeper(ctx, backend);
      const removal = await images.remove(parse(ImageReference, input, { what: "reference" }), op(ctx));
      await tellRemoved(ctx, who, name, removal);
      return removal;
    },
    async prune(who, input) {
      const { backend, all = false } = parse(ImagePruneRequest, input, { what: "request" });
      const { name, images } = keeper(ctx, backend);
      const removal = await images.prune({ all }, op(ctx));
      await tellRemoved(ctx, who, name, removal);
      return removal;
    },
  };
}

/** Backends that keep images and are open. */
function keepers(ctx: Context): Keeper[] {
  const found = ctx.backends.flatMap(({ name, provider }) => (provider?.images === undefined ? [] : [{ name, images: provider.images }]));
  if (found.length > 0) return found;
  throw new SandboxerError("capability_unsupported", "no backend that is open here keeps images", {
    phase: "image",
    hint: "The local backend does where 'sand-boxer doctor' says that images can be mounted; a Docker engine has its own.",
  });
}

function keeper(ctx: Context, backend: string | undefined): Keeper {
  const [first] = backend === undefined ? keepers(ctx) : [];
  if (first !== undefined) return first;
  const { name } = backendOf(ctx, backend ?? "");
  const { images } = providerOf(ctx, name);
  if (images !== undefined) return { name, images };
  throw new SandboxerError("capability_unsupported", `backend ${name} keeps no images here`, { phase: "image", backend: name });
}

/** What comes of it, each image written down before it is told. */
async function* told(ctx: Context, who: Principal, backend: string, progress: AsyncIterable<ImageProgress>): AsyncGenerator<ImageProgress> {
  for await (const step of progress) {
    if (step.type === "image") await write(ctx, who, "image.added", { backend, id: step.image.id, references: step.image.references });
    yield step;
  }
}

async function tellRemoved(ctx: Context, who: Principal, backend: string, removal: ImageRemoval): Promise<void> {
  if (removal.references.length === 0 && removal.images.length === 0) return;
  await write(ctx, who, "image.removed", { backend, ids: removal.images, references: removal.references });
}

async function write(ctx: Context, who: Principal, type: "image.added" | "image.removed", data: Record<string, unknown>): Promise<void> {
  const at = ctx.clock.now();
  await ctx.ledger.transaction(
    async (tx) => {
      await appendEvent(tx, { type, at, tenant: who.tenant, sandboxId: null, data: { ...data, key_id: who.key_id } });
      await audit(tx, who, { action: type, at, target: typeof data["id"] === "string" ? data["id"] : null, detail: data });
    },
    { durable: true },
  );
}
