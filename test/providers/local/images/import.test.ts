import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import type { ImageFormat, ImageInfo, ImageProgress, Images } from "../../../../src/contract/index.ts";
import { localImages } from "../../../../src/providers/local/images/images.ts";
import type { ImageLimits } from "../../../../src/providers/local/images/limits.ts";
import { ImageStore, layerPath } from "../../../../src/providers/local/images/store.ts";
import { digestOf, dockerArchive, imageId, type ImageInput, type Member, ociLayout, tarOf } from "../../../support/image-files.ts";
import { op } from "../scratch.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-images-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Place {
  readonly images: Images;
  readonly store: ImageStore;
  readonly users: { by: string; id: string; layers: readonly string[] }[];
}

let places = 0;
function place(limits?: ImageLimits): Place {
  const store = new ImageStore(join(directory, String(places++)));
  const users: Place["users"] = [];
  const rest = limits === undefined ? {} : { limits };
  return { store, users, images: localImages({ backend: "local", store, failpoint: () => undefined, users: () => users, ...rest }) };
}

async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  // Of a size that divides nothing: entries are cut anywhere.
  for (let at = 0; at < bytes.length; at += 70_001) yield bytes.subarray(at, at + 70_001);
}

async function taken(progress: AsyncIterable<ImageProgress>): Promise<ImageInfo[]> {
  const images: ImageInfo[] = [];
  let done = false;
  for await (const step of progress) {
    if (step.type === "image") images.push(step.image);
    done = step.type === "done";
  }
  expect(done).toBe(true);
  return images;
}

const take = ({ images }: Place, bytes: Buffer, options: { reference?: string; format?: ImageFormat } = {}) =>
  taken(images.import(pieces(bytes), options, op()));

/** Where one layer's tree is. */
const tree = ({ store }: Place, layer: Buffer): string => join(store.root, layerPath(digestOf(layer)));

/** What is kept, drafts too. */
function kept({ store }: Place): Record<string, string[]> {
  return Object.fromEntries(["layers", "records", "names", "drafts"].map((name) => [name, readdirSync(join(store.root, name))]));
}

const NOTHING = { layers: [], records: [], names: [], drafts: [] };

const base = tarOf([
  { name: "etc", type: "directory" },
  { name: "etc/passwd", content: "root:x:0:0::/root:/bin/sh\napp:x:1234:2345::/home/app:/bin/sh\n" },
  { name: "bin/suid", mode: 0o4755, content: "x" },
  { name: "bin/again", type: "hardlink", link: "bin/suid" },
  { name: "app/", type: "directory", uid: 1234, gid: 2345, mode: 0o750 },
  { name: "dev/null", type: "char" },
  { name: "link", type: "symlink", link: "../../../etc/shadow" },
]);
const above = tarOf([
  { name: "etc/.wh.passwd" },
  { name: "app/.wh..wh..opq" },
  { name: "app/new", content: "new" },
  { name: ".wh.bin" },
  { name: "bin/only", content: "only" },
]);
const image: ImageInput = { layers: [base, above], config: { User: "1234:50" }, tags: ["team/app:1.2", "app"] };

