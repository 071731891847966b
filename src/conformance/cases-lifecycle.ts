import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { ISOLATION_LEVELS, SandboxerError, meetsIsolation } from "../contract/index.ts";
import type { Ref } from "../contract/index.ts";
import { bytesOf, drain, refuses } from "./stage.ts";
import type { CaseDefinition } from "./suite.ts";

const GONE = ["sandbox_not_found", "wrong_state"];

/** Create, list, inspect, destroy, and the deadline. */
export const LIFECYCLE_CASES: readonly CaseDefinition[] = [
  {
    name: "create gives a usable sandbox, its labels and an isolation at least as strong as asked",
    async run(stage) {
      const spec = stage.spec();
      const { ref, isolation } = await stage.provider.create(spec, stage.op());
      stage.adopt(ref);
      assert.deepEqual([ref.id, ref.tenant, ref.generation, ref.maxLifeAt], [spec.id, spec.tenant, spec.generation, spec.maxLifeAt]);
      assert.ok(meetsIsolation(isolation.level, spec.isolationMin));
      assert.equal(await stage.sh(JSON.parse(JSON.stringify(ref)) as Ref, "echo up"), "up\n");
      const observed = await stage.provider.inspect(ref, stage.op());
      assert.ok(observed !== "absent" && observed.state === "running");
    },
  },
  {
    name: "an isolation that cannot be had is refused and leaves nothing",
    async run(stage) {
      const strongest = ISOLATION_LEVELS.findLastIndex((level) =>
        stage.provider.traits.isolation.some((offered) => offered.level === level),
      );
      const beyond = ISOLATION_LEVELS[strongest + 1];
      if (beyond === undefined) return;
      const spec = stage.spec({ isolationMin: beyond });
      await refuses(["isolation_unavailable"], `isolation ${beyond}`, () => stage.provider.create(spec, stage.op()));
      assert.deepEqual(await stage.listed([spec.id]), []);
    },
  },
  {
    name: "20 creates of one id at once make one sandbox",
    capability: "create.idempotent",
    async run(stage) {
      const spec = stage.spec();
      const made = await Promise.all(Array.from({ length: 20 }, () => stage.provider.create(spec, stage.op())));
      for (const { ref } of made.slice(0, 1)) stage.adopt(ref);
      assert.equal(new Set(made.map(({ ref }) => ref.native)).size, 1);
      assert.deepEqual(await stage.listed([spec.id]), [spec.id]);
      const again = await stage.provider.create(spec, stage.op());
      assert.deepEqual(again.ref, made[0]?.ref);
    },
  },
  {
    name: "two sandboxes are two",
    async run(stage) {
      const [a, b] = [await stage.sandbox(), await stage.sandbox()];
      assert.notEqual(a.native, b.native);
      await stage.sh(a, "echo secret > /tmp/mine");
      assert.equal(await stage.sh(b, "test -e /tmp/mine && echo seen; true"), "");
    },
  },
  {
    name: "list shows exactly the live ones",
    async run(stage) {
      const refs = [await stage.sandbox(), await stage.sandbox(), await stage.sandbox()];
      const ids = refs.map((ref) => ref.id).sort();
      assert.deepEqual(await stage.listed(ids), ids);
      for await (const { running, ...ref } of stage.provider.list(stage.op())) {
        if (ref.id !== refs[1]?.id) continue;
        assert.deepEqual(ref, refs[1]);
        assert.notEqual(running, false, "a live one is not listed as ended");
      }
      if (refs[0] !== undefined) await stage.provider.destroy(refs[0], stage.op());
      assert.deepEqual(
        await stage.listed(ids),
        ids.filter((id) => id !== refs[0]?.id),
      );
    },
  },
  {
    name: "destroy is confirmed, can be repeated, and 20 at once agree",
    async run(stage) {
      const ref = await stage.sandbox();
      const answers = await Promise.all(Array.from({ length: 20 }, () => stage.provider.destroy(ref, stage.op())));
      assert.ok(
        answers.includes("destroyed") && answers.every((answer) => answer === "destroyed" || answer === "absent"),
        answers.join(" "),
      );
      assert.deepEqual([await stage.provider.inspect(ref, stage.op()), await stage.listed([ref.id])], ["absent", []]);
      assert.equal(await stage.provider.destroy(ref, stage.op()), "absent");
      const other = await stage.sandbox();
      assert.equal(await stage.provider.destroy(other, stage.op()), "destroyed");
      assert.equal(await stage.provider.destroy(other, stage.op()), "absent");
    },
  },
  {
    name: "a destroyed sandbox cannot be used",
    async run(stage) {
      const ref = await stage.sandbox();
      await stage.provider.destroy(ref, stage.op());
      await refuses(GONE, "exec", () => drain(stage.exec(ref, { run: { shell: "true" } })));
      const { files, processes } = stage.provider;
      if (files !== undefined) await refuses(GONE, "files", () => files.write(ref, "f", bytesOf("x"), {}, stage.op()));
      if (processes !== undefined) await refuses(GONE, "processes", () => processes.list(ref, stage.op()));
    },
  },
  {
    name: "max_life ends a sandbox with nobody watching",
    capability: "ttl.max",
    async run(stage) {
      const ref = (await stage.create({ maxLifeAt: Date.now() + 1000 * Number(stage.seconds(3)) })).ref;
      await stage.sh(ref, "echo alive");
      await stage.eventually("the end at max_life", async () => {
        const observed = await stage.provider.inspect(ref, stage.op());
        if (observed === "absent") return true;
        if (observed.state === "stopped") assert.equal(observed.stoppedBecause, "expired");
        return observed.state === "stopped";
      });
      assert.ok(Date.now() >= ref.maxLifeAt - 1000, "it ended long before its time");
      await refuses(GONE, "exec after max_life", () => drain(stage.exec(ref, { run: { shell: "true" } })));
    },
  },
  {
    name: "a create that is aborted, whenever that is, leaves nothing or is told",
    async run(stage) {
      for (const delay of [-1, 0, 1, 2, 5, 10, 20, 50, 200]) {
        const spec = stage.spec();
        const abort = new AbortController();
        if (delay < 0) abort.abort();
        else void sleep(delay).then(() => abort.abort());
        const [made] = await Promise.allSettled([stage.provider.create(spec, stage.op(abort.signal))]);
        if (made.status === "fulfilled") {
          stage.adopt(made.value.ref);
          assert.deepEqual(await stage.listed([spec.id]), [spec.id]);
          continue;
        }
        assert.ok(made.reason instanceof SandboxerError, `an abort after ${delay} ms threw ${String(made.reason)}`);
        if (made.reason.code === "ambiguous_create")
          stage.adopt({ id: spec.id, tenant: spec.tenant, generation: spec.generation, native: "", maxLifeAt: spec.maxLifeAt });
        else assert.deepEqual(await stage.listed([spec.id]), [], `an abort after ${delay} ms left a sandbox`);
      }
    },
  },
  {
    name: "an aborted list or inspect throws, and never looks empty",
    async run(stage) {
      const ref = await stage.sandbox();
      await assert.rejects(drain(stage.provider.list(stage.op(AbortSignal.abort()))));
      await assert.rejects(stage.provider.inspect(ref, stage.op(AbortSignal.abort())));
    },
  },
];
