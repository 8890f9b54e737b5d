// The geometry of the timeline: where months, lives and marks lie between the first day of this month and the day one
// year from now. Moments are milliseconds, places are pixels.

import type { Planned, PlannedDeed, Row } from "./bindings";
import { renewsByItself } from "./life";
import { moment } from "./words";

const DAY = 86_400_000;
/** Marks that lie closer than this are drawn as one. */
const CLOSE = 10;
/** Of several, the first of these is drawn. */
const WEIGHTS: PlannedDeed[] = ["end", "renew", "remind"];

export interface Span {
  from: number;
  to: number;
  width: number;
}

export interface Month {
  x: number;
  at: number;
}

export interface Mark {
  x: number;
  what: PlannedDeed;
  /** What it stands for, the first first. */
  all: Planned[];
}

export interface Lane {
  row: Row;
  /** Where what is held lives; `null` where nothing is held, or nobody knows its end. */
  life: { begin: number; end: number; goesOn: boolean } | null;
  marks: Mark[];
  /** It is replaced so often that single marks would say nothing. */
  renewsOften: boolean;
}

export function spanOf(now: number, width: number): Span {
  const today = new Date(now);
  const from = new Date(today.getFullYear(), today.getMonth(), 1).getTime();
  const to = new Date(today.getFullYear() + 1, today.getMonth(), today.getDate() + 1).getTime();
  return { from, to, width };
}

/** Not bounded: what lies outside of the span has a place outside of the picture. */
export function placeOf(span: Span, at: number): number {
  return ((at - span.from) / (span.to - span.from)) * span.width;
}

export function monthsOf(span: Span): Month[] {
  const months: Month[] = [];
  const first = new Date(span.from);
  for (let count = 0; ; count++) {
    const at = new Date(first.getFullYear(), first.getMonth() + count, 1).getTime();
    if (at >= span.to) return months;
    months.push({ x: placeOf(span, at), at });
  }
}

export function laneOf(span: Span, now: number, row: Row): Lane {
  const until = moment(row.until);
  const renewsOften = isRenewedOften(row, now);
  const isHeld = until !== null && until > now && row.state !== "signed-out";
  const begin = moment(row.since) ?? now;
  return {
    row,
    renewsOften,
    life:
      isHeld && !renewsOften
        ? {
            begin: Math.max(0, placeOf(span, Math.min(begin, now))),
            end: Math.min(span.width, placeOf(span, until)),
            goesOn: until > span.to,
          }
        : null,
    marks: renewsOften ? [] : marksOf(span, row),
  };
}

/** From the last to the first: the end, which mostly is the last, stands where the bar ends. */
function marksOf(span: Span, row: Row): Mark[] {
  const marks: Mark[] = [];
  const times = row.plan
    .map((planned) => ({ planned, at: moment(planned.at) ?? Number.NaN }))
    .filter(({ at }) => at >= span.from && at <= span.to)
    .sort((one, other) => other.at - one.at);
  for (const { planned, at } of times) {
    const x = placeOf(span, at);
    const next = marks[0];
    if (next && next.x - x < CLOSE) next.all.unshift(planned);
    else marks.unshift({ x, what: planned.what, all: [planned] });
  }
  for (const mark of marks) {
    mark.what = WEIGHTS.find((what) => mark.all.some((planned) => planned.what === what)) ?? mark.what;
  }
  return marks;
}

/** A lease of hours: its end is no news to anybody. */
function isRenewedOften(row: Row, now: number): boolean {
  const until = moment(row.until);
  return renewsByItself(row) && until !== null && until - now < 3 * DAY;
}

export interface Coming {
  at: string;
  what: PlannedDeed;
  row: Row;
}

/** The same as a list, in order of time: of what renews by itself, the next time alone. */
export function comingUp(rows: Row[], now: number): Coming[] {
  const all = rows.flatMap((row) => {
    const next = row.plan.find((planned) => planned.what === "renew");
    return row.plan
      .filter((planned) => (planned.what === "renew" ? planned === next : !isRenewedOften(row, now)))
      .map((planned) => ({ at: planned.at, what: planned.what, row }));
  });
  const at = (coming: Coming) => moment(coming.at) ?? 0;
  return all.filter((coming) => at(coming) >= now).sort((one, other) => at(one) - at(other));
}
