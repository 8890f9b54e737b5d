// Whether a pasted value can be the token, told while it is typed. The agent looks again (`agent/src/kind/token.rs`).

import { t } from "./text";

/** The agent takes no longer value. */
const LONGEST = 8 * 1024;

export interface Verdict {
  is: "empty" | "good" | "bad";
  /** What is wrong, or what is worth knowing. Nothing of the value is in it. */
  say: string;
}

export function checkToken(raw: string, prefix: string | null): Verdict {
  const value = raw.trim();
  const begin = prefix ?? "";
  if (value === "") return { is: "empty", say: begin ? t("check.begins", { prefix: begin }) : "" };
  if (value.length > LONGEST) return bad(t("check.long", { most: LONGEST }));
  if (/\s/.test(value)) return bad(t("check.space"));
  if (!/^[!-~]*$/.test(value)) return bad(t("check.ascii"));
  if (!value.startsWith(begin)) {
    return bad(begin.startsWith(value) ? t("check.begins", { prefix: begin }) : t("check.prefix", { prefix: begin }));
  }
  if (value === begin) return bad(t("check.only-prefix", { prefix: begin }));
  return { is: "good", say: value === raw ? t("check.good") : t("check.trimmed") };
}

function bad(say: string): Verdict {
  return { is: "bad", say };
}

/** Takes the value out of a field: from here on the field is empty and hidden, and nobody but the caller has the value. */
export function take(field: HTMLInputElement): string {
  const value = field.value.trim();
  clear(field);
  return value;
}

/** Empties a field that held a secret. */
export function clear(field: HTMLInputElement | null): void {
  if (!field) return;
  field.value = "";
  field.type = "password";
}

/** Characters of a passphrase that is chosen here. */
const SHORTEST = 8;

export type PassphraseCheck = "empty" | "short" | "differs" | "good";

/** Whether a passphrase can be sent. `again` is `null` where it is not being chosen: then any may be right. */
export function checkPassphrases(passphrase: string, again: string | null): PassphraseCheck {
  if (passphrase === "") return "empty";
  if (again === null) return "good";
  if ([...passphrase].length < SHORTEST) return "short";
  if (passphrase === again) return "good";
  return passphrase.startsWith(again) ? "empty" : "differs";
}
