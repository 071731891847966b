/** The job: every verb behind one interface. */
export { type Backend, openBackends, type OpenBackendsOptions } from "./backends.ts";
export { type Clock, systemClock } from "./clock.ts";
export { createEngine, type EngineOptions } from "./create-engine.ts";
export { dataDirectoryId } from "./data-directory.ts";
export type { Engine, ExecInput, MetricSample } from "./engine.ts";
export { FAILPOINTS, type Failpoint } from "./failpoints.ts";
export { loadShippedProfiles, type ShippedProfile } from "./shipped-profiles.ts";
