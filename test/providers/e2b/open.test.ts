import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { parse, SandboxerError, type Provider } from "../../../src/contract/index.ts";
import e2b from "../../../src/providers/e2b/index.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sbx-e2b-open-"));
  for (const name of ["E2B_API_KEY", "E2B_SANDBOX_URL"]) vi.stubEnv(name, undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true, force: true });
});

const log = { debug() {}, info() {}, warn() {}, error() {} };
const open = async (options: object): Promise<Provider> =>
  e2b.open(parse(e2b.options, options, { what: "options" }), { backend: "e2b", directory, instance: "in", log, failpoint() {} });
const refusal = async (options: object): Promise<SandboxerError> => {
  const thrown: unknown = await open(options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (thrown instanceof SandboxerError) return thrown;
  throw new Error(`it was not refused by one of ours: ${String(thrown)}`);
};

test("a key is read from the variable or the file that is named, and there is no way to write it into the options", async () => {
  expect((await refusal({})).code).toBe("backend_auth");
  expect((await refusal({ api_key: "e2b_00" })).code).toBe("invalid_request");
  vi.stubEnv("E2B_API_KEY", "e2b_00");
  expect((await open({})).traits.isolation).toHaveLength(1);
  const file = join(directory, "key");
  writeFileSync(file, "e2b_00\n", { mode: 0o600 });
  await open({ api_key_file: file });
  chmodSync(file, 0o644);
  const readable = await refusal({ api_key_file: file });
  expect([readable.code, readable.hint]).toEqual(["invalid_request", `Run: chmod 600 ${file}`]);
  expect((await refusal({ api_key_file: join(directory, "none") })).code).toBe("backend_auth");
  expect((await refusal({ api_key_file: file, api_key_env: "A" })).code).toBe("invalid_request");
});

test("microvm is said of E2B's own cloud only, as E2B's word; of another address nothing is said that the operator did not", async () => {
  vi.stubEnv("E2B_API_KEY", "e2b_00");
  const said = async (options: object): Promise<[string, string]> => {
    const [one] = (await open(options)).traits.isolation;
    return [one?.level ?? "", one?.notes.join() ?? ""];
  };
  expect(await said({})).toEqual(["microvm", expect.stringContaining("E2B says")]);
  expect(await said({ domain: "e2b.test" })).toEqual(["process", expect.stringContaining("nothing is known")]);
  expect(await said({ api_url: "http://127.0.0.1:1", isolation: "gvisor" })).toEqual([
    "gvisor",
    expect.stringContaining("operator states"),
  ]);
});

test("an address in the environment, where the SDK would send commands, is refused by its name", async () => {
  vi.stubEnv("E2B_API_KEY", "e2b_00");
  vi.stubEnv("E2B_SANDBOX_URL", "http://127.0.0.1:1");
  expect((await refusal({})).message).toContain("E2B_SANDBOX_URL");
  await open({ sandbox_url: "http://127.0.0.1:2" });
});

test("without the SDK it is told what to install, and the rest of sand-boxer does not need it", () => {
  const hooks =
    'import { registerHooks } from "node:module"; registerHooks({ resolve: (name, context, next) => next(name === "e2b" ? "e2b-not-installed" : name, context) });';
  const program = `
    import e2b from ${JSON.stringify(new URL("../../../src/providers/e2b/index.ts", import.meta.url).href)};
    await import(${JSON.stringify(new URL("../../../src/main.ts", import.meta.url).href)});
    await e2b.open({}, { backend: "e2b", directory: "", instance: "", log: {}, failpoint() {} }).catch(({ code, hint }) => console.log(code, hint));`;
  const { stdout } = spawnSync(
    process.execPath,
    ["--import", `data:text/javascript,${encodeURIComponent(hooks)}`, "--input-type=module", "-e", program],
    { env: { ...process.env, E2B_API_KEY: "e2b_00" }, encoding: "utf8" },
  );
  expect(stdout).toBe("provider_missing_dependency Run: npm install e2b@^2.51.0\n");
});
