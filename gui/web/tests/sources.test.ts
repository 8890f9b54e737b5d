// What holds for the sources as a whole.

import { expect, it } from "vitest";
import texts from "../../texts/en.json";

const sources: Record<string, string> = import.meta.glob("../src/**/*.{ts,tsx}", {
  query: "?raw",
  import: "default",
  eager: true,
});
const shipped = Object.entries(sources).filter(([name]) => !name.includes("/dev/") && !name.endsWith("/bindings.ts"));
const all = shipped.map(([, text]) => text).join("\n");

it("nothing from outside becomes markup or code, and no style is written into markup", () => {
  expect(shipped.length).toBeGreaterThan(40);
  for (const [name, text] of shipped) {
    expect(text, name).not.toMatch(/dangerouslySetInnerHTML|innerHTML|insertAdjacentHTML|document\.write|\beval\(|style="/);
  }
});

it("the samples are in no source that ships", () => {
  expect(all).not.toMatch(/from "[^"]*\/dev\//);
});

it("each text of the page is used", () => {
  // The Rust side has these for itself.
  const ours = Object.keys(texts).filter((key) => !/^(tray|notice|say)\./.test(key));
  const unused = ours.filter((key) => {
    const stem = key.replace(/\.(one|other)$/, "");
    // `state.live` is written as a whole, as `state.${…}`, or by its area in `word("state", …)`.
    const ways = [`"${key}"`, `"${stem}"`, ...areas(key), ...areas(stem)];
    return !ways.some((way) => all.includes(way));
  });
  expect(unused).toEqual([]);
});

function areas(key: string): string[] {
  const cuts = [...key.matchAll(/[.-]/g)].map((cut) => key.slice(0, cut.index + 1));
  return cuts.flatMap((cut) => [`\`${cut}\${`, `word("${cut.slice(0, -1)}", `]);
}
