import { describe, expect, test } from "vitest";
import { conformanceSuite } from "../../src/conformance/index.ts";
import type { Provider } from "../../src/contract/index.ts";
import { BROKEN_EXECS, timeoutKillsOnlyTheClient } from "./broken/exec.ts";
import { BROKEN_FILES, BROKEN_PORTS, BROKEN_PROCESSES } from "./broken/groups.ts";
import { BROKEN_RESTS } from "./broken/rest.ts";
import { BROKEN_LIFECYCLES } from "./broken/lifecycle.ts";
import { FAKE, breaking } from "./fake-options.ts";

/** Each broken provider, and the start of the name of the case that must catch it. */
const CAUGHT_BY: [string, (provider: Provider) => Provider, string][] = [
  ["fakes exit 0", BROKEN_EXECS.fakesExitZero, "exit codes are told"],
  ["never tells the end", BROKEN_EXECS.neverEnds, "exit codes are told"],
  ["starts twice", BROKEN_EXECS.startsTwice, "argv reaches"],
  ["ignores cwd", BROKEN_EXECS.ignoresCwd, "a command runs in its cwd"],
  ["ignores env", BROKEN_EXECS.ignoresEnv, "a command has its env"],
  ["ignores the user", BROKEN_EXECS.ignoresUser, "a command runs as the user"],
  ["ignores the timeout", BROKEN_EXECS.ignoresTimeout, "exec_timeout kills"],
  ["at the timeout kills only the client", timeoutKillsOnlyTheClient, "exec_timeout kills"],
  ["joins argv to a shell line", BROKEN_EXECS.joinsArgv, "argv reaches"],
  ["leaves stdin open", BROKEN_EXECS.leavesStdinOpen, "without stdin"],
  ["buffers stdin", BROKEN_EXECS.buffersStdin, "piped stdin is live"],
  ["merges stderr", BROKEN_EXECS.mergesStderr, "stderr comes apart"],
  ["drops stderr", BROKEN_EXECS.dropsStderr, "stderr comes apart"],
  ["mangles binary output", BROKEN_EXECS.manglesBinary, "output is bytes"],
  ["decodes output piece by piece", BROKEN_EXECS.manglesBinary, "a character split"],
  ["drops the last chunk", BROKEN_EXECS.dropsLastChunk, "a large output comes whole"],
  ["buffers all output", BROKEN_EXECS.buffersAllOutput, "a caller that does not take output"],
  ["hides truncation", BROKEN_EXECS.hidesTruncation, "output beyond the cap"],
  ["ignores the output cap", BROKEN_EXECS.ignoresCap, "output beyond the cap"],
  ["flags truncation at the cap", BROKEN_EXECS.flagsTruncationAtTheCap, "output of exactly the cap"],
  ["hides signals", BROKEN_EXECS.hidesSignals, "a death by signal"],
  ["ignores an abort", BROKEN_EXECS.ignoresAbort, "a signal that is aborted already"],
  ["swallows an abort", BROKEN_EXECS.swallowsAbort, "an abort ends the exec"],
  ["answers a constant id", BROKEN_LIFECYCLES.answersAConstantId, "create gives a usable sandbox"],
  ["shares one sandbox", BROKEN_LIFECYCLES.sharesOneSandbox, "two sandboxes are two"],
  ["creates anew each time", BROKEN_LIFECYCLES.createsAnewEachTime, "20 creates of one id"],
  ["ignores the isolation floor", BROKEN_LIFECYCLES.ignoresTheIsolationFloor, "an isolation that cannot be had"],
  ["ignores max_life", BROKEN_LIFECYCLES.ignoresMaxLife, "max_life ends"],
  ["swallows destroy", BROKEN_LIFECYCLES.swallowsDestroy, "destroy is confirmed"],
  ["swallows destroy", BROKEN_LIFECYCLES.swallowsDestroy, "a destroyed sandbox cannot be used"],
  ["throws on the second destroy", BROKEN_LIFECYCLES.destroysOnlyOnce, "destroy is confirmed"],
  ["lists nothing on an error", BROKEN_LIFECYCLES.listsNothingOnError, "an aborted list"],
  ["lists the dead", BROKEN_LIFECYCLES.listsTheDead, "list shows exactly"],
  ["says absent on an error", BROKEN_LIFECYCLES.saysAbsentOnError, "an aborted list"],
  ["leaves what was aborted", BROKEN_LIFECYCLES.leavesWhatWasAborted, "a create that is aborted"],
  ["pretends to pause", BROKEN_RESTS.pretendsToPause, "a pause stops what runs"],
  ["starts anew on a resume", BROKEN_RESTS.endsWhatRuns, "a pause stops what runs"],
  ["lists a paused one as running", BROKEN_RESTS.listsAsRunning, "a pause stops what runs"],
  ["loses the disk on a suspend", BROKEN_RESTS.losesTheDisk, "a suspend ends what runs"],
  ["goes on while suspended", BROKEN_RESTS.suspendsNothing, "a suspend ends what runs"],
  ["starts output one byte early", BROKEN_PROCESSES.offsetOffByOne, "output can be read again"],
  ["ignores the offset", BROKEN_PROCESSES.ignoresTheOffset, "output can be read again"],
  ["answers the offset of the start", BROKEN_PROCESSES.answersTheOffsetOfTheStart, "the offset of each chunk"],
  ["always follows", BROKEN_PROCESSES.alwaysFollows, "reading without following"],
  ["hides the end", BROKEN_PROCESSES.hidesTheEnd, "a background process has a journal"],
  ["hides a journal's truncation", BROKEN_PROCESSES.hidesJournalTruncation, "a journal ends at its cap"],
  ["runs again on every start", BROKEN_PROCESSES.runsAgainOnEveryStart, "starting the same id again"],
  ["swallows signals", BROKEN_PROCESSES.swallowsSignals, "a process that is not there"],
  ["does not close stdin", BROKEN_PROCESSES.swallowsCloseStdin, "a piped process is written to"],
  ["ignores a resize", BROKEN_PROCESSES.ignoresResize, "a pty is a terminal"],
  ["gives no terminal", BROKEN_PROCESSES.ignoresThePty, "what is typed at a pty"],
  ["mangles names", BROKEN_FILES.mangledNames, "hostile names round-trip"],
  ["ignores ranges", BROKEN_FILES.ignoresRanges, "a range gives"],
  ["ignores modes", BROKEN_FILES.ignoresModes, "what is written is read"],
  ["always replaces", BROKEN_FILES.alwaysReplaces, "rename moves"],
  ["removes full directories", BROKEN_FILES.removesFullDirectories, "remove takes a full directory"],
  ["lists one level only", BROKEN_FILES.listsOneLevelOnly, "a list has every entry"],
  ["keeps broken uploads", BROKEN_FILES.keepsBrokenUploads, "an upload that breaks off"],
  ["loses symlinks", BROKEN_FILES.losesSymlinks, "a list has every entry"],
  ["reads in one piece", BROKEN_FILES.readsInOnePiece, "a large file goes in"],
  ["watches nothing", BROKEN_FILES.watchesNothing, "a watch tells"],
  ["connects where nothing listens", BROKEN_PORTS.answersWhereNothingListens, "a port leads to"],
  ["mixes up whose port it is", BROKEN_PORTS.leadsToWhomeverListens, "a port leads to"],
];

