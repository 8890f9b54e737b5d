// How much of a life is left: the geometry of its bar.

import type { Row } from "./bindings";
import { moment } from "./words";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Where nobody knows the beginning, the bar's whole length is the smallest of these that the rest fits into. */
const SCALES = [HOUR, 12 * HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY, 365 * DAY];

/** The share of a life that is left, from 0 to 1; `null` where nobody knows the end. */
export function shareLeft(now: number, since: string | null, until: string | null): number | null {
  const end = moment(until);
  if (end === null) return null;
  const left = end - now;
  if (left <= 0) return 0;
  const begin = moment(since);
  const whole = begin !== null && begin < end ? end - begin : (SCALES.find((scale) => left <= scale) ?? left);
  return Math.min(1, left / whole);
}

/** Whether the agent replaces it before it ends, so that its end is no concern of the person. A person's session is renewed, too,
 * but that does not move its end. */
export function renewsByItself(row: Pick<Row, "what" | "plan">): boolean {
  return row.what !== "sso" && row.plan.some((planned) => planned.what === "renew");
}

/** Whether nothing is held because it is asked anew each time: another program, or the identity of a job. */
export function isAskedEachTime(row: Pick<Row, "what">): boolean {
  return row.what === "aws-command" || row.what === "machine";
}

/** Whether something is held whose end is known. */
export function isHeld(row: Pick<Row, "state" | "until">): boolean {
  return row.until !== null && row.state !== "signed-out";
}
