import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Provider, Ref } from "../../../src/contract/index.ts";
import { scratchDirectory } from "../../../src/providers/local/scratch.ts";
import { sandbox, say } from "./inside.ts";
import { op, Scratch, unusable } from "./scratch.ts";

const reason = await unusable({ runtimes: ["crun"] });

/** What a program meets, by system call: the error's name, or "ok". */
const TRIES = `
import ctypes, os, errno, platform
libc = ctypes.CDLL(None, use_errno=True)
numbers = {'unshare': (272, 97), 'mount': (165, 40), 'bpf': (321, 280), 'io_uring_setup': (425, 425), 'keyctl': (250, 219), 'clone3': (435, 435),
  'userfaultfd': (323, 282), 'perf_event_open': (298, 241), 'setns': (308, 268), 'open_tree': (428, 428), 'ptrace': (101, 117), 'getpid': (39, 172),
  'open_by_handle_at': (304, 265), 'pidfd_getfd': (438, 438), 'kexec_load': (246, 104), 'add_key': (248, 217), 'unknown': (9999, 9999)}
for name, (x86, arm) in sorted(numbers.items()):
  ctypes.set_errno(0)
  r = libc.syscall(arm if platform.machine() == 'aarch64' else x86, 0x10000000 if name == 'unshare' else 0, 0, 0, 0, 0)
  print(name, 'ok' if r >= 0 else errno.errorcode.get(ctypes.get_errno(), '?'))
`;

describe.skipIf(reason !== undefined)(
  `system call filters as crun compiled them${reason === undefined ? "" : ` (not on this host: ${reason})`}`,
  () => {
    const scratch = new Scratch({ knowing: false });
    let provider: Provider;
    beforeAll(async () => {
      provider = await scratch.open({ runtimes: ["crun"] });
    });
    afterAll(() => scratch.remove());

    const tried = async (ref: Ref): Promise<string> => {
      const { stdout, end } = await say(provider, ref, { run: { argv: ["python3", "-c", TRIES] } });
      return `${end.exitCode} ${stdout}`;
    };
    const usesCompiled = (id: string): boolean =>
      readFileSync(join(scratchDirectory(scratch.directory, `${scratch.instance}.local`), id, "config.json"), "utf8").includes(
        "run.oci.seccomp_bpf_data",
      );
    const forget = (): void => {
      for (const name of readdirSync(scratch.path("seccomp"))) rmSync(scratch.path("seccomp", name));
    };

    for (const allowPtrace of [false, true]) {
      test(`refuse the same as one that is compiled anew, ${allowPtrace ? "with" : "without"} ptrace`, async () => {
        // The probe has left one.
        forget();
        const [anew, compiled] = [await sandbox(provider, { allowPtrace }), await sandbox(provider, { allowPtrace })];
        expect([usesCompiled(anew.id), usesCompiled(compiled.id)]).toEqual([false, true]);
        const answers = await tried(anew);
        expect(await tried(compiled)).toBe(answers);
        if (answers.startsWith("127")) return;
        for (const line of [/^unshare EPERM$/m, /^clone3 ENOSYS$/m, /^getpid ok$/m, /^unknown ENOSYS$/m]) expect(answers).toMatch(line);
        expect(/^ptrace EPERM$/m.test(answers)).toBe(!allowPtrace);
        for (const ref of [anew, compiled]) await provider.destroy(ref, op());
      });
    }
  },
);
