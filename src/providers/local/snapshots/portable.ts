import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, lstatSync, openSync, writeFileSync, writeSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Op } from "../../../contract/index.ts";
import { SandboxerError } from "../../../contract/index.ts";
import { layersOf, layersRoot } from "../base.ts";
import { discardRoot } from "../disk/image.ts";
import { WRITABLE } from "../disk/slot.ts";
import type { Host } from "../host.ts";
import { TarFile } from "../images/content.ts";
import { unpackLayer } from "../images/layer.ts";
import { Allowance, type ImageLimits, refused } from "../images/limits.ts";
import { ARCHITECTURE, document } from "../images/manifest.ts";
import { readMember, unpackMembers } from "../images/members.ts";
import { mountReadOnly } from "../images/overlay.ts";
import { runOk } from "../run.ts";
import { manifestOf } from "./manifest.ts";
import type { SnapshotRecord } from "./store.ts";

/**
 * A snapshot as one file: a tar of `snapshot.json` and `tree.tar`, which is everything that its sandbox saw: what differs from its parents, they themselves, and
 * its image. It needs nothing of the host that it comes from but, without an image, programs such as that one had.
 */

const User = z.object({
  name: z.string().max(64),
  uid: z.int().min(0).max(65_535),
  gid: z.int().min(0).max(65_535),
  home: z.string().max(4096),
});
const Id = z.int().min(1).max(65_533);
const Description = z.object({
  form: z.literal(1),
  architecture: z.string(),
  /** sha256 of `tree.tar`. */
  tree: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  image: z
    .object({
      id: z.string().max(100),
      inside: z.object({
        user: z.object({ uid: Id, gid: Id }),
        home: z.string().regex(/^\/[^\0]*$/).max(4096),
        workdir: z.string().regex(/^\/[^\0]*$/).max(4096).optional(),
        env: z.record(z.string(), z.string()),
        users: z.array(User).max(1000),
      }),
    })
    .nullable(),
}); // prettier-ignore

const TAR_WITHIN_MS = 3_600_000;

export async function* exportSnapshot(host: Host, id: string, op: Op): AsyncGenerator<Uint8Array, void, undefined> {
  const record = await host.snapshots.verify(id, undefined);
  const name = `export${randomBytes(8).toString("hex")}`;
  const draft = await host.snapshots.draft(name, null);
  const target = join(draft, "target");
  const tree = join(draft, "tree.tar");
  try {
    const base = { snapshots: [id, ...record.parents], ...(record.image === undefined ? {} : { image: record.image }) };
    // A second layer, and nothing in it: without one there is nothing to overlay.
    const layers = [...layersOf(base), join("snapshots", "drafts", name, "fs")];
    await mountReadOnly({ store: layersRoot(host), layers, target });
    await runOk(["tar", "-C", target, "--format=gnu", "--numeric-owner", "-cf", tree, "."], {
      timeoutMs: TAR_WITHIN_MS,
      signal: op.signal,
    });
    const file = new TarFile(tree);
    for await (const chunk of file.read()) void chunk;
    const image = record.image === undefined ? null : { id: record.image.id, inside: record.image.inside };
    const description = { form: 1, architecture: ARCHITECTURE, tree: file.diffId, image };
    writeFileSync(join(draft, "snapshot.json"), JSON.stringify(description));
    yield* tarOf(draft, ["snapshot.json", "tree.tar"]);
  } finally {
    await discardRoot(target);
    await rm(draft, { recursive: true, force: true });
  }
}

async function* tarOf(directory: string, names: readonly string[]): AsyncGenerator<Uint8Array, void, undefined> {
  const tar = spawn("tar", ["-C", directory, "--format=gnu", "--numeric-owner", "-cf", "-", ...names], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    tar.once("error", reject);
    tar.once("exit", resolve);
  });
  ended.catch(() => undefined);
  try {
    yield* tar.stdout as AsyncIterable<Uint8Array>;
    const code = await ended;
    if (code !== 0) throw new SandboxerError("backend_unavailable", `tar ended with ${code ?? "a signal"}`, { phase: "snapshot" });
  } finally {
    tar.kill();
  }
}

export async function importSnapshot(
  host: Host,
  { id, tenant }: { id: string; tenant: string },
  source: AsyncIterable<Uint8Array>,
  { limits, op }: { limits: ImageLimits; op: Op },
): Promise<SnapshotRecord> {
  const known = host.snapshots.look(id);
  if (known !== undefined) return known;
  const draft = await host.snapshots.draft(id, null);
  try {
    const archive = join(draft, "archive");
    await spool(source, archive, limits, op);
    const members = await unpackMembers(archive, join(draft, "members"), new Allowance(limits));
    const { architecture, tree, image } = document(Description, await readMember(members, "snapshot.json"), "snapshot.json");
    if (image !== null && architecture !== ARCHITECTURE) throw refused(`it is for ${architecture}, and this host is ${ARCHITECTURE}`);
    const fs = join(draft, "fs");
    const allowance = new Allowance(limits);
    await unpackLayer(new TarFile(await members.file("tree.tar"), { diffId: tree }).read(allowance), fs, allowance, { whiteouts: false });
    if (image === null)
      for (const name of Object.keys(WRITABLE)) if (lstatSync(join(fs, name), { throwIfNoEntry: false })?.isDirectory() !== true) throw refused(`it has no ${name}`);
    const { text, digest, bytes, entries } = await manifestOf(fs);
    for (const name of ["archive", "members"]) await rm(join(draft, name), { recursive: true, force: true });
    const kept = image === null ? {} : { image: { id: image.id, layers: [], inside: withoutUndefined(image.inside) } };
    const record: SnapshotRecord = { id, tenant, parents: [], ...kept, digest, bytes, entries };
    await host.snapshots.keep(draft, record, text);
    return record;
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
} // prettier-ignore

function withoutUndefined({ workdir, ...inside }: NonNullable<z.infer<typeof Description>["image"]>["inside"]) {
  return workdir === undefined ? inside : { ...inside, workdir };
}

async function spool(source: AsyncIterable<Uint8Array>, file: string, limits: ImageLimits, { signal }: Op): Promise<void> {
  const allowance = new Allowance(limits);
  const descriptor = openSync(file, "wx", 0o600);
  try {
    for await (const piece of source) {
      signal.throwIfAborted();
      allowance.takeBytes(piece.length);
      for (let at = 0; at < piece.length;) at += writeSync(descriptor, piece, at);
    }
  } finally {
    closeSync(descriptor);
  }
}
