// No reminders about a token for a while.

import { useId, useState } from "preact/hooks";
import type { Row } from "../bindings";
import { useFrame } from "../frame";
import { t } from "../text";
import { day, exact, moment } from "../words";
import { DialogFrame, DialogTrouble, Primary, useDialogAsk } from "./frame";

/** The agent takes no more. */
const MOST_DAYS = 365;

export function SnoozeDialog({ row }: { row: Row }) {
  const { close, say, now } = useFrame();
  const { busy, trouble, run } = useDialogAsk();
  const [days, setDays] = useState("5");
  const id = useId();
  const count = Number(days);
  const isReady = /^\d+$/.test(days) && count >= 1 && count <= MOST_DAYS && !busy;
  const isQuiet = (moment(row.quiet_until) ?? 0) > now;
  const save = async (chosen: number) => {
    const done = await run({ ask: "snooze", entry: row.name, days: chosen });
    if (!done) return;
    close();
    say(done.say);
  };
  return (
    <DialogFrame
      name="snooze"
      title={t("snooze.title", { name: row.short })}
      onClose={close}
      onSubmit={() => {
        if (isReady) void save(count);
      }}
      acts={
        <>
          {isQuiet && (
            <button
              type="button"
              class="acts-first"
              data-act="remind-again"
              disabled={busy}
              onClick={() => void save(0)}
            >
              {t("act.remind-again")}
            </button>
          )}
          <button type="button" data-act="cancel" onClick={close}>
            {t("act.cancel")}
          </button>
          <Primary act="save" disabled={!isReady}>
            {t("act.pause")}
          </Primary>
        </>
      }
    >
      {isQuiet && row.quiet_until && (
        <p title={exact(row.quiet_until)}>{t("row.quiet", { when: day(row.quiet_until) })}</p>
      )}
      <div class="field">
        <label for={id}>{t("snooze.days")}</label>
        <input
          id={id}
          name="days"
          type="number"
          min={1}
          max={MOST_DAYS}
          step={1}
          required
          autofocus
          value={days}
          aria-describedby={`${id}-about`}
          onInput={(event) => setDays(event.currentTarget.value)}
        />
        <div id={`${id}-about`} class="field-about">
          {t("snooze.about")}
        </div>
      </div>
      <DialogTrouble trouble={trouble} />
    </DialogFrame>
  );
}