describe("an image is taken in", () => {
  test("from docker save, an OCI layout by gzip or zstd, each as the same image", async () => {
    for (const archive of [
      dockerArchive(image),
      tarOf(ociLayout(image)),
      gzipSync(dockerArchive(image)),
      tarOf(ociLayout(image, (layer) => zstdCompressSync(layer))),
    ]) {
      const here = place();
      const [one] = await take(here, archive);
      expect(one).toMatchObject({ id: imageId(image), layers: 2, user: "1234:50" });
      expect(kept(here)).toMatchObject({ drafts: [], layers: [digestOf(base).slice(7), digestOf(above).slice(7)].sort() });
    }
  });

  test("with its names, each whole; a second image keeps the layers they have in common once", async () => {
    const here = place();
    const [first] = await take(here, dockerArchive(image));
    expect(first?.references).toEqual(["docker.io/library/app:latest", "docker.io/team/app:1.2"]);
    const unpacked = statSync(tree(here, base)).ino;
    const [second] = await take(here, dockerArchive({ layers: [base], config: { User: "app" } }), { reference: "other" });
    expect(second).toMatchObject({ references: ["docker.io/library/other:latest"], user: "1234:2345" });
    expect(statSync(tree(here, base)).ino).toBe(unpacked);
    expect(kept(here).layers).toHaveLength(2);
    expect(here.store.find("team/app:1.2").id).toBe(first?.id);
    expect(() => here.store.find("team/app:1.3")).toThrow(/nearest: "docker.io\/team\/app:1.2"/);
  });

  test("with owners as they are, without bits for set-user-id and devices, with marks for what is gone", async () => {
    const here = place();
    await take(here, dockerArchive(image));
    const low = tree(here, base);
    expect(statSync(join(low, "bin/suid"))).toMatchObject({ mode: 0o100755, nlink: 2, mtimeMs: 1_700_000_000_000 });
    expect(statSync(join(low, "app"))).toMatchObject({ uid: 1234, gid: 2345, mode: 0o040750, mtimeMs: 1_700_000_000_000 });
    expect(readdirSync(low).sort()).toEqual(["app", "bin", "etc", "link"]);
    const high = tree(here, above);
    expect(lstatSync(join(high, "etc/passwd"))).toMatchObject({ rdev: 0 });
    expect(lstatSync(join(high, "etc/passwd")).isCharacterDevice()).toBe(true);
    // What is gone and is there again is a directory that hides the one below.
    expect(readdirSync(join(high, "bin"))).toEqual(["only"]);
  });

  test("from a root file system", async () => {
    const here = place();
    const [one] = await take(here, gzipSync(base), { reference: "mine" });
    expect(one).toMatchObject({ layers: 1, user: "1000:1000", references: ["docker.io/library/mine:latest"] });
    expect(readFileSync(join(tree(here, base), "etc/passwd"), "utf8")).toMatch(/^root/);
  });
});

