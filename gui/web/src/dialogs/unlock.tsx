// Opens the file keychain with its passphrase. Without a passphrase there is nothing to ask (see `begin` in `app.tsx`), but
// a click on a notification may still lead here.

import { useRef, useState } from "preact/hooks";
import { clear } from "../check";
import { useFrame } from "../frame";
import { SecretField } from "../parts/secret-field";
import { t } from "../text";
import { DialogFrame, DialogTrouble, useDialogAsk } from "./frame";

export function UnlockDialog() {
  const { state, close, say } = useFrame();
  const { busy, trouble, run } = useDialogAsk();
  const field = useRef<HTMLInputElement>(null);
  const [isEmpty, setEmpty] = useState(true);
  const needsPassphrase = Boolean(state.page?.lock?.needs_passphrase || state.page?.keychain?.needs_passphrase);

  const unlock = async () => {
    if (busy || (needsPassphrase && isEmpty)) return;
    const sent = run({ ask: "unlock", passphrase: needsPassphrase ? taken(field.current) : null });
    setEmpty(true);
    const done = await sent;
    if (done) {
      close();
      say(done.say);
    } else {
      field.current?.focus();
    }
  };
  return (
    <DialogFrame
      name="unlock"
      title={t("unlock.title")}
      onClose={close}
      onSubmit={() => void unlock()}
      acts={
        <>
          <button type="button" data-act="cancel" onClick={close}>
            {t("act.cancel")}
          </button>
          <button type="submit" class="primary" data-act="unlock" disabled={busy || (needsPassphrase && isEmpty)}>
            {t("act.unlock")}
          </button>
        </>
      }
    >
      {needsPassphrase ? (
        <SecretField
          name="passphrase"
          label={t("unlock.passphrase")}
          field={field}
          about={t("unlock.about")}
          onInput={(raw) => setEmpty(raw === "")}
        />
      ) : (
        <p>{t("unlock.say")}</p>
      )}
      <DialogTrouble trouble={trouble} />
    </DialogFrame>
  );
}

/** A passphrase may begin or end with a space: unlike a token it is not trimmed. */
function taken(field: HTMLInputElement | null): string {
  const passphrase = field?.value ?? "";
  clear(field);
  return passphrase;
}
