import assert from "node:assert/strict";
import { newId } from "../contract/index.ts";
import type { Ref, SnapshotMade, Snapshots } from "../contract/index.ts";
import { refuses } from "./stage.ts";
import type { Stage } from "./stage.ts";
import type { CaseDefinition } from "./suite.ts";

function snapshotsOf(stage: Stage): Snapshots {
  assert.ok(stage.provider.snapshots, "a provider that declares snapshot.disk has the group snapshots");
  return stage.provider.snapshots;
}

const say = async (stage: Stage, ref: Ref, shell: string): Promise<string> => (await stage.run(ref, { run: { shell } })).stdout.toString();

async function kept(stage: Stage, ref: Ref): Promise<SnapshotMade & { readonly id: string }> {
  const id = newId("snapshot");
  return { id, ...(await snapshotsOf(stage).create(ref, { id, tenant: "conformance" }, stage.op())) };
}

const from = async (stage: Stage, { id, digest }: { id: string; digest: string }): Promise<Ref> =>
  (await stage.create({ image: `snapshot:${id}@${digest}` })).ref;

/** What is kept of a sandbox is by itself from then on. */
export const SNAPSHOT_CASES: readonly CaseDefinition[] = [
  {
    name: "a snapshot outlives its sandbox, and has what was written before it and nothing after",
    capability: "snapshot.disk",
    async run(stage) {
      const source = await stage.sandbox();
      await say(stage, source, "echo before >file");
      const snapshot = await kept(stage, source);
      await say(stage, source, "echo after >>file; echo more >other");
      await stage.provider.destroy(source, stage.op());
      const restored = await from(stage, snapshot);
      assert.equal(await say(stage, restored, "cat file; ls other 2>/dev/null"), "before\n");
      await refuses(["conflict"], "removing what a sandbox stands on", () => snapshotsOf(stage).remove(snapshot.id, stage.op()));
      await stage.provider.destroy(restored, stage.op());
      assert.equal(await snapshotsOf(stage).remove(snapshot.id, stage.op()), "removed");
      assert.equal(await snapshotsOf(stage).remove(snapshot.id, stage.op()), "absent");
      await refuses(["not_found"], "a sandbox from what was removed", () => from(stage, snapshot));
    },
  },
  {
    name: "a snapshot is taken once for its id, of a sandbox that goes on",
    capability: "snapshot.keeps_running",
    async run(stage) {
      const source = await stage.sandbox();
      await say(stage, source, "echo one >file");
      const snapshot = await kept(stage, source);
      await say(stage, source, "echo two >>file");
      const again = await snapshotsOf(stage).create(source, { id: snapshot.id, tenant: "conformance" }, stage.op());
      assert.equal(again.digest, snapshot.digest);
      assert.equal(await say(stage, source, "cat file"), "one\ntwo\n");
      await snapshotsOf(stage).remove(snapshot.id, stage.op());
    },
  },
  {
    name: "two sandboxes from one snapshot go their own ways, and neither changes it",
    capability: "fork",
    async run(stage) {
      const source = await stage.sandbox();
      await say(stage, source, "echo shared >file");
      const snapshot = await kept(stage, source);
      const [one, other] = [await from(stage, snapshot), await from(stage, snapshot)];
      await say(stage, one, "echo mine >>file");
      await say(stage, other, "rm file");
      assert.equal(await say(stage, one, "cat file"), "shared\nmine\n");
      assert.equal(await say(stage, source, "cat file"), "shared\n");
      const third = await from(stage, snapshot);
      assert.equal(await say(stage, third, "cat file"), "shared\n");
      for (const ref of [one, other, third]) await stage.provider.destroy(ref, stage.op());
      await snapshotsOf(stage).remove(snapshot.id, stage.op());
    },
  },
];
