import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { listenWithTls, serverOver } from "../../../src/main.ts";
import { openE2bDoor, SDKS } from "./e2b-door.ts";

test.each(SDKS)(
  "the official SDK $version works with E2B_DOMAIN alone: wildcard names, TLS and a certificate for development",
  async ({ name }) => {
    const door = await openE2bDoor({ e2b: { domain: "sbx.test", tls: { port: 0 } } });
    const server = await serverOver(door.opened);
    try {
      const tls = await listenWithTls(door.opened, server);
      const { apiKey } = await door.connection();
      const child = join(import.meta.dirname, "control-domain.child.ts");
      // NODE_EXTRA_CA_CERTS is read once, when a process starts.
      const env = {
        ...process.env,
        E2B_API_KEY: apiKey,
        E2B_DOMAIN: tls?.domain,
        NODE_EXTRA_CA_CERTS: tls?.authority,
        NODE_NO_WARNINGS: "1",
        SDK: name,
      };
      const { stdout } = await promisify(execFile)(process.execPath, [child], { env, timeout: 50_000 });
      expect(JSON.parse(stdout)).toEqual({
        host: expect.stringMatching(/^3000-sb[0-9a-z]{22}\.sbx\.test:\d+$/) as string,
        state: "running",
        killed: true,
        again: false,
      });
    } finally {
      await server.close();
    }
  },
);
