import { afterAll, beforeAll, describe, test } from "vitest";
import { conformanceSuite } from "../../../src/conformance/index.ts";
import { openOwnDoor, openProvider, type OwnDoor } from "./door.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("not tested: the E2B provider against our own door needs root, as the sandboxes there have disks of their own");

describe.skipIf(!isRoot)("the E2B provider keeps the contract against our own door, with the local runtime behind it", () => {
  let door: OwnDoor;
  beforeAll(async () => {
    door = await openOwnDoor();
  });
  afterAll(() => door[Symbol.asyncDispose]());
  const options = {
    name: "e2b",
    open: () => openProvider(door),
    openWithBadCredentials: () => openProvider({ url: door.url, key: `e2b_${"0".repeat(40)}` }),
    spec: { isolationMin: "container" },
  } as const;
  for (const { name, run } of conformanceSuite(options)) test(name, { timeout: 120_000 }, run);
});