describe("the suite catches a provider that", () => {
  test.each(CAUGHT_BY)("%s", { timeout: 60_000 }, async (_what, wrap, caughtBy) => {
    const found = conformanceSuite(breaking(wrap)).find(({ name }) => name.startsWith(`broken: ${caughtBy}`));
    expect(found, `there is no case "${caughtBy}"`).toBeDefined();
    const verdict = await Promise.race([
      Promise.resolve(found?.run()).then(() => "passed", () => "failed"), // prettier-ignore
      new Promise((resolve) => setTimeout(resolve, 3000, "hung")),
    ]);
    // A runner's own time limit turns a hang into a failure.
    expect(["failed", "hung"]).toContain(verdict);
  });

  test.each([...new Set(CAUGHT_BY.map(([, , name]) => name))])(
    "does it, while the unbroken one passes: %s",
    { timeout: 60_000 },
    async (name) => {
      await conformanceSuite(breaking((provider) => provider))
        .find((entry) => entry.name.startsWith(`broken: ${name}`))
        ?.run();
    },
  );

  test("declares a group that it does not have", async () => {
    const withoutPty = conformanceSuite({
      ...FAKE,
      open: async () => ({ provider: without(await FAKE.open().then((opened) => opened.provider)), dispose: () => Promise.resolve() }),
    });
    const found = withoutPty.find(({ name }) => name.includes("a background process has a journal"));
    await expect(found?.run()).rejects.toThrow("has the group processes");
  });
});

function without({ processes: _ignored, ...provider }: Provider): Provider {
  return provider;
}
