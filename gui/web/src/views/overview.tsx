// Every entry as a row, below what waits for the person.

import { Banners } from "../parts/banner";
import { EntryRow } from "../parts/entry-row";
import { QuestionCard } from "../parts/question";
import { Empty, ViewHead } from "../parts/view-head";
import { useFrame } from "../frame";
import { n, t } from "../text";

export function OverviewView() {
  const { state } = useFrame();
  const { page } = state;
  if (!page) return null;
  const { needs } = page;
  const about = needs > 0 ? n("overview.needs", needs) : page.rows.length > 0 ? t("overview.fine") : "";
  return (
    <>
      <ViewHead view="overview" about={about} />
      <Questions />
      <Banners />
      {page.rows.length === 0 ? (
        <NothingConfigured />
      ) : (
        <section aria-labelledby="entries-title">
          <h2 id="entries-title" class="unseen">
            {t("overview.entries")}
          </h2>
          <ul class="rows">
            {page.rows.map((row) => (
              <EntryRow key={row.name} row={row} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function Questions() {
  const questions = useFrame().state.page?.questions ?? [];
  return (
    <>
      {/* Said once when it comes, without taking the focus from what the person is at. */}
      <p class="unseen" aria-live="polite">
        {questions.length > 0 ? n("rail.questions", questions.length) : ""}
      </p>
      {questions.length > 0 && (
        <section class="questions" aria-labelledby="questions-title">
          <h2 id="questions-title">{n("question.title", questions.length)}</h2>
          {questions.map((question) => (
            <QuestionCard key={question.id} question={question} />
          ))}
        </section>
      )}
    </>
  );
}

function NothingConfigured() {
  const { state, attempt } = useFrame();
  const configuration = state.page?.configuration;
  // A file with errors is shown above, with all that is wrong.
  if (configuration && configuration.errors.length > 0) return null;
  return (
    <Empty
      title={t("empty.title")}
      say={t(configuration?.exists ? "empty.say-no-entries" : "empty.say-no-file")}
    >
      {configuration && <code class="path block">{configuration.path}</code>}
      <pre class="example" aria-label={t("empty.example")}>
        {t("empty.example-text")}
      </pre>
      <button
        type="button"
        class="primary"
        data-act="open-configuration"
        onClick={() => void attempt({ ask: "open-configuration" })}
      >
        {t("act.open-configuration")}
      </button>
    </Empty>
  );
}
