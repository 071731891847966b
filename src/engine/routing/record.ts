import type { Route, SandboxerError } from "../../contract/index.ts";

/** The decision, where the first choice could not be used at that moment and another was taken. */
export function instead(route: Route, backend: string, because: string): Route {
  const reason = `instead of ${because}`;
  const candidates = route.candidates.map((candidate) => {
    if (candidate.backend === backend) return { ...candidate, verdict: "chosen" as const, reason };
    return candidate.verdict === "chosen" ? { ...candidate, verdict: "eligible" as const, reason: because } : candidate;
  });
  return { ...route, chosen: backend, reason: `${backend}: ${reason}`, candidates };
}

/** The decision after `from` failed and `to` has it. */
export function fellBack(route: Route, from: string, to: string, error: SandboxerError): Route {
  const candidates = route.candidates.map((candidate) => {
    if (candidate.backend === from) return { ...candidate, verdict: "failed" as const, reason: `${error.code}: ${error.message}` };
    return candidate.backend === to
      ? { ...candidate, verdict: "chosen" as const, reason: `fallback after ${from}: ${error.code}` }
      : candidate;
  });
  return { ...route, chosen: to, reason: `${to}: fallback after ${from} answered ${error.code}`, candidates };
}
