// The present moment, as often as words need it and only while somebody can see them.

import { useEffect, useState } from "preact/hooks";

/** Milliseconds; changes at each full step of so many seconds. */
export function useNow(step: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = () => {
      clearTimeout(timer);
      if (document.visibilityState !== "visible") return;
      const present = Date.now();
      setNow(present);
      timer = setTimeout(look, step * 1000 - (present % (step * 1000)));
    };
    look();
    document.addEventListener("visibilitychange", look);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [step]);
  return now;
}
