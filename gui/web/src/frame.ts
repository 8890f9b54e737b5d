// What every part of the window can reach: what is known, the present minute, and the ways to do something.

import { createContext } from "preact";
import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";
import type { ActivityLine, Deed, PageAsk, Trouble, View } from "./bindings";
import { ask, type ReplyTo, troubleFrom } from "./door";
import type { Dialog, State } from "./state";

export interface Frame {
  state: State;
  /** Milliseconds, to the minute. */
  now: number;
  go(view: View): void;
  /** Begins a deed: opens its dialog, or does it where nothing is to be asked. */
  begin(deed: Deed): void;
  open(dialog: Dialog): void;
  close(): void;
  /** Asks for something that is answered with a sentence, and says how it went, in words of our own where there are some.
   * `false` where it was refused. */
  attempt(request: PageAsk, own?: string): Promise<boolean>;
  say(sentence: string): void;
  complain(trouble: Trouble): void;
  hush(): void;
  /** Lines of the ledger that were asked for; later ones come by themselves. */
  keepLines(lines: ActivityLine[]): void;
}

export const FrameContext = createContext<Frame | null>(null);

export function useFrame(): Frame {
  const frame = useContext(FrameContext);
  if (!frame) throw new Error("this part is drawn outside of the window");
  return frame;
}

export interface Asked<It> {
  it: It | null;
  trouble: Trouble | null;
  busy: boolean;
  again(request?: PageAsk): void;
}

/** Asks when the part is first drawn and whenever `when` changes. The last answer stays while a new one is awaited. */
export function useAsked<Ask extends PageAsk>(request: Ask, when: string): Asked<ReplyTo<Ask["ask"]>> {
  type It = ReplyTo<Ask["ask"]>;
  const [answer, setAnswer] = useState<{ it: It | null; trouble: Trouble | null }>({ it: null, trouble: null });
  const [busy, setBusy] = useState(true);
  const turn = useRef(0);
  // What was asked in its place and is not answered yet: a change meanwhile must not put an older answer there.
  const other = useRef<PageAsk | null>(null);
  const again = useCallback((inPlace?: PageAsk) => {
    const mine = ++turn.current;
    other.current = inPlace ?? other.current;
    setBusy(true);
    ask({ ...(other.current ?? request) } as Ask)
      .then(
        (it) => ({ it, trouble: null }),
        (error: unknown) => ({ it: null, trouble: troubleFrom(error) }),
      )
      .then((heard) => {
        // An answer that was overtaken by another ask is old.
        if (mine !== turn.current) return;
        other.current = null;
        setAnswer((last) => ({ it: heard.it ?? last.it, trouble: heard.trouble }));
        setBusy(false);
      });
  }, []);
  useEffect(() => {
    again();
    return () => {
      turn.current++;
    };
  }, [when]);
  return { ...answer, busy, again };
}
