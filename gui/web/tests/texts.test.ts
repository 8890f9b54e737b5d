// What holds for the words that the page says when something does not go.

import { expect, it } from "vitest";
import texts from "../../texts/en.json";
import dialogs from "../src/styles/dialogs.css?raw";
import { troubleFrom } from "../src/door";
import { t } from "../src/text";
import { countdown } from "../src/words";

const all = Object.entries(texts);

it("a trouble of the page is like one of the agent: lower case, no full stop, and a next step", () => {
  expect(troubleFrom(undefined)).toEqual({
    code: "internal",
    say: t("trouble.unexpected"),
    hint: t("trouble.unexpected-hint"),
  });
  const ours = all.filter(([key]) => /^(trouble|hand|outside)\./.test(key));
  expect(ours.length).toBeGreaterThan(5);
  for (const [key, words] of ours) expect(words, key).toMatch(/^[a-z“].*[^.]$/);
});

it("who types what cannot be sent is told what to do", () => {
  const refusals = all.filter(([key]) => /^(check\.(long|space|ascii|prefix|only-prefix)|day\.past|sign-in\.code-ended)$/.test(key));
  expect(refusals).toHaveLength(7);
  for (const [key, words] of refusals) expect(words, key).toMatch(/\. [A-Z].*\.$/);
});

it("minutes and seconds are not called minutes", () => {
  expect(t("sign-in.code-ends", { left: countdown(600) })).toBe("The code is good for 10:00.");
});

it("a region that alerts is there before its words", () => {
  expect(dialogs).not.toMatch(/dialog-trouble[^{]*\{[^}]*display:\s*none/);
});
