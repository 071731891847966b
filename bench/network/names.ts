/** The far end's names: one for TLS, and several more so that a million connections do not all have one destination's ports. */
export const FAR = "far.test";
export const FAR_NAMES: readonly string[] = [FAR, ...Array.from({ length: 16 }, (_, index) => `far${index}.test`)];

/** Where the far end answers one piece with one byte and closes: what a connection costs, without TLS. */
export const ANSWER_PORT = 7000;
/** Where the far end serves plain HTTP, for what is looked into without TLS. */
export const HTTP_PORT = 80;
export const TLS_PORT = 443;
