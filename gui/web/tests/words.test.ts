import { describe, expect, it } from "vitest";
import texts from "../../texts/en.json";
import { n, t } from "../src/text";
import { ago, countdown, duration, ending, isDay, remaining, sentence } from "../src/words";

const NOW = Date.parse("2026-11-21T08:00:00Z");
const left = (until: string) => remaining(NOW, until, false);

describe("remaining life", () => {
  it("is told in the largest unit of which there are two, as on the command line", () => {
    expect(left("2027-11-21T08:00:00Z")).toBe("365 days left");
    expect(left("2026-11-27T08:00:00Z")).toBe("6 days left");
    expect(left("2026-11-23T07:59:59Z")).toBe("47 hours left");
    expect(left("2026-11-21T09:59:59Z")).toBe("119 minutes left");
    expect(left("2026-11-21T08:01:30Z")).toBe("90 seconds left");
    expect(left("2026-11-21T08:00:01Z")).toBe("1 second left");
    expect(duration(86_400)).toBe("24 hours");
  });

  it("from two days on is the nearest day, so that a year is not at once a day less and 26 Nov is in 5 days", () => {
    expect(left("2027-11-21T07:59:59Z")).toBe("365 days left");
    expect(left("2026-11-26T00:00:00Z")).toBe("5 days left");
    expect(left("2026-12-02T20:00:01Z")).toBe("12 days left");
    expect(left("2026-11-23T08:00:00Z")).toBe("2 days left");
    expect(left("2026-11-23T20:00:00Z")).toBe("3 days left");
  });

  it("has ended at its end, and nonsense is a question mark", () => {
    expect(left("2026-11-21T08:00:00Z")).toBe("ended");
    expect(left("soon")).toBe("?");
  });

  it("says about what is assumed only that", () => {
    expect(remaining(NOW, "2026-11-27T08:00:00Z", true)).toBe("about 6 days left");
    expect(ending(NOW, "2026-12-03T12:00:00Z", true)).toBe("ends about 3 Dec 2026");
    expect(ending(NOW, "2026-12-03T12:00:00Z", false)).toBe("ends 3 Dec 2026");
  });
});

describe("other times", () => {
  it("ages are short, and a clock that is ahead is no future", () => {
    expect(ago(NOW, "2026-11-21T08:00:30Z")).toBe("just now");
    expect(ago(NOW, "2026-11-21T07:48:00Z")).toBe("12 min ago");
    expect(ago(NOW, "2026-11-19T08:00:01Z")).toBe("47 h ago");
    expect(ago(NOW, "2026-11-19T08:00:00Z")).toBe("2 days ago");
  });

  it("days that do not exist are none", () => {
    expect(isDay("2028-02-29")).toBe(true);
    for (const bad of ["2027-02-29", "2027-13-01", "2027-3-1", "01.03.2027", ""]) expect(isDay(bad), bad).toBe(false);
  });

  it("a clock runs down to nothing and never below", () => {
    expect([countdown(245.2), countdown(9), countdown(-3)]).toEqual(["4:06", "0:09", "0:00"]);
  });
});

describe("texts", () => {
  it("a value is put in once and never read for placeholders again", () => {
    expect(t("question.act-at", { act: "{target}", target: "b" })).toBe("{target} for b");
  });

  it("numbers choose their form", () => {
    expect(n("life.day", 1)).toBe("1 day");
    expect(n("life.day", 2)).toBe("2 days");
  });

  it("each form for one has a form for many", () => {
    const keys = Object.keys(texts);
    for (const key of keys.filter((key) => key.endsWith(".one"))) expect(keys).toContain(key.replace(/one$/, "other"));
  });

  it("sentences of the agent get a capital letter and a full stop", () => {
    expect(sentence("it is locked")).toBe("It is locked.");
    expect(sentence("is it?")).toBe("Is it?");
    expect(sentence("")).toBe("");
  });
});
