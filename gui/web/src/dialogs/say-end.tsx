// Says when a token ends, where its service does not.

import { useState } from "preact/hooks";
import type { Row } from "../bindings";
import { useFrame } from "../frame";
import { DayField, isFutureDay } from "../parts/day-field";
import { t } from "../text";
import { isoDay, moment } from "../words";
import { DialogFrame, DialogTrouble, Primary, useDialogAsk } from "./frame";

export function SayEndDialog({ row }: { row: Row }) {
  const { close, say, now } = useFrame();
  const { busy, trouble, run } = useDialogAsk();
  const [ends, setEnds] = useState(() => {
    const until = moment(row.until);
    // An assumed end is nobody's word: it would only stand in the way of what the person types.
    return until === null || row.until_assumed ? "" : isoDay(until);
  });
  const isReady = isFutureDay(ends, now) && !busy;
  const save = async () => {
    if (!isReady) return;
    const done = await run({ ask: "say-end", entry: row.name, ends });
    if (!done) return;
    close();
    say(done.say);
  };
  return (
    <DialogFrame
      name="say-end"
      title={t("say-end.title", { name: row.short })}
      onClose={close}
      onSubmit={() => void save()}
      acts={
        <>
          <button type="button" data-act="cancel" onClick={close}>
            {t("act.cancel")}
          </button>
          <Primary act="save" disabled={!isReady}>
            {t("act.save")}
          </Primary>
        </>
      }
    >
      <DayField label={t("token.ends")} about={t("say-end.about")} day={ends} now={now} onDay={setEnds} isFirst />
      <DialogTrouble trouble={trouble} />
    </DialogFrame>
  );
}
