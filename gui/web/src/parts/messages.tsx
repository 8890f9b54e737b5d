// What became of the last thing that the person did. Both regions always exist, else screen readers miss their first words.

import { useEffect } from "preact/hooks";
import { useFrame } from "../frame";
import { type Message as MessageWords, shownDialog } from "../state";
import { t } from "../text";
import { Sign } from "./icons";
import { TroubleSay } from "./say";

/** Good news goes away by itself, bad news does not. */
const SHOWN = 8000;

/** Drawn twice, in the window and in each dialog: while a dialog is open, nothing outside of it is seen or said. */
export function Messages({ isInDialog = false }: { isInDialog?: boolean }) {
  const { state, hush } = useFrame();
  const message = isInDialog === (shownDialog(state) !== null) ? state.message : null;
  useEffect(() => {
    if (message?.tone !== "status") return;
    const timer = setTimeout(hush, SHOWN);
    return () => clearTimeout(timer);
  }, [message]);
  return (
    <div class="messages">
      <div role="status">{message?.tone === "status" && <Message {...message} onClose={hush} />}</div>
      <div role="alert">{message?.tone === "alert" && <Message {...message} onClose={hush} />}</div>
    </div>
  );
}

function Message(props: MessageWords & { onClose: () => void }) {
  return (
    <div class={`message message-${props.tone}`}>
      <Sign name={props.tone === "alert" ? "warning" : props.hint === "" ? "yes" : "info"} />
      <p>
        <TroubleSay trouble={props} />
      </p>
      <button type="button" class="quiet square" data-act="hush" aria-label={t("act.close")} onClick={props.onClose}>
        <Sign name="close" />
      </button>
    </div>
  );
}
