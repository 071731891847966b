import type { PolicyJson } from "./cedar.ts";

/** What rules look at. All else cannot change an answer, and is not handed over: most of a question's cost is what is read of it. */
export interface Uses {
  /** Attributes by name; null: the whole record. */
  readonly context: ReadonlySet<string> | null;
  readonly principal: ReadonlySet<string>;
  readonly resource: ReadonlySet<string>;
  /** Metadata of sandboxes. */
  readonly tags: boolean;
  /** Groups of actions. */
  readonly groups: boolean;
}

interface Found {
  whole: boolean;
  tags: boolean;
  groups: boolean;
  readonly names: Readonly<Record<string, Set<string>>>;
}

function isVariable(node: unknown): node is { Var: string } {
  return typeof node === "object" && node !== null && "Var" in node;
}

function look(node: unknown, found: Found): void {
  if (Array.isArray(node)) for (const one of node) look(one, found);
  if (typeof node !== "object" || node === null || Array.isArray(node) || "Value" in node) return;
  if (isVariable(node)) {
    // A thing by itself is compared by its name; the request's record by all that is in it.
    if (node.Var === "context") found.whole = true;
    if (node.Var === "action") found.groups = true;
    return;
  }
  for (const [operation, operand] of Object.entries(node)) {
    const { left, attr } = (operand ?? {}) as { left?: unknown; attr?: string | string[] };
    if ((operation === "." || operation === "has") && isVariable(left)) {
      const name = Array.isArray(attr) ? attr[0] : attr;
      if (name !== undefined) found.names[left.Var]?.add(name);
    } else {
      if (operation === "hasTag" || operation === "getTag") found.tags = true;
      look(operand, found);
    }
  }
}

/** What rules look at, by their parsed form. */
export function usesOf(rules: readonly PolicyJson[]): Uses {
  const names = { context: new Set<string>(), principal: new Set<string>(), resource: new Set<string>() };
  const found: Found = { whole: false, tags: false, groups: false, names };
  for (const { action, conditions } of rules) {
    if (action.op === "in") found.groups = true;
    look(conditions, found);
  }
  const { whole, tags, groups } = found;
  return { context: whole ? null : names.context, principal: names.principal, resource: names.resource, tags, groups };
}
