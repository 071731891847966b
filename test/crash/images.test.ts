import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { LOCAL_OPERATOR } from "../../src/contract/index.ts";
import { IMAGE_FAILPOINTS } from "../../src/providers/local/images/take-in.ts";
import { exactly, hostObjects, mountsBelow } from "../support/host-objects.ts";
import { dockerArchive, imageId, smallSystem } from "../support/image-files.ts";
import { endOfChild, startChild } from "../support/killed.ts";
import { dataDirectory, liveIds, openLocal, OWNER, removeDataDirectory } from "../support/local-engine.ts";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../support/runtimes.ts";

const [runtime] = (await workingRuntimes(...CONTAINER_RUNTIMES)).map((one) => one.runtime);

const image = { layers: [smallSystem()], tags: ["app"] };
/** From this step on the whole image is there. */
const WHOLE = ["local.image.after_record", "local.create.after_root"];

describe.skipIf(runtime === undefined)("case 70 with images: a kill -9 of the control plane", () => {
  const dataDir = dataDirectory("image-crash");
  afterAll(() => removeDataDirectory(dataDir));

  it.each([...IMAGE_FAILPOINTS, "local.create.after_root"])("at %s leaves nothing half-there, and the image can be taken in again", async (failpoint) => {
    expect(await endOfChild(startChild("images.child.ts", import.meta.url, [dataDir, runtime ?? "", failpoint]))).toBe("SIGKILL");

    const { engine, opened } = await openLocal("image-crash", { runtime: runtime ?? "", dataDir });
    onTestFinished(() => opened.close());
    expect((await engine.sweep({ adopt: true })).errors).toEqual([]);
    const images = join(dataDir, "backends", "local", "images");
    expect(readdirSync(join(images, "drafts"))).toEqual([]);
    for (const layer of readdirSync(join(images, "layers"))) expect(existsSync(join(images, "layers", layer, "layer.json"))).toBe(true);
    const ids = (await engine.images.list(LOCAL_OPERATOR)).map(({ id }) => id);
    expect(ids).toEqual(WHOLE.includes(failpoint) ? [imageId(image)] : []);
    const seen = hostObjects(dataDir);
    expect(seen).toEqual(exactly([], seen));
    expect(mountsBelow(join(dataDir, "backends", "local", "slots", "roots"))).toEqual([]);

    for await (const step of await engine.images.import(LOCAL_OPERATOR, archive(), {})) void step;
    if (failpoint.startsWith("local.create.")) {
      await engine.profiles.apply(OWNER, { kind: "profile", name: "app", version: 1, image: "oci:app" });
      const { sandbox } = await engine.create(OWNER, { profile: "app" }, {});
      expect(await liveIds(engine)).toEqual([sandbox.id]);
      await engine.destroy(OWNER, sandbox.id);
      await engine.sweep();
    }
    expect(await engine.images.prune(LOCAL_OPERATOR, { all: true })).toMatchObject({ images: [imageId(image)] });
  }); // prettier-ignore
});

async function* archive(): AsyncGenerator<Uint8Array> {
  yield dockerArchive(image);
}
