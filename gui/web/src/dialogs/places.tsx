// An edit of the configuration would send what is held to new places. To the letter what is shown here is accepted.

import { useFrame, useAsked } from "../frame";
import { shortName } from "../state";
import { t } from "../text";
import { DialogFrame, DialogTrouble, Primary, useDialogAsk } from "./frame";

export function PlacesDialog({ entry }: { entry: string }) {
  const { state, close, say } = useFrame();
  const changes = useAsked({ ask: "changes" }, "once");
  const { busy, trouble, run } = useDialogAsk();
  const shown = changes.it?.filter((change) => change.entry === entry) ?? null;
  const accept = async () => {
    if (!shown) return;
    const done = await run({ ask: "accept-changes", changes: shown });
    if (!done) return;
    close();
    say(done.say);
  };
  return (
    <DialogFrame
      name="places"
      title={t("places.title", { name: shortName(entry, state.page) })}
      onClose={close}
      acts={
        <>
          <button type="button" data-act="cancel" autofocus onClick={close}>
            {t("act.cancel")}
          </button>
          <Primary act="accept" disabled={busy || !shown || shown.length === 0} onClick={() => void accept()}>
            {t("act.accept")}
          </Primary>
        </>
      }
    >
      <p>{t("places.say")}</p>
      {shown === null && changes.busy && <progress aria-label={t("places.asking")} />}
      {shown?.length === 0 && <p>{t("places.none")}</p>}
      <ul class="places">
        {shown?.flatMap((change) =>
          change.places.map((place) => (
            <li key={place}>
              <code>{place}</code>
            </li>
          )),
        )}
      </ul>
      {shown !== null && shown.length > 0 && <p class="faint">{t("places.unless")}</p>}
      <DialogTrouble trouble={trouble ?? changes.trouble} />
    </DialogFrame>
  );
}
