// Add a token, or replace it: by pasting one, or through its service where that does it alone.

import { useRef, useState } from "preact/hooks";
import type { Row, TokenOutcome } from "../bindings";
import { checkToken, take, type Verdict } from "../check";
import { useFrame } from "../frame";
import { DayField, isFutureDay } from "../parts/day-field";
import { Sign } from "../parts/icons";
import { SecretField } from "../parts/secret-field";
import { t } from "../text";
import { DialogFrame, DialogTrouble, Primary, useDialogAsk } from "./frame";
import { TokenOutcomePart } from "./token-outcome";

export function TokenDialog({ row, replaces }: { row: Row; replaces: boolean }) {
  const { close } = useFrame();
  const [outcome, setOutcome] = useState<TokenOutcome | null>(null);
  const [pastes, setPastes] = useState(!(replaces && row.rotates_by_service));
  if (outcome) {
    return (
      <DialogFrame
        name="token"
        title={t(replaces ? "token.rotated" : "token.added", { name: row.short })}
        wide
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
  const Way = pastes ? PasteToken : RotateByService;
  return <Way row={row} replaces={replaces} onOutcome={setOutcome} onPaste={() => setPastes(true)} />;
}

interface WayProps {
  row: Row;
  replaces: boolean;
  onOutcome: (outcome: TokenOutcome) => void;
  onPaste: () => void;
}

function RotateByService({ row, onOutcome, onPaste }: WayProps) {
  const { close } = useFrame();
  const { busy, trouble, run } = useDialogAsk();
  const rotate = async () => {
    const outcome = await run({ ask: "rotate-token", entry: row.name });
    if (outcome) onOutcome(outcome);
  };
  return (
    <DialogFrame
      name="token"
      title={t("token.rotate", { name: row.short })}
      onClose={close}
      onSubmit={() => void rotate()}
      acts={
        <>
          <button type="button" class="quiet acts-first" data-act="paste" disabled={busy} onClick={onPaste}>
            {t("token.paste-instead")}
          </button>
          <button type="button" data-act="cancel" onClick={close}>
            {t("act.cancel")}
          </button>
          <Primary act="rotate" disabled={busy} autofocus>
            {t(busy ? "token.rotating" : "act.rotate")}
          </Primary>
        </>
      }
    >
      <p>{t("token.by-service")}</p>
      <DialogTrouble trouble={trouble} />
    </DialogFrame>
  );
}

function PasteToken({ row, replaces, onOutcome }: WayProps) {
  const { close, now } = useFrame();
  const { busy, trouble, run } = useDialogAsk();
  const field = useRef<HTMLInputElement>(null);
  const [verdict, setVerdict] = useState<Verdict>(() => checkToken("", row.prefix));
  const [ends, setEnds] = useState("");
  const isReady = verdict.is === "good" && !busy && (ends === "" || isFutureDay(ends, now));

  const keep = async () => {
    if (!isReady || !field.current) return;
    const sent = run({
      ask: "keep-token",
      entry: row.name,
      value: take(field.current),
      ends: ends === "" ? null : ends,
      replaces,
    });
    setVerdict(checkToken("", row.prefix));
    const outcome = await sent;
    if (outcome) onOutcome(outcome);
    else field.current?.focus();
  };
  return (
    <DialogFrame
      name="token"
      title={t(replaces ? "token.rotate" : "token.add", { name: row.short })}
      onClose={close}
      onSubmit={() => void keep()}
      acts={
        <>
          <button type="button" data-act="cancel" onClick={close}>
            {t("act.cancel")}
          </button>
          <Primary act="keep" disabled={!isReady}>
            {t(busy ? "token.keeping" : replaces ? "act.replace" : "act.keep")}
          </Primary>
        </>
      }
    >
      {row.has_portal && (
        <div class="portal">
          <p>{t("token.portal")}</p>
          <button
            type="button"
            data-act="open-portal"
            onClick={() => void run({ ask: "open-portal", entry: row.name })}
          >
            <Sign name="open" /> {t("act.open-page")}
          </button>
        </div>
      )}
      <SecretField
        name="value"
        label={t("token.value")}
        field={field}
        isBad={verdict.is === "bad"}
        onInput={(raw) => setVerdict(checkToken(raw, row.prefix))}
        about={<CheckWords verdict={verdict} />}
      />
      <DayField label={t("token.ends")} about={t("token.ends-about")} day={ends} now={now} onDay={setEnds} />
      {replaces && <p class="faint">{t("token.old-serves")}</p>}
      <DialogTrouble trouble={trouble} />
    </DialogFrame>
  );
}

export function CheckWords({ verdict }: { verdict: Verdict }) {
  return (
    <span data-check={verdict.is} class={`check-${verdict.is}`} role="status">
      {verdict.is === "good" && <Sign name="yes" />}
      {verdict.is === "bad" && <Sign name="no" />}
      {verdict.say}
    </span>
  );
}
