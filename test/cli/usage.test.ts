import { expect, test } from "vitest";
import { CATALOG } from "../../src/cli/catalog.ts";
import { cli } from "./cli.ts";

test.each([
  [["rnu"], 'did you mean "run"?'],
  [["run", "--proifle", "x", "--", "true"], "did you mean --profile?"],
  [["ls", "--state", "redy"], 'nearest: "ready"'],
  [["keys", "creat", "x"], 'did you mean "create"?'],
  [["run"], "no command is given"],
  [["exec"], "ID is missing"],
  [["show"], "ID is missing"],
  [["show", "a", "b"], 'unexpected argument "b"'],
  [["create", "--ttl"], "--ttl needs a value"],
  [["create", "--json=yes"], "--json takes no value"],
  [["create", "--ttl", "1m", "--ttl", "2m"], "given twice"],
  [["create", "-e", "=x"], "must be KEY=VALUE"],
  [["create", "--cpu", "many"], "must be a number"],
  [["serve", "--port", "99999"], "at most 65535"],
  [["completion", "bsh"], 'nearest: "bash"'],
])("%j is refused with what was meant and the next step", async (args, message) => {
  const { code, stderr } = await cli().run(args);
  expect(code).toBe(125);
  expect(stderr).toContain("error[invalid_request]: ");
  expect(stderr).toContain(message);
  expect(stderr).toMatch(/^next: See 'sand-boxer help/m);
});

test("an error's value is not echoed where it may be a secret", async () => {
  const { stderr } = await cli().run(["create", "-e", "=hunter2"]);
  expect(stderr).not.toContain("hunter2");
});

test("every command has help with its usage, its options and no line wider than 100 columns", async () => {
  const box = cli();
  const overview = (await box.run(["help"])).stdout;
  for (const name of Object.keys(CATALOG)) {
    expect(overview).toContain(`  ${name} `);
    const { code, stdout } = await box.run([name, "--help"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^Usage: sand-boxer ${name}`));
    expect(stdout).toContain("--json");
    expect(`${overview}${stdout}`.split("\n").filter((line) => line.length > 100)).toEqual([]);
  }
});

test("colours are for terminals only", async () => {
  const { stdout, stderr } = await cli().run(["rnu"]);
  expect(stdout + stderr).not.toContain("\u001b");
});
