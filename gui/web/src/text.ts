// Every word that we say ourselves, from the one file that is translated (`gui/texts/en.json`).

import texts from "../../texts/en.json";

type Texts = typeof texts;
export type Key = keyof Texts;
/** A key that has a form for one and a form for many. */
export type CountKey = Key extends infer K ? (K extends `${infer Stem}.one` ? Stem : never) : never;
type Values = Record<string, string | number>;

const known: Record<string, string> = texts;
export const LOCALE: string = texts["page.locale"];
const plural = new Intl.PluralRules(LOCALE);

/** The text of a key; `{name}` is replaced once, and a value is never read for placeholders again. */
export function t(key: Key, values: Values = {}): string {
  return fill(known[key] ?? key, values);
}

/** The form for a number, which is `{count}`. */
export function n(key: CountKey, count: number, values: Values = {}): string {
  const form = known[`${key}.${plural.select(count)}`] ?? known[`${key}.other`] ?? key;
  return fill(form, { count, ...values });
}

/** Our word for something that the Rust side names; what a newer one names is shown as it is. */
export function word(area: string, name: string): string {
  return known[`${area}.${name}`] ?? name;
}

function fill(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}
