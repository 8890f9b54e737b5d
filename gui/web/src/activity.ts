// Which lines of the ledger a person looks for.

import type { ActivityLine } from "./bindings";
import { word } from "./text";

export interface Filter {
  text: string;
  refusedOnly: boolean;
}

export function matches(line: ActivityLine, filter: Filter): boolean {
  if (filter.refusedOnly && line.outcome !== "refused") return false;
  const wanted = filter.text.trim().toLowerCase();
  return wanted === "" || searched(line).some((text) => text.toLowerCase().includes(wanted));
}

/** What is seen of a line, in the words in which it is seen. */
function searched(line: ActivityLine): string[] {
  const { program, behind, entry, target, act, outcome, code, claims, note } = line;
  const told = [program, entry, target, claims, note].filter((text) => text !== null);
  const words = [word("asked", act), word("outcome", outcome), code === null ? "" : word("code", code)];
  return [...told, ...behind, ...words];
}
