// Which lines of the ledger a person looks for.

import type { ActivityLine } from "./bindings";
import { t, word } from "./text";

export interface Filter {
  text: string;
  refusedOnly: boolean;
}

/** How a line is shown: what was called off, by the person or by time, was refused by nobody. */
export function outcomeOf(line: ActivityLine): string {
  return line.code === "called_off" ? "called-off" : line.outcome;
}

/** Keyfob does these also by itself; everything else was asked for by a program. */
const OWN_ACTS = ["lock", "unlock", "ledger", "stop"];

/** Whether a program asked that the system could not tell. */
export function isUnknown(line: ActivityLine): boolean {
  return !line.program && (line.pid !== null || line.behind.length > 0 || !OWN_ACTS.includes(line.act));
}

/** Why it came to that, in a few words; empty where there is nothing to say besides the outcome. */
export function whyOf(line: ActivityLine): string {
  const asked = line.note ?? line.target;
  if (line.code === "unknown_entry" && asked) return t("activity.unknown-entry", { asked });
  const code = line.code === null || line.code === "called_off" ? null : word("code", line.code);
  return [code, line.note].filter((text) => text !== null).join("; ");
}

export function matches(line: ActivityLine, filter: Filter): boolean {
  if (filter.refusedOnly && outcomeOf(line) !== "refused") return false;
  const wanted = filter.text.trim().toLowerCase();
  return wanted === "" || searched(line).some((text) => text.toLowerCase().includes(wanted));
}

/** What is seen of a line, in the words in which it is seen. */
function searched(line: ActivityLine): string[] {
  const { program, behind, entry, target, act, code, claims, note } = line;
  const told = [program, entry, target, claims, note].filter((text) => text !== null);
  const words = [word("asked", act), word("outcome", outcomeOf(line)), code === null ? "" : word("code", code)];
  return [...told, ...behind, ...words];
}
