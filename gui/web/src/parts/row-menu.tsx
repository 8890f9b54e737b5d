// What else can be done with an entry: a menu as the ARIA practices have it.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Deed, Row } from "../bindings";
import { useFrame } from "../frame";
import { t } from "../text";
import { moment } from "../words";
import { Sign } from "./icons";

/** A deed in words; about a row that has no reminders now, it says that they can come back. */
export function deedWords(deed: Deed, row?: Row, now = 0): string {
  const quiet = moment(row?.quiet_until);
  if (deed.do === "snooze" && quiet !== null && quiet > now) return t("deed.snooze-change");
  if (row?.kind === "outscale" && deed.do === "add-token") return t("deed.add-key");
  if (row?.kind === "outscale" && deed.do === "remove-token") return t("deed.remove-key");
  return t(`deed.${deed.do}`);
}

export function RowMenu({ row }: { row: Row }) {
  const { begin, now } = useFrame();
  const [isOpen, setOpen] = useState(false);
  const [opensUp, setOpensUp] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  // What is due has a button of its own.
  const deeds = row.can.filter((deed) => deed.do !== row.due?.do);
  const items = () => [...(box.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];

  useLayoutEffect(() => {
    if (!isOpen) return;
    const bounds = box.current?.querySelector("[role=menu]")?.getBoundingClientRect();
    if (bounds && bounds.bottom > window.innerHeight - 8) setOpensUp(true);
    items()[0]?.focus();
  }, [isOpen]);
  useEffect(() => {
    if (!isOpen) return;
    const onPress = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", onPress);
    return () => document.removeEventListener("pointerdown", onPress);
  }, [isOpen]);

  const close = () => {
    setOpen(false);
    setOpensUp(false);
    button.current?.focus();
  };
  const onKey = (event: KeyboardEvent) => {
    const all = items();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 + all.length, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      all[to % all.length]?.focus();
    }
    if (event.key === "Escape") {
      event.preventDefault();
      close();
    }
    if (event.key === "Tab") setOpen(false);
  };

  if (deeds.length === 0) return <span class="menu-none" />;
  return (
    <div class="menu-box" ref={box}>
      <button
        type="button"
        ref={button}
        class="quiet square"
        data-act="more"
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-label={t("row.more", { name: row.short })}
        title={t("row.more", { name: row.short })}
        onClick={() => (isOpen ? close() : setOpen(true))}
      >
        <Sign name="more" />
      </button>
      {isOpen && (
        <div
          class={opensUp ? "menu menu-up" : "menu"}
          role="menu"
          aria-label={t("row.more", { name: row.short })}
          onKeyDown={onKey}
        >
          {deeds.map((deed) => (
            <button
              key={deed.do}
              type="button"
              role="menuitem"
              tabIndex={-1}
              data-deed={deed.do}
              class={deed.do === "remove-token" || deed.do === "sign-out" ? "menu-item danger" : "menu-item"}
              onClick={() => {
                // The dialog gives the focus back to where it was: to the button, for the item is gone by then.
                close();
                begin(deed);
              }}
            >
              {deedWords(deed, row, now)}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
