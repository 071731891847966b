import { Sandbox } from "e2b";
import { expect, onTestFinished, test } from "vitest";
import { LOCAL_OPERATOR } from "../../../src/contract/index.ts";
import { dataDirectory, localConfig, removeDataDirectory } from "../../support/local-engine.ts";
import { World, WORLD } from "../../support/world/world.ts";
import { openE2bDoor } from "./e2b-door.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("skipped: test/server/e2b/network-live needs root, for namespaces");

const ALL = "0.0.0.0/0";

test.skipIf(!isRoot)(
  "with the official SDK a sandbox reaches what its template lists, narrowed at create and while it lives",
  { timeout: 900_000 },
  async () => {
    await using world = await World.open();
    const dataDir = dataDirectory("e2b-network");
    // After the door is closed: what was put off last is done first.
    onTestFinished(() => removeDataDirectory(dataDir));
    const network = { resolvers: [`${WORLD.dns}:53`], ca_file: world.caFile };
    const door = await openE2bDoor({ ...localConfig(), network }, { dataDir });
    await door.opened.engine.profiles.apply({ tenant: "acme", key_id: null, scopes: ["read", "write"] }, {
    kind: "profile", name: "net", version: 1, network: { allow: [{ host: "allowed.test" }, { host: "*.wild.test" }] },
  }); // prettier-ignore
    const connection = { ...(await door.connection()), template: "net" };
    const reach = async (sandbox: Sandbox, host: string): Promise<string> =>
      (await sandbox.commands.run(`curl -sSk -m 10 https://${host}/ || true`)).stdout;

    const sandbox = await Sandbox.create("net", { ...connection, network: { denyOut: [ALL], allowOut: ["allowed.test"] } });
    try {
      expect(await reach(sandbox, "allowed.test")).toBe("hello from allowed.test\n");
      expect(await reach(sandbox, "a.wild.test")).toBe("");
      expect(await reach(sandbox, "denied.test")).toBe("");
      await sandbox.updateNetwork({ denyOut: [ALL], allowOut: ["a.wild.test"] });
      expect(await reach(sandbox, "allowed.test")).toBe("");
      expect(await reach(sandbox, "a.wild.test")).toBe("hello from a.wild.test\n");
      expect((await sandbox.getInfo()).network).toMatchObject({ allowOut: ["a.wild.test"] });
      // A full replacement: nothing said is the template's own.
      await sandbox.updateNetwork({});
      expect(await reach(sandbox, "allowed.test")).toBe("hello from allowed.test\n");
      await expect(sandbox.updateNetwork({ denyOut: [ALL], allowOut: ["denied.test"] })).rejects.toThrow(/400.*allowOut\[0\]/);
      await sandbox.updateNetwork({ allowInternetAccess: false });
      expect(await reach(sandbox, "allowed.test")).toBe("");
      await expect(Sandbox.create("net", { ...connection, network: { allowOut: ["denied.test"] } })).rejects.toThrow(/400.*allowOut\[0\]/);
      await expect(Sandbox.create("net", { ...connection, allowInternetAccess: true })).rejects.toThrow(/400.*allow_internet_access/);
    } finally {
      await sandbox.kill();
      await door.opened.engine.destroy(LOCAL_OPERATOR, sandbox.sandboxId);
      await door.opened.engine.sweep();
    }
    expect((await world.seen()).filter((seen) => seen.kind === "http" && seen.host.includes("denied"))).toEqual([]);
  },
);
