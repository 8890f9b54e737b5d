// Times in words, as `keyfob` on the command line says them (`cli/src/life.rs`). Moments are milliseconds.

import { LOCALE, n, t } from "./text";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const months = new Intl.DateTimeFormat(LOCALE, { month: "short" });
const days = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", year: "numeric" });
const hours = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayAndHour = new Intl.DateTimeFormat(LOCALE, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

/** Milliseconds, or `null` for what is no time. */
export function moment(time: string | null | undefined): number | null {
  const read = time ? Date.parse(time) : Number.NaN;
  return Number.isNaN(read) ? null : read;
}

/** So many seconds in the largest unit of which there are at least two: `6 days`, `58 minutes`. Days are the nearest, so
 * that they fit the date beside them and a year that has just begun has 365. */
export function duration(seconds: number): string {
  const left = Math.max(0, Math.floor(seconds));
  if (left >= 2 * DAY) return n("life.day", Math.round(left / DAY));
  if (left >= 2 * HOUR) return n("life.hour", Math.floor(left / HOUR));
  if (left >= 2 * MINUTE) return n("life.minute", Math.floor(left / MINUTE));
  return n("life.second", left);
}

/** `6 days left`, `about 6 days left`, `ended`. */
export function remaining(now: number, until: string, assumed: boolean): string {
  const end = moment(until);
  if (end === null) return t("life.unreadable");
  if (end <= now) return t("life.ended");
  const life = duration((end - now) / 1000);
  return t(assumed ? "life.left-about" : "life.left", { life });
}

/** How long it is until then: `6 days`. */
export function until(now: number, time: string): string {
  const then = moment(time);
  return then === null ? t("life.unreadable") : duration((then - now) / 1000);
}

/** When it ends or ended: `ends 3 Dec 2026`, `ends at 14:05`, `ends tomorrow at 09:00`. */
export function ending(now: number, until: string, assumed: boolean): string {
  const end = moment(until);
  if (end === null) return "";
  if (end <= now) return t("life.ended-on", { when: isSameDay(end, now) ? hours.format(end) : days.format(end) });
  const when = assumed ? days.format(end) : near(now, end);
  return t(assumed ? "life.ends-about" : "life.ends", { when });
}

function near(now: number, end: number): string {
  if (isSameDay(end, now)) return t("life.at", { time: hours.format(end) });
  const tomorrow = new Date(now);
  tomorrow.setDate(tomorrow.getDate() + 1);
  if (isSameDay(end, tomorrow.getTime())) return t("life.tomorrow", { time: hours.format(end) });
  return days.format(end);
}

/** `just now`, `12 min ago`, `3 h ago`, `40 days ago`. A clock that is a little ahead is no reason to speak of the future. */
export function ago(now: number, time: string): string {
  const then = moment(time);
  if (then === null) return t("life.unreadable");
  const seconds = Math.floor((now - then) / 1000);
  if (seconds < MINUTE) return t("ago.now");
  if (seconds < HOUR) return n("ago.minute", Math.floor(seconds / MINUTE));
  if (seconds < 2 * DAY) return n("ago.hour", Math.floor(seconds / HOUR));
  return n("ago.day", Math.floor(seconds / DAY));
}

/** `3 Dec 2026`; what is no time is shown as it is. */
export function day(time: string): string {
  const at = moment(time);
  return at === null ? time : days.format(at);
}

/** `Dec`, and `2027` where a year begins. */
export function month(at: number): string {
  const date = new Date(at);
  return date.getMonth() === 0 ? String(date.getFullYear()) : months.format(at);
}

/** `14:05` today, `3 Dec, 14:05` else. */
export function hour(now: number, time: string): string {
  const at = moment(time);
  if (at === null) return time;
  return isSameDay(at, now) ? hours.format(at) : dayAndHour.format(at);
}

/** The whole local time for a title, in an order that sorts: `2026-12-03 14:05:22 +01:00`. */
export function exact(time: string): string {
  const at = moment(time);
  if (at === null) return time;
  const date = new Date(at);
  const two = (number: number) => String(number).padStart(2, "0");
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return `${isoDay(at)} ${clock} ${zone}`;
}

/** The local day: `2026-12-03`. */
export function isoDay(at: number): string {
  const date = new Date(at);
  const two = (number: number) => String(number).padStart(2, "0");
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** Whether a text is a day that exists: `2027-03-01`. */
export function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const at = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}

/** Seconds as a clock that runs down: `4:05`. */
export function countdown(seconds: number): string {
  const left = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(left / MINUTE)}:${String(left % MINUTE).padStart(2, "0")}`;
}

/** A sentence of the agent starts in lower case and has no full stop. */
export function sentence(say: string): string {
  const first = say.slice(0, 1).toLocaleUpperCase(LOCALE);
  const whole = first + say.slice(1);
  return whole === "" || /[.!?:…]$/.test(whole) ? whole : `${whole}.`;
}

function isSameDay(one: number, other: number): boolean {
  return isoDay(one) === isoDay(other);
}
