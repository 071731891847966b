/** Ctrl-C ends what runs, and the sandbox with it; a second one leaves at once. */
const controller = new AbortController();
process.once("SIGINT", () => controller.abort());

export const interrupt: AbortSignal = controller.signal;
