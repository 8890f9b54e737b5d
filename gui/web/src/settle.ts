// What has just come or moved under the pointer does nothing yet: a click or key was meant for what was there before.

import { useLayoutEffect, useState } from "preact/hooks";

/** Milliseconds in which a person sees that something has moved. */
export const SETTLES = 600;

/** Whether `what` has been the same for a moment. It is told while drawing, so nothing is drawn once before it is noticed. */
export function useSettled(what: string): boolean {
  const [settled, setSettled] = useState<string | null>(null);
  useLayoutEffect(() => {
    setSettled(null);
    const timer = setTimeout(() => setSettled(what), SETTLES);
    return () => clearTimeout(timer);
  }, [what]);
  return settled === what;
}
