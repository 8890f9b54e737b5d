// Sentences of the agent: what stands between backticks is a name or a command.

import { useContext } from "preact/hooks";
import type { Trouble } from "../bindings";
import { FrameContext } from "../frame";
import { t } from "../text";
import { shownHint } from "../trouble";
import { sentence } from "../words";

export function Say({ say }: { say: string }) {
  const parts = sentence(say).split("`");
  // An odd count of backticks is no quoting: one is left over.
  if (parts.length % 2 === 0) return <>{sentence(say)}</>;
  return <>{parts.map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>;
}

interface TroubleProps {
  trouble: Pick<Trouble, "say" | "hint"> & { code?: string | undefined };
  /** A button beside it mends it. */
  hasButton?: boolean;
}

/** What stands in the way, and the command that mends it where no button does. */
export function TroubleSay({ trouble, hasButton }: TroubleProps) {
  const page = useContext(FrameContext)?.state.page ?? null;
  const hint = hasButton ? "" : shownHint(trouble, page);
  return (
    <>
      <Say say={trouble.say} />
      {hint !== "" && <Hint hint={hint} />}
    </>
  );
}

export function Hint({ hint }: { hint: string }) {
  // Some hints are a command alone, some a sentence with a command in it.
  const isCommand = /^keyfobd? [^ ]/.test(hint);
  return (
    <span class="hint">
      {" "}
      {isCommand ? (
        <>
          {t("hint.run")} <code>{hint}</code>
        </>
      ) : (
        <Say say={hint} />
      )}
    </span>
  );
}
