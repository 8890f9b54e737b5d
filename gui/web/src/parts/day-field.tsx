// A day. Not the web view's own date field: WebKitGTK has none.

import { useId } from "preact/hooks";
import { t } from "../text";
import { isDay, isoDay } from "../words";

const DAY = 86_400_000;
const USUAL = [90, 180, 365] as const;

interface DayFieldProps {
  label: string;
  about: string;
  day: string;
  now: number;
  onDay: (day: string) => void;
  isFirst?: boolean;
}

export function DayField({ label, about, day, now, onDay, isFirst }: DayFieldProps) {
  const id = useId();
  const isBad = day !== "" && !isDay(day);
  const isPast = isDay(day) && day < isoDay(now);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="field-line">
        <input
          id={id}
          name="ends"
          type="text"
          inputMode="numeric"
          autocomplete="off"
          placeholder={isoDay(now + 365 * DAY)}
          maxLength={24}
          autofocus={isFirst ?? false}
          value={day}
          aria-describedby={`${id}-about`}
          aria-invalid={isBad || isPast ? true : undefined}
          onFocus={(event) => event.currentTarget.select()}
          onInput={(event) => onDay(event.currentTarget.value.trim())}
        />
        {USUAL.map((days) => (
          <button key={days} type="button" data-days={days} onClick={() => onDay(isoDay(now + days * DAY))}>
            {t(`day.in-${days}`)}
          </button>
        ))}
      </div>
      <div id={`${id}-about`} class="field-about">
        {isBad || isPast ? <span class="bad">{t(isBad ? "day.bad" : "day.past")}</span> : about}
      </div>
    </div>
  );
}

/** Whether the field's day can be sent. */
export function isFutureDay(day: string, now: number): boolean {
  return isDay(day) && day >= isoDay(now);
}
