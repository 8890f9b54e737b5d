// Sign in, in the browser or by a code on any device. How far it is comes with the page; we only begin it and put it away.

import { useRef, useState } from "preact/hooks";
import type { SignInStep } from "../bindings";
import { useNow } from "../clock";
import { useFrame } from "../frame";
import { CopyButton } from "../parts/copy";
import { Sign } from "../parts/icons";
import { Say, TroubleSay } from "../parts/say";
import { shortName } from "../state";
import { t } from "../text";
import { countdown, moment } from "../words";
import { DialogFrame, DialogTrouble, Primary, useDialogAsk } from "./frame";

export function SignInDialog({ entry }: { entry: string }) {
  const { state, close } = useFrame();
  const { busy, trouble, run } = useDialogAsk();
  const [byDevice, setByDevice] = useState(false);
  const underWay = state.page?.sign_in;
  const step = underWay?.entry === entry ? underWay.step : null;
  const isOver = step?.is === "done" || step?.is === "failed";

  const begin = () => void run({ ask: "sign-in", entry, device: byDevice });
  const onClose = () => {
    close();
    if (step) void run({ ask: "put-sign-in-away" });
  };
  return (
    <DialogFrame
      name="sign-in"
      title={t("sign-in.title", { name: shortName(entry, state.page) })}
      holdsOn={step !== null && !isOver}
      onClose={onClose}
      onSubmit={() => {
        if (step?.is === "done") onClose();
        else if (!step || isOver) begin();
      }}
      acts={
        <>
          {step?.is !== "done" && (
            <button type="button" data-act={isOver ? "close" : "cancel"} onClick={onClose}>
              {t(isOver ? "act.close" : "act.cancel")}
            </button>
          )}
          {(!step || step.is === "failed") && (
            <Primary act="sign-in" disabled={busy} autofocus>
              {t(step ? "act.try-again" : "act.sign-in")}
            </Primary>
          )}
          {step?.is === "done" && (
            <button type="submit" class="primary" data-act="close" autofocus>
              {t("act.close")}
            </button>
          )}
        </>
      }
    >
      <div role="alert" class="dialog-trouble" data-step={step?.is === "failed" ? "failed" : undefined}>
        {step?.is === "failed" && (
          <p class="trouble">
            <Sign name="warning" />
            <span>
              <TroubleSay trouble={step.trouble} hasButton={step.trouble.hint.startsWith("keyfob login")} />
            </span>
          </p>
        )}
      </div>
      {step && step.is !== "failed" ? (
        <div data-step={step.is} aria-live="polite">
          <Step step={step} onOpen={() => void run({ ask: "open-sign-in-page" })} />
        </div>
      ) : (
        <>
          {!step && <p>{t("sign-in.begin")}</p>}
          <label class="check">
            <input
              type="checkbox"
              name="device"
              checked={byDevice}
              onChange={(event) => setByDevice(event.currentTarget.checked)}
            />
            <span>
              {t("sign-in.device")}
              <span class="faint block">{t("sign-in.device-about")}</span>
            </span>
          </label>
        </>
      )}
      <DialogTrouble trouble={trouble} />
    </DialogFrame>
  );
}

function Step({ step, onOpen }: { step: SignInStep; onOpen: () => void }) {
  const openAgain = (words: string) => (
    <button type="button" data-act="open-again" onClick={onOpen}>
      <Sign name="open" /> {words}
    </button>
  );
  switch (step.is) {
    case "begun":
      return (
        <div class="waiting">
          <progress aria-label={t("sign-in.begun")} />
          <p>{t("sign-in.begun")}</p>
        </div>
      );
    case "browser":
      return (
        <div class="waiting">
          {step.opened && <progress aria-label={t("sign-in.browser")} />}
          <p>{t(step.opened ? "sign-in.browser" : "sign-in.no-browser")}</p>
          {openAgain(t(step.opened ? "act.open-again" : "act.open-page"))}
        </div>
      );
    case "code":
      return <CodeStep step={step} act={openAgain(t("act.open-page"))} />;
    case "done":
      return (
        <p class="good-news">
          <Sign name="yes" />
          <span>
            <Say say={step.say} />
          </span>
        </p>
      );
    case "failed":
      return null;
  }
}

function CodeStep({ step, act }: { step: SignInStep & { is: "code" }; act: preact.ComponentChildren }) {
  const code = useRef<HTMLElement>(null);
  return (
    <div class="waiting">
      <p>
        {t("sign-in.code")} <strong class="address">{step.address}</strong>
      </p>
      <p class="code-line">
        <span class="code" data-code="" ref={code}>
          {grouped(step.code).map((group, index) => (
            <span key={index}>{group}</span>
          ))}
        </span>
        <CopyButton text={step.code} source={code} />
      </p>
      {act}
      <p role="status">{t("sign-in.waiting")}</p>
      <CodeEnd until={step.until} />
    </div>
  );
}

/** Long codes are read in two halves; the text itself stays as it is. */
function grouped(code: string): string[] {
  if (code.length < 6 || /[^0-9A-Za-z]/.test(code)) return [code];
  const half = Math.ceil(code.length / 2);
  return [code.slice(0, half), code.slice(half)];
}

/** Not a live region: a screen reader would read every second. */
function CodeEnd({ until }: { until: string }) {
  const now = useNow(1);
  const left = ((moment(until) ?? now) - now) / 1000;
  return (
    <p class="faint" aria-live="off">
      {left > 0 ? t("sign-in.code-ends", { left: countdown(left) }) : t("sign-in.code-ended")}
    </p>
  );
}
