// A program asks for something that only the person may allow. The card says who and for what before it offers an answer,
// and no key or click that was meant for something else can be one: the answers work only after the card has been in view
// for a moment, and none of them is ever focused by itself.

import { useState } from "preact/hooks";
import type { Approval, Question } from "../bindings";
import { useNow } from "../clock";
import { useFrame } from "../frame";
import { useSettled } from "../settle";
import { kindOf, programName, shortName, shownDialog, type State } from "../state";
import { n, t, word } from "../text";
import { countdown, exact, moment } from "../words";
import { Sign } from "./icons";
import { Say } from "./say";

const APPROVALS: Approval[] = ["once", "today", "always"];

export function QuestionCard({ question }: { question: Question }) {
  const { state } = useFrame();
  const entry = shortName(question.entry, state.page);
  const program = question.program === "" ? t("question.unknown-program") : programName(question.program);
  const title = `question-${question.id}`;
  return (
    <section class="question" data-question={question.entry} aria-labelledby={title}>
      <div class="question-head">
        <h3 id={title}>
          <span class="question-program" title={question.program}>
            {program}
          </span>{" "}
          <span class="question-wants">
            {t("question.wants", { entry })} <span class="faint">{word("kind", kindOf(question.entry))}</span>
          </span>
        </h3>
        <ClosesIn closes={question.closes} />
      </div>
      <QuestionFacts question={question} entry={entry} />
      {question.warnings.map((warning) => (
        <p key={warning} class="question-warning">
          <Sign name="warning" />
          <span>
            <Say say={warning} />
          </span>
        </p>
      ))}
      <Answers question={question} program={program} entry={entry} />
    </section>
  );
}

function ClosesIn({ closes }: { closes: string }) {
  const now = useNow(1);
  const left = ((moment(closes) ?? now) - now) / 1000;
  return (
    <span class="question-closes" title={exact(closes)}>
      {left > 0 ? t("question.closes", { left: countdown(left) }) : t("question.closed")}
    </span>
  );
}

function QuestionFacts({ question, entry }: { question: Question; entry: string }) {
  const { act, target, count } = question;
  const what = word("asked", act);
  return (
    <dl class="facts">
      <dt>{t("question.program")}</dt>
      <dd>
        <code class="path">{question.program || t("question.untold")}</code>
        {question.pid !== null && <span class="faint"> {t("question.process", { pid: question.pid })}</span>}
      </dd>
      {question.behind.length > 0 && (
        <>
          <dt>{t("question.behind")}</dt>
          <dd>
            {question.behind.map((path) => (
              <code key={path} class="path path-line">
                {path}
              </code>
            ))}
          </dd>
        </>
      )}
      {question.claims && (
        <>
          <dt>{t("question.claims")}</dt>
          <dd>
            {question.claims} <span class="tag">{t("question.not-proved")}</span>
          </dd>
        </>
      )}
      <dt>{t("question.for")}</dt>
      <dd>
        {target ? t("question.act-at", { act: what, target }) : t("question.act-of", { act: what, entry })}
        <span class="faint"> · {n("question.asked", count)}</span>
      </dd>
    </dl>
  );
}

function Answers({ question, program, entry }: { question: Question; program: string; entry: string }) {
  const { state, attempt } = useFrame();
  const isSettled = useSettled(placeOf(state));
  const [isSent, setSent] = useState(false);
  const answer = async (approval: Approval) => {
    setSent(true);
    const isDone = await attempt({ ask: "answer", id: question.id, approval }, t(`answered.${approval}`, { program, entry }));
    // The card goes when the agent says that the question is closed; refused, it can be answered again.
    if (!isDone) setSent(false);
  };
  const button = (approval: Approval) => (
    <button
      key={approval}
      type="button"
      data-answer={approval}
      class={approval === "never" ? "danger" : ""}
      disabled={!isSettled || isSent}
      aria-label={t(`answer.${approval}.long`, { program, entry })}
      title={t(`answer.${approval}.long`, { program, entry })}
      onClick={() => void answer(approval)}
    >
      {t(`answer.${approval}`)}
    </button>
  );
  return (
    <div class="answers" role="group" aria-label={t("question.answers")}>
      {button("never")}
      <span class="answers-allow">
        <span class="faint" aria-hidden="true">
          {t("question.allow")}
        </span>
        {APPROVALS.filter((approval) => question.offers.includes(approval)).map(button)}
      </span>
    </div>
  );
}

/** What decides what is under the pointer: all the cards, and a dialog above them. */
function placeOf(state: State): string {
  return JSON.stringify([(state.page?.questions ?? []).map(contentOf), shownDialog(state)]);
}

/** What is answered. Not how often and until when: else a program that asks again and again could keep the answers off. */
function contentOf(question: Question): string {
  return JSON.stringify({ ...question, count: 0, closes: "" });
}
