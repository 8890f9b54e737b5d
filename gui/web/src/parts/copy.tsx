// Copies a text that is no secret.

import type { RefObject } from "preact";
import { useState } from "preact/hooks";
import { t } from "../text";
import { Sign } from "./icons";

export function CopyButton({ text, source }: { text: string; source: RefObject<HTMLElement | null> }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
    } catch {
      // Some web views keep the clipboard from pages, but copy what is selected.
      const selection = window.getSelection();
      if (source.current) selection?.selectAllChildren(source.current);
      setDone(document.execCommand("copy"));
    }
  };
  return (
    <button type="button" data-act="copy" onClick={() => void copy()}>
      <Sign name={isDone ? "yes" : "copy"} /> <span aria-live="polite">{t(isDone ? "act.copied" : "act.copy")}</span>
    </button>
  );
}
