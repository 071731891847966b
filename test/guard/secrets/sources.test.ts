import { execFileSync } from "node:child_process";
import { existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { MAX_SECRET_BYTES } from "../../../src/contract/index.ts";
import { readCommandSource } from "../../../src/guard/secrets/source-command.ts";
import { type Allowed, type HostSource, readSource } from "../../../src/guard/secrets/index.ts";

function scratch(): string {
  const path = mkdtempSync(join(tmpdir(), "sbx-sources-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const never = () => new AbortController().signal;
const read = (source: HostSource, allowed: Allowed = "anything") => readSource(source, allowed, "secrets[0].source", never());
/** Fails with that code, and says nothing of what may not be known. */
async function refused(work: Promise<string>, code: string, message: RegExp, hidden = "tell-no-one"): Promise<void> {
  const error = await work.then(
    (value) => new Error(`it gave ${value}`),
    (thrown: Error) => thrown,
  );
  expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string });
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(hidden);
}

describe("a variable of the server", () => {
  it("is read where it is listed, or by the operator, and is refused elsewhere by name", async () => {
    process.env["SBX_TEST_SECRET"] = "tell-no-one";
    onTestFinished(() => void delete process.env["SBX_TEST_SECRET"]);
    expect(await read({ env: "SBX_TEST_SECRET" })).toBe("tell-no-one");
    expect(await read({ env: "SBX_TEST_SECRET" }, { env: ["OTHER", "SBX_TEST_SECRET"] })).toBe("tell-no-one");
    for (const allowed of [{}, { env: [] }, { env: ["SBX_TEST"] }, { files: ["/"], commands: [["env"]] }] satisfies Allowed[])
      await refused(read({ env: "SBX_TEST_SECRET" }, allowed), "policy_denied", /secrets\[0\]\.source: .*secrets\.env/);
    await refused(read({ env: "SBX_TEST_NONE" }), "secret_unavailable", /is not set/);
  });

  it("is never the key of the store, for anyone", async () => {
    await refused(read({ env: "SANDBOXER_SECRETS_KEY" }), "policy_denied", /never one itself/);
  });

  it.each(["", "tell-no-one\r\nX-Evil: 1", "tell-no-one\0", "tell-no-one".repeat(10_000)])(
    "is refused where it cannot be a value (%#)",
    async (value) => {
      // A NUL cannot stand in a variable: what is before it is the value.
      process.env["SBX_TEST_SECRET"] = value;
      onTestFinished(() => void delete process.env["SBX_TEST_SECRET"]);
      if (value.includes("\0")) expect(await read({ env: "SBX_TEST_SECRET" })).toBe("tell-no-one");
      else await refused(read({ env: "SBX_TEST_SECRET" }), "secret_unavailable", /is empty|control character|longer/);
    },
  );
});

describe("a file of the server", () => {
  it("is read with one line end taken off, where it or a directory above it is listed", async () => {
    const root = scratch();
    mkdirSync(join(root, "keys"));
    const file = join(root, "keys/token");
    for (const [text, value] of [
      ["tell-no-one", "tell-no-one"],
      ["tell-no-one\n", "tell-no-one"],
      ["tell-no-one\r\n", "tell-no-one"],
    ] as const) {
      writeFileSync(file, text);
      for (const allowed of [
        "anything",
        { files: [file] },
        { files: [root] },
        { files: [`${root}/`] },
        { files: ["/nowhere", join(root, "keys")] },
      ] satisfies Allowed[])
        expect(await read({ file }, allowed)).toBe(value);
    }
    symlinkSync(root, join(root, "link"));
    expect(
      await read({ file: join(root, "link/keys/token") }, { files: [join(root, "link")] }),
      "a listed link is the operator's own",
    ).toBe("tell-no-one");
  });

  it("outside of what is listed is refused before it is touched, whether it exists or not", async () => {
    const root = scratch();
    mkdirSync(join(root, "keys"));
    mkdirSync(join(root, "keys-of-others"));
    for (const path of ["secret", "keys-of-others/secret"]) writeFileSync(join(root, path), "tell-no-one");
    for (const path of ["secret", "none", "keys-of-others/secret", "keys/../secret", "keys/../../etc/shadow", "keys/./../secret"])
      await refused(read({ file: `${root}/${path}` }, { files: [join(root, "keys")] }), "policy_denied", /is not listed in secrets\.files/);
    for (const allowed of [{}, { files: [] }, { env: ["A"] }] satisfies Allowed[])
      await refused(read({ file: "/etc/shadow" }, allowed), "policy_denied", /secrets\.files/);
  });

  it("that leads out of what is listed by a link, its own or a directory's, is refused", async () => {
    const root = scratch();
    mkdirSync(join(root, "keys"));
    mkdirSync(join(root, "outside"));
    writeFileSync(join(root, "outside/secret"), "tell-no-one");
    symlinkSync(join(root, "outside/secret"), join(root, "keys/link"));
    symlinkSync("../outside", join(root, "keys/directory"));
    symlinkSync("/proc/self/environ", join(root, "keys/environ"));
    symlinkSync("link", join(root, "keys/chain"));
    for (const path of ["link", "directory/secret", "environ", "chain"])
      await refused(read({ file: join(root, "keys", path) }, { files: [join(root, "keys")] }), "policy_denied", /leads out of/);
    expect(await read({ file: join(root, "keys/link") }), "the operator may").toBe("tell-no-one");
  });

  it("that is swapped for a link again and again never gives what is outside", async () => {
    const root = scratch();
    mkdirSync(join(root, "keys/a"), { recursive: true });
    mkdirSync(join(root, "outside"));
    writeFileSync(join(root, "keys/a/token"), "allowed");
    writeFileSync(join(root, "outside/token"), "tell-no-one");
    const swap = execFileSync("sh", ["-c", `
      (i=0; while [ $i -lt 400 ]; do mv ${root}/keys/a ${root}/keys/b; ln -s ../outside ${root}/keys/a; rm ${root}/keys/a; mv ${root}/keys/b ${root}/keys/a; i=$((i+1)); done; touch ${root}/done) >/dev/null 2>&1 &
      echo started`], { encoding: "utf8" }); // prettier-ignore
    expect(swap).toBe("started\n");
    let allowed = 0;
    while (!existsSync(join(root, "done"))) {
      const value = await read({ file: join(root, "keys/a/token") }, { files: [join(root, "keys")] }).catch(
        (thrown: { code: string }) => thrown.code,
      );
      expect(["allowed", "policy_denied", "secret_unavailable"]).toContain(value);
      if (value === "allowed") allowed++;
    }
    expect(allowed, "the positive control").toBeGreaterThan(0);
  });

  it("that is a directory, a pipe, a device, too long, binary or of two lines is refused, and none is waited for", async () => {
    const root = scratch();
    execFileSync("mkfifo", [join(root, "pipe")]);
    writeFileSync(join(root, "long"), "tell-no-one".repeat(10_000));
    writeFileSync(join(root, "exact"), `${"x".repeat(MAX_SECRET_BYTES)}\r\n`);
    writeFileSync(join(root, "binary"), Buffer.from([0x61, 0xff, 0xfe]));
    writeFileSync(join(root, "lines"), "tell-no-one\ntell-no-one\n");
    writeFileSync(join(root, "empty"), "\n");
    for (const [path, why] of [
      ["", /is not a file/],
      ["pipe", /is not a file/],
      ["long", /longer than/],
      ["binary", /UTF-8/],
      ["lines", /line break/],
      ["empty", /is empty/],
      ["none", /ENOENT/],
    ] as const)
      await refused(read({ file: join(root, path) }), "secret_unavailable", why);
    await refused(read({ file: "/dev/zero" }), "secret_unavailable", /is not a file/);
    expect(await read({ file: join(root, "exact") })).toHaveLength(MAX_SECRET_BYTES);
    linkSync(join(root, "exact"), join(root, "hard"));
    expect(await read({ file: join(root, "hard") })).toHaveLength(MAX_SECRET_BYTES);
  });
});

describe("a command of the server", () => {
  it("runs without a shell, with nothing on its input and without our variables, where its first words are listed", async () => {
    process.env["SANDBOXER_TEST_SECRET"] = "tell-no-one";
    onTestFinished(() => void delete process.env["SANDBOXER_TEST_SECRET"]);
    expect(await read({ command: ["echo", "a $HOME `id` ; b"] }, { commands: [["echo"]] })).toBe("a $HOME `id` ; b");
    expect(await read({ command: ["sh", "-c", "cat; echo ${SANDBOXER_TEST_SECRET:-none} $PWD"] })).toBe("none /");
    expect(await read({ command: ["echo", "read", "x"] }, { commands: [["pass"], ["echo", "read"]] })).toBe("read x");
    for (const command of [["echo", "write"], ["echo"], ["sh", "echo", "read"], ["/bin/echo", "read"]])
      await refused(read({ command }, { commands: [["echo", "read"]] }), "policy_denied", /secrets\.commands/);
    await refused(read({ command: ["touch", "/tmp/never"] }, {}), "policy_denied", /secrets\.commands/);
  });

  it("that fails is told by its program and exit code; what it wrote is told nowhere", async () => {
    await refused(
      read({ command: ["sh", "-c", "echo tell-no-one; echo tell-no-one >&2; exit 3"] }),
      "secret_unavailable",
      /^the command "sh" failed with exit code 3$/,
    );
    await refused(read({ command: ["sh", "-c", "kill -TERM $$"] }), "secret_unavailable", /ended by SIGTERM/);
    await refused(read({ command: ["/nowhere/tell", "tell-no-one"] }), "secret_unavailable", /cannot be run \(ENOENT\)/);
    await refused(read({ command: ["printf", "tell-no-one\\nX: y\\n"] }), "secret_unavailable", /line break/);
    await refused(read({ command: ["true"] }), "secret_unavailable", /is empty/);
  });

  it("that says too much, takes too long or hands its output on is ended with all it started", async () => {
    const root = scratch();
    await refused(read({ command: ["sh", "-c", "yes tell-no-one"] }), "secret_unavailable", /more than 65536 bytes/);
    const slow = ["sh", "-c", `sleep 600 & echo $! >${root}/pid; wait`];
    await refused(readCommandSource(slow, never(), 500), "secret_unavailable", /no value within 0\.5 s/);
    const pid = readFileSync(join(root, "pid"), "utf8").trim();
    await expect.poll(() => existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ")).toBe(false);
    const away = ["sh", "-c", `setsid sh -c 'echo $$ >${root}/away; exec sleep 600' & echo done`];
    await refused(readCommandSource(away, never(), 700), "secret_unavailable", /no value within/);
    process.kill(Number(readFileSync(join(root, "away"), "utf8")), "SIGKILL");
  });

  it("ends when the caller goes away", async () => {
    const leave = new AbortController();
    const reading = readSource({ command: ["sleep", "600"] }, "anything", "secrets[0].source", leave.signal);
    leave.abort();
    await refused(reading, "secret_unavailable", /given up/);
  });
});
