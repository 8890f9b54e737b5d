// The window: rail, view, dialogs, messages.

import { useCallback, useEffect, useLayoutEffect, useMemo, useReducer, useRef } from "preact/hooks";
import type { Deed, Trouble, View } from "./bindings";
import { useNow } from "./clock";
import { Dialogs } from "./dialogs/dialogs";
import { ask, listenToNews, troubleFrom } from "./door";
import { type Frame, FrameContext } from "./frame";
import { Messages } from "./parts/messages";
import { QuestionStrip } from "./parts/question-strip";
import { Rail } from "./parts/rail";
import { type Dialog, dialogFor, FIRST, reduce } from "./state";
import { needsPassphrase } from "./trouble";
import { AbsentView, AwaitedView } from "./views/absent";
import { ActivityView } from "./views/activity";
import { OverviewView } from "./views/overview";
import { PermissionsView } from "./views/permissions";
import { SettingsView } from "./views/settings";
import { TimelineView } from "./views/timeline";

const VIEWS = {
  overview: OverviewView,
  permissions: PermissionsView,
  timeline: TimelineView,
  activity: ActivityView,
  settings: SettingsView,
};

export function App() {
  const frame = useWindow();
  const { page, view } = frame.state;
  useKeptFocus(page);
  useLayoutEffect(() => document.querySelector("main")?.scrollTo(0, 0), [view]);
  useEffect(() => {
    if (page) document.body.dataset.ready = "";
  }, [page !== null]);
  return (
    <FrameContext.Provider value={frame}>
      <Rail />
      {/* Focusable, so that the keyboard can scroll a view that has nothing to press. */}
      <main data-view={view} tabIndex={0}>
        {view !== "overview" && <QuestionStrip />}
        {page ? <Shown view={view} agent={page.agent.is} /> : <AwaitedView />}
      </main>
      <Dialogs />
      <Messages />
    </FrameContext.Provider>
  );
}

/** Where what had the focus is gone (a question that was answered), the view gets it, not the top of the window. */
function useKeptFocus(change: unknown): void {
  const hadFocus = useRef(false);
  useEffect(() => {
    const note = () => {
      hadFocus.current = true;
    };
    document.addEventListener("focusin", note);
    return () => document.removeEventListener("focusin", note);
  }, []);
  useEffect(() => {
    if (!hadFocus.current || document.activeElement !== document.body) return;
    document.querySelector("main")?.focus({ preventScroll: true });
  }, [change]);
}

/** Without an agent there is nothing to show but what belongs to this program. */
function Shown({ view, agent }: { view: View; agent: "awaited" | "running" | "absent" }) {
  const Chosen = VIEWS[view];
  if (agent === "running" || view === "settings") return <Chosen key={view} />;
  return agent === "absent" ? <AbsentView /> : <AwaitedView />;
}

function useWindow(): Frame {
  const [state, dispatch] = useReducer(reduce, FIRST);
  const now = useNow(60);

  const complain = useCallback((trouble: Trouble) => {
    dispatch({ type: "say", message: { tone: "alert", ...trouble } });
  }, []);
  const say = useCallback((sentence: string) => {
    if (sentence !== "") dispatch({ type: "say", message: { tone: "status", say: sentence, hint: "" } });
  }, []);
  const attempt = useCallback<Frame["attempt"]>(async (request, own) => {
    try {
      const reply: unknown = await ask(request);
      const isSaid = typeof reply === "object" && reply !== null && "say" in reply && typeof reply.say === "string";
      if (own !== undefined) say(own);
      else if (isSaid) say(reply.say as string);
      return true;
    } catch (error) {
      complain(troubleFrom(error));
      return false;
    }
  }, []);
  const begin = useCallback((deed: Deed, asksPassphrase: boolean) => {
    if (deed.do === "unlock" && !asksPassphrase) {
      void attempt({ ask: "unlock", passphrase: null });
    } else if (deed.do === "open-console") {
      void attempt({ ask: "open-console", entry: deed.entry });
    } else {
      dispatch({ type: "open", dialog: dialogFor(deed) });
    }
  }, []);

  useEffect(() => {
    const go = (view: View, deed: Deed | null) =>
      dispatch(deed ? { type: "called", view, deed } : { type: "go", view });
    const stop = listenToNews((news) => {
      if (news.is === "page") dispatch({ type: "page", page: news.it });
      if (news.is === "activity") dispatch({ type: "line", line: news.it });
      if (news.is === "go") {
        go(news.it.view, news.it.deed);
      }
    });
    // News first: what changes while we ask must not be lost.
    stop
      .then(() => ask({ ask: "begin" }))
      .then(({ page, view, deed }) => {
        dispatch({ type: "page", page });
        go(view, deed);
      })
      .catch((error: unknown) => complain(troubleFrom(error)));
    return () => void stop.then((end) => end());
  }, []);

  const { page } = state;
  const asksPassphrase = needsPassphrase(page);
  return useMemo<Frame>(
    () => ({
      state,
      now,
      go: (view) => dispatch({ type: "go", view }),
      begin: (deed) => begin(deed, asksPassphrase),
      open: (dialog: Dialog) => dispatch({ type: "open", dialog }),
      close: () => dispatch({ type: "close" }),
      attempt,
      say,
      complain,
      hush: () => dispatch({ type: "hush" }),
      keepLines: (lines) => dispatch({ type: "lines", lines }),
    }),
    [state, now, asksPassphrase],
  );
}
