// Sentences of the agent: what stands between backticks is a name or a command.

import type { Trouble } from "../bindings";
import { t } from "../text";
import { sentence } from "../words";

export function Say({ say }: { say: string }) {
  const parts = sentence(say).split("`");
  // An odd count of backticks is no quoting: one is left over.
  if (parts.length % 2 === 0) return <>{sentence(say)}</>;
  return <>{parts.map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>;
}

/** What stands in the way, and the command that mends it where no button does. */
export function TroubleSay({ trouble, hasButton }: { trouble: Pick<Trouble, "say" | "hint">; hasButton?: boolean }) {
  return (
    <>
      <Say say={trouble.say} />
      {trouble.hint !== "" && !hasButton && <Hint hint={trouble.hint} />}
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
