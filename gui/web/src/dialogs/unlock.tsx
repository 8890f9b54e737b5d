// Opens the file keychain with its passphrase, or chooses the first one. Without a passphrase there is nothing to ask (see
// `begin` in `app.tsx`), but a click on a notification may still lead here.

import { useRef, useState } from "preact/hooks";
import { checkPassphrases, clear, type PassphraseCheck } from "../check";
import { useFrame } from "../frame";
import { SecretField } from "../parts/secret-field";
import { t } from "../text";
import { isNew, needsPassphrase } from "../trouble";
import { DialogFrame, DialogTrouble, Primary, useDialogAsk } from "./frame";

export function UnlockDialog() {
  const { state, close, say } = useFrame();
  const { busy, trouble, run } = useDialogAsk();
  const field = useRef<HTMLInputElement>(null);
  const again = useRef<HTMLInputElement>(null);
  const [check, setCheck] = useState<PassphraseCheck>("empty");
  const asks = needsPassphrase(state.page);
  // What the person began stays while it is under way, although the page may know of its success before its answer is here.
  const chooses = useRef(false);
  if (!busy) chooses.current = asks && isNew(state.page);
  const isFirst = chooses.current;
  const isReady = !busy && (!asks || check === "good");

  const look = () => {
    const passphrase = field.current?.value ?? "";
    setCheck(checkPassphrases(passphrase, isFirst ? (again.current?.value ?? "") : null));
  };
  const unlock = async () => {
    if (!isReady) return;
    const sent = run({ ask: "unlock", passphrase: asks ? taken(field.current) : null });
    clear(again.current);
    setCheck("empty");
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
      title={t(isFirst ? "unlock.new" : "unlock.title")}
      onClose={close}
      onSubmit={() => void unlock()}
      acts={
        <>
          <button type="button" data-act="cancel" onClick={close}>
            {t("act.cancel")}
          </button>
          <Primary act="unlock" disabled={!isReady}>
            {t(isFirst ? "act.create" : "act.unlock")}
          </Primary>
        </>
      }
    >
      {isFirst && <p>{t("unlock.new-say")}</p>}
      {asks ? (
        <SecretField
          name="passphrase"
          label={t(isFirst ? "unlock.new-passphrase" : "unlock.passphrase")}
          field={field}
          about={t(isFirst ? "unlock.new-about" : "unlock.about")}
          onInput={look}
        />
      ) : (
        <p>{t("unlock.say")}</p>
      )}
      {isFirst && (
        <SecretField
          name="passphrase-again"
          label={t("unlock.again")}
          field={again}
          isSecond
          isBad={check === "differs"}
          about={<CheckWords check={check} />}
          onInput={look}
        />
      )}
      <DialogTrouble trouble={trouble} />
    </DialogFrame>
  );
}

function CheckWords({ check }: { check: PassphraseCheck }) {
  return (
    <span data-check={check} class={`check-${check === "differs" ? "bad" : check}`} role="status">
      {check === "empty" ? "" : t(`unlock.${check}`)}
    </span>
  );
}

/** A passphrase may begin or end with a space: unlike a token it is not trimmed. */
function taken(field: HTMLInputElement | null): string {
  const passphrase = field?.value ?? "";
  clear(field);
  return passphrase;
}
