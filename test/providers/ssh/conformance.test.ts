import { copyFileSync, chmodSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, test } from "vitest";
import { conformanceSuite, type Opened } from "../../../src/conformance/index.ts";
import { openSshd, type Sshd, withoutSshd } from "../../support/sshd.ts";
import { openProvider, optionsFor } from "./open.ts";

const reason = withoutSshd();
if (reason !== undefined) console.log(`not tested: the SSH provider at a real sshd: ${reason}`);

describe.skipIf(reason !== undefined)("the SSH provider keeps the contract at a real sshd", () => {
  let sshd: Sshd;
  let shared: Opened;
  beforeAll(async () => {
    // One session a connection is all that it takes.
    sshd = await openSshd(["MaxSessions 1"]);
    shared = await openProvider(optionsFor(sshd));
  }, 60_000);
  afterAll(async () => {
    await shared.dispose();
    await sshd[Symbol.asyncDispose]();
  }, 60_000);
  const options = {
    name: "ssh",
    pace: 0.5,
    fileBytes: 16 * 1024 ** 2,
    open: async () => ({ provider: shared.provider, dispose: async () => undefined }),
    /** It was let in once, and is not any more. */
    async openWithBadCredentials() {
      const key = join(sshd.directory, "changing");
      copyFileSync(sshd.userKeyFile, key);
      chmodSync(key, 0o600);
      const opened = await openProvider({ ...optionsFor(sshd), identity: { form: "file", private_key: key } });
      copyFileSync(sshd.strangerKeyFile, key);
      for (const pid of sshd.connections()) process.kill(pid, "SIGKILL");
      // For the end of the connection to be seen: a create that was sent over it would be one of unknown outcome.
      await sleep(300);
      return opened;
    },
  } as const;
  for (const { name, run } of conformanceSuite(options)) test(name, { timeout: 60_000 }, run);
});
