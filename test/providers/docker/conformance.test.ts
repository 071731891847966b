import { afterAll, beforeAll, describe, test } from "vitest";
import { conformanceSuite } from "../../../src/conformance/index.ts";
import { type DockerEngine, openDockerEngine, withoutEngine } from "../../support/docker-engine.ts";
import { openProvider } from "./open.ts";

const reason = withoutEngine();
if (reason !== undefined) console.log(`not tested: the Docker provider against a real engine: ${reason}`);

describe.skipIf(reason !== undefined)("the Docker provider keeps the contract at a real engine", () => {
  let engine: DockerEngine;
  beforeAll(async () => {
    engine = await openDockerEngine();
  }, 300_000);
  afterAll(() => engine[Symbol.asyncDispose](), 60_000);
  const options = {
    name: "docker",
    open: () => openProvider({ host: engine.host }),
    spec: { isolationMin: "container" },
    pace: 3,
  } as const;
  for (const { name, run } of conformanceSuite(options)) test(name, { timeout: 180_000 }, run);
});
