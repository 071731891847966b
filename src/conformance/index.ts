export { conformanceSuite, defineConformance } from "./suite.ts";
export type { TestFunction } from "./suite.ts";
export type { ConformanceCase, ConformanceOptions, Opened } from "./types.ts";
