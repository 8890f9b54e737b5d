import { expect, it } from "vitest";
import { matches } from "../src/activity";
import type { ActivityLine, Page } from "../src/bindings";
import { activity } from "../src/dev/answers";
import { sceneOf } from "../src/dev/scenes";
import { offered, switched } from "../src/reminders";
import { dialogFor, FIRST, MOST_LINES, reduce, seenDialog, shortName } from "../src/state";

const page = sceneOf("busy");
const line = activity[0] as ActivityLine;
const lineAt = (at: string): ActivityLine => ({ ...line, at });
const begun = reduce(FIRST, { type: "page", page });

it("a page takes the place of the one before it whole", () => {
  const absent = sceneOf("absent");
  expect(reduce(begun, { type: "page", page: absent }).page).toBe(absent);
});

it("a dialog about an entry that is gone is closed, and stays while the agent is away", () => {
  const open = reduce(begun, { type: "open", dialog: dialogFor({ do: "rotate-token", entry: "token.aspect" }) });
  const without: Page = { ...page, rows: page.rows.filter((row) => row.name !== "token.aspect") };
  expect(reduce(open, { type: "page", page: without }).dialog).toBeNull();
  expect(reduce(open, { type: "page", page: sceneOf("absent") }).dialog).not.toBeNull();
});

it("a sign-in that was begun elsewhere is shown, but never over what the person has open", () => {
  const signingIn: Page = { ...page, sign_in: { entry: "sso.okta", step: { is: "begun" } } };
  const seen = reduce(begun, { type: "page", page: signingIn });
  expect(seenDialog(seen)).toEqual({ kind: "sign-in", entry: "sso.okta" });
  expect(seenDialog(reduce(seen, { type: "open", dialog: { kind: "unlock" } }))).toEqual({ kind: "unlock" });
});

it("the newest lines are kept, a thousand of them", () => {
  const many = Array.from({ length: MOST_LINES }, (_, index) => lineAt(`2026-01-01T00:00:00.${index}Z`));
  const full = reduce({ ...FIRST, lines: many }, { type: "line", line: lineAt("2026-02-01T00:00:00.000Z") });
  expect(full.lines).toHaveLength(MOST_LINES);
  expect(full.lines[0]?.at).toBe("2026-02-01T00:00:00.000Z");
});

it("a line that came while the rest was asked for is there once, whether or not the answer has it", () => {
  const [one, two, three] = ["2026-01-01T00:00:00.001Z", "2026-01-01T00:00:00.002Z", "2026-01-01T00:00:00.003Z"].map(lineAt);
  if (!one || !two || !three) throw new Error("three lines were made");
  const live = { ...FIRST, lines: [three, two] };
  expect(reduce(live, { type: "lines", lines: [two, one] }).lines).toEqual([three, two, one]);
});

it("a filter finds words as they are seen, and refusals alone", () => {
  const refused = activity.filter((one) => matches(one, { text: "", refusedOnly: true }));
  expect(refused.map((one) => one.outcome)).toEqual(["refused", "refused"]);
  expect(activity.filter((one) => matches(one, { text: "AWS KEYS", refusedOnly: false }))).toHaveLength(1);
  expect(activity.filter((one) => matches(one, { text: "not allowed", refusedOnly: false }))).toHaveLength(1);
});

it("names are short, also of entries that are gone", () => {
  expect(shortName("token.aspect", page)).toBe("aspect");
  expect(shortName("token.gone", page)).toBe("gone");
});

it("reminders keep what the configuration calls its own, the longest first", () => {
  expect(offered(["12h", "24h"])).toEqual(["30d", "14d", "7d", "3d", "24h", "12h"]);
  expect(switched(["14d", "1d"], "30d", true)).toEqual(["30d", "14d", "1d"]);
  expect(switched(["14d", "1d"], "14d", false)).toEqual(["1d"]);
});
