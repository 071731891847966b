/** What E2B's edge answers in place of a sandbox that is not there: the SDK tells it from all other errors by the status. */
export function goneAnswer(sandboxId: string, message = "The sandbox was not found"): { status: 502; body: Record<string, unknown> } {
  return { status: 502, body: { sandboxId, message, code: 502 } };
}
