// The steps of reminders, as the configuration writes them: `30d`, `12h`.

const USUAL = ["30d", "14d", "7d", "3d", "1d"];
const UNITS: Record<string, number> = { y: 365 * 86_400, w: 7 * 86_400, d: 86_400, h: 3600, m: 60, s: 1 };

/** Seconds; `null` for what is no step. */
export function secondsOf(step: string): number | null {
  const [, count, unit] = /^(\d+)([ywdhms])$/.exec(step) ?? [];
  const scale = unit === undefined ? undefined : UNITS[unit];
  return scale === undefined ? null : Number(count) * scale;
}

/** What can be chosen: the usual steps and those in force, the longest first, each length once. */
export function offered(inForce: string[]): string[] {
  const added = inForce.filter((step) => !USUAL.some((usual) => secondsOf(usual) === secondsOf(step)));
  const inTheirWords = USUAL.map((usual) => inForce.find((step) => secondsOf(step) === secondsOf(usual)) ?? usual);
  return sorted([...inTheirWords, ...added]);
}

/** The steps after one was switched on or off. */
export function switched(inForce: string[], step: string, on: boolean): string[] {
  const others = inForce.filter((other) => other !== step);
  return sorted(on ? [...others, step] : others);
}

function sorted(steps: string[]): string[] {
  return [...steps].sort((one, other) => (secondsOf(other) ?? 0) - (secondsOf(one) ?? 0));
}
