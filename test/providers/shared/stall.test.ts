import { describe, expect, test } from "vitest";
import type { Provider } from "../../../src/contract/index.ts";
import { filesOverExec } from "../../../src/providers/shared/files-over-exec.ts";
import { chunks, collect, op, openFiles, ref } from "./host-exec.ts";

/** What a FIFO swapped in at the last moment looks like: nothing comes, until it is killed. */
function silentExec(killed: () => void): Provider["exec"] {
  return async function* (_ref, _command, _options, { signal }) {
    yield { type: "started" };
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    killed();
  };
}

describe("files over exec", () => {
  test("an operation that nothing comes from is given up and killed", async () => {
    let killed = 0;
    const files = filesOverExec({ exec: silentExec(() => killed++), workdir: "/w", stallMs: 50 });
    await expect(files.stat(ref, "f", op)).rejects.toMatchObject({ code: "timeout" });
    await expect(files.read(ref, "f", {}, op)).rejects.toMatchObject({ code: "timeout" });
    expect(killed).toBe(2);
  });

  test("an end without an exit status is an error, never an empty answer", async () => {
    const exec: Provider["exec"] = async function* () {
      yield { type: "started" };
    };
    await expect(filesOverExec({ exec, workdir: "/w" }).list(ref, "d", { depth: 1 }, op)).rejects.toMatchObject({
      code: "backend_unavailable",
    });
  });

  test("a full disk is quota_exceeded and leaves the old file", async () => {
    const { files, dispose } = await openFiles();
    try {
      await expect(files.write(ref, "/dev/full/x", chunks("x"), {}, op)).rejects.toMatchObject({ code: "file_conflict" });
      const full: Provider["exec"] = async function* () {
        yield { type: "started" };
        yield { type: "stderr", data: Buffer.from("cat: write error: No space left on device\n") };
        yield { type: "exited", outcome: "exited", exitCode: 1, signal: null, oomKilled: false, truncated: false };
      };
      await expect(filesOverExec({ exec: full, workdir: "/w" }).write(ref, "f", chunks("x"), {}, op)).rejects.toMatchObject({
        code: "quota_exceeded",
      });
    } finally {
      await dispose();
    }
  });

  test("a hostile tar stays below the directory", async () => {
    const { files, workdir, dispose } = await openFiles();
    try {
      await files.write(ref, "src/f", chunks("payload"), {}, op);
      const tar = await collect(files.exportTree(ref, "src/f", op));
      for (const name of ["../escaped", "/tmp/files-escaped-absolute", "a/../../escaped"])
        await files
          .importTree(ref, "in", chunks(renamed(tar, name)), op)
          .catch((error: Error) => expect(error).toMatchObject({ code: "invalid_request" }));
      const paths = (await files.list(ref, ".", { depth: 9 }, op)).map((info) => info.path.slice(workdir.length + 1));
      expect(paths.filter((path) => !path.startsWith("in") && !path.startsWith("src"))).toEqual([]);
      await expect(files.stat(ref, "/tmp/files-escaped-absolute", op)).rejects.toMatchObject({ code: "file_not_found" });
    } finally {
      await dispose();
    }
  });
});

/** The archive with its first member under another name. */
function renamed(tar: Buffer, name: string): Buffer {
  const copy = Buffer.from(tar);
  copy.fill(0, 0, 100).write(name, 0);
  copy.fill(" ", 148, 156);
  copy.write(`${copy.subarray(0, 512).reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0 `, 148); // prettier-ignore
  return copy;
}
