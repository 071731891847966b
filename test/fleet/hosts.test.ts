import { mkdtempSync, chmodSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Config, LOCAL_OPERATOR } from "../../src/contract/index.ts";
import { openSandboxer, type Opened } from "../../src/main.ts";
import { freshDatabase } from "../support/fresh-database.ts";
import { OWNER } from "../support/principals.ts";

async function host(name: string, ledger: string): Promise<Opened> {
  const dataDir = mkdtempSync(join(tmpdir(), "sbx-host-"));
  chmodSync(dataDir, 0o711);
  const config: Config = {
    ledger,
    backends: [{ name: "here", provider: "fake", options: { isolation: "container" } }],
    fleet: { name, address: `http://${name}:8420` },
  };
  const opened = await openSandboxer({ dataDir, config });
  onTestFinished(async () => {
    await opened.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  return opened;
}

describe("sandboxes of a host's local runtime", () => {
  it("are seen everywhere, used and ended at their host alone, and refused elsewhere with who has them", async () => {
    const url = await freshDatabase();
    const [a, b] = [await host("alpha", url), await host("beta", url)];
    const { sandbox } = await a.engine.create(OWNER, {}, {});
    expect((await b.engine.get(OWNER, sandbox.id)).state).toBe("ready");
    expect((await b.engine.list(OWNER, { limit: 10 })).data.map(({ id }) => id)).toEqual([sandbox.id]);
    const refusal = { code: "wrong_host", status: 421, message: expect.stringContaining("alpha") as string, hint: expect.stringContaining("http://alpha:8420") as string }; // prettier-ignore
    await expect(b.engine.exec(OWNER, sandbox.id, { shell: "true", stdin: { kind: "none" }, maxOutputBytes: 1 })).rejects.toMatchObject(
      refusal,
    );
    await expect(b.engine.destroy(OWNER, sandbox.id)).rejects.toMatchObject(refusal);
    await expect(b.engine.files.list(OWNER, sandbox.id, ".", { depth: 1 })).rejects.toMatchObject(refusal);

    const swept = await b.engine.sweep({ adopt: true });
    expect([swept.adopted, swept.ended, swept.lost, swept.errors]).toEqual([[], [], [], []]);
    expect((await a.engine.get(OWNER, sandbox.id)).state).toBe("ready");
    expect((await a.engine.destroy(OWNER, sandbox.id)).state).toBe("terminated");
    expect((await b.engine.destroy(OWNER, sandbox.id)).state).toBe("terminated");
  });

  it("are counted by host where the fleet is listed, beside its control planes and their leases; for an admin", async () => {
    const url = await freshDatabase();
    const [a, b] = [await host("alpha", url), await host("beta", url)];
    await a.engine.create(OWNER, {}, {});
    await expect(b.engine.fleet(OWNER)).rejects.toMatchObject({ code: "forbidden" });
    const fleet = await b.engine.fleet(LOCAL_OPERATOR);
    expect(fleet.shared).toBe(true);
    expect(fleet.hosts.map(({ name, address, sandboxes }) => [name, address, sandboxes])).toEqual([
      ["alpha", "http://alpha:8420", 1],
      ["beta", "http://beta:8420", 0],
    ]);
    expect(fleet.instances.map(({ alive }) => alive)).toEqual([true, true]);
    expect(fleet.instances.filter(({ self }) => self)).toHaveLength(1);
    for (const { lease_ms } of fleet.instances) expect(lease_ms).toBeGreaterThan(20_000);
  });
});
