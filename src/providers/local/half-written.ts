/** Whether a document could not be read because it is not there, or was cut short by a crash. Anything else is the disk's fault, and says nothing of it. */
export function isMissingOrHalf(error: unknown): boolean {
  return error instanceof SyntaxError || (error instanceof Error && "code" in error && error.code === "ENOENT");
}
