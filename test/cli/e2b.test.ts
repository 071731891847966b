import { expect, test } from "vitest";
import { Sandbox } from "e2b";
import { cli } from "./cli.ts";

const exported = (text: string): Record<string, string> =>
  Object.fromEntries(
    text
      .trim()
      .split("\n")
      .map((line) => (/^export (\w+)=(.*)$/.exec(line) ?? []).slice(1, 3) as [string, string]),
  );

test("e2b env prints variables with which the official SDK works at once", async () => {
  const box = cli();
  const { url } = await box.serve();
  const ran = await box.run(["e2b", "env", "--url", url]);
  expect([ran.code, ran.stderr]).toEqual([0, ""]);
  const variables = exported(ran.stdout);
  expect(variables).toEqual({ E2B_API_KEY: expect.stringMatching(/^e2b_[0-9a-f]{40}$/) as string, E2B_API_URL: url, E2B_SANDBOX_URL: url });
  const connection = { apiKey: variables["E2B_API_KEY"] ?? "", apiUrl: url, sandboxUrl: url };
  const sandbox = await Sandbox.create(connection);
  expect((await box.run(["ls"])).stdout).toContain(sandbox.sandboxId);
  expect((await box.run(["rm", sandbox.sandboxId])).code).toBe(0);
  expect(await sandbox.kill()).toBe(false);
});

test("e2b env makes a new key each time, and for a domain prints that instead of addresses", async () => {
  const box = cli();
  const ask = async (...options: string[]): Promise<Record<string, string>> => {
    const ran = await box.run(["e2b", "env", "--json", ...options]);
    expect(ran.code).toBe(0);
    return JSON.parse(ran.stdout) as Record<string, string>;
  };
  const first = await ask("--domain", "sbx.test:8443", "--authority", "/tmp/ca file.pem");
  expect(first).toEqual({
    E2B_API_KEY: expect.any(String) as string,
    E2B_DOMAIN: "sbx.test:8443",
    NODE_EXTRA_CA_CERTS: "/tmp/ca file.pem",
    SSL_CERT_FILE: "/tmp/ca file.pem",
  });
  expect((await ask("--domain", "sbx.test"))["E2B_API_KEY"]).not.toBe(first["E2B_API_KEY"]);
  const quoted = await box.run(["e2b", "env", "--domain", "sbx.test", "--authority", "/tmp/it's a file"]);
  expect(quoted.stdout).toContain(`export SSL_CERT_FILE='/tmp/it'\\''s a file'`);
});

test("e2b env says when nothing listens where the variables point, and refuses what it does not know", async () => {
  const box = cli();
  const silent = await box.run(["e2b", "env", "--url", "http://127.0.0.1:9"]);
  expect([silent.code, silent.stderr]).toEqual([0, expect.stringContaining("nothing answers at http://127.0.0.1:9")]);
  for (const args of [["envs"], ["env", "--url", "nonsense"], ["env", "--domain", "A B"], ["env", "--authority", "x"]]) {
    expect((await box.run(["e2b", ...args])).code).not.toBe(0);
  }
});
