import { expect, it } from "vitest";
import { checkPassphrases, checkToken } from "../src/check";

it("only what can be a token is good", () => {
  const verdicts: [string, string][] = [
    ["aw_0123456789", "good"],
    [" aw_0123456789\n", "good"],
    ["", "empty"],
    ["   ", "empty"],
    ["aw_", "bad"],
    ["a", "bad"],
    ["ghp_marked", "bad"],
    ["aw_mar ked", "bad"],
    ["aw_marked\u00e9", "bad"],
    ["aw_mark\u200bed", "bad"],
    ["aw_x".repeat(5000), "bad"],
  ];
  for (const [raw, is] of verdicts) expect(checkToken(raw, "aw_").is, raw.slice(0, 20)).toBe(is);
});

it("nothing of a value is repeated", () => {
  for (const raw of ["ghp_marked", "aw_mar ked", "aw_marked\u00e9", " aw_marked"]) {
    expect(checkToken(raw, "aw_").say).not.toMatch(/mar/);
  }
});

it("space around a value is left out, and that is said", () => {
  expect(checkToken("aw_1 ", "aw_").say).not.toBe(checkToken("aw_1", "aw_").say);
});

it("a beginning that is still being typed is no complaint about the token", () => {
  expect(checkToken("a", "aw_").say).toBe("It begins with aw_");
});

it("a passphrase that is chosen has eight characters and is typed twice", () => {
  expect(checkPassphrases("", "")).toBe("empty");
  expect(checkPassphrases("1234567", "1234567")).toBe("short");
  expect(checkPassphrases("\u{1f511}".repeat(4), "\u{1f511}".repeat(4))).toBe("short");
  expect(checkPassphrases("12345678", "123")).toBe("empty");
  expect(checkPassphrases("12345678", "12345679")).toBe("differs");
  expect(checkPassphrases("12345678", "12345678")).toBe("good");
  expect(checkPassphrases("x", null)).toBe("good");
});
