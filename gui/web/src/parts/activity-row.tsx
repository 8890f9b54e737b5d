// A line of the ledger, and on demand everything that is known about who asked.

import { useId, useState } from "preact/hooks";
import { isUnknown, outcomeOf, whyOf } from "../activity";
import type { ActivityLine } from "../bindings";
import { useFrame } from "../frame";
import { programName, shortName } from "../state";
import { t, word } from "../text";
import { exact, hour, sentence } from "../words";
import { Sign, type SignName } from "./icons";

const OUTCOME_SIGNS: Record<string, SignName> = {
  given: "yes",
  done: "yes",
  refused: "no",
  empty: "dash",
  gone: "dash",
  "called-off": "dash",
};

export function ActivityRow({ line }: { line: ActivityLine }) {
  const { state, now } = useFrame();
  const [isOpen, setOpen] = useState(false);
  const id = useId();
  const outcome = outcomeOf(line);
  const about = [line.entry ? shortName(line.entry, state.page) : null, line.target].filter((text) => text !== null);
  return (
    <>
      <tr data-line="" data-outcome={line.outcome}>
        <td class="activity-when" title={exact(line.at)}>
          {hour(now, line.at)}
        </td>
        <th scope="row">
          <span class="elided block" title={line.program ?? undefined}>
            {whoAsked(line)}
          </span>
          {line.program && <Verified isVerified={line.verified} />}
        </th>
        <td>
          <span class="elided block">{word("asked", line.act)}</span>
          <span class="faint elided block" title={about.join(" · ")}>
            {about.join(" · ")}
          </span>
        </td>
        <td>
          <span class={`outcome-word outcome-${outcome}`}>
            <Sign name={OUTCOME_SIGNS[outcome] ?? "unknown"} />
            {word("outcome", outcome)}
          </span>
          <Why line={line} />
        </td>
        <td class="table-act">
          <button
            type="button"
            class={isOpen ? "quiet square turned" : "quiet square"}
            data-act="details"
            aria-expanded={isOpen}
            aria-controls={isOpen ? id : undefined}
            aria-label={t("activity.details-of", { time: hour(now, line.at) })}
            onClick={() => setOpen(!isOpen)}
          >
            <Sign name="down" />
          </button>
        </td>
      </tr>
      {isOpen && (
        <tr id={id} class="table-note" data-details="">
          <td colSpan={5}>
            <Details line={line} />
          </td>
        </tr>
      )}
    </>
  );
}

function whoAsked(line: ActivityLine): string {
  if (line.program) return programName(line.program);
  return t(isUnknown(line) ? "activity.unknown-program" : "activity.nobody");
}

function Why({ line }: { line: ActivityLine }) {
  const why = whyOf(line);
  if (why === "") return null;
  return (
    <span class="faint elided block" title={why}>
      {sentence(why)}
    </span>
  );
}

function Verified({ isVerified }: { isVerified: boolean }) {
  return (
    <span class={isVerified ? "proof" : "proof proof-missing"}>
      <Sign name={isVerified ? "proved" : "unproved"} />
      {t(isVerified ? "activity.verified" : "activity.unverified")}
    </span>
  );
}

function Details({ line }: { line: ActivityLine }) {
  const { program, pid, behind, claims, note } = line;
  return (
    <dl class="facts">
      <dt>{t("question.program")}</dt>
      <dd>
        {program || isUnknown(line) ? (
          <code class="path">{program || t("question.untold")}</code>
        ) : (
          t("activity.nobody")
        )}
        {pid !== null && <span class="faint"> {t("question.process", { pid })}</span>}
      </dd>
      {behind.length > 0 && (
        <>
          <dt>{t("question.behind")}</dt>
          <dd>
            {behind.map((path, index) => (
              <code key={index} class="path path-line">
                {path}
              </code>
            ))}
          </dd>
        </>
      )}
      {claims && (
        <>
          <dt>{t("question.claims")}</dt>
          <dd>
            {claims} <span class="tag">{t("question.not-proved")}</span>
          </dd>
        </>
      )}
      <dt>{t("activity.when")}</dt>
      <dd>{exact(line.at)}</dd>
      {line.target && (
        <>
          <dt>{t("activity.target")}</dt>
          <dd>{line.target}</dd>
        </>
      )}
      {line.code && (
        <>
          <dt>{t("activity.why")}</dt>
          <dd>{sentence(word("code", line.code))}</dd>
        </>
      )}
      {note && (
        <>
          <dt>{t("activity.note")}</dt>
          <dd>{sentence(note)}</dd>
        </>
      )}
    </dl>
  );
}
