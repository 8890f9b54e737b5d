// When reminders come before an end, and a pause for all of them.

import { useId, useState } from "preact/hooks";
import { useFrame } from "../frame";
import { offered, secondsOf, switched } from "../reminders";
import { n, t } from "../text";
import { day, duration, exact, moment } from "../words";
import { Card, Line } from "./settings-card";

const PAUSES = [1, 7, 30] as const;

export function Reminders() {
  const { state, now, attempt } = useFrame();
  const [busy, setBusy] = useState(false);
  const id = useId();
  const { page } = state;
  const inForce = page?.configuration?.reminders ?? [];
  const pausedUntil = page?.own.paused_until ?? null;
  const isPaused = (moment(pausedUntil) ?? 0) > now;
  const set = async (step: string, field: HTMLInputElement) => {
    const on = field.checked;
    setBusy(true);
    // Refused, the chip shows again what holds.
    if (!(await attempt({ ask: "set-reminders", steps: switched(inForce, step, on) }))) field.checked = !on;
    setBusy(false);
  };
  return (
    <Card title={t("reminders.title")}>
      <div class="setting chips-line" role="group" aria-labelledby={id}>
        <p id={id}>{t("reminders.steps")}</p>
        <div class="chips">
          {offered(inForce).map((step) => (
            <label key={step} class="chip">
              <input
                type="checkbox"
                name="reminder"
                value={step}
                checked={inForce.includes(step)}
                disabled={busy}
                onChange={(event) => void set(step, event.currentTarget)}
              />
              <span>{stepWords(step)}</span>
            </label>
          ))}
        </div>
      </div>
      <Line
        label={t("reminders.pause")}
        about={
          isPaused && pausedUntil ? (
            <span title={exact(pausedUntil)}>{t("reminders.paused", { when: day(pausedUntil) })}</span>
          ) : (
            t("reminders.pause-about")
          )
        }
      >
        {isPaused ? (
          <button
            type="button"
            data-act="remind-again"
            onClick={() => void attempt({ ask: "pause-reminders", days: 0 })}
          >
            {t("act.remind-again")}
          </button>
        ) : (
          PAUSES.map((days) => (
            <button
              key={days}
              type="button"
              data-act="pause"
              data-days={days}
              aria-label={n("reminders.pause-for", days)}
              onClick={() => void attempt({ ask: "pause-reminders", days })}
            >
              {n("life.day", days)}
            </button>
          ))
        )}
      </Line>
    </Card>
  );
}

function stepWords(step: string): string {
  const seconds = secondsOf(step);
  if (seconds === null) return step;
  return seconds === 86_400 ? n("life.day", 1) : duration(seconds);
}
