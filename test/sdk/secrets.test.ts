import { expect, test } from "vitest";
import { liveServer } from "./live-server.ts";

test("secrets are stored, listed, rotated and removed by name", async () => {
  const { secrets } = (await liveServer()).client();
  expect(await secrets.set("npm", "first", { hosts: ["registry.test"] })).toMatchObject({ version: 1, hosts: ["registry.test"] });
  await expect(secrets.set("npm", "again")).rejects.toMatchObject({ code: "conflict" });
  expect(await secrets.set("npm", "again", { replace: true, hosts: ["registry.test", "other.test"] })).toMatchObject({ version: 2 });
  expect(await secrets.rotate("npm", "third")).toMatchObject({ version: 3, hosts: ["registry.test", "other.test"] });
  expect(await secrets.list()).toMatchObject([{ name: "npm", version: 3, sandboxes: [] }]);
  expect(await secrets.remove("npm")).toMatchObject({ removed_at: expect.any(String) as string });
  await expect(secrets.rotate("npm", "x")).rejects.toMatchObject({ code: "secret_not_found" });
  await expect(secrets.set("a/../b", "x")).rejects.toMatchObject({ code: "invalid_request" });
});
