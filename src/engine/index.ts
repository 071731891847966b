/** The job: every verb behind one interface. */
export { type Backend, isOnThisHost, openBackends } from "./backends.ts";
export { type Clock, systemClock } from "./clock.ts";
export { createEngine, type EngineOptions } from "./create-engine.ts";
export { dataDirectoryId } from "./data-directory.ts";
export type { Engine } from "./engine.ts";
export { FAILPOINTS, type Failpoint, HUB_FAILPOINTS, REST_FAILPOINTS } from "./failpoints.ts";
export { loadShippedProfiles } from "./shipped-profiles.ts";
