// Forget a token or a session. Both ask once; the button that does nothing has the focus.

import { useState } from "preact/hooks";
import type { PageAsk, Row } from "../bindings";
import { useFrame } from "../frame";
import { t } from "../text";
import { DialogFrame, DialogTrouble, Primary, useDialogAsk } from "./frame";

export function RemoveDialog({ row }: { row: Row }) {
  const [keeps, setKeeps] = useState(false);
  if (row.kind === "outscale") {
    return (
      <ForgetDialog
        name="remove"
        title={t("remove.title-key", { name: row.short })}
        act="remove"
        words={t("act.remove-key")}
        request={{ ask: "remove-token", entry: row.name, keep_at_service: false }}
      >
        <p>{t("remove.say-key")}</p>
      </ForgetDialog>
    );
  }
  return (
    <ForgetDialog
      name="remove"
      title={t("remove.title", { name: row.short })}
      act="remove"
      words={t("act.remove")}
      request={{ ask: "remove-token", entry: row.name, keep_at_service: keeps }}
    >
      <p>{t("remove.say")}</p>
      <label class="check">
        <input
          type="checkbox"
          name="keep"
          checked={keeps}
          onChange={(event) => setKeeps(event.currentTarget.checked)}
        />
        <span>
          {t("remove.keep")}
          <span class="faint block">{t("remove.keep-about")}</span>
        </span>
      </label>
    </ForgetDialog>
  );
}

export function SignOutDialog({ row }: { row: Row }) {
  const { page } = useFrame().state;
  const through = page?.rows.filter((other) => other.through === row.name) ?? [];
  return (
    <ForgetDialog
      name="sign-out"
      title={t("sign-out.title", { name: row.short })}
      act="sign-out"
      words={t("act.sign-out")}
      request={{ ask: "sign-out", entry: row.name }}
    >
      <p>{t("sign-out.say")}</p>
      {through.length > 0 && (
        <p>{t("sign-out.through", { names: through.map((other) => other.short).join(", ") })}</p>
      )}
    </ForgetDialog>
  );
}

interface ForgetProps {
  name: string;
  title: string;
  act: string;
  words: string;
  request: PageAsk & { ask: "remove-token" | "sign-out" };
  children: preact.ComponentChildren;
}

function ForgetDialog({ name, title, act, words, request, children }: ForgetProps) {
  const { close, say } = useFrame();
  const { busy, trouble, run } = useDialogAsk();
  const forget = async () => {
    const done = await run(request);
    if (!done) return;
    close();
    say(done.say);
  };
  return (
    <DialogFrame
      name={name}
      title={title}
      onClose={close}
      acts={
        <>
          <button type="button" data-act="cancel" autofocus onClick={close}>
            {t("act.cancel")}
          </button>
          <Primary act={act} class="danger" disabled={busy} onClick={() => void forget()}>
            {words}
          </Primary>
        </>
      }
    >
      {children}
      <DialogTrouble trouble={trouble} />
    </DialogFrame>
  );
}