describe("nothing is kept of an image", () => {
  const hostile: [string, Member[]][] = [
    ["a path that leads out", [{ name: "a/../../escape", content: "x" }]],
    ["an absolute path", [{ name: "/etc/escape", content: "x" }]],
    ["a path through a link", [{ name: "a", type: "symlink", link: "/tmp" }, { name: "a/escape", content: "x" }]],
    ["a file over a link", [{ name: "a", type: "symlink", link: "/tmp/escape" }, { name: "a", content: "x" }]],
    ["a directory over a link", [{ name: "a", type: "symlink", link: "/tmp" }, { name: "a", type: "directory" }]],
    ["a hard link to the host", [{ name: "a", type: "hardlink", link: "/etc/passwd" }]],
    ["a hard link out of it", [{ name: "a", type: "hardlink", link: "../../etc/passwd" }]],
    ["a hard link through a link", [{ name: "a", type: "symlink", link: "/etc" }, { name: "b", type: "hardlink", link: "a/passwd" }]],
    ["a hard link to a link", [{ name: "a", type: "symlink", link: "/etc/passwd" }, { name: "b", type: "hardlink", link: "a" }]],
    ["a device", [{ name: "disk", type: "block" }]],
    ["a file that is there twice", [{ name: "a", content: "x" }, { name: "./a", content: "y" }]],
    ["a file in a file", [{ name: "a", content: "x" }, { name: "a/b", content: "y" }]],
    ["an owner beyond a sandbox's ids", [{ name: "a", uid: 65_536 }]],
    ["a whiteout of everything above", [{ name: ".wh..." }]],
  ]; // prettier-ignore
  for (const [what, members] of hostile) {
    test(`with ${what}`, async () => {
      const here = place();
      const refusing = take(here, dockerArchive({ layers: [tarOf([{ name: "etc", type: "directory" }, ...members])] }));
      await expect(refusing).rejects.toMatchObject({ code: "invalid_request", details: { phase: "image" } });
      expect(kept(here)).toEqual(NOTHING);
    });
  }

  const forged: [string, () => Buffer][] = [
    ["whose layer is not what its diff_id says", () => dockerArchive(image).fill("y", dockerArchive(image).indexOf("only", 1024 * 4), dockerArchive(image).lastIndexOf("only") + 4)],
    ["whose blob is not what its digest says", () => tarOf(ociLayout(image).map((member) => (member.name.startsWith("blobs") && Buffer.from(member.content ?? "")[0] === 0x1f ? { ...member, content: gzipSync(above, { level: 1 }) } : member)))],
    ["whose configuration is another", () => tarOf(ociLayout(image).map((member) => (Buffer.from(member.content ?? "").includes("diff_ids") ? { ...member, content: Buffer.from(String(member.content).replace("1234:50", "1234:51")) } : member)))],
    ["that ends in the middle", () => dockerArchive(image).subarray(0, 5000)],
    ["that is no archive", () => Buffer.alloc(4096, "no tar")],
    ["that is compressed by what is not understood", () => Buffer.concat([Buffer.from("fd377a585a00", "hex"), Buffer.alloc(100)])],
    ["for another machine", () => dockerArchive({ ...image, architecture: "s390x" })],
    ["without layers", () => dockerArchive({ layers: [] })],
    ["whose user wraps to root", () => dockerArchive({ ...image, config: { User: "4294967296" } })],
    ["whose user it does not know", () => dockerArchive({ ...image, config: { User: "nobody-here" } })],
    ["whose working directory leads out", () => dockerArchive({ ...image, config: { WorkingDir: "/app/../../etc" } })],
  ]; // prettier-ignore
  for (const [what, archive] of forged) {
    test(what, async () => {
      const here = place();
      await expect(take(here, archive())).rejects.toMatchObject({ code: "invalid_request" });
      expect(kept(here)).toMatchObject({ records: [], names: [], drafts: [] });
    });
  }

  test("that unpacks to more than is allowed, or has more entries", async () => {
    const bomb = tarOf(ociLayout({ layers: [tarOf([{ name: "zeros", content: Buffer.alloc(4 * 1024 ** 2) }])] }));
    expect(bomb.length).toBeLessThan(64 * 1024);
    const small = place({ bytes: 1024 ** 2, entries: 100 });
    await expect(take(small, bomb)).rejects.toThrow(/larger than this backend allows/);
    const many = tarOf(Array.from({ length: 101 }, (_, at) => ({ name: `f${at}` })));
    await expect(take(small, many, { format: "rootfs" })).rejects.toThrow(/more entries than this backend allows/);
    expect(kept(small)).toEqual(NOTHING);
  });

  test("whose sender stops, or is stopped", async () => {
    const here = place();
    const abort = new AbortController();
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield dockerArchive(image).subarray(0, 3000);
      abort.abort();
      yield Buffer.alloc(10);
    }
    await expect(taken(here.images.import(broken(), {}, op(abort.signal)))).rejects.toThrow();
    expect(kept(here)).toEqual(NOTHING);
  });
});

describe("an image is removed", () => {
  test("with its last name, and its layers with the last image that has them", async () => {
    const here = place();
    await take(here, dockerArchive(image));
    await take(here, dockerArchive({ layers: [base], tags: ["low"] }));
    expect(await here.images.remove("app", op())).toMatchObject({
      references: ["docker.io/library/app:latest"],
      images: [],
      freed_bytes: 0,
    });
    expect(await here.images.remove("team/app:1.2", op())).toMatchObject({ images: [imageId(image)], freed_bytes: 7 });
    expect(kept(here).layers).toEqual([digestOf(base).slice(7)]);
    expect(await here.images.remove(imageId({ layers: [base] }), op())).toMatchObject({ references: ["docker.io/library/low:latest"] });
    expect(kept(here)).toEqual(NOTHING);
    await expect(here.images.remove("low", op())).rejects.toMatchObject({ code: "not_found" });
  });

  test("not while a sandbox stands on it, by removal or by prune", async () => {
    const here = place();
    const [one] = await take(here, dockerArchive({ layers: [base] }));
    here.users.push({ by: "sb1", id: one?.id ?? "", layers: [digestOf(base)] });
    await expect(here.images.remove(one?.id ?? "", op())).rejects.toMatchObject({ code: "conflict" });
    expect(await here.images.prune({ all: true }, op())).toMatchObject({ images: [] });
    expect(await here.images.list(op())).toMatchObject([{ id: one?.id, used_by: ["sb1"] }]);
    here.users.pop();
    expect(await here.images.prune({ all: false }, op())).toMatchObject({ images: [one?.id] });
    expect(kept(here)).toEqual(NOTHING);
  });
});
