// Add the access key of a user at OUTSCALE, with which the agent makes others. Both halves leave their fields together.

import { useRef, useState } from "preact/hooks";
import type { Row, TokenOutcome } from "../bindings";
import { checkToken, take, type Verdict } from "../check";
import { useFrame } from "../frame";
import { SecretField } from "../parts/secret-field";
import { t } from "../text";
import { DialogFrame, DialogTrouble, Primary, useDialogAsk } from "./frame";
import { CheckWords } from "./token";
import { TokenOutcomePart } from "./token-outcome";

const EMPTY: Verdict = { is: "empty", say: "" };

export function KeyDialog({ row }: { row: Row }) {
  const { close } = useFrame();
  const { busy, trouble, run } = useDialogAsk();
  const [outcome, setOutcome] = useState<TokenOutcome | null>(null);
  const access = useRef<HTMLInputElement>(null);
  const secret = useRef<HTMLInputElement>(null);
  const [verdicts, setVerdicts] = useState({ access: EMPTY, secret: EMPTY });
  const isReady = verdicts.access.is === "good" && verdicts.secret.is === "good" && !busy;

  const keep = async () => {
    if (!isReady || !access.current || !secret.current) return;
    // The order is that of the agent (`docs/protocol.md`, `token-add`).
    const value = JSON.stringify({ access_key: take(access.current), secret_key: take(secret.current) });
    const sent = run({ ask: "keep-token", entry: row.name, value, ends: null, replaces: false });
    setVerdicts({ access: EMPTY, secret: EMPTY });
    const kept = await sent;
    if (kept) setOutcome(kept);
    else access.current?.focus();
  };
  if (outcome) {
    return (
      <DialogFrame
        name="key"
        title={t("key.added", { name: row.short })}
        onClose={close}
        onSubmit={close}
        acts={
          <button type="submit" class="primary" data-act="close" autofocus>
            {t("act.close")}
          </button>
        }
      >
        <TokenOutcomePart outcome={outcome} />
      </DialogFrame>
    );
  }
  return (
    <DialogFrame
      name="key"
      title={t("key.add", { name: row.short })}
      onClose={close}
      onSubmit={() => void keep()}
      acts={
        <>
          <button type="button" data-act="cancel" onClick={close}>
            {t("act.cancel")}
          </button>
          <Primary act="keep" disabled={!isReady}>
            {t(busy ? "token.keeping" : "act.keep-key")}
          </Primary>
        </>
      }
    >
      <p>{t("key.about")}</p>
      <SecretField
        name="value"
        label={t("key.access-key")}
        field={access}
        isBad={verdicts.access.is === "bad"}
        onInput={(raw) => setVerdicts((last) => ({ ...last, access: checkKey(raw) }))}
        about={<CheckWords verdict={verdicts.access} />}
      />
      <SecretField
        name="secret-key"
        label={t("key.secret-key")}
        field={secret}
        isBad={verdicts.secret.is === "bad"}
        isSecond
        onInput={(raw) => setVerdicts((last) => ({ ...last, secret: checkKey(raw) }))}
        about={<CheckWords verdict={verdicts.secret} />}
      />
      <DialogTrouble trouble={trouble} />
    </DialogFrame>
  );
}

/** Only what cannot be one half of a key is said: what it looks like is nothing that a person could check. */
function checkKey(raw: string): Verdict {
  const { is } = checkToken(raw, null);
  return { is, say: is === "bad" ? t("check.no-key") : "" };
}
