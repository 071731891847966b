import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { optionsFor } from "../providers/ssh/open.ts";
import { openSshd, withoutSshd } from "../support/sshd.ts";
import { cli, document } from "./cli.ts";

const reason = withoutSshd();
if (reason !== undefined) console.log(`not tested: hosts on the command line: ${reason}`);

test.skipIf(reason !== undefined)(
  "a host is added, checked, filled, drained and removed, and used while it is there",
  { timeout: 60_000 },
  async () => {
    await using sshd = await openSshd();
    const box = cli();
    await box.serve();
    const options = join(box.data, "box1.json");
    writeFileSync(options, JSON.stringify(optionsFor(sshd)));
    const profile = join(box.data, "helper.yaml");
    writeFileSync(profile, "kind: profile\nname: helper\nversion: 1\nisolation_level: { min: process }\n");
    await box.run(["profile", "apply", profile]);
    const bare = ["host", "add", "box1", "--provider", "local", "--address", "10.0.0.7"];
    expect((await box.run(bare)).stderr).toContain("--provider is ssh or docker");
    expect((await box.run(["host", "add", "box1"])).stderr).toContain("give one of --address and --options");
    expect((await box.run(["host", "add", "box1", "--options", options, "--memory", "1GiB"])).stdout).toBe("box1\n");
    expect((await box.run(["host", "check", "box1"])).stdout).toMatch(
      /^box1: answered in \d+ ms, 0 sandboxes of ours there\n {2}process \(namespaces\)$/m,
    );
    const ran = await box.run(["create", "--profile", "helper", "--backend", "box1", "--max-life", "3m"]);
    const id = ran.stdout.trim();
    expect(ran.stderr + id).toMatch(/sb/);
    expect((await box.run(["exec", id, "--", "id", "-un"])).stdout).toBe("sandbox\n");
    expect((await box.run(["host", "ls"])).stdout).toMatch(/^box1 +ssh +available +1 of any +1 of any +512 MiB of 1 GiB$/m);
    const drained = await box.run(["host", "drain", "box1"]);
    expect([drained.stdout, drained.stderr]).toEqual([`box1\n  ${id}\n`, expect.stringContaining("1 still live there")]);
    const refused = await box.run(["host", "rm", "box1"]);
    expect([refused.code, refused.stderr]).toEqual([125, expect.stringContaining("error[conflict]")]);
    await box.run(["rm", id]);
    expect(document(await box.run(["host", "rm", "box1", "--json"]))).toEqual({ name: "box1", removed: true });
    const gone = await box.run(["host", "check", "box1"]);
    expect([gone.code, gone.stderr]).toEqual([125, expect.stringContaining("error[not_found]")]);
  },
);
