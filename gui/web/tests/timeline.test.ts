import { describe, expect, it } from "vitest";
import type { Planned, PlannedDeed, Row } from "../src/bindings";
import { rows } from "../src/dev/scenes";
import { renewsByItself, shareLeft } from "../src/life";
import { comingUp, laneOf, monthsOf, placeOf, spanOf } from "../src/timeline";

const DAY = 86_400_000;
const NOW = new Date(2026, 10, 21, 9).getTime();
const span = spanOf(NOW, 730);
const iso = (days: number) => new Date(NOW + days * DAY).toISOString();
const planned = (days: number, what: PlannedDeed): Planned => ({ at: iso(days), what });

function row(more: Partial<Row>): Row {
  const [any] = rows;
  if (!any) throw new Error("the samples have rows");
  return { ...any, kind: "token", state: "live", since: null, until: null, plan: [], ...more };
}

describe("the picture", () => {
  it("goes from this month's first day over today to the same day of next year", () => {
    expect(new Date(span.from)).toEqual(new Date(2026, 10, 1));
    expect(new Date(span.to)).toEqual(new Date(2027, 10, 22));
    const months = monthsOf(span);
    expect(months).toHaveLength(13);
    expect(months[0]?.x).toBe(0);
    expect(placeOf(span, NOW)).toBeGreaterThan(months[0]?.x ?? 0);
    expect(placeOf(span, NOW)).toBeLessThan(months[1]?.x ?? 0);
  });

  it("a life begins in the picture and ends in it, however long it is", () => {
    const long = laneOf(span, NOW, row({ since: iso(-400), until: iso(900) })).life;
    expect(long).toEqual({ begin: 0, end: span.width, goesOn: true });
    expect(laneOf(span, NOW, row({ until: iso(-1) })).life).toBeNull();
    expect(laneOf(span, NOW, row({ until: iso(40), state: "signed-out" })).life).toBeNull();
  });

  it("no two marks are nearer than ten pixels: such are one, of the weightiest kind, where the last of them is", () => {
    const days = [100, 199, 202, 203.5, 205];
    const plan = days.toReversed().map((day) => planned(day, day === 205 ? "end" : "remind"));
    const { marks } = laneOf(span, NOW, row({ until: iso(205), plan }));
    expect(marks.map(({ what, all }) => [what, all.length])).toEqual([
      ["remind", 1],
      ["remind", 1],
      ["end", 3],
    ]);
    expect(marks.at(-1)?.x).toBe(placeOf(span, NOW + 205 * DAY));
    for (const [index, mark] of marks.entries()) {
      expect(mark.x - (marks[index - 1]?.x ?? -10)).toBeGreaterThanOrEqual(10);
    }
  });

  it("a lease of an hour renews by itself and has neither bar nor end, a session of hours has both", () => {
    const plan = [planned(0.02, "renew"), planned(0.04, "end")];
    const lease = laneOf(span, NOW, row({ kind: "aws", until: iso(0.04), plan }));
    expect([lease.renewsOften, lease.life, lease.marks]).toEqual([true, null, []]);
    const session = laneOf(span, NOW, row({ kind: "sso", what: "sso", until: iso(0.04), plan }));
    expect([session.renewsOften, session.life === null, session.marks[0]?.all.length]).toEqual([false, false, 2]);
  });

  it("the table has everything in order of time, but of a lease the next renewal alone", () => {
    const lease = row({ kind: "aws", until: iso(0.04), plan: [planned(0.02, "renew"), planned(0.04, "end")] });
    const token = row({ until: iso(9), plan: [planned(-1, "remind"), planned(2, "remind"), planned(9, "end")] });
    expect(comingUp([token, lease], NOW).map(({ what }) => what)).toEqual(["renew", "remind", "end"]);
  });
});

describe("the bar", () => {
  it("is what is left of the whole life", () => {
    expect(shareLeft(NOW, iso(-30), iso(10))).toBeCloseTo(0.25);
    expect(shareLeft(NOW, iso(-30), iso(-1))).toBe(0);
    expect(shareLeft(NOW, iso(-30), null)).toBeNull();
  });

  it("has a scale that fits where nobody knows the beginning", () => {
    expect(shareLeft(NOW, null, iso(15))).toBeCloseTo(0.5);
    expect(shareLeft(NOW, null, iso(0.25))).toBeCloseTo(0.5);
    expect(shareLeft(NOW, null, iso(4000))).toBe(1);
  });

  it("a session's end counts although its access token is renewed", () => {
    const plan = [planned(0.5, "renew")];
    expect(renewsByItself({ what: "sso", plan })).toBe(false);
    expect(renewsByItself({ what: "aws", plan })).toBe(true);
    // Nobody signs in to a job's session.
    expect(renewsByItself({ what: "sso-machine", plan })).toBe(true);
    expect(renewsByItself({ what: "outscale", plan })).toBe(true);
  });
});
